"""Accounts: how each number stands."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from domain.account import (
    AccountDegraded,
    AccountLinked,
    AccountLogOutAsked,
    AccountPaused,
    AccountReady,
    AccountRegistered,
    AccountRemoved,
    AccountRestricted,
    AccountResumed,
    AccountUnlinked,
    Status,
    Trouble,
    after_restriction,
    standing,
)
from domain.allowance import AllowanceClosed, AllowanceDeferred, AllowanceGranted
from domain.message import Event, Recorded, Ref
from domain.quota import Window
from projections.listing import Filter, Listing, by_id
from projections.projection import Handler, Projection, begins, known, of, sets
from projections.sums import Sums
from projections.table import Keyed, Table, stamp_keyed


@dataclass(slots=True)
class Row(Keyed):
    """An account; `permits` of its last allowance could be spent until `permits_until`, or were, when it was closed.

    `session` and `session_reason` are what was last said of its session, `restriction` what WhatsApp forbids.
    """

    label: Ref
    registered_at: datetime
    status: Status = Status.REGISTERED
    reason: Trouble | None = None
    linked: bool = False
    paused: bool = False
    permits: int = 0
    permits_until: datetime | None = None
    deferred_until: datetime | None = None
    deferred_by: Window | None = None
    session: Status = Status.REGISTERED
    session_reason: Trouble | None = None
    restriction: Trouble | None = None
    leaving: bool = False


@begins
def registered(event: AccountRegistered, recorded: Recorded) -> Row:
    return Row(*stamp_keyed(recorded), event.label, recorded.envelope.time)


def tells(status: Status, **columns: Any) -> Handler:
    """A session's news."""

    @known
    def change(row: Row, event: Any, _recorded: Recorded) -> None:
        row.session, row.session_reason = status, getattr(event, "reason", None)
        for name, value in columns.items():
            setattr(row, name, value)
        stands(row)

    return change


def stands(row: Row) -> None:
    """Where its session's news, people and WhatsApp leave an account."""
    row.status = standing(Status(row.session), restricted=row.restriction is not None, leaving=row.leaving)
    row.reason = row.restriction or row.session_reason


@known
def restricted(row: Row, event: AccountRestricted, _recorded: Recorded) -> None:
    session = after_restriction(Status(row.session))
    if session != row.session:
        row.session, row.session_reason = session, event.reason
    row.restriction = event.reason
    stands(row)


@known
def resumed(row: Row, _event: AccountResumed, _recorded: Recorded) -> None:
    row.paused, row.restriction = False, None
    stands(row)


@known
def leaves(row: Row, _event: AccountLogOutAsked, _recorded: Recorded) -> None:
    row.leaving = True
    stands(row)


TABLE = Table("read_accounts", Row)
ON: Mapping[type[Event], Handler] = {
    AccountRegistered: registered,
    AccountLinked: tells(Status.LINKED, linked=True),
    AccountUnlinked: tells(Status.LOGGED_OUT, linked=False, leaving=False),
    AccountReady: tells(Status.READY),
    AccountDegraded: tells(Status.DEGRADED),
    AccountRestricted: restricted,
    AccountLogOutAsked: leaves,
    AccountPaused: sets(paused=True),
    AccountResumed: resumed,
    AccountRemoved: sets(
        status=Status.REMOVED,
        reason=None,
        session=Status.REMOVED,
        session_reason=None,
        restriction=None,
        leaving=False,
        linked=False,
        paused=False,
        permits=0,
        permits_until=None,
        deferred_until=None,
        deferred_by=None,
    ),
    AllowanceGranted: sets(permits=of("permits"), permits_until=of("until"), deferred_until=None, deferred_by=None),
    AllowanceClosed: sets(permits=of("spent")),
    AllowanceDeferred: sets(deferred_until=of("until"), deferred_by=of("window")),
}
SUMS = Sums("read_accounts_sums", lambda row: row.status)
PROJECTION = Projection(TABLE, ON, tally=SUMS, kept=(SUMS.table,))

LIST = Listing(
    TABLE.name,
    Row,
    [
        by_id(),
        Filter("status", Status, "status", "Only accounts that stand so.", "ready"),
        Filter("paused", bool, "paused", "Only those that somebody paused, or did not.", False),
    ],
)
