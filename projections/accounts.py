"""Accounts: how each number stands."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from domain.account import (
    AccountDegraded,
    AccountLinked,
    AccountPaused,
    AccountReady,
    AccountRegistered,
    AccountRestricted,
    AccountResumed,
    AccountUnlinked,
    AllowanceGranted,
    Status,
    Trouble,
)
from domain.message import Event, Recorded, Ref
from projections.projection import Handler, Projection, begins, known, of, sets
from projections.table import Keyed, Table, stamp_keyed


@dataclass(slots=True)
class Row(Keyed):
    """An account; `permits` of its last allowance could be spent until `permits_until`."""

    label: Ref
    registered_at: datetime
    status: Status = Status.REGISTERED
    reason: Trouble | None = None
    linked: bool = False
    paused: bool = False
    permits: int = 0
    permits_until: datetime | None = None


@begins
def registered(event: AccountRegistered, recorded: Recorded) -> Row:
    return Row(*stamp_keyed(recorded), event.label, recorded.envelope.time)


@known
def resumed(row: Row, _event: AccountResumed, _recorded: Recorded) -> None:
    row.paused = False
    if row.status == Status.RESTRICTED:
        row.status, row.reason = Status.READY, None


TABLE = Table("read_accounts", Row)
ON: Mapping[type[Event], Handler] = {
    AccountRegistered: registered,
    AccountLinked: sets(status=Status.LINKED, reason=None, linked=True),
    AccountUnlinked: sets(status=Status.LOGGED_OUT, reason=of("reason"), linked=False),
    AccountReady: sets(status=Status.READY, reason=None),
    AccountDegraded: sets(status=Status.DEGRADED, reason=of("reason")),
    AccountRestricted: sets(status=Status.RESTRICTED, reason=of("reason")),
    AccountPaused: sets(paused=True),
    AccountResumed: resumed,
    AllowanceGranted: sets(permits=of("permits"), permits_until=of("until")),
}
PROJECTION = Projection(TABLE, ON)
