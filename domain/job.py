"""A job: one submitted campaign version with its frozen audience; what is moderated and run.

Its state and its fold are in `lifecycle`, its words in `submission`, `review` and `run`; the decisions are here.
"""

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta

from domain import account as accounts
from domain import direct, submission
from domain.direct import SubmitMessage
from domain.lifecycle import BEFORE_START, IN_REVIEW, STARTED, WAITING, Job, Status, evolve
from domain.message import Command, Decider, Digest, Event, Facts, Refused, StreamId, WorkspaceId
from domain.moderation import check_reviewer
from domain.review import (
    ApproveJob,
    ExpireJob,
    JobApprovalGiven,
    JobApprovalVoided,
    JobApproved,
    JobChangesRequested,
    JobExpired,
    JobFlagged,
    JobRejected,
    JobScheduled,
    RejectJob,
    RequestChanges,
    Void,
    WithdrawApproval,
)
from domain.run import (
    CompleteJob,
    Deferral,
    JobCompleted,
    JobPaused,
    JobResumed,
    JobStartDeferred,
    JobStarted,
    JobStopped,
    PauseJob,
    ResumeJob,
    StartDueJob,
    StartJob,
    StopJob,
)
from domain.schedule import AFTER_SUBMISSION, Schedule
from domain.submission import JobRevised, ReviseJob, SubmitJob

__all__ = [
    "DECIDER",
    "ApproveJob",
    "CompleteJob",
    "Deferral",
    "ExpireJob",
    "Job",
    "JobApprovalGiven",
    "JobApprovalVoided",
    "JobApproved",
    "JobChangesRequested",
    "JobCompleted",
    "JobExpired",
    "JobFlagged",
    "JobPaused",
    "JobRejected",
    "JobResumed",
    "JobScheduled",
    "JobStartDeferred",
    "JobStarted",
    "JobStopped",
    "PauseJob",
    "RejectJob",
    "RequestChanges",
    "ResumeJob",
    "StartDueJob",
    "StartJob",
    "Status",
    "StopJob",
    "Void",
    "WithdrawApproval",
]

LONGEST = 49  # events of one job
# Who prolongs a job's life leaves room for what must always be possible: to answer, start, hold and end it.
ROOM = {ReviseJob: 23, RequestChanges: 23, WithdrawApproval: 23, ApproveJob: 30, ResumeJob: 47}
FIRST_PAUSE, GROWTH, MOST_DEFERRALS = timedelta(minutes=1), 3, 10


def decide(job: Job, command: Command, facts: Facts) -> Sequence[Event]:
    if isinstance(command, SubmitJob):
        if job.status is not Status.UNKNOWN:
            raise Refused("id_taken", field="job_id")
        return submission.submit(command, facts)
    if isinstance(command, SubmitMessage):
        if job.status is not Status.UNKNOWN:
            raise Refused("id_taken", field="job_id")
        return direct.submit(command, facts)
    if job.status is Status.UNKNOWN:
        raise Refused("unknown_job", field="job_id")
    events = review(job, command, facts)
    if events and job.version + len(events) > ROOM.get(type(command), LONGEST):
        raise Refused("too_many_steps", field="job_id", maximum=LONGEST)
    return events


def review(job: Job, command: Command, facts: Facts) -> Sequence[Event]:
    """What is said of a job before it may start."""
    now, actor = facts.now, facts.actor.id
    match command:
        case ReviseJob():
            return revise(job, command, facts)
        case ApproveJob(review_hash=seen):
            answered(job, seen)
            if actor in job.approvals:
                return []  # it already stands
            check_reviewer(facts.actor, job.authors, job.own_approval and not job.flags)
            allowed(job, IN_REVIEW, "not_awaiting_review", now)
            return approve(job, seen, facts)
        case WithdrawApproval():
            if actor not in job.approvals:
                raise Refused("nothing_to_withdraw", field="actor")
            allowed(job, WAITING, "already_started", now)
            return [JobApprovalVoided((actor,), Void.WITHDRAWN)]
        case RequestChanges(review_hash=seen, note=note):
            answered(job, seen)
            if job.status is Status.CHANGES_REQUESTED and job.answered_by == actor:
                return []
            check_reviewer(facts.actor, job.authors, job.own_approval and not job.flags)
            allowed(job, IN_REVIEW, "not_awaiting_review", now)
            return [JobChangesRequested(actor, seen, note)]
        case RejectJob(review_hash=seen, note=rejection):
            answered(job, seen)
            if job.status is Status.REJECTED and job.answered_by == actor:
                return []
            check_reviewer(facts.actor, job.authors, job.own_approval and not job.flags)
            allowed(job, IN_REVIEW, "not_awaiting_review", now)
            return [JobRejected(actor, seen, rejection)]
        case ExpireJob(version=version):
            if version != job.expiry or job.status not in WAITING:
                return []  # it was revised, or started, or is over
            if not expired(job, now):
                raise Refused("not_due", field="version")
            return [JobExpired()]
    return run(job, command, facts)


def run(job: Job, command: Command, facts: Facts) -> Sequence[Event]:
    """What happens to a job from its start on."""
    now = facts.now
    match command:
        case StartJob():
            if job.status is Status.RUNNING:
                return []
            allowed(job, BEFORE_START, "not_approved", now)
            return [JobStarted()]
        case StartDueJob():
            return start_due(job, command, facts)
        case PauseJob():
            if job.status is Status.PAUSED:
                return []
            allowed(job, (Status.RUNNING,), "not_running", now)
            return [JobPaused()]
        case ResumeJob():
            if job.status is Status.RUNNING:
                return []
            allowed(job, (Status.PAUSED,), "not_paused", now)
            return [JobResumed()]
        case StopJob():
            if job.status is Status.STOPPED:
                return []
            allowed(job, (*WAITING, *STARTED), "already_over", now)
            return [JobStopped()]
        case CompleteJob(terminal=terminal):
            if job.status is Status.COMPLETED:
                return []
            allowed(job, STARTED, "not_running", now)
            if terminal != job.recipients:
                raise Refused("not_all_terminal", field="terminal", recipients=job.recipients)
            return [JobCompleted(job.recipients)]
    raise TypeError(type(command))


def revise(job: Job, command: ReviseJob, facts: Facts) -> Sequence[Event]:
    """A revision, the approvals it voids, and what it is flagged for. Who was sent something keeps it."""
    assert job.says is not None
    assert job.pace is not None
    if job.says.audience_id is None:
        raise Refused("direct_message", field="job_id")
    if job.status is Status.RUNNING:
        raise Refused("pause_first", field="job_id", status=job.status)
    allowed(job, (*WAITING, Status.PAUSED), "already_over", facts.now)
    if command.campaign is not None:
        if job.started:  # a part of the people has the old words, and a delivery may be between two of them
            raise Refused("already_started", field="campaign", status=job.status)
        if command.campaign.campaign_id != job.campaign_id:
            raise Refused("another_campaign", field="campaign.campaign_id")
    events = submission.revise(command, submission.Kept(job.says, job.accounts, schedule(job, facts), job.pace), facts)
    if any(isinstance(event, JobRevised) and event.review_hash == job.review_hash for event in events):
        if job.status is Status.CHANGES_REQUESTED:
            raise Refused("nothing_revised", field="job_id")
        return []
    void = tuple(sorted(job.approvals))
    return [*([JobApprovalVoided(void, Void.REVISED)] if void else []), *events]


def schedule(job: Job, facts: Facts) -> Schedule | None:
    """When a job starts, and how long it waits; None once it has run, for that used it up."""
    if job.status is Status.PAUSED:
        return None
    return Schedule(job.start_at, job.start_local, job.zone, job.expires_at or facts.now + AFTER_SUBMISSION)


def approve(job: Job, seen: Digest, facts: Facts) -> Sequence[Event]:
    """One more approval, and what follows when it is the last one needed."""
    given: list[Event] = [JobApprovalGiven(facts.actor.id, seen)]
    if len(job.approvals) + 1 < job.needed:
        return given
    given.append(JobApproved(seen))
    if job.start_at is not None and job.start_at > facts.now:
        given.append(JobScheduled(job.start_at, job.start_local, job.zone))
    return given


def start_due(job: Job, command: StartDueJob, facts: Facts) -> Sequence[Event]:
    """Start when one of the accounts may send, else try again later, after longer and longer pauses."""
    if command.version != job.due or job.status not in BEFORE_START or expired(job, facts.now):
        return []  # another time was set, or somebody was faster
    initial = accounts.DECIDER.initial
    if any(facts.state(accounts.DECIDER.stream(one), initial).may_send for one in command.accounts):
        return [JobStarted()]
    if job.deferred_until is not None and facts.now < job.deferred_until:
        return []  # woken early, in vain
    until = facts.now + FIRST_PAUSE * GROWTH**job.deferrals
    if job.expires_at is not None and (job.deferrals >= MOST_DEFERRALS or until > job.expires_at):
        until = job.expires_at
    return [JobStartDeferred(Deferral.NO_ACCOUNT_READY, until)]


def answered(job: Job, seen: Digest) -> None:
    """Refuse an answer to anything else than what is to be reviewed now."""
    if seen != job.review_hash:
        raise Refused("not_what_was_reviewed", field="review_hash")


def allowed(job: Job, among: Collection[Status], rule: str, now: datetime) -> None:
    """Refuse what the job's status does not allow, telling the status; whatever comes too late."""
    if job.status is Status.EXPIRED or expired(job, now):
        raise Refused("expired", field="job_id")
    if job.status not in among:
        raise Refused(rule, field="job_id", status=job.status)


def expired(job: Job, now: datetime) -> bool:
    """Whether a job has waited for its start too long, said or not yet said."""
    return job.status in WAITING and job.expires_at is not None and now >= job.expires_at


def reads(command: Command, workspace: WorkspaceId) -> Sequence[StreamId]:
    match command:
        case SubmitJob() | ReviseJob():
            return submission.reads(command, workspace)
        case SubmitMessage():
            return direct.reads(command, workspace)
        case StartDueJob():
            return tuple(accounts.DECIDER.stream(one) for one in command.accounts)
    return ()


DECIDER = Decider("job", Job(), decide, evolve, reads)
