"""Core workers killed at every step of a command's way: each command is decided once, told, and on EVENTS once."""

import asyncio
import signal
from collections import defaultdict
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import orjson
import pytest

from adapters import streams, wire
from adapters.command_limits import CommandLimits
from adapters.inbox import Pending
from domain.message import Role
from infra.embedded import EmbeddedNats
from tests.faults import invariants
from tests.faults.processes import Place
from tests.workers.core import QUICK, Client, Core, campaign, core, until
from workers.requests import command_key

STEPS = ["before_append:3", "after_append:3", "after_outcome_told:3", "before_relay:3", "after_relay:3"]
SHORT = "after_append:3"
RATE = CommandLimits().rate  # a second, and in a burst


@pytest.fixture
def place(database_url: str, nats_url: str, scratch: Path) -> Place:
    return Place(database_url, nats_url, scratch / "data")


async def give(author: Client, count: int) -> set[UUID]:
    """Commands one after another, so that there are many batches."""
    return {await author.give("campaign.create", campaign()) for _ in range(count)}


async def all_told(author: Client, ids: set[UUID]) -> None:
    """Each has its outcome; told twice, it is the same."""
    told: dict[UUID, set[tuple[str, int]]] = defaultdict(set)
    while ids - set(told):
        outcome = await author.outcome(40)
        told[UUID(outcome["command_id"])].add((outcome["state"], outcome["position"]))
    assert {len(answers) for answers in told.values()} == {1}
    assert {state for answers in told.values() for state, _ in answers} == {"applied"}


async def relayed(house: Core) -> bool:
    _, last = await house.bus.last(streams.EVENTS)
    return last is not None and int(last.headers["Drl-Position"]) == await house.store.head()


async def check(house: Core, ids: set[UUID]) -> None:
    """Nothing lost, nothing doubled, nothing out of order; EVENTS is the log."""
    await until(lambda: relayed(house), 40)
    log = await invariants.whole_log(house.store)
    assert len(log) == 1 + len(ids)
    invariants.i5_streams_are_in_order(log)
    assert await invariants.i6_events_is_a_window_of_the_log(house.bus, log) == len(log)
    await invariants.i2_every_command_is_accounted_for(house.pool, house.bus, ids)
    await invariants.i3_no_acknowledged_write_is_lost(house.pool, ids)


@pytest.mark.parametrize(
    "step", [step if step == SHORT else pytest.param(step, marks=pytest.mark.long) for step in STEPS]
)
async def test_a_core_killed_at_any_step_decides_each_command_once(place: Place, step: str) -> None:
    async with core(place.database_url, place.nats_url) as house:
        author = await Client(house, await house.principal(Role.AUTHOR)).listen()
        async with place.worker("core", crashpoint=step, command_rate=RATE) as victim:
            first = await give(author, 1)
            await all_told(author, first)  # it is up
            ids = await give(author, RATE - 1)
            await victim.is_killed()
        async with place.worker("core", command_rate=RATE):
            await all_told(author, ids)
            await check(house, first | ids)


async def pending_by_http(house: Core, author: Client, count: int) -> set[UUID]:
    """Rows as the API writes them before it publishes: it was killed in between."""
    ids = set()
    for _ in range(count):
        command_id, raw = uuid4(), orjson.dumps(campaign())
        workspace, principal = author.actor.workspace, author.actor.id
        key = command_key(workspace, principal, command_id)
        sealed = house.contents.seal(workspace, key, raw)
        digest = wire.digest("campaign.create", raw)
        await house.inbox.accept(Pending(key, command_id, workspace, principal, "campaign.create", digest, sealed))
        ids.add(command_id)
    return ids


async def answered(house: Core, author: Client, ids: set[UUID]) -> bool:
    return all([(await house.row(author.actor, command_id)).state == "applied" for command_id in ids])


@pytest.mark.parametrize("step", ["", pytest.param("before_sweep:2", marks=pytest.mark.long)])
async def test_what_http_accepted_and_did_not_publish_is_swept(place: Place, step: str) -> None:
    async with core(place.database_url, place.nats_url) as house:
        author = await Client(house, await house.principal(Role.AUTHOR)).listen()
        ids = await pending_by_http(house, author, 5)
        if step:
            async with place.worker("core", sweep_after=0.2, crashpoint=step) as victim:
                await victim.is_killed()
        async with place.worker("core", sweep_after=0.2):
            await until(lambda: answered(house, author, ids), 40)
            await check(house, ids)


@pytest.mark.long
@pytest.mark.parametrize("step", ["before_burial", "after_burial"])
async def test_a_core_killed_while_it_buries_leaves_one_letter(place: Place, step: str) -> None:
    """Nobody survived its five tries, and whoever gives it up is killed too."""
    async with core(place.database_url, place.nats_url) as house:
        author = await Client(house, await house.principal(Role.AUTHOR)).listen()
        bad = await author.give("campaign.create", campaign())
        await house.deliver_in_vain(1, tried=True)
        async with place.worker("core", crashpoint=step) as victim:
            await victim.is_killed()
        async with place.worker("core"):
            ids = await give(author, 3)
            outcomes: list[dict[str, Any]] = []
            while len({one["command_id"] for one in outcomes}) < 4:
                outcomes.append(await author.outcome(40))
        states = {one["command_id"]: one["state"] for one in outcomes}
        assert states.pop(str(bad)) == "crashed"
        assert set(states.values()) == {"applied"}
        (letter,) = await house.dead.page(None)
        assert (letter.command_id, letter.state) == (bad, "dead")
        await invariants.i2_every_command_is_accounted_for(house.pool, house.bus, {bad, *ids})


@pytest.mark.long
async def test_a_command_that_kills_its_handler_each_time_stops_nobody_for_good(place: Place) -> None:
    """A crash loop: the process dies at each try, and is started again; after five tries the message is put aside."""
    async with core(place.database_url, place.nats_url, QUICK) as house:
        author = await Client(house, await house.principal(Role.AUTHOR)).listen()
        bad = await author.give("campaign.create", campaign())
        for _ in range(5):
            async with place.worker("core", crashpoint="before_append") as victim:
                await victim.is_killed()
        async with place.worker("core"):
            ids = await give(author, 3)
            states: dict[str, str] = {}
            while set(states) != {str(one) for one in {bad, *ids}}:
                outcome = await author.outcome(40)
                states[outcome["command_id"]] = outcome["state"]
        assert states.pop(str(bad)) == "crashed"
        assert set(states.values()) == {"applied"}


@pytest.mark.long
async def test_five_deaths_cost_one_command_at_most_however_many_were_delivered_each_time(place: Place) -> None:
    """Each death struck at one of them; the others were in the queue behind it, and nobody came to them."""
    async with core(place.database_url, place.nats_url, QUICK) as house:
        author = await Client(house, await house.principal(Role.AUTHOR)).listen()
        ids = {str(one) for one in await give(author, 5)}
        for _ in range(5):
            async with place.worker("core", crashpoint="before_append") as victim:
                await victim.is_killed()
        states: dict[str, str] = {}
        async with place.worker("core"):
            while set(states) != ids:
                outcome = await author.outcome(40)
                states[outcome["command_id"]] = outcome["state"]
        assert sorted(states.values())[:-1] == ["applied"] * 4


async def leads(house: Core) -> int | None:
    """The back end that holds the relay's lock."""
    async with house.pool.connection() as connection:
        row = await (
            await connection.execute(
                "SELECT pid FROM pg_stat_activity WHERE application_name = 'drumline-relay' AND pid IN "
                "(SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND granted)"
            )
        ).fetchone()
    return row[0] if row else None


@pytest.mark.long
async def test_a_zombie_relay_that_wakes_up_writes_nothing_twice_and_leaves_no_hole(place: Place) -> None:
    """Stopped while it leads; its lock is taken from it, another takes over; then it goes on."""
    async with core(place.database_url, place.nats_url) as house:
        author = await Client(house, await house.principal(Role.AUTHOR)).listen()
        async with place.worker("core") as zombie:
            ids = await give(author, 5)
            await all_told(author, ids)
            await until(lambda: relayed(house))
            former = await leads(house)
            assert former
            zombie.signal(signal.SIGSTOP)
            async with place.worker("core"):
                await end_backend(house, former)
                more = await give(author, 20)
                await all_told(author, more)
                await until(lambda: relayed(house))
                assert await leads(house) != former
                zombie.signal(signal.SIGCONT)
                ids |= more | (last := await give(author, 20))
                await all_told(author, last)
                await check(house, ids)
                assert zombie.process.returncode is None, zombie.said()


async def end_backend(house: Core, pid: int) -> None:
    async with house.pool.connection() as connection:
        await connection.execute("SELECT pg_terminate_backend(%s)", [pid])


async def test_a_deleted_consumer_ends_the_core_with_the_reason_and_a_code_of_its_own(place: Place) -> None:
    async with core(place.database_url, place.nats_url) as house, place.worker("core") as worker:
        author = await Client(house, await house.principal(Role.AUTHOR)).listen()
        await all_told(author, await give(author, 1))
        await house.bus.js.delete_consumer(streams.COMMANDS, streams.INTAKE)
        assert await worker.ends(30) == 72
        assert "The bus has no stream COMMANDS, or not its consumer" in worker.said()
        assert "Traceback" not in worker.said()


@pytest.mark.long
@pytest.mark.parametrize("stream", [streams.EVENTS, streams.DEAD, streams.SENDS, streams.COMMANDS])
async def test_a_deleted_stream_ends_the_core_too(place: Place, stream: str) -> None:
    async with core(place.database_url, place.nats_url) as house, place.worker("core") as worker:
        author = await Client(house, await house.principal(Role.AUTHOR)).listen()
        await all_told(author, await give(author, 1))
        await house.bus.js.delete_stream(stream)
        assert await worker.ends(40) == 72, worker.said()
        assert stream in worker.said().splitlines()[-1], worker.said()


async def beats(house: Core, role: str) -> dict[str, float]:
    told = await house.bus.ask(f"ctl.beats.{role}")
    ages: dict[str, float] = orjson.loads(told) if told else {}
    return ages


async def test_every_loop_of_the_core_beats(place: Place) -> None:
    """A loop that does not would be ended for a stalled one."""
    expected = {"intake", "relay", "sweeper", "projector", "reactors", "timers", "dispatch", "bus", "event-loop"}
    expected |= {"log-writer", "metrics", "intake-queue", "forgetting", "filling"}
    loops: set[str] = set()
    async with core(place.database_url, place.nats_url) as house, place.worker("core"):

        async def all_were_seen() -> bool:
            ages = await beats(house, "core")
            loops.update(ages)
            assert all(age < 15.0 for age in ages.values()), ages
            return loops >= expected

        await until(all_were_seen, 60)


@pytest.mark.long
@pytest.mark.timeout(300)
async def test_a_bus_that_is_away_for_longer_than_a_loop_may_stall_is_waited_for(
    database_url: str, nats_server: EmbeddedNats, scratch: Path
) -> None:
    place = Place(database_url, nats_server.url, scratch / "data")
    async with core(database_url, nats_server.url) as house, place.worker("core", stall_after=30.0) as worker:
        author = await Client(house, await house.principal(Role.AUTHOR)).listen()
        await all_told(author, await give(author, 1))
        await asyncio.to_thread(nats_server.kill)
        with pytest.raises(TimeoutError):
            await worker.ends(50)
        await asyncio.to_thread(nats_server.start)
        ids = await give(author, 3)
        await all_told(author, ids)


@pytest.mark.long
async def test_a_database_that_hangs_ends_the_core_and_the_reason_is_said(place: Place, database_url: str) -> None:
    """Its answers do not come, and its connection is not closed: here a lock that nobody gives back."""
    async with core(place.database_url, place.nats_url) as house:
        author = await Client(house, await house.principal(Role.AUTHOR)).listen()
        async with place.worker("core", stall_after=5.0) as worker:
            await all_told(author, await give(author, 1))
            async with house.pool.connection() as holder, holder.transaction():
                await holder.execute("LOCK TABLE commands, projected IN ACCESS EXCLUSIVE MODE")
                ids = await give(author, 1)
                assert await worker.ends(60) == 71, worker.said()
                assert "has not gone round for" in worker.said()
        async with place.worker("core"):
            await all_told(author, ids)
