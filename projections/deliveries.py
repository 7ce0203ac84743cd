"""Deliveries: what became of each recipient of each job, and the counts of it a job."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from psycopg import AsyncConnection, sql

from domain.message import Event, Recorded, WaId, WorkspaceId
from domain.send import (
    DeliveryDelivered,
    DeliveryRead,
    DeliverySkipped,
    Resolution,
    SendConfirmed,
    SendIntended,
    SendRejected,
    SendResolved,
    SendUnknown,
)
from projections.jobs import COUNTED
from projections.projection import Handler, Projection, known
from projections.table import COMMA, Keyed, Table, stamp_keyed


class State(StrEnum):
    """Where a delivery that was begun stands; the names are those of the counts."""

    INTENDED = "intended"
    BETWEEN = "between"  # a part was sent, and the next one is due
    AGAIN = "again"  # nothing was sent, and it will be tried again
    SENT = "sent"
    DELIVERED = "delivered"
    READ = "read"
    FAILED = "failed"
    PARTIAL = "partial"
    SKIPPED = "skipped"
    UNKNOWN = "unknown"
    GIVEN_UP = "given_up"


ARRIVED = (State.SENT, State.DELIVERED, State.READ)


@dataclass(slots=True)
class Row(Keyed):
    """One recipient of one job, from the first intent (or the skip) on; `part` counts from 0."""

    job_id: UUID
    recipient_id: UUID
    account_id: UUID
    ordinal: int
    state: State
    reason: str | None
    part: int
    parts: int | None
    attempt: int = 0
    wa_id: WaId | None = None
    intended_at: datetime | None = None
    sent_at: datetime | None = None
    delivered_at: datetime | None = None
    read_at: datetime | None = None


def begun(event: SendIntended | DeliverySkipped, recorded: Recorded) -> Row:
    """A new row; the caller says what state it is in."""
    whom = (event.job_id, event.recipient_id, event.account_id, event.ordinal)
    return Row(*stamp_keyed(recorded), *whom, state=State.INTENDED, reason=None, part=event.part, parts=None)


def intended(row: Row | None, event: SendIntended, recorded: Recorded) -> Row:
    row = row or begun(event, recorded)
    row.state, row.reason, row.part, row.parts = State.INTENDED, None, event.part, event.parts
    row.attempt, row.wa_id, row.intended_at = event.attempt, event.wa_id, recorded.envelope.time
    return row


@known
def confirmed(row: Row, event: SendConfirmed, recorded: Recorded) -> None:
    row.state, row.reason = after_sent(row, event.part, event.final), None
    row.part, row.sent_at = event.part, recorded.envelope.time


def after_sent(row: Row, part: int, final: bool) -> State:
    """Where a delivery stands whose part was sent: a late proof of an earlier part leaves it partial."""
    if not final:
        return State.BETWEEN
    return arrived(row) if part + 1 >= (row.parts or 0) else State.PARTIAL


def not_sent(part: int) -> State:
    return State.PARTIAL if part else State.FAILED


@known
def resolved(row: Row, event: SendResolved, recorded: Recorded) -> None:
    row.reason, row.part = event.outcome, event.part
    match event.outcome:
        case Resolution.SENT:
            row.state, row.reason = after_sent(row, event.part, event.final), None
            row.sent_at = recorded.envelope.time
        case Resolution.NOT_SENT:
            row.state = not_sent(event.part)
        case Resolution.GIVEN_UP:
            row.state = State.GIVEN_UP


def arrived(row: Row) -> State:
    """How far a message got whose last part was sent; receipts may have come before."""
    if row.read_at:
        return State.READ
    return State.DELIVERED if row.delivered_at else State.SENT


@known
def rejected(row: Row, event: SendRejected, _recorded: Recorded) -> None:
    row.reason, row.part = event.reason, event.part
    row.state = not_sent(event.part) if event.final else State.BETWEEN if event.part else State.AGAIN


@known
def doubted(row: Row, event: SendUnknown, _recorded: Recorded) -> None:
    row.state, row.reason, row.part = State.UNKNOWN, event.reason, event.part


def skipped(row: Row | None, event: DeliverySkipped, recorded: Recorded) -> Row:
    row = row or begun(event, recorded)
    row.state, row.reason, row.part = (State.PARTIAL if event.part else State.SKIPPED), event.reason, event.part
    return row


@known
def delivered(row: Row, event: DeliveryDelivered, recorded: Recorded) -> None:
    if event.final:
        row.delivered_at = recorded.envelope.time
        row.state = arrived(row) if row.state in ARRIVED else row.state


@known
def was_read(row: Row, event: DeliveryRead, recorded: Recorded) -> None:
    if event.final:
        row.read_at = recorded.envelope.time
        row.state = arrived(row) if row.state in ARRIVED else row.state


ADD = (
    sql.SQL(
        "INSERT INTO read_job_counts AS counts (id, workspace, {columns}) SELECT * FROM unnest({arrays}) "
        "ON CONFLICT (id) DO UPDATE SET {sums}"
    )
    .format(
        columns=COMMA.join(map(sql.Identifier, COUNTED)),
        arrays=COMMA.join([sql.SQL("%b::uuid[], %b::text[]"), *[sql.SQL("%b::int8[]")] * len(COUNTED)]),
        sums=COMMA.join(sql.SQL("{0} = counts.{0} + excluded.{0}").format(sql.Identifier(name)) for name in COUNTED),
    )
    .as_bytes()
)


async def count(connection: AsyncConnection, changed: Sequence[tuple[Row | None, Row]]) -> None:
    """Add to each job's counts what a page of changes comes to."""
    workspaces: dict[UUID, WorkspaceId] = {}
    moved: dict[UUID, Counter[str]] = {}
    for before, after in changed:
        workspaces[after.job_id] = after.workspace
        counter = moved.setdefault(after.job_id, Counter())
        counter[after.state] += 1
        if before is not None:
            counter[before.state] -= 1
    jobs = [job for job, counter in moved.items() if any(counter.values())]
    if jobs:
        sums = [[moved[job][state] for job in jobs] for state in COUNTED]
        await connection.execute(ADD, [jobs, [workspaces[job] for job in jobs], *sums])


TABLE = Table("read_deliveries", Row)
ON: Mapping[type[Event], Handler] = {
    SendIntended: intended,
    SendConfirmed: confirmed,
    SendRejected: rejected,
    SendUnknown: doubted,
    SendResolved: resolved,
    DeliverySkipped: skipped,
    DeliveryDelivered: delivered,
    DeliveryRead: was_read,
}
PROJECTION = Projection(TABLE, ON, tally=count, kept=("read_job_counts",))
