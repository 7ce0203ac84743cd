"""The words of a job's run: from its start to its end."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from domain.message import Command, Event


class Deferral(StrEnum):
    """Why a start was put off."""

    NO_ACCOUNT_READY = "no_account_ready"


@dataclass(frozen=True, slots=True)
class StartJob(Command):
    """Start an approved job now."""

    job_id: UUID


@dataclass(frozen=True, slots=True)
class StartDueJob(Command):
    """Inside: the job's time has come; `version` is the event's that set it, `accounts` are the job's."""

    job_id: UUID
    version: int
    accounts: tuple[UUID, ...]


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
class JobStartDeferred(Event):
    """The job could not start when it was due; it is tried again then, and when one of its accounts gets ready."""

    reason: Deferral
    until: datetime


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
