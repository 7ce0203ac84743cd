"""Any batches of items, appended together, end exactly as if each had had a transaction of its own, in turn."""

import asyncio
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from adapters import append_sql, group_commit
from adapters.appending import reads, waves, writes
from adapters.event_store import EventStore, Item, Lease
from domain.account import AccountPaused, AccountResumed
from domain.message import Refused, StreamId
from tests.adapters.logs import an_item

EVENTS = AccountPaused(), AccountResumed()
STREAMS, KEYS, ACCOUNTS = 4, 6, 3


@dataclass(frozen=True)
class Wish:
    """An item before the world it is for: names are numbers, versions are relative to what they will be."""

    stream: int
    key: int | None  # None: one of its own
    events: int
    late: int | None  # how far `expected` is off; None: any version will do
    reads: tuple[tuple[int, int], ...]  # other streams, and how far their versions are off
    refused: bool
    account: int | None
    fence: int | None  # how far it is off; None: not checked
    spend: int
    grant: int | None
    follows: int | None = None  # how far before it in the batch lies one that it builds on


@dataclass
class Oracle:
    """What a log is, one item at a time: no SQL, no batches, nothing to optimise."""

    world: str
    streams: dict[StreamId, list[Any]] = field(default_factory=dict)
    commands: dict[UUID, tuple[str, StreamId, int]] = field(default_factory=dict)
    leases: dict[UUID, list[int]] = field(default_factory=dict)
    made: set[int] = field(default_factory=set)  # which of this batch went through, by their place

    def version(self, stream: StreamId) -> int:
        return len(self.streams.get(stream, ()))

    def item(self, wish: Wish) -> Item:
        """The wish in this world, as it stands now."""
        stream = StreamId(f"account-{self.world}-{wish.stream}")
        lease = None
        if wish.account is not None:
            account = self.account(wish.account)
            fence = None if wish.fence is None else self.leases.get(account, [0, 0])[0] + wish.fence
            lease = Lease(account, fence, wish.spend if wish.grant is None else 0, wish.grant)
        known = {} if wish.key is None else {"command_id": UUID(int=UUID(self.world).int ^ (1 + wish.key))}
        conditions = {StreamId(f"account-{self.world}-{n}"): late for n, late in wish.reads if n != wish.stream}
        return an_item(
            stream,
            *(EVENTS[n % 2] for n in range(0 if wish.refused else wish.events)),
            expected=None if wish.late is None else max(0, self.version(stream) + wish.late),
            conditions={name: max(0, self.version(name) + late) for name, late in conditions.items()},
            refusal=Refused("because", field="it") if wish.refused else None,
            lease=lease,
            **known,
        )

    def account(self, number: int) -> UUID:
        return UUID(int=UUID(self.world).int ^ (1_000 + number))

    def append(self, batch: Sequence[Item]) -> tuple[str, int]:
        """Append the last of these, of the same batch."""
        item, keys = batch[-1], [one.key for one in batch]
        code = self.judge(item, all(self.alone_and_made(key, keys) for key in item.follows))
        if code == "ok":
            self.made.add(len(batch) - 1)
            self.streams.setdefault(item.stream, []).extend(item.events)
            state = "refused" if item.refusal else "applied"
            self.commands[item.key] = (state, item.stream, self.version(item.stream))
            if item.lease and item.lease.grant is not None:
                self.leases.setdefault(item.lease.account, [0, 0])[1] = item.lease.grant
            if item.lease and item.lease.spend:
                self.leases[item.lease.account][1] -= item.lease.spend
        return code, self.version(item.stream)

    def alone_and_made(self, key: UUID, keys: Sequence[UUID]) -> bool:
        """Whether this append made what is followed; of two with one key nobody can say which was meant."""
        return keys.count(key) == 1 and keys.index(key) in self.made

    def judge(self, item: Item, followed: bool) -> str:
        row = self.leases.get(item.lease.account) if item.lease else None
        if item.key in self.commands:
            return "duplicate"
        if item.expected is not None and item.expected != self.version(item.stream):
            return "conflict"
        if not followed or any(self.version(stream) != version for stream, version in item.conditions.items()):
            return "condition"
        if item.lease and item.lease.fence is not None and (row is None or row[0] != item.lease.fence):
            return "fence"
        if item.lease and item.lease.spend > (row[1] if row else 0):
            return "permits"
        return "ok"


def wishes(*, leases: bool) -> st.SearchStrategy[Wish]:
    """Mostly items that could go through, on few streams; with `leases`, most of them hold one of few lease rows."""
    off = st.sampled_from([0, 0, 0, 0, -1, 1])
    account = st.integers(0, ACCOUNTS - 1)
    return st.builds(
        Wish,
        stream=st.integers(0, STREAMS - 1) if not leases else st.integers(0, 30),
        key=st.one_of(st.none(), st.none(), st.integers(0, KEYS - 1)),
        events=st.integers(0, 3) if not leases else st.integers(1, 2),
        late=st.one_of(off, st.none()) if leases else st.one_of(off, off, st.none()),
        reads=st.lists(st.tuples(st.integers(0, STREAMS - 1), off), max_size=1 if leases else 2).map(tuple),
        refused=st.sampled_from([False, False, False, True] if not leases else [False]),
        account=account if leases else st.one_of(st.none(), st.none(), account),
        fence=st.sampled_from([None, None, 0, 0, 0, 0, 0, 1] if leases else [None, 0, 0, 0, 1]),
        spend=st.integers(0, 2),
        grant=st.sampled_from([None, None, None, 0, 3] if leases else [None]),
        follows=st.sampled_from([None, None, None, None, None, None, 1, 2]),
    )


Batches = list[list[Wish]]
GENERAL = st.lists(st.lists(wishes(leases=False), min_size=1, max_size=12), min_size=1, max_size=4)
LEASES = st.lists(st.lists(wishes(leases=True), min_size=1, max_size=12), min_size=1, max_size=3)


class Bench:
    """A real log beside the oracle, in one database for all examples: each example is a world with names of its own."""

    def __init__(self, database_url: str, caplog: pytest.LogCaptureFixture) -> None:
        self._caplog = caplog
        self.codes: Counter[str] = Counter()
        self.most_waves = 0
        self._database = psycopg.connect(database_url, autocommit=True)
        self._runner = asyncio.Runner()
        self._store = EventStore(database_url)
        self._store.start()

    def close(self) -> None:
        self._runner.run(self._store.stop())
        self._runner.close()
        self._database.close()

    def check(self, batches: Batches) -> None:
        """Append the batches to both; every answer and everything stored must be the same."""
        oracle = Oracle(str(uuid4()))
        for n in range(ACCOUNTS - 1):  # the last account has no row at first
            oracle.leases[oracle.account(n)] = [5 + n, 2]
            self._database.execute(
                "INSERT INTO leases (account, fence, permits) VALUES (%s, %s, 2)", [oracle.account(n), 5 + n]
            )
        for wished in batches:
            items: list[Item] = []
            expected = []
            oracle.made.clear()
            for wish in wished:
                item = oracle.item(wish)
                if wish.follows is not None and wish.follows <= len(items):
                    item = replace(item, follows=[items[-wish.follows].key])
                items.append(item)
                expected.append(oracle.append(items))
            self.most_waves = max(self.most_waves, len(waves(items)))
            verdicts = self._runner.run(self._store.append(items))
            self.codes.update(verdict.code for verdict in verdicts)
            assert [(verdict.code, verdict.version) for verdict in verdicts] == expected
            assert not self._caplog.records, "the database had to refuse what the statement let through"
        self.compare(oracle)

    def compare(self, oracle: Oracle) -> None:
        names = [StreamId(f"account-{oracle.world}-{n}") for n in range(31)]
        for name in names:
            recorded = self._runner.run(self._store.history(name)) if name in oracle.streams else []
            assert [r.event for r in recorded] == oracle.streams.get(name, [])
            assert [r.version for r in recorded] == list(range(1, 1 + len(recorded)))
            assert [r.position for r in recorded] == sorted({r.position for r in recorded})
        stored = self._database.execute(
            "SELECT key, state, stream, version FROM commands WHERE stream = ANY(%s)", [names]
        ).fetchall()
        assert {key: (state, stream, version) for key, state, stream, version in stored} == oracle.commands
        accounts = [oracle.account(n) for n in range(ACCOUNTS)]
        leases = self._database.execute(
            "SELECT account, fence, permits FROM leases WHERE account = ANY(%s)", [accounts]
        ).fetchall()
        assert {account: [fence, permits] for account, fence, permits in leases} == oracle.leases


@pytest.fixture
def bench(database_url: str, caplog: pytest.LogCaptureFixture) -> Iterator[Bench]:
    made = Bench(database_url, caplog)
    yield made
    made.close()


def holds(bench: Bench, batches: st.SearchStrategy[Batches], examples: int, **options: Any) -> None:
    """Let the property be tried on so many examples."""
    checks = [HealthCheck.too_slow, HealthCheck.data_too_large]
    tried = settings(
        max_examples=examples,
        deadline=None,
        suppress_health_check=checks,
        database=None,
        report_multiple_bugs=False,
        **options,
    )
    tried(given(batches)(bench.check))()


@pytest.mark.parametrize("batches", [GENERAL, LEASES], ids=["general", "leases"])
def test_a_batch_ends_as_its_items_would_one_by_one(bench: Bench, batches: st.SearchStrategy[Batches]) -> None:
    for _ in range(3):  # Hypothesis varies what it has: a hundred examples may be much alike, then others are made too
        holds(bench, batches, 100)
        if bench.codes["ok"] > 0.3 * bench.codes.total():
            break

    seen = {"ok", "duplicate", "conflict", "condition", "fence", "permits"}
    assert set(bench.codes) == seen, bench.codes
    assert bench.codes["ok"] > 0.3 * bench.codes.total()
    assert bench.most_waves >= 5


def without(part: str, instead: str = "") -> Callable[[pytest.MonkeyPatch], None]:
    """The statement without something it needs."""
    assert part in append_sql.APPEND
    return lambda patch: patch.setattr(group_commit, "APPEND", append_sql.APPEND.replace(part, instead))


def one_wave(items: Sequence[Item]) -> list[list[int]]:
    return [list(range(len(items)))] if items else []


def waves_by(touched: Callable[[Item], Sequence[object]]) -> Callable[[Sequence[Item]], list[list[int]]]:
    """Waves that look only at a part of what an item touches."""

    def found(items: Sequence[Item]) -> list[list[int]]:
        last: dict[object, int] = {}
        waves: list[list[int]] = []
        for index, item in enumerate(items):
            wave = max((last.get(row, -1) + 1 for row in touched(item)), default=0)
            last |= dict.fromkeys(touched(item), wave)
            waves += [[] for _ in range(1 + wave - len(waves))]
            waves[wave].append(index)
        return waves

    return found


def waving(found: Callable[[Sequence[Item]], list[list[int]]]) -> Callable[[pytest.MonkeyPatch], None]:
    return lambda patch: patch.setattr(group_commit, "waves", found)


MUTANTS: dict[str, Callable[[pytest.MonkeyPatch], None]] = {
    "forgets that a command was answered": without("WHEN answer IS NOT NULL THEN 'duplicate'", "WHEN false THEN ''"),
    "ignores expected versions": without("WHEN current <> expected THEN 'conflict'"),
    "ignores conditions": without("WHEN o.i IS NOT NULL THEN 'condition'"),
    "ignores what an item builds on": without(
        "WHERE ticket IS DISTINCT FROM", "WHERE false AND ticket IS DISTINCT FROM"
    ),
    "takes an older answer for what an item builds on": without("ticket IS DISTINCT FROM (", "NOT EXISTS ("),
    "ignores fences": without("WHEN f.fence IS NOT NULL AND h.fence IS DISTINCT FROM f.fence THEN 'fence'"),
    "ignores the permits left": without("WHEN spend > 0 AND coalesce(h.permits, 0) < spend THEN 'permits'"),
    "spends nothing": without("h.permits - spend", "h.permits"),
    "spends of those refused": without("code = 'ok' AND (spend > 0", "(spend > 0"),
    "forgets grants": without("coalesce(grants, h.permits - spend)", "h.permits - spend"),
    "stores events of those refused": without("WHERE code = 'ok' ORDER BY e.i", "ORDER BY e.i"),
    "records those refused": without("originator_id = stream WHERE code = 'ok'", "originator_id = stream"),
    "judges a whole batch against one snapshot": waving(one_wave),
    "lets a reader share the wave of a writer": waving(waves_by(writes)),
    "lets items share a command id": waving(waves_by(lambda item: [*reads(item), *writes(item)[1:]])),
    "lets items share a lease row": waving(
        waves_by(lambda item: [row for row in (*reads(item), *writes(item)) if not isinstance(row, UUID)])
    ),
}


@pytest.mark.parametrize("name", MUTANTS)
def test_the_property_notices_a_log_that(bench: Bench, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    MUTANTS[name](monkeypatch)

    assert any(breaks(bench, batches) for batches in (LEASES, GENERAL))


def breaks(bench: Bench, batches: st.SearchStrategy[Batches]) -> bool:
    """Whether the property fails; the same examples each time."""
    try:
        holds(bench, batches, 150, phases=[Phase.generate], derandomize=True)
    except AssertionError:
        return True
    return False
