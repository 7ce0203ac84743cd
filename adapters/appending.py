"""What is asked of the log, what it answers, and which of a batch may be judged by one statement."""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal
from uuid import UUID

import orjson

from adapters.inbox import CommandRow
from domain.message import Event, PrincipalId, Refused, StreamId, WorkspaceId

Code = Literal["ok", "duplicate", "conflict", "condition", "fence", "permits", "failed"]

LONGEST_NAME = 200  # bytes, of any name in an item
LARGEST_ITEM = 262_144  # bytes of all its events together


@dataclass(frozen=True, slots=True)
class Lease:
    """An account's lease row taking part in an append."""

    account: UUID
    fence: int | None = None  # None: not checked (a grant by the dispatcher)
    spend: int = 0  # permits spent; refused "permits" when fewer are left
    grant: int | None = None  # sets the permits (a new allowance block); creates the row if absent


@dataclass(frozen=True, slots=True)
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


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of an item. Nothing of it is stored unless `code` is "ok".

    `version` is its stream's: after the append, or (conflict, condition, fence, permits) as it stands. `previous` is
    the old answer of a duplicate. "failed": the log cannot store it, ever; `reason` is a word for the operator.
    """

    code: Code
    version: int
    position: int | None = None  # of the last event appended
    previous: CommandRow | None = None
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Entry:
    """An item made ready: its events as topics and bytes, its refusal's detail as JSON."""

    item: Item
    topics: Sequence[str] = ()
    states: Sequence[bytes] = ()
    detail: str | None = None

    @property
    def size(self) -> int:
        return sum(map(len, self.states))

    def reads(self) -> Collection[object]:
        """The rows this entry is judged by and leaves as they are."""
        read = set[object](self.item.conditions)
        if not self.item.events:
            read.add(self.item.stream)
        lease = self.item.lease
        if lease is not None and not lease.spend and lease.grant is None:
            read.add(lease.account)
        return read

    def writes(self) -> Collection[object]:
        """The rows this entry changes when it goes through."""
        written: set[object] = {("key", self.item.key)}
        if self.item.events:
            written.add(self.item.stream)
        lease = self.item.lease
        if lease is not None and (lease.spend or lease.grant is not None):
            written.add(lease.account)
        return written


def waves(entries: Sequence[Entry]) -> list[list[int]]:
    """The entries' indexes in waves: each wave can be judged against one snapshot, as if its members came in turn.

    An entry follows the wave of an earlier one that writes what it reads or writes, or that reads what it writes.
    """
    found: list[list[int]] = []
    written: dict[object, int] = defaultdict(lambda: -1)  # what -> the last wave that writes it
    read: dict[object, int] = defaultdict(lambda: -1)
    for index, entry in enumerate(entries):
        reads, writes = entry.reads(), entry.writes()
        wave = 1 + max(
            max((written[row] for row in (*reads, *writes)), default=-1),
            max((read[row] for row in writes), default=-1),
        )
        for row in reads:
            read[row] = max(read[row], wave)
        for row in writes:
            written[row] = wave
        if wave == len(found):
            found.append([])
        found[wave].append(index)
    return found


def unstorable(entry: Entry) -> str:
    """Why PostgreSQL would refuse this entry, and its whole batch with it; "" when it would not."""
    item = entry.item
    names = [item.workspace, item.principal, item.name, item.stream, item.traceparent, *item.conditions]
    if item.refusal is not None:
        names += [item.refusal.rule, item.refusal.field]
    if not all(name.isprintable() for name in names) or "\\u0000" in (entry.detail or ""):
        return "unprintable"
    if max(len(item.digest), *(len(name.encode()) for name in names)) > LONGEST_NAME:
        return "name_too_long"
    if entry.size > LARGEST_ITEM or len(entry.detail or "") > LARGEST_ITEM:
        return "too_large"
    return ""


def detail_of(refusal: Refused | None) -> str | None:
    """A refusal's detail as JSON."""
    return orjson.dumps(refusal.detail).decode() if refusal is not None and refusal.detail else None
