"""The words of a review: what moderators say of a job, and what that comes to."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from domain.message import Command, Digest, Event, PrincipalId, Ref
from domain.moderation import Flag
from domain.schedule import ZoneName


class Void(StrEnum):
    """Why approvals count no more."""

    REVISED = "revised"
    WITHDRAWN = "withdrawn"


@dataclass(frozen=True, slots=True)
class ApproveJob(Command):
    """Approve exactly what `review_hash` covers."""

    job_id: UUID
    review_hash: Digest


@dataclass(frozen=True, slots=True)
class WithdrawApproval(Command):
    """Take back one's own approval, as long as the job has not started; `job.stop` is what stops a job."""

    job_id: UUID


@dataclass(frozen=True, slots=True)
class RequestChanges(Command):
    """Ask for a revision: until there is one, the job cannot be approved."""

    job_id: UUID
    review_hash: Digest
    note: Ref


@dataclass(frozen=True, slots=True)
class RejectJob(Command):
    """Turn a job down for good."""

    job_id: UUID
    review_hash: Digest
    note: Ref | None = None


@dataclass(frozen=True, slots=True)
class ExpireJob(Command):
    """Inside: the job waited in vain; `version` is the event's that set the time."""

    job_id: UUID
    version: int


@dataclass(frozen=True, slots=True)
class JobFlagged(Event):
    """The policy asks for a closer look: this many approvals, and never a submitter's own."""

    reasons: tuple[Flag, ...]
    approvals: int


@dataclass(frozen=True, slots=True)
class JobApprovalGiven(Event):
    """One moderator approved what the hash covers."""

    by: PrincipalId
    review_hash: Digest


@dataclass(frozen=True, slots=True)
class JobApprovalVoided(Event):
    """The approvals of these moderators count no more; if the job had enough of them, it awaits review again."""

    approvals: tuple[PrincipalId, ...]
    reason: Void


@dataclass(frozen=True, slots=True)
class JobChangesRequested(Event):
    """A moderator wants a revision."""

    by: PrincipalId
    review_hash: Digest
    note: Ref


@dataclass(frozen=True, slots=True)
class JobApproved(Event):
    """The job has all approvals it needs."""

    review_hash: Digest


@dataclass(frozen=True, slots=True)
class JobScheduled(Event):
    """The job will start by itself at this time; the local one and its zone are what was asked for."""

    start_at: datetime
    start_local: datetime | None = None
    zone: ZoneName | None = None


@dataclass(frozen=True, slots=True)
class JobRejected(Event):
    """A moderator turned the job down."""

    by: PrincipalId
    review_hash: Digest
    note: Ref | None


@dataclass(frozen=True, slots=True)
class JobExpired(Event):
    """The job did not start in time; who has no message yet gets none."""
