"""A job: one submitted campaign version with its frozen audience; what is moderated and run."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from domain import account as accounts
from domain import campaign as campaigns
from domain import workspace as ws
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
from domain.moderation import check_reviewer, review_hash

MOST_ACCOUNTS = 50


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
class SubmitJob(Command):
    """Freeze a campaign's version and audience, and ask for review; starts on approval, or at `start_at`."""

    job_id: UUID
    campaign_id: UUID
    accounts: tuple[UUID, ...]
    start_at: datetime | None = None


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
class JobSubmitted(Event):
    """Everything a reviewer sees, frozen; `review_hash` covers it."""

    campaign_id: UUID
    campaign_version: int
    title: Ref
    parts: tuple[TextPart, ...]
    audience_id: UUID
    audience: Digest
    recipients: int
    accounts: tuple[UUID, ...]
    start_at: datetime | None
    messages: int
    seconds: int
    approvals: int
    own_approval: bool
    submitted_by: PrincipalId
    review_hash: Digest


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
    needed: int = 1
    own_approval: bool = False
    start_at: datetime | None = None
    recipients: int = 0
    audience: Digest | None = None
    parts: tuple[TextPart, ...] = ()
    accounts: tuple[UUID, ...] = ()


def decide(job: Job, command: Command, facts: Facts) -> Sequence[Event]:
    if isinstance(command, SubmitJob):
        return submit(job, command, facts)
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


def submit(job: Job, command: SubmitJob, facts: Facts) -> Sequence[Event]:
    rules = ws.rules(facts)
    if job.status is not Status.UNKNOWN:
        raise Refused("id_taken", field="job_id")
    campaign = facts.state(campaigns.DECIDER.stream(command.campaign_id), campaigns.DECIDER.initial)
    if not campaign.version or campaign.title is None:
        raise Refused("unknown_campaign", field="campaign_id")
    if campaign.archived:
        raise Refused("archived", field="campaign_id")
    if campaign.audience_id is None:
        raise Refused("no_audience", field="campaign_id")
    check_start(command.start_at, facts.now)
    check_accounts(command.accounts, facts)
    if facts.frozen is None or not facts.frozen.count:
        raise Refused("empty_audience", field="campaign_id")
    for name, count in sorted(facts.frozen.missing.items()):
        raise Refused("variable_missing", field="campaign_id", variable=name, recipients=count)
    shown = review_hash(
        title=campaign.title,
        parts=campaign.parts,
        audience=facts.frozen.root,
        recipients=facts.frozen.count,
        accounts=command.accounts,
        start_at=command.start_at,
        pace=(rules.messages, rules.seconds),
    )
    return [
        JobSubmitted(
            campaign_id=command.campaign_id,
            campaign_version=campaign.version,
            title=campaign.title,
            parts=campaign.parts,
            audience_id=campaign.audience_id,
            audience=facts.frozen.root,
            recipients=facts.frozen.count,
            accounts=command.accounts,
            start_at=command.start_at,
            messages=rules.messages,
            seconds=rules.seconds,
            approvals=rules.approvals,
            own_approval=rules.own_approval,
            submitted_by=facts.actor.id,
            review_hash=shown,
        )
    ]


def check_start(start_at: datetime | None, now: datetime) -> None:
    """A start lies in the future and names its offset."""
    if start_at is None:
        return
    if start_at.tzinfo is None:
        raise Refused("no_time_zone", field="start_at")
    if start_at <= now:
        raise Refused("in_the_past", field="start_at")


def check_accounts(chosen: Sequence[UUID], facts: Facts) -> None:
    """A job names 1 to 50 different accounts of its workspace, each linked."""
    if not chosen:
        raise Refused("empty", field="accounts")
    if len(chosen) > MOST_ACCOUNTS:
        raise Refused("too_many", field="accounts", maximum=MOST_ACCOUNTS)
    if len(set(chosen)) != len(chosen):
        raise Refused("repeated", field="accounts")
    for index, account_id in enumerate(chosen):
        account = facts.state(accounts.DECIDER.stream(account_id), accounts.DECIDER.initial)
        if account.status is accounts.Status.UNKNOWN:
            raise Refused("unknown_account", field=f"accounts.{index}")
        if not account.linked:
            raise Refused("account_not_linked", field=f"accounts.{index}", status=account.status)


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
        case JobRejected():
            return replace(job, status=Status.REJECTED)
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
    if not isinstance(command, SubmitJob):
        return ()
    return (
        ws.stream(workspace),
        campaigns.DECIDER.stream(command.campaign_id),
        *(accounts.DECIDER.stream(account_id) for account_id in command.accounts[:MOST_ACCOUNTS]),
    )


DECIDER = Decider("job", Job(), decide, evolve, reads)
