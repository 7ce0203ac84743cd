"""Jobs: where each stands, and how many of its recipients are in which state."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from psycopg import AsyncConnection, sql

from domain.job import (
    JobApprovalGiven,
    JobApproved,
    JobCompleted,
    JobPaused,
    JobRejected,
    JobResumed,
    JobScheduled,
    JobStarted,
    JobStopped,
    Status,
)
from domain.message import Event, PrincipalId, Recorded, Ref, WorkspaceId
from domain.submission import JobSubmitted
from projections.projection import Handler, Projection, begins, known, of, sets, time
from projections.submission import Submission, submission
from projections.table import COMMA, NEVER, Table


@dataclass(slots=True)
class Row(Submission):
    """A job: what was submitted, who answered, and when it ran."""

    status: Status = Status.SUBMITTED
    rejected_by: PrincipalId | None = None
    note: Ref | None = None
    approved_at: datetime | None = None
    started_at: datetime | None = None
    ended_at: datetime | None = None


@begins
def submitted(event: JobSubmitted, recorded: Recorded) -> Row:
    return Row(*submission(event, recorded))


@known
def approval_given(row: Row, event: JobApprovalGiven, _recorded: Recorded) -> None:
    row.approved_by.append(event.by)


TABLE = Table("read_jobs", Row)
ON: Mapping[type[Event], Handler] = {
    JobSubmitted: submitted,
    JobApprovalGiven: approval_given,
    JobApproved: sets(status=Status.APPROVED, approved_at=time),
    JobScheduled: sets(status=Status.SCHEDULED, start_at=of("start_at")),
    JobRejected: sets(status=Status.REJECTED, rejected_by=of("by"), note=of("note"), ended_at=time),
    JobStarted: sets(status=Status.RUNNING, started_at=time),
    JobPaused: sets(status=Status.PAUSED),
    JobResumed: sets(status=Status.RUNNING),
    JobStopped: sets(status=Status.STOPPED, ended_at=time),
    JobCompleted: sets(status=Status.COMPLETED, ended_at=time),
}
PROJECTION = Projection(TABLE, ON)

# Of each job's recipients that were begun, how many are in which state; kept by projections/deliveries.py.
COUNTED = ("intended", "between", "sent", "delivered", "read", "failed", "partial", "skipped", "unknown")


@dataclass(frozen=True, slots=True)
class Counts:
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
    stopped: int


@dataclass(frozen=True, slots=True)
class Job:
    """A job as it is shown."""

    row: Row
    counts: Counts

    @property
    def texts(self) -> list[Ref | None]:
        """The references to its texts."""
        return [self.row.title, *self.row.parts, self.row.note]


def shown(found: Sequence[Any]) -> Job:
    """The job in a row found. Who was not reached when a job was stopped is told here: there are no events of it."""
    width = len(TABLE.columns)
    row = Row(*found[:width])
    began = dict(zip(COUNTED, [count or 0 for count in found[width:]], strict=True))
    rest, between = row.recipients - sum(began.values()), began.pop("between")
    stopped = row.status == Status.STOPPED
    began["partial" if stopped else "intended"] += between
    return Job(row, Counts(**began, pending=0 if stopped else rest, stopped=rest if stopped else 0))


FOUND = sql.SQL(
    "SELECT jobs.*, {} FROM ({} WHERE workspace = %(workspace)s AND {}) jobs "
    "LEFT JOIN read_job_counts counts ON counts.id = jobs.id ORDER BY jobs.born DESC"
)
COUNT_COLUMNS = COMMA.join(sql.Identifier("counts", name) for name in COUNTED)
ONE = FOUND.format(COUNT_COLUMNS, TABLE.select, sql.SQL("id = %(id)s")).as_bytes()
NEWEST = FOUND.format(
    COUNT_COLUMNS,
    TABLE.select,
    sql.SQL(
        "born < %(before)s AND (%(status)s::text IS NULL OR status = %(status)s) ORDER BY born DESC LIMIT %(limit)s"
    ),
).as_bytes()


async def one(connection: AsyncConnection, workspace: WorkspaceId, job_id: UUID) -> Job | None:
    """A job of this workspace."""
    found = await (await connection.execute(ONE, {"workspace": workspace, "id": job_id})).fetchone()
    return shown(found) if found else None


async def newest(
    connection: AsyncConnection, workspace: WorkspaceId, before: int | None, limit: int, status: Status | None = None
) -> list[Job]:
    """Jobs, the newest first, of those submitted before a log position, perhaps only those of one status."""
    values = {"workspace": workspace, "before": before or NEVER, "status": status, "limit": limit}
    return [shown(found) for found in await (await connection.execute(NEWEST, values)).fetchall()]
