"""Loops that wait servers out stop when they are told to, also when an outage's error comes in that moment."""

import asyncio
from pathlib import Path

from adapters.leader import Leader
from tests.adapters.cut_wire import cut_wire
from tests.workers.sending_house import core, house, running, sessions
from workers.leading import while_leading
from workers.persevering import through_outages

ROUNDS = 12


async def act_failing_late(begun: asyncio.Event) -> None:
    """An outage's error in the place of the cancellation."""
    try:
        begun.set()
        await asyncio.Event().wait()
    finally:
        raise ConnectionResetError


async def group_failing_late(begun: asyncio.Event) -> None:
    """The same in a group of tasks: it tells of its tasks' errors alone."""
    async with asyncio.TaskGroup() as group:
        group.create_task(act_failing_late(begun))


async def test_who_waits_an_outage_out_stops() -> None:
    begun = asyncio.Event()
    task = asyncio.create_task(through_outages(lambda: act_failing_late(begun)))
    await begun.wait()
    task.cancel()
    await asyncio.wait([task], timeout=5)
    assert task.cancelled()


async def test_who_leads_stops_and_lets_another_lead(database_url: str) -> None:
    begun = asyncio.Event()
    leader = Leader(database_url, "told-to-stop", 0.05)
    task = asyncio.create_task(while_leading(leader, lambda: group_failing_late(begun)))
    await begun.wait()
    task.cancel()
    await asyncio.wait([task], timeout=5)
    assert task.cancelled()
    other = Leader(database_url, "told-to-stop", 0.05)
    async with asyncio.timeout(10):
        await other.lead()
    await other.resign()


async def test_workers_stop_at_whatever_moment_the_database_goes_away(
    database_url: str, nats_url: str, scratch: Path
) -> None:
    async with cut_wire(scratch, database_url) as wire, house(wire.url, nats_url, scratch) as home:
        for moment in range(ROUNDS):
            async with asyncio.timeout(30), running(*core(home), *sessions(home)):
                for _ in range(2 * moment):
                    await asyncio.sleep(0)
                await wire.close()
