"""Where a job stands: its state, and how each of its events moves it."""

from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from domain.content import Part
from domain.message import Digest, Event, PrincipalId
from domain.moderation import Flag
from domain.review import (
    JobApprovalGiven,
    JobApprovalVoided,
    JobApproved,
    JobChangesRequested,
    JobExpired,
    JobFlagged,
    JobRejected,
    JobScheduled,
)
from domain.run import JobCompleted, JobPaused, JobResumed, JobStartDeferred, JobStarted, JobStopped
from domain.schedule import ZoneName
from domain.submission import JobRevised, JobSubmitted, Pace, Version


class Status(StrEnum):
    """Where a job stands."""

    UNKNOWN = "unknown"
    SUBMITTED = "submitted"
    FLAGGED = "flagged"
    CHANGES_REQUESTED = "changes_requested"
    APPROVED = "approved"
    SCHEDULED = "scheduled"
    RUNNING = "running"
    PAUSED = "paused"
    COMPLETED = "completed"
    STOPPED = "stopped"
    REJECTED = "rejected"
    EXPIRED = "expired"


IN_REVIEW = (Status.SUBMITTED, Status.FLAGGED)
BEFORE_START = (Status.APPROVED, Status.SCHEDULED)
WAITING = (*IN_REVIEW, Status.CHANGES_REQUESTED, *BEFORE_START)  # may expire
STARTED = (Status.RUNNING, Status.PAUSED)


@dataclass(frozen=True, slots=True)
class Job:
    """What decisions about a job, and about its sends, need."""

    status: Status = Status.UNKNOWN
    version: int = 0  # events so far
    campaign_id: UUID | None = None
    says: Version | None = None
    authors: frozenset[PrincipalId] = frozenset()  # who submitted and revised it
    review_hash: Digest | None = None
    approvals: frozenset[PrincipalId] = frozenset()
    answered_by: PrincipalId | None = None  # who rejected it, or asked for changes
    needed: int = 1
    own_approval: bool = False
    flags: tuple[Flag, ...] = ()
    start_at: datetime | None = None
    start_local: datetime | None = None
    zone: ZoneName | None = None
    expires_at: datetime | None = None
    recipients: int = 0
    audience: Digest | None = None
    accounts: tuple[UUID, ...] = ()
    pace: Pace | None = None
    started: bool = False  # perhaps before a revision
    deferrals: int = 0
    deferred_until: datetime | None = None
    due: int = 0  # the version that the start's timer serves; 0: none
    expiry: int = 0  # the version that set `expires_at`

    @property
    def parts(self) -> tuple[Part, ...]:
        return self.says.parts if self.says else ()

    @property
    def in_review(self) -> Status:
        """Its status while it awaits answers."""
        return Status.FLAGGED if self.flags else Status.SUBMITTED


def evolve(job: Job, event: Event) -> Job:
    after = step(job, event, job.version + 1)
    return job if after is None else replace(after, version=job.version + 1)


def step(job: Job, event: Event, version: int) -> Job | None:
    """The job after its event with this version; None for what is no event of a job."""
    match event:
        case JobSubmitted() | JobRevised():
            return shown(job, event, version)
        case JobFlagged(reasons=reasons, approvals=approvals):
            return replace(job, status=Status.FLAGGED, flags=reasons, needed=approvals)
        case JobApprovalGiven(by=by):
            return replace(job, approvals=job.approvals | {by})
        case JobApprovalVoided(approvals=void):
            status = job.in_review if job.status in BEFORE_START else job.status
            return replace(job, status=status, approvals=job.approvals - {*void}, due=0, deferred_until=None)
        case JobChangesRequested(by=by):
            return replace(job, status=Status.CHANGES_REQUESTED, answered_by=by)
        case JobApproved():
            return replace(job, status=Status.APPROVED, due=version)
        case JobScheduled():
            return replace(job, status=Status.SCHEDULED, due=version)
        case JobStartDeferred(until=until):
            return replace(job, due=version, deferrals=job.deferrals + 1, deferred_until=until)
        case JobRejected(by=by):
            return replace(job, status=Status.REJECTED, answered_by=by)
        case JobStarted():
            return replace(job, status=Status.RUNNING, started=True, due=0, deferred_until=None)
        case JobResumed():
            return replace(job, status=Status.RUNNING)
        case JobPaused():
            return replace(job, status=Status.PAUSED)
        case JobStopped():
            return replace(job, status=Status.STOPPED)
        case JobCompleted():
            return replace(job, status=Status.COMPLETED)
        case JobExpired():
            return replace(job, status=Status.EXPIRED)
    return None


def shown(job: Job, event: JobSubmitted | JobRevised, version: int) -> Job:
    """The job with everything that a reviewer is to see now; nobody has answered yet."""
    author = event.submitted_by if isinstance(event, JobSubmitted) else event.revised_by
    return Job(
        status=Status.SUBMITTED,
        campaign_id=event.campaign_id if isinstance(event, JobSubmitted) else job.campaign_id,
        says=Version(event.campaign_version, event.title, event.parts, event.audience_id),
        authors=job.authors | {author},
        review_hash=event.review_hash,
        needed=event.approvals,
        own_approval=event.own_approval,
        start_at=event.start_at,
        start_local=event.start_local,
        zone=event.zone,
        expires_at=event.expires_at,
        recipients=event.recipients,
        audience=event.audience,
        accounts=event.accounts,
        pace=Pace(event.messages, event.seconds),
        started=job.started,
        expiry=version,
    )
