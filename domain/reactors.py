"""Process managers: which event leads to which decision, and when. The tables that this needs are the worker's."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any
from uuid import UUID

from domain.account import AccountReady, AccountResumed
from domain.message import Command, Event
from domain.review import ExpireJob, JobApprovalVoided, JobApproved, JobExpired, JobRejected, JobScheduled
from domain.run import CompleteJob, JobCompleted, JobResumed, JobStartDeferred, JobStarted, JobStopped, StartDueJob
from domain.schedule import ZoneName
from domain.send import DeliverySkipped, GiveUpSend, SendConfirmed, SendRejected, SendResolved, SendUnknown
from domain.submission import JobRevised, JobSubmitted


class Kind(StrEnum):
    """What a timer asks for; the words are stored."""

    START = "start"
    START_AGAIN = "start_again"
    EXPIRE = "expire"
    COMPLETE = "complete"
    GIVE_UP = "give_up"


@dataclass(frozen=True, slots=True)
class Due:
    """When a decision is due, and what it is about: an event's version (None: of the event that asks), or a part."""

    at: datetime
    local: datetime | None = None
    zone: ZoneName | None = None
    serves: int | None = None


@dataclass(frozen=True, slots=True)
class Moment:
    """What a rule may look at besides its event: when that was, what was decided with it, and how patient we are."""

    at: datetime
    together: Sequence[Event]
    unknown_after: timedelta


@dataclass(frozen=True, slots=True)
class Reaction:
    """A rule: after one of these events a decision of this kind is due. Without `due` the worker's tables tell."""

    rule: str
    on: tuple[type[Event], ...]
    kind: Kind
    due: Callable[[Any, Moment], Due | None] | None = None


def unless_scheduled(event: JobApproved, moment: Moment) -> Due | None:
    """At once, or never: the schedule that came with the approval has a rule of its own."""
    return None if any(isinstance(other, JobScheduled) for other in moment.together) else Due(moment.at)


def when_it_expires(event: JobSubmitted | JobRevised, moment: Moment) -> Due | None:
    """A job from before there was an expiry has none."""
    return None if event.expires_at is None else Due(event.expires_at)


def after_patience(event: SendUnknown, moment: Moment) -> Due:
    return Due(moment.at + moment.unknown_after, serves=event.part)


START_WHEN_APPROVED = Reaction("start-when-approved", (JobApproved,), Kind.START, unless_scheduled)
START_WHEN_SCHEDULED = Reaction(
    "start-when-scheduled",
    (JobScheduled,),
    Kind.START,
    lambda event, _moment: Due(event.start_at, event.start_local, event.zone),
)
START_AGAIN = Reaction("start-again", (JobStartDeferred,), Kind.START_AGAIN, lambda event, _moment: Due(event.until))
# The deferred jobs of that account.
START_WHEN_READY = Reaction("start-when-ready", (AccountReady, AccountResumed), Kind.START_AGAIN)
EXPIRE_IN_TIME = Reaction("expire-in-time", (JobSubmitted, JobRevised), Kind.EXPIRE, when_it_expires)
GIVE_UP_UNKNOWN = Reaction("give-up-unknown", (SendUnknown,), Kind.GIVE_UP, after_patience)
# A job that runs or is paused, once it has as many terminal deliveries as recipients (a revised one: at its start).
COMPLETE_WHEN_OVER = Reaction(
    "complete-when-over",
    (SendConfirmed, SendRejected, SendResolved, DeliverySkipped, JobStarted, JobResumed),
    Kind.COMPLETE,
)

REACTIONS = (
    START_WHEN_APPROVED,
    START_WHEN_SCHEDULED,
    START_AGAIN,
    START_WHEN_READY,
    EXPIRE_IN_TIME,
    GIVE_UP_UNKNOWN,
    COMPLETE_WHEN_OVER,
)

BEGIN = (Kind.START, Kind.START_AGAIN)
# After these events of a job its earlier timers of these kinds would fire into nothing.
POINTLESS: Mapping[type[Event], Sequence[Kind]] = {
    JobRevised: (*BEGIN, Kind.EXPIRE),
    JobApprovalVoided: BEGIN,
    JobStartDeferred: BEGIN,
    JobStarted: (*BEGIN, Kind.EXPIRE),
    **dict.fromkeys((JobRejected, JobExpired, JobStopped, JobCompleted), (*BEGIN, Kind.EXPIRE, Kind.COMPLETE)),
}

# A timer's subject, what it serves, and the job's accounts -> the decision.
DECISIONS: Mapping[Kind, Callable[[UUID, int, Sequence[UUID]], Command]] = {
    Kind.START: lambda job, version, accounts: StartDueJob(job, version, tuple(accounts)),
    Kind.START_AGAIN: lambda job, version, accounts: StartDueJob(job, version, tuple(accounts)),
    Kind.EXPIRE: lambda job, version, _accounts: ExpireJob(job, version),
    Kind.COMPLETE: lambda job, terminal, _accounts: CompleteJob(job, terminal),
    Kind.GIVE_UP: lambda delivery, part, _accounts: GiveUpSend(delivery, part),
}
