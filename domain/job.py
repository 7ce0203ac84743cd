"""A job: one submitted campaign version with its frozen audience; what is moderated and run."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from domain import submission
from domain.content import TextPart
from domain.message import (
    Command,
    Decider,
    Digest,
    Event,
    Facts,
    PrincipalId,
    Ref,
    Refused,
    StreamId,
    WorkspaceId,
)
from domain.moderation import check_reviewer
from domain.submission import JobSubmitted, SubmitJob


class Status(StrEnum):
    """Where a job stands."""

    UNKNOWN = "unknown"
    SUBMITTED = "submitted"
    APPROVED = "approved"
    SCHEDULED = "scheduled"
    RUNNING = "running"
    PAUSED = "paused"
    COMPLETED = "completed"
    STOPPED = "stopped"
    REJECTED = "rejected"


BEFORE_REVIEW = (Status.SUBMITTED,)
BEFORE_START = (Status.APPROVED, Status.SCHEDULED)


@dataclass(frozen=True, slots=True)
class ApproveJob(Command):
    """Approve exactly what `review_hash` covers."""

    job_id: UUID
    review_hash: Digest


@dataclass(frozen=True, slots=True)
class RejectJob(Command):
    """Turn a job down for good."""

    job_id: UUID
    review_hash: Digest
    note: Ref | None = None


@dataclass(frozen=True, slots=True)
class StartJob(Command):
    """Start an approved job now."""

    job_id: UUID


@dataclass(frozen=True, slots=True)
class PauseJob(Command):
    """Intend no further send until resumed."""

    job_id: UUID


@dataclass(frozen=True, slots=True)
class ResumeJob(Command):
    """Go on with a paused job."""

    job_id: UUID


@dataclass(frozen=True, slots=True)
class StopJob(Command):
    """End a job for good; who has no message yet gets none."""

    job_id: UUID


@dataclass(frozen=True, slots=True)
class CompleteJob(Command):
    """Inside: every recipient is in a terminal state."""

    job_id: UUID
    terminal: int


@dataclass(frozen=True, slots=True)
class JobApprovalGiven(Event):
    """One moderator approved what the hash covers."""

    by: PrincipalId
    review_hash: Digest


@dataclass(frozen=True, slots=True)
class JobApproved(Event):
    """The job has all approvals it needs."""

    review_hash: Digest


@dataclass(frozen=True, slots=True)
class JobScheduled(Event):
    """The job will start by itself at this time."""

    start_at: datetime


@dataclass(frozen=True, slots=True)
class JobRejected(Event):
    """A moderator turned the job down."""

    by: PrincipalId
    review_hash: Digest
    note: Ref | None


@dataclass(frozen=True, slots=True)
class JobStarted(Event):
    """Sends may be intended."""


@dataclass(frozen=True, slots=True)
class JobPaused(Event):
    """No further send is intended."""


@dataclass(frozen=True, slots=True)
class JobResumed(Event):
    """Sends may be intended again."""


@dataclass(frozen=True, slots=True)
class JobStopped(Event):
    """The job is over; unsent recipients stay without a message."""


@dataclass(frozen=True, slots=True)
class JobCompleted(Event):
    """Every recipient is in a terminal state."""

    recipients: int


@dataclass(frozen=True, slots=True)
class Job:
    """What decisions about a job, and about its sends, need."""

    status: Status = Status.UNKNOWN
    submitted_by: PrincipalId | None = None
    review_hash: Digest | None = None
    approvals: frozenset[PrincipalId] = frozenset()
    rejected_by: PrincipalId | None = None
    needed: int = 1
    own_approval: bool = False
    start_at: datetime | None = None
    recipients: int = 0
    audience: Digest | None = None
    parts: tuple[TextPart, ...] = ()
    accounts: tuple[UUID, ...] = ()


def decide(job: Job, command: Command, facts: Facts) -> Sequence[Event]:
    if isinstance(command, SubmitJob):
        if job.status is not Status.UNKNOWN:
            raise Refused("id_taken", field="job_id")
        return submission.submit(command, facts)
    if job.status is Status.UNKNOWN:
        raise Refused("unknown_job", field="job_id")
    match command:
        case ApproveJob(review_hash=seen):
            if seen != job.review_hash:
                raise Refused("not_what_was_reviewed", field="review_hash")
            if facts.actor.id in job.approvals:
                return []  # it already stands
            check_reviewer(facts.actor, job.submitted_by or "", job.own_approval)
            allowed(job, BEFORE_REVIEW, "not_awaiting_review")
            return approve(job, seen, facts)
        case RejectJob(review_hash=seen, note=note):
            if seen != job.review_hash:
                raise Refused("not_what_was_reviewed", field="review_hash")
            if job.rejected_by == facts.actor.id:
                return []  # it already stands
            check_reviewer(facts.actor, job.submitted_by or "", job.own_approval)
            allowed(job, BEFORE_REVIEW, "not_awaiting_review")
            return [JobRejected(facts.actor.id, seen, note)]
        case StartJob():
            if job.status is Status.RUNNING:
                return []
            allowed(job, BEFORE_START, "not_approved")
            return [JobStarted()]
        case PauseJob():
            if job.status is Status.PAUSED:
                return []
            allowed(job, (Status.RUNNING,), "not_running")
            return [JobPaused()]
        case ResumeJob():
            if job.status is Status.RUNNING:
                return []
            allowed(job, (Status.PAUSED,), "not_paused")
            return [JobResumed()]
        case StopJob():
            if job.status is Status.STOPPED:
                return []
            allowed(job, (*BEFORE_REVIEW, *BEFORE_START, Status.RUNNING, Status.PAUSED), "already_over")
            return [JobStopped()]
        case CompleteJob(terminal=terminal):
            if job.status is Status.COMPLETED:
                return []
            allowed(job, (Status.RUNNING, Status.PAUSED), "not_running")
            if terminal != job.recipients:
                raise Refused("not_all_terminal", field="terminal", recipients=job.recipients)
            return [JobCompleted(job.recipients)]
    raise TypeError(type(command))


def allowed(job: Job, among: Sequence[Status], rule: str) -> None:
    """Refuse what the job's status does not allow, telling the status."""
    if job.status not in among:
        raise Refused(rule, field="job_id", status=job.status)


def approve(job: Job, seen: Digest, facts: Facts) -> Sequence[Event]:
    """One more approval, and what follows when it is the last one needed."""
    given: list[Event] = [JobApprovalGiven(facts.actor.id, seen)]
    if len(job.approvals) + 1 < job.needed:
        return given
    given.append(JobApproved(seen))
    if job.start_at is not None and job.start_at > facts.now:
        given.append(JobScheduled(job.start_at))
    return given


def evolve(job: Job, event: Event) -> Job:
    match event:
        case JobSubmitted():
            return Job(
                status=Status.SUBMITTED,
                submitted_by=event.submitted_by,
                review_hash=event.review_hash,
                needed=event.approvals,
                own_approval=event.own_approval,
                start_at=event.start_at,
                recipients=event.recipients,
                audience=event.audience,
                parts=event.parts,
                accounts=event.accounts,
            )
        case JobApprovalGiven(by=by):
            return replace(job, approvals=job.approvals | {by})
        case JobApproved():
            return replace(job, status=Status.APPROVED)
        case JobScheduled():
            return replace(job, status=Status.SCHEDULED)
        case JobRejected(by=by):
            return replace(job, status=Status.REJECTED, rejected_by=by)
        case JobStarted() | JobResumed():
            return replace(job, status=Status.RUNNING)
        case JobPaused():
            return replace(job, status=Status.PAUSED)
        case JobStopped():
            return replace(job, status=Status.STOPPED)
        case JobCompleted():
            return replace(job, status=Status.COMPLETED)
    return job


def reads(command: Command, workspace: WorkspaceId) -> Sequence[StreamId]:
    return submission.reads(command, workspace) if isinstance(command, SubmitJob) else ()


DECIDER = Decider("job", Job(), decide, evolve, reads)
