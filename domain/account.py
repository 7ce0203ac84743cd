"""An account: one WhatsApp number and its linked profile; owns its quota."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from uuid import UUID

from domain import workspace as ws
from domain.message import Command, Decider, Event, Facts, Ref, Refused, StreamId, WorkspaceId, derive


class Status(StrEnum):
    """Where an account stands; what a browser does meanwhile (loading, syncing…) is a state table's matter."""

    UNKNOWN = "unknown"
    REGISTERED = "registered"
    LINKED = "linked"
    READY = "ready"
    DEGRADED = "degraded"
    RESTRICTED = "restricted"
    LOGGED_OUT = "logged_out"


class Trouble(StrEnum):
    """Why a session is not ready."""

    LOGGED_OUT = "logged_out"
    CONFLICT = "conflict"
    CRASHED = "crashed"
    STALLED = "stalled"
    CAPPED = "capped"
    BANNED = "banned"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class RegisterAccount(Command):
    """Announce an account, to be linked by scanning its QR."""

    account_id: UUID
    label: Ref


@dataclass(frozen=True, slots=True)
class PauseAccount(Command):
    """Send nothing from this account until it is resumed."""

    account_id: UUID


@dataclass(frozen=True, slots=True)
class ResumeAccount(Command):
    """Let an account send again that was paused, or that WhatsApp had restricted: a person answers for it."""

    account_id: UUID


@dataclass(frozen=True, slots=True)
class ReportLinked(Command):
    """Inside: the session worker saw a phone link this account."""

    account_id: UUID


@dataclass(frozen=True, slots=True)
class ReportReady(Command):
    """Inside: the session can send."""

    account_id: UUID


@dataclass(frozen=True, slots=True)
class ReportTrouble(Command):
    """Inside: the session cannot send, and why."""

    account_id: UUID
    reason: Trouble


@dataclass(frozen=True, slots=True)
class GrantAllowance(Command):
    """Inside: the account has work and no live block; give it the next one."""

    account_id: UUID


@dataclass(frozen=True, slots=True)
class AccountRegistered(Event):
    """The account is known."""

    label: Ref


@dataclass(frozen=True, slots=True)
class AccountLinked(Event):
    """A phone linked the account's profile."""


@dataclass(frozen=True, slots=True)
class AccountUnlinked(Event):
    """The profile is not linked any more."""

    reason: Trouble


@dataclass(frozen=True, slots=True)
class AccountReady(Event):
    """The session can send."""


@dataclass(frozen=True, slots=True)
class AccountDegraded(Event):
    """The session cannot send now, and will be tried again."""

    reason: Trouble


@dataclass(frozen=True, slots=True)
class AccountRestricted(Event):
    """WhatsApp restricted the account: a hard stop, for a person to see."""

    reason: Trouble


@dataclass(frozen=True, slots=True)
class AccountPaused(Event):
    """Somebody paused the account."""


@dataclass(frozen=True, slots=True)
class AccountResumed(Event):
    """Somebody resumed the account; a restriction is over by that, too."""


@dataclass(frozen=True, slots=True)
class AllowanceGranted(Event):
    """A block of permits: `permits` sends, each begun in [since, until)."""

    block: UUID
    permits: int
    since: datetime
    until: datetime


@dataclass(frozen=True, slots=True)
class Account:
    """What decisions about an account need."""

    status: Status = Status.UNKNOWN
    paused: bool = False
    linked: bool = False
    block: UUID | None = None
    blocks: int = 0
    until: datetime | None = None

    @property
    def may_send(self) -> bool:
        """Whether a send may be intended at all."""
        return self.status is Status.READY and not self.paused


def decide(account: Account, command: Command, facts: Facts) -> Sequence[Event]:
    if isinstance(command, RegisterAccount):
        ws.rules(facts)
        if account.status is Status.UNKNOWN:
            return [AccountRegistered(command.label)]
        raise Refused("id_taken", field="account_id")
    if account.status is Status.UNKNOWN:
        raise Refused("unknown_account", field="account_id")
    match command:
        case PauseAccount():
            return [] if account.paused else [AccountPaused()]
        case ResumeAccount():
            return [AccountResumed()] if account.paused or account.status is Status.RESTRICTED else []
        case ReportLinked():
            return [] if account.linked else [AccountLinked()]
        case ReportReady():
            if account.status in (Status.READY, Status.RESTRICTED):
                return []  # a browser that comes back does not end a restriction: a person resumes the account
            return [AccountReady()] if account.linked else [AccountLinked(), AccountReady()]
        case ReportTrouble(reason=reason):
            return trouble(account, reason)
        case GrantAllowance(account_id=account_id):
            return grant(account, account_id, facts)
    raise TypeError(type(command))


def trouble(account: Account, reason: Trouble) -> Sequence[Event]:
    """Which event a session's trouble is, if it is news."""
    match reason:
        case Trouble.LOGGED_OUT:
            return [AccountUnlinked(reason)] if account.linked else []
        case Trouble.CAPPED | Trouble.BANNED:
            return [] if account.status is Status.RESTRICTED else [AccountRestricted(reason)]
    return [AccountDegraded(reason)] if account.status is Status.READY else []


def grant(account: Account, account_id: UUID, facts: Facts) -> Sequence[Event]:
    """The next block, never while the last one runs. Windows are fixed, not sliding: two blocks may meet."""
    rules = ws.rules(facts)
    if not account.may_send:
        raise Refused("account_not_ready", field="account_id", status=account.status)
    if account.until is not None and facts.now < account.until:
        raise Refused("allowance_running", field="account_id")
    until = facts.now + timedelta(seconds=rules.seconds)
    block = derive("allowance", account_id, account.blocks + 1)
    return [AllowanceGranted(block, rules.messages, facts.now, until)]


def evolve(account: Account, event: Event) -> Account:
    match event:
        case AccountRegistered():
            return replace(account, status=Status.REGISTERED)
        case AccountLinked():
            return replace(account, status=Status.LINKED, linked=True)
        case AccountUnlinked():
            return replace(account, status=Status.LOGGED_OUT, linked=False)
        case AccountReady():
            return replace(account, status=Status.READY)
        case AccountDegraded():
            return replace(account, status=Status.DEGRADED)
        case AccountRestricted():
            return replace(account, status=Status.RESTRICTED)
        case AccountPaused():
            return replace(account, paused=True)
        case AccountResumed():
            status = Status.READY if account.status is Status.RESTRICTED else account.status
            return replace(account, paused=False, status=status)
        case AllowanceGranted(block=block, until=until):
            return replace(account, block=block, blocks=account.blocks + 1, until=until)
    return account


def reads(command: Command, workspace: WorkspaceId) -> Sequence[StreamId]:
    return (ws.stream(workspace),) if isinstance(command, RegisterAccount | GrantAllowance) else ()


DECIDER = Decider("account", Account(), decide, evolve, reads)
