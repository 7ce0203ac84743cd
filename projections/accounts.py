"""Accounts: how each number stands."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from domain.account import (
    AccountDegraded,
    AccountLinked,
    AccountPaused,
    AccountReady,
    AccountRegistered,
    AccountRemoved,
    AccountRestricted,
    AccountResumed,
    AccountUnlinked,
    Status,
    Trouble,
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
    """An account; `permits` of its last allowance could be spent until `permits_until`, or were, when it was closed."""

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


@begins
def registered(event: AccountRegistered, recorded: Recorded) -> Row:
    return Row(*stamp_keyed(recorded), event.label, recorded.envelope.time)


def stands(status: Status, **columns: Any) -> Handler:
    """A session's news: a restriction stands through all of them, until a person ends it."""

    @known
    def change(row: Row, event: Any, _recorded: Recorded) -> None:
        for name, value in columns.items():
            setattr(row, name, value)
        if row.status != Status.RESTRICTED:
            row.status, row.reason = status, getattr(event, "reason", None)

    return change


@known
def resumed(row: Row, _event: AccountResumed, _recorded: Recorded) -> None:
    row.paused = False
    if row.status == Status.RESTRICTED:
        row.status, row.reason = (Status.READY if row.linked else Status.LOGGED_OUT), None


TABLE = Table("read_accounts", Row)
ON: Mapping[type[Event], Handler] = {
    AccountRegistered: registered,
    AccountLinked: stands(Status.LINKED, linked=True),
    AccountUnlinked: stands(Status.LOGGED_OUT, linked=False),
    AccountReady: stands(Status.READY),
    AccountDegraded: stands(Status.DEGRADED),
    AccountRestricted: sets(status=Status.RESTRICTED, reason=of("reason")),
    AccountPaused: sets(paused=True),
    AccountResumed: resumed,
    AccountRemoved: sets(
        status=Status.REMOVED,
        reason=None,
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
