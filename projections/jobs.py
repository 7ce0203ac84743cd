"""Jobs: where each stands, and how many of its recipients are in which state."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from psycopg import AsyncConnection, sql

from domain.job import (
    Deferral,
    JobApprovalGiven,
    JobApprovalVoided,
    JobApproved,
    JobChangesRequested,
    JobCompleted,
    JobExpired,
    JobFlagged,
    JobPaused,
    JobRejected,
    JobResumed,
    JobScheduled,
    JobStartDeferred,
    JobStarted,
    JobStopped,
    Status,
)
from domain.lifecycle import BEFORE_START
from domain.message import Event, PrincipalId, Recorded, Ref, WorkspaceId
from domain.submission import JobRevised, JobSubmitted
from projections.listing import Compare, Filter, Listing, Way, by_id, in_time
from projections.projection import Handler, Projection, begins, known, of, sets, time
from projections.submission import Submission, revise, submission
from projections.sums import Sums
from projections.table import COMMA, Table


@dataclass(slots=True)
class Row(Submission):
    """A job: what was submitted, who answered, and when it ran. `voided`: approvals that count no more, and why."""

    status: Status = Status.SUBMITTED
    rejected_by: PrincipalId | None = None
    note: Ref | None = None
    changes_by: PrincipalId | None = None
    changes_note: Ref | None = None
    voided: list[dict[str, str]] = field(default_factory=list)
    approved_at: datetime | None = None
    deferred: Deferral | None = None
    deferred_until: datetime | None = None
    started_at: datetime | None = None
    ended_at: datetime | None = None


@begins
def submitted(event: JobSubmitted, recorded: Recorded) -> Row:
    return Row(*submission(event, recorded))


@known
def revised(row: Row, event: JobRevised, recorded: Recorded) -> None:
    revise(row, event, recorded)
    row.status, row.changes_by, row.changes_note = Status.SUBMITTED, None, None
    unapproved(row)


@known
def flagged(row: Row, event: JobFlagged, _recorded: Recorded) -> None:
    row.status, row.flags, row.approvals_needed = Status.FLAGGED, list(event.reasons), event.approvals


@known
def approval_given(row: Row, event: JobApprovalGiven, _recorded: Recorded) -> None:
    row.approved_by = [*row.approved_by, event.by]


@known
def approval_voided(row: Row, event: JobApprovalVoided, recorded: Recorded) -> None:
    at = recorded.envelope.time.isoformat()
    row.voided = [*row.voided, *({"by": by, "reason": event.reason, "at": at} for by in event.approvals)]
    row.approved_by = [by for by in row.approved_by if by not in event.approvals]
    if row.status in BEFORE_START:
        row.status = Status.FLAGGED if row.flags else Status.SUBMITTED
    unapproved(row)


def unapproved(row: Row) -> None:
    """Nothing follows any more from an approval before."""
    row.approved_at = row.deferred = row.deferred_until = None


TABLE = Table("read_jobs", Row)
ON: Mapping[type[Event], Handler] = {
    JobSubmitted: submitted,
    JobRevised: revised,
    JobFlagged: flagged,
    JobApprovalGiven: approval_given,
    JobApprovalVoided: approval_voided,
    JobChangesRequested: sets(status=Status.CHANGES_REQUESTED, changes_by=of("by"), changes_note=of("note")),
    JobApproved: sets(status=Status.APPROVED, approved_at=time),
    JobScheduled: sets(status=Status.SCHEDULED, start_at=of("start_at")),
    JobStartDeferred: sets(deferred=of("reason"), deferred_until=of("until")),
    JobRejected: sets(status=Status.REJECTED, rejected_by=of("by"), note=of("note"), ended_at=time),
    JobStarted: sets(status=Status.RUNNING, started_at=time, deferred=None, deferred_until=None),
    JobPaused: sets(status=Status.PAUSED),
    JobResumed: sets(status=Status.RUNNING),
    JobStopped: sets(status=Status.STOPPED, ended_at=time),
    JobCompleted: sets(status=Status.COMPLETED, ended_at=time),
    JobExpired: sets(status=Status.EXPIRED, ended_at=time),
}
SUMS = Sums("read_jobs_sums", lambda row: row.status)
PROJECTION = Projection(TABLE, ON, tally=SUMS, kept=(SUMS.table,))

CUT_OFF = (Status.STOPPED, Status.EXPIRED, Status.REJECTED)  # over, though somebody may have no message

# Of each job's recipients that were begun, how many are in which state; kept by projections/deliveries.py.
COUNTED = (
    *("intended", "between", "again", "sent", "delivered", "read"),
    *("failed", "partial", "skipped", "unknown", "given_up"),
)


@dataclass(frozen=True, slots=True)
class JobCounts:
    """How many recipients are in which state: each in exactly one, so that they add up to all of them."""

    pending: int
    intended: int
    sent: int
    delivered: int
    read: int
    failed: int
    partial: int
    skipped: int
    unknown: int
    given_up: int
    stopped: int


@dataclass(frozen=True, slots=True)
class Job:
    """A job as it is shown."""

    row: Row
    counts: JobCounts

    @property
    def texts(self) -> list[Ref | None]:
        """The references to its texts."""
        return [*self.row.texts, self.row.note, self.row.changes_note]


def shown(row: Row, counts: Sequence[int]) -> Job:
    """A job with the counts of what was begun. Who was not reached when it was stopped is told here: there are no
    events of it."""
    began = dict(zip(COUNTED, counts, strict=True))
    rest, between = row.recipients - sum(began.values()) + began.pop("again"), began.pop("between")
    stopped = row.status in CUT_OFF
    began["partial" if stopped else "intended"] += between
    return Job(row, JobCounts(**began, pending=0 if stopped else rest, stopped=rest if stopped else 0))


LIST = Listing(
    TABLE.name,
    Row,
    [
        by_id(),
        Filter("status", Status, "status", "Only jobs that stand so.", "running"),
        Filter("campaign", UUID, "campaign_id", "Only jobs of this campaign.", "5f0c8a3e-9a44-5b0e-8a55-0d6b1c1f2a77"),
        Filter(
            "account",
            UUID,
            "accounts",
            "Only jobs that send from this account.",
            "0f6d7a52-1b1c-5d0e-8f57-1a1d3a0f6c22",
            Compare.HOLDS,
        ),
        Filter("submitted_by", PrincipalId, "submitted_by", "Only jobs that this key submitted.", "Zk3Pq81x"),
        *in_time("submitted_at", "submitted"),
    ],
    [Way(("campaign",)), Way(("status",))],
)
COUNTS = (
    sql.SQL("SELECT id, {} FROM read_job_counts WHERE id = ANY(%s)")
    .format(COMMA.join(sql.Identifier(name) for name in COUNTED))
    .as_bytes()
)


async def one(connection: AsyncConnection, workspace: WorkspaceId, job_id: UUID) -> Job | None:
    """A job of this workspace."""
    row = await TABLE.one(connection, workspace, job_id)
    return (await counted(connection, [row]))[0] if row else None


async def counted(connection: AsyncConnection, rows: Sequence[Row]) -> list[Job]:
    """Jobs with their counts."""
    found = await (await connection.execute(COUNTS, [[row.id for row in rows]])).fetchall()
    begun = {job: counts for job, *counts in found}
    return [shown(row, begun.get(row.id, [0] * len(COUNTED))) for row in rows]
