"""Streams that are full, emptied or wiped, and readers that come too late: nothing is lost, nobody stops."""

import asyncio
import shutil
from collections.abc import AsyncIterator
from pathlib import Path
from uuid import UUID, uuid4

import pytest

from adapters import streams
from adapters.bus import Bus
from adapters.cloudevents import MSG_ID, Address, command_headers
from adapters.event_store import EventStore, LogUnavailable
from adapters.outages import OUTAGES
from adapters.streams import Limits
from domain.message import Role
from infra.embedded import EmbeddedNats
from tests.faults import invariants
from tests.faults.processes import Place
from tests.faults.test_commands import all_told, answered, check, give, pending_by_http, relayed
from tests.workers.core import QUICK, Client, Core, campaign, clock, core, until
from tests.workers.test_relay import campaigns
from workers.sweeper import Sweeper

TINY = 6_000  # bytes: about ten events


@pytest.fixture
async def house(database_url: str, nats_url: str) -> AsyncIterator[Core]:
    async with core(database_url, nats_url) as made:
        yield made


async def test_a_full_events_forgets_its_oldest_and_the_relay_goes_on(house: Core) -> None:
    await streams.declare(house.bus.js, Limits(duplicate_window=0.5, events_bytes=TINY))
    async with house.running(house.relay().run):
        for _ in range(8):
            await campaigns(house, 10)
            await until(lambda: relayed(house))
    log = await invariants.whole_log(house.store)
    assert 0 < await invariants.i6_events_is_a_window_of_the_log(house.bus, log) < 30
    assert len(log) == 81


async def test_a_page_larger_than_all_of_events_is_relayed(house: Core) -> None:
    await streams.declare(house.bus.js, Limits(duplicate_window=0.5, events_bytes=TINY))
    await campaigns(house, 400)
    async with house.running(house.relay().run):
        await until(lambda: relayed(house), 20)
    log = await invariants.whole_log(house.store)
    assert await invariants.i6_events_is_a_window_of_the_log(house.bus, log) > 0


async def test_an_events_that_grows_old_is_a_window_still(house: Core) -> None:
    await streams.declare(house.bus.js, Limits(duplicate_window=0.1, events_age=0.5))
    async with house.running(house.relay().run):
        await campaigns(house, 10)
        await until(lambda: relayed(house))
        await until(lambda: empty(house))
        await campaigns(house, 10)
        await until(lambda: relayed(house))
    log = await invariants.whole_log(house.store)
    # What has grown old meanwhile may be gone, but nothing of it came twice.
    await invariants.i6_events_is_a_window_of_the_log(house.bus, log, complete=False)


async def empty(house: Core) -> bool:
    return not (await house.bus.js.stream_info(streams.EVENTS)).state.messages


async def test_who_reads_too_late_sees_the_hole_and_reads_the_log(house: Core) -> None:
    """What an outside reader does: `Drl-Prev` is not what it saw last, so it asks the log for what lies between."""
    await streams.declare(house.bus.js, Limits(duplicate_window=0.5, events_bytes=TINY))
    async with house.running(house.relay().run):
        await campaigns(house, 5)
        await until(lambda: relayed(house))
        seen = [str(one.envelope.event_id) for one in await house.store.page(0, 5)]
        last = (await house.store.page(0, 5))[-1].position
        await campaigns(house, 100)
        await until(lambda: relayed(house))
    state = (await house.bus.js.stream_info(streams.EVENTS)).state
    holes = 0
    for sequence in range(state.first_seq, state.last_seq + 1):
        headers = (await house.bus.js.get_msg(streams.EVENTS, sequence)).headers or {}
        position = int(headers["Drl-Position"])
        if int(headers["Drl-Prev"]) != last:
            holes += 1
            missed = [one for one in await house.store.page(last, 1_000) if one.position < position]
            seen += [str(one.envelope.event_id) for one in missed]
        seen.append(headers["ce-id"])
        last = position
    assert holes == 1
    assert seen == [str(one.envelope.event_id) for one in await invariants.whole_log(house.store)]


async def test_a_full_commands_refuses_its_publishers_and_what_http_accepted_waits_for_room(house: Core) -> None:
    await streams.declare(house.bus.js, Limits(duplicate_window=0.5, ack_wait=2.0, commands_bytes=4_000))
    author = await Client(house, await house.principal(Role.AUTHOR)).listen()
    taken = set[UUID]()
    address = Address(author.actor.workspace, author.actor.id, "campaign.create")

    async def fill() -> None:
        while len(taken) < 100:
            command_id = uuid4()
            await house.bus.command(address, command_id, b'{"title": "x"}', clock())
            taken.add(command_id)

    with pytest.raises(OUTAGES):
        await fill()
    assert 0 < len(taken) < 100
    ids = await pending_by_http(house, author, 30)
    sweeper = Sweeper(house.bus, house.inbox, house.contents, clock, after=0.1)
    async with house.running(sweeper.run), house.running(house.intake().run):
        await until(lambda: answered(house, author, ids), 20)
    await invariants.i2_every_command_is_accounted_for(house.pool, house.bus, ids | taken)


async def test_an_equal_id_of_two_keys_is_dropped_by_the_broker_within_its_window(house: Core) -> None:
    """Documented: ids are to be random. With a message id of its own it is another command, as ever."""
    one = await Client(house, await house.principal(Role.AUTHOR)).listen()
    two = await Client(house, await house.principal(Role.AUTHOR)).listen()
    same = uuid4()
    async with house.running(house.intake().run):
        assert (await one.ask("campaign.create", campaign(), command_id=same))["state"] == "applied"
        headers = command_headers(Address(two.actor.workspace, two.actor.id, "campaign.create"), same, clock())
        own = {MSG_ID: f"{two.actor.id}-{headers[MSG_ID]}"}
        assert (await two.ask("campaign.create", campaign(), command_id=same, headers=own))["state"] == "applied"


async def wiped(server: EmbeddedNats, *, running: bool) -> None:
    """JetStream's directory is gone: under a running server that is killed then, or while it is stopped."""
    await asyncio.to_thread(server.kill if running else server.stop)
    await asyncio.to_thread(shutil.rmtree, server.home / "jetstream")


@pytest.mark.parametrize("running", [True, pytest.param(False, marks=pytest.mark.long)], ids=["killed", "stopped"])
async def test_a_wiped_bus_is_filled_again_and_what_http_accepted_is_decided(
    database_url: str, nats_server: EmbeddedNats, scratch: Path, running: bool
) -> None:
    """With real processes and what `up` does: start the server, declare, start who ended."""
    place = Place(database_url, nats_server.url, scratch / "data")
    async with core(database_url, nats_server.url) as house:
        author = await Client(house, await house.principal(Role.AUTHOR)).listen()
        async with place.worker("core", sweep_after=0.3):
            first = await give(author, 20)
            await all_told(author, first)
            await until(lambda: relayed(house))
        accepted = await pending_by_http(house, author, 20)
        await wiped(nats_server, running=running)
        await asyncio.to_thread(nats_server.start)
        bus = await Bus.connect(nats_server.url, "deploy")
        await streams.declare(bus.js, QUICK)
        await bus.close()
        async with place.worker("core", sweep_after=0.3):
            await until(lambda: answered(house, author, accepted), 40)
            more = await give(author, 5)
            await all_told(author, more)
            await check(house, first | accepted | more)


@pytest.mark.long
async def test_a_bus_wiped_under_running_workers_ends_them_with_the_reason_or_is_made_in_time(
    database_url: str, nats_server: EmbeddedNats, scratch: Path
) -> None:
    place = Place(database_url, nats_server.url, scratch / "data")
    async with core(database_url, nats_server.url) as house:
        author = await Client(house, await house.principal(Role.AUTHOR)).listen()
        async with place.worker("core") as worker:
            first = await give(author, 5)
            await all_told(author, first)
            await wiped(nats_server, running=True)
            await asyncio.to_thread(nats_server.start)
            assert await worker.ends(60) == 72, worker.said()
            assert "run `drumline migrate`" in worker.said()
        await streams.declare(house.bus.js, QUICK)
        async with place.worker("core"):
            more = await give(author, 5)
            await all_told(author, more)
            await check(house, first | more)


async def test_an_outage_while_something_is_read_is_called_one_soon() -> None:
    """The library's own errors would end the loop that reads, and its own patience would stall it."""
    store = EventStore("postgresql://nobody@127.0.0.1:1/nothing")
    try:
        async with asyncio.timeout(20):
            with pytest.raises(LogUnavailable):
                await store.page(0)
    finally:
        await store.stop()
