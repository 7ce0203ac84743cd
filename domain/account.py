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
    LOGGING_OUT = "logging_out"
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
class LogOutAccount(Command):
    """Unlink the account's phone and forget its profile; then another phone, or the same, may link it."""

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
class AccountLogOutAsked(Event):
    """Somebody wants the account unlinked; its session does so, and nothing is sent meanwhile."""


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
    """Somebody resumed the account; a restriction is over by that, too, and the session is what it last said."""


@dataclass(frozen=True, slots=True)
class AccountRemoved(Event):
    """The account is given up for good."""


@dataclass(frozen=True, slots=True)
class Account:
    """What decisions about an account need. `session`: what was last said of it, whatever people or WhatsApp forbid."""

    session: Status = Status.UNKNOWN
    restricted: bool = False
    paused: bool = False
    linked: bool = False
    leaving: bool = False
    allowance: Allowance = NO_ALLOWANCE

    @property
    def status(self) -> Status:
        """Where it stands."""
        return standing(self.session, restricted=self.restricted, leaving=self.leaving)

    @property
    def may_send(self) -> bool:
        """Whether a send may be intended at all."""
        return self.status is Status.READY and not self.paused


def standing(session: Status, *, restricted: bool, leaving: bool) -> Status:
    """What an account's session comes to: a restriction stands through all its news, until a person ends it."""
    if restricted:
        return Status.RESTRICTED
    return Status.LOGGING_OUT if leaving else session


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
            return [AccountResumed()] if account.paused or account.restricted else []
        case LogOutAccount():
            return [AccountLogOutAsked()] if account.linked and not account.leaving else []
        case RemoveAccount():
            if account.may_send:
                raise Refused("account_in_use", field="account_id")
            return [AccountRemoved()]
        case ReportLinked() | ReportReady() if account.leaving:
            return []  # it is about to be unlinked
        case ReportLinked():
            return [] if account.linked else [AccountLinked()]
        case ReportReady():
            linked: list[Event] = [] if account.linked else [AccountLinked()]
            return linked if account.session is Status.READY else [*linked, AccountReady()]
        case ReportTrouble(reason=reason):
            return trouble(account, reason)
        case GrantAllowance():
            if not account.may_send:
                raise Refused("account_not_ready", field="account_id", status=account.status)
            if not facts.settled:
                raise Refused("clock_jumped", field="now")
            return allowance.grant(account.allowance, command, ws.rules(facts), facts.now, facts.steady_since)
    raise TypeError(type(command))


def when_removed(command: Command) -> Sequence[Event]:
    """Nothing comes after a removal: people are told, a session's last words are passed over."""
    if isinstance(command, RemoveAccount | ReportLinked | ReportReady | ReportTrouble):
        return []
    raise Refused("account_removed", field="account_id")


def trouble(account: Account, reason: Trouble) -> Sequence[Event]:
    """Which event a session's trouble is, if it is news."""
    match reason:
        case Trouble.LOGGED_OUT:
            return [AccountUnlinked(reason)] if account.linked else []
        case Trouble.CAPPED | Trouble.BANNED:
            known = account.restricted and account.session is not Status.READY
            return [] if known else [AccountRestricted(reason)]
    return [AccountDegraded(reason)] if account.session is Status.READY else []


def evolve(account: Account, event: Event) -> Account:
    match event:
        case AccountRegistered():
            return replace(account, session=Status.REGISTERED)
        case AccountLinked():
            return replace(account, session=Status.LINKED, linked=True)
        case AccountLogOutAsked():
            return replace(account, leaving=True)
        case AccountUnlinked():
            return replace(account, session=Status.LOGGED_OUT, linked=False, leaving=False)
        case AccountReady():
            return replace(account, session=Status.READY)
        case AccountDegraded():
            return replace(account, session=Status.DEGRADED)
        case AccountRestricted():
            return replace(account, session=after_restriction(account.session), restricted=True)
        case AccountPaused():
            return replace(account, paused=True)
        case AccountResumed():
            return replace(account, paused=False, restricted=False)
        case AccountRemoved():
            return Account(Status.REMOVED)
        case AllowanceGranted() | AllowanceClosed() | AllowanceDeferred():
            return replace(account, allowance=allowance.evolve(account.allowance, event))
    return account


def after_restriction(session: Status) -> Status:
    """How a session stands that was restricted: it is ready only once it says so again."""
    return Status.DEGRADED if session is Status.READY else session


def reads(command: Command, workspace: WorkspaceId) -> Sequence[StreamId]:
    return (ws.stream(workspace),) if isinstance(command, RegisterAccount | GrantAllowance) else ()


DECIDER = Decider("account", Account(), decide, evolve, reads)
