"""The invariants of drumline, each a function that any fault test calls on what is left afterwards.

What reached the wire is read from the sandbox's ledger alone, and what is true from the log: never from a read model.
"""

import asyncio
import os
from collections import Counter, defaultdict
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from typing import Any
from uuid import UUID

import httpx
from psycopg import AsyncConnection
from psycopg_pool import AsyncConnectionPool

from adapters import streams
from adapters.bus import Bus
from adapters.event_store import EventStore
from adapters.sandbox.ledger import Entry
from domain.message import Recorded
from domain.send import SendConfirmed, SendIntended

Pool = AsyncConnectionPool[AsyncConnection[Any]]


async def whole_log(store: EventStore) -> list[Recorded]:
    """Every event there is."""
    found: list[Recorded] = []
    while page := await store.page(found[-1].position if found else 0, 5_000):
        found += page
    return found


def i1_nobody_got_it_twice(wire: Iterable[Entry], log: Iterable[Recorded]) -> None:
    """At most one wire entry a wa_id, and a (job, recipient, part), joined from our intents."""
    sent = Counter(entry.wa_id for entry in wire)
    assert [wa_id for wa_id, times in sent.items() if times > 1] == []
    intents = [one.event for one in log if isinstance(one.event, SendIntended)]
    meant = defaultdict(set)
    for intent in intents:
        meant[intent.job_id, intent.recipient_id, intent.part].add(intent.wa_id)
    assert [key for key, wa_ids in meant.items() if sum(sent[wa_id] for wa_id in wa_ids) > 1] == []
    assert set(sent) <= {intent.wa_id for intent in intents}, "something was sent that nobody intended"


async def i2_every_command_is_accounted_for(pool: Pool, bus: Bus, accepted: Collection[UUID]) -> None:
    """Each is applied, refused, crashed with a dead letter to replay, or pending with its body, or still queued."""
    async with pool.connection() as connection:
        rows = await (
            await connection.execute(
                "SELECT c.command_id, c.state, c.body IS NOT NULL, l.state FROM commands c "
                "LEFT JOIN dead_letters l ON l.id = c.key WHERE c.command_id = ANY(%s)",
                [list(accepted)],
            )
        ).fetchall()
    states = {row[0]: row[1:] for row in rows}
    queued = await bus.length(streams.COMMANDS)
    assert len(set(accepted) - set(states)) <= queued, "a command is nowhere"
    for command_id, (state, has_body, letter) in states.items():
        assert state in ("applied", "refused") or (state == "pending" and (has_body or queued)) or letter, command_id


async def i3_no_acknowledged_write_is_lost(pool: Pool, acknowledged: Collection[UUID]) -> None:
    """Each command that HTTP acknowledged has its row; each that was applied, and decided anything, its events."""
    async with pool.connection() as connection:
        rows = await (
            await connection.execute(
                "SELECT c.command_id, c.position IS NULL OR EXISTS (SELECT FROM stored_events e WHERE "
                "e.notification_id = c.position AND e.originator_id = c.stream AND e.originator_version = c.version) "
                "FROM commands c WHERE c.command_id = ANY(%s)",
                [list(acknowledged)],
            )
        ).fetchall()
    assert set(acknowledged) - {row[0] for row in rows} == set()
    assert [row[0] for row in rows if not row[1]] == []


def i5_streams_are_in_order(log: Iterable[Recorded]) -> None:
    """Positions grow; each stream's versions are 1, 2, 3 …, and no event id is there twice."""
    versions: dict[str, int] = {}
    last, ids = 0, set()
    for one in log:
        assert one.position > last
        assert one.version == versions.get(one.stream, 0) + 1, one.stream
        assert one.envelope.event_id not in ids
        last, versions[one.stream] = one.position, one.version
        ids.add(one.envelope.event_id)


async def i6_events_is_a_window_of_the_log(bus: Bus, log: Sequence[Recorded], *, complete: bool = True) -> int:
    """EVENTS holds a run of the log, each event once, in order, each naming the one before; how many it holds.

    `complete`: it ends where the log ends.
    """
    state = (await bus.js.stream_info(streams.EVENTS)).state
    if not state.messages:
        assert not (complete and log), "EVENTS is empty"
        return 0
    told = [
        (await bus.js.get_msg(streams.EVENTS, sequence)).headers or {}
        for sequence in range(state.first_seq, state.last_seq + 1)
    ]
    positions = [one.position for one in log]
    first = positions.index(int(told[0]["Drl-Position"]))
    window = log[first : first + len(told)]
    assert [headers["ce-id"] for headers in told] == [str(one.envelope.event_id) for one in window]
    before = [positions[first - 1] if first else 0, *(one.position for one in window)]
    assert [int(headers["Drl-Prev"]) for headers in told] == before[:-1]
    assert not complete or window[-1].position == positions[-1]
    return len(told)


async def i7_one_browser_an_account(pool: Pool) -> None:
    """No process group is recorded for two accounts."""
    async with pool.connection() as connection:
        rows = await (await connection.execute("SELECT browser_group FROM leases WHERE browser_group > 0")).fetchall()
    alive = [group for (group,) in rows if is_alive(group)]
    assert len(alive) == len(set(alive))


def is_alive(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True


async def i8_recovers(condition: Callable[[], Awaitable[bool]], seconds: float) -> float:
    """It comes right within a bound, without hands; after how many seconds it did."""
    loop = asyncio.get_running_loop()
    began = loop.time()
    async with asyncio.timeout(seconds):
        while not await condition():  # noqa: ASYNC110  # conditions are read from servers: nothing here sets an event
            await asyncio.sleep(0.05)
    return loop.time() - began


async def i10_health_says(url: str, expected: Mapping[str, str], seconds: float = 20.0) -> dict[str, Any]:
    """`/readyz` comes to say so of these parts, and is 503 exactly while one of them is not well; what it says."""
    told: dict[str, Any] = {}

    async def says() -> bool:
        async with httpx.AsyncClient(trust_env=False, timeout=10) as http:
            response = await http.get(f"{url}/readyz")
        told.update(response.json())
        words = {name: check["status"] for name, check in told["checks"].items()}
        well = set(words.values()) <= {"ok", "silent"}
        assert response.status_code == (200 if well else 503)
        return all(words[name] == word for name, word in expected.items())

    try:
        await i8_recovers(says, seconds)
    except TimeoutError:
        raise AssertionError(f"health says {told}") from None
    return told


def i11_enough_was_sent(wire: Sequence[Entry], log: Iterable[Recorded], at_least: int) -> None:
    """A test that sends nothing shows nothing; and what was confirmed is on the wire."""
    assert len(wire) >= at_least
    confirmed = {one.event.wa_id for one in log if isinstance(one.event, SendConfirmed)}
    assert confirmed <= {entry.wa_id for entry in wire}
