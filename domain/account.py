"""An account: one WhatsApp number and its linked profile; owns its quota."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from uuid import UUID

from domain import allowance
from domain import workspace as ws
from domain.allowance import (
    NO_ALLOWANCE,
    Allowance,
    AllowanceClosed,
    AllowanceDeferred,
    AllowanceGranted,
    GrantAllowance,
)
from domain.message import Command, Decider, Event, Facts, Ref, Refused, StreamId, WorkspaceId


class Status(StrEnum):
    """Where an account stands; what a browser does meanwhile (loading, syncing…) is a state table's matter."""

    UNKNOWN = "unknown"
    REGISTERED = "registered"
    LINKED = "linked"
    READY = "ready"
    DEGRADED = "degraded"
    RESTRICTED = "restricted"
    LOGGED_OUT = "logged_out"
    REMOVED = "removed"


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
class RemoveAccount(Command):
    """Give an account up for good, once it cannot send: its share of a job waits until the job is revised."""

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
class AccountRemoved(Event):
    """The account is given up for good."""


@dataclass(frozen=True, slots=True)
class Account:
    """What decisions about an account need."""

    status: Status = Status.UNKNOWN
    paused: bool = False
    linked: bool = False
    allowance: Allowance = NO_ALLOWANCE

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
    if account.status is Status.REMOVED:
        return when_removed(command)
    match command:
        case PauseAccount():
            return [] if account.paused else [AccountPaused()]
        case ResumeAccount():
            return [AccountResumed()] if account.paused or account.status is Status.RESTRICTED else []
        case RemoveAccount():
            if account.may_send:
                raise Refused("account_in_use", field="account_id")
            return [AccountRemoved()]
        case ReportLinked():
            return [] if account.linked else [AccountLinked()]
        case ReportReady():
            linked: list[Event] = [] if account.linked else [AccountLinked()]
            if account.status in (Status.READY, Status.RESTRICTED):
                return linked  # a browser that comes back does not end a restriction: a person resumes the account
            return [*linked, AccountReady()]
        case ReportTrouble(reason=reason):
            return trouble(account, reason)
        case GrantAllowance():
            if not account.may_send:
                raise Refused("account_not_ready", field="account_id", status=account.status)
            return allowance.grant(account.allowance, command, ws.rules(facts), facts.now)
    raise TypeError(type(command))


def when_removed(command: Command) -> Sequence[Event]:
    """Nothing comes after a removal: people are told, a session's last words are passed over."""
    if isinstance(command, RemoveAccount | ReportLinked | ReportReady | ReportTrouble):
        return []
    raise Refused("account_removed", field="account_id")


def trouble(account: Account, reason: Trouble) -> Sequence[Event]:
    """Which event a session's trouble is, if it is news. A restriction stands until a person ends it."""
    match reason:
        case Trouble.LOGGED_OUT:
            return [AccountUnlinked(reason)] if account.linked else []
        case Trouble.CAPPED | Trouble.BANNED:
            return [] if account.status is Status.RESTRICTED else [AccountRestricted(reason)]
    return [AccountDegraded(reason)] if account.status is Status.READY else []


def evolve(account: Account, event: Event) -> Account:
    match event:
        case AccountRegistered():
            return replace(account, status=Status.REGISTERED)
        case AccountLinked():
            return stands(replace(account, linked=True), Status.LINKED)
        case AccountUnlinked():
            return stands(replace(account, linked=False), Status.LOGGED_OUT)
        case AccountReady():
            return stands(account, Status.READY)
        case AccountDegraded():
            return stands(account, Status.DEGRADED)
        case AccountRestricted():
            return replace(account, status=Status.RESTRICTED)
        case AccountPaused():
            return replace(account, paused=True)
        case AccountResumed():
            again = Status.READY if account.linked else Status.LOGGED_OUT
            return replace(
                account, paused=False, status=again if account.status is Status.RESTRICTED else account.status
            )
        case AccountRemoved():
            return Account(Status.REMOVED)
        case AllowanceGranted() | AllowanceClosed() | AllowanceDeferred():
            return replace(account, allowance=allowance.evolve(account.allowance, event))
    return account


def stands(account: Account, status: Status) -> Account:
    """Where a session's news leave an account: a restriction stands through all of them, until a person ends it."""
    return account if account.status is Status.RESTRICTED else replace(account, status=status)


def reads(command: Command, workspace: WorkspaceId) -> Sequence[StreamId]:
    return (ws.stream(workspace),) if isinstance(command, RegisterAccount | GrantAllowance) else ()


DECIDER = Decider("account", Account(), decide, evolve, reads)
