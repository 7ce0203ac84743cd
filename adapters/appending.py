"""What is asked of the log, what it answers, and which of a batch may be judged by one statement."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal
from uuid import UUID

from adapters.inbox import CommandRow
from domain.message import Envelope, Event, PrincipalId, Refused, StreamId, WorkspaceId, derive

Code = Literal["ok", "duplicate", "foreign", "conflict", "condition", "fence", "permits", "failed"]

LONGEST_NAME = 200  # bytes, of any name in an item
LARGEST_ITEM = 262_144  # bytes of all its events together


@dataclass(frozen=True, slots=True)
class Lease:
    """An account's lease row taking part in an append."""

    account: UUID
    fence: int | None = None  # None: not checked (a grant by the dispatcher)
    spend: int = 0  # permits spent; refused "permits" when fewer are left
    grant: int | None = None  # sets the permits (a new allowance block); creates the row if absent

    @property
    def changes(self) -> bool:
        return self.spend > 0 or self.grant is not None


@dataclass(slots=True)
class Item:
    """One decision to be appended: its events (perhaps none) or its refusal, and what it was decided on."""

    key: UUID  # of its row in `commands`: the same decision always has the same
    command_id: UUID
    workspace: WorkspaceId
    principal: PrincipalId
    name: str
    digest: bytes
    stream: StreamId  # "" when a refused command has no target
    expected: int | None  # the stream's version that was decided on; None: whichever it has
    events: Sequence[Event]
    conditions: Mapping[StreamId, int]  # other streams read, at their versions
    now: datetime
    correlation: UUID
    traceparent: str = ""
    refusal: Refused | None = None  # recorded too, under the same conditions
    lease: Lease | None = None
    follows: Sequence[UUID] = ()  # keys of earlier items of this append: it goes through only if they did, just now


@dataclass(slots=True)
class Verdict:
    """What became of an item. Nothing of it is stored unless `code` is "ok".

    `version` is its stream's: after the append, or (conflict, condition, fence, permits) as it stands. `previous` is
    the old answer of a duplicate. "foreign": the stream is another workspace's. "failed": the log cannot store it,
    ever; `reason` is a word for the operator.
    """

    code: Code
    version: int
    position: int | None = None  # of the last event appended
    previous: CommandRow | None = None
    reason: str = ""


def reads(item: Item) -> list[object]:
    """The rows an item is judged by and leaves as they are."""
    rows: list[object] = [*item.conditions, *(("key", key) for key in item.follows)]
    if not item.events:
        rows.append(item.stream)
    if item.lease is not None and not item.lease.changes:
        rows.append(item.lease.account)
    return rows


def writes(item: Item) -> list[object]:
    """The rows an item changes when it goes through."""
    rows: list[object] = [("key", item.key)]
    if item.events:
        rows.append(item.stream)
    if item.lease is not None and item.lease.changes:
        rows.append(item.lease.account)
    return rows


def waves(items: Sequence[Item]) -> list[list[int]]:
    """The items' indexes in waves: each wave can be judged against one snapshot, as if its members came in turn.

    An item comes after the wave of an earlier one that writes what it reads or writes, or that reads what it writes.
    """
    found: list[list[int]] = []
    written = dict[object, int]()  # what -> the first wave after the last that writes it
    read = dict[object, int]()
    for index, item in enumerate(items):
        reading, writing = reads(item), writes(item)
        wave = 0
        for row in reading:
            wave = max(wave, written.get(row, 0))
        for row in writing:
            wave = max(wave, written.get(row, 0), read.get(row, 0))
        for row in reading:
            read[row] = max(wave + 1, read.get(row, 0))
        for row in writing:
            written[row] = wave + 1
        if wave == len(found):
            found.append([])
        found[wave].append(index)
    return found


def unstorable(item: Item, detail: str, size: int) -> str:
    """Why PostgreSQL would refuse this item, and the whole batch with it; "" when it would not."""
    names = [item.workspace, item.principal, item.name, item.stream, item.traceparent, *item.conditions]
    if item.refusal is not None:
        names += [item.refusal.rule, item.refusal.field]
    together = "".join(names)
    if "\\u0000" in detail or not together.isprintable():
        return "unprintable"
    short = together.isascii() and len(together) <= LONGEST_NAME  # then each of them is
    if len(item.digest) > LONGEST_NAME or not (short or all(len(name.encode()) <= LONGEST_NAME for name in names)):
        return "name_too_long"
    if size + len(detail) > LARGEST_ITEM:
        return "too_large"
    return ""


def envelopes(item: Item) -> list[Envelope]:
    """What is stored around an item's events; their ids follow from the decision's key."""
    return [
        Envelope(
            derive("event", item.key, k),
            item.principal,
            item.workspace,
            item.command_id,
            item.correlation,
            item.now,
            item.conditions,
            item.traceparent,
        )
        for k in range(1, len(item.events) + 1)
    ]
