"""Rebuilt under load: commands are decided, projected and read meanwhile, and nobody is told anything wrong."""

import asyncio
import logging
import random
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

import pytest

from adapters.log_signal import LogSignal
from domain.message import Event, StreamId
from domain.send import DeliverySkipped, SendIntended
from infra.embedded import EmbeddedPostgres
from infra.migrate import migrate
from infra.rebuild import named, rebuild
from projections import jobs, outcomes
from projections.apply import PROJECTIONS
from tests.adapters.logs import an_item
from tests.projections.histories import DELIVERIES, Histories
from tests.rebuild.ground import Ground, differing, ground, laid
from workers.projector import Projector

log = logging.getLogger(__name__)

AT_ONCE = 20
# One statement sees one state: also while the tables change places.
DELIVERIES_AND_COUNTS = """
SELECT (SELECT count(*) FROM read_deliveries), (SELECT sum({}) FROM read_job_counts)
""".format(" + ".join(f'"{name}"' for name in jobs.COUNTED))


@dataclass
class Load:
    """Writers, the live projector, and readers; what they did, and how long the slowest read took."""

    here: Ground
    written: int = 0
    reads: int = 0
    slowest: float = 0.0

    async def write(self) -> None:
        """Deliveries, step by step, as the log's own writer stores them."""
        rng = random.Random(self.here.url)
        spaces = dict(await self.here.run("SELECT id, workspace FROM read_jobs"))
        while True:
            some = Histories(rng, jobs=list(spaces))
            for _ in range(AT_ONCE):
                some.begin_delivery(rng.choice(DELIVERIES))
            version, rest = 0, dict(some.streams)
            while rest:
                items = [
                    an_item(stream, events[version], expected=version, workspace=spaces[job_of(events)])
                    for stream, events in rest.items()
                ]
                assert {verdict.code for verdict in await self.here.store.append(items)} == {"ok"}
                version, rest = version + 1, longer(rest, version + 1)
                self.written += len(items)

    async def read(self) -> None:
        """What the API asks, again and again."""
        found = await self.here.run("SELECT id, workspace FROM read_jobs")
        least = (await self.here.run("SELECT count(*) FROM read_deliveries"))[0][0]
        while True:
            since = time.monotonic()
            async with self.here.models.connection() as connection:
                deliveries, counted = (await (await connection.execute(DELIVERIES_AND_COUNTS)).fetchall())[0]
                assert deliveries == counted >= least
                least = deliveries
                job_id, workspace = random.choice(found)
                job = await jobs.one(connection, workspace, job_id)
                assert job is not None
                assert await jobs.TABLE.one(connection, workspace, job_id) == job.row
                begun = await connection.execute("SELECT id FROM read_deliveries WHERE job_id = %s LIMIT 1", [job_id])
                for (delivery,) in await begun.fetchall():
                    assert await outcomes.one(connection, workspace, delivery) is not None
            self.slowest = max(self.slowest, time.monotonic() - since)
            self.reads += 1
            await asyncio.sleep(0.005)


def job_of(events: list[Event]) -> UUID:
    first = events[0]
    assert isinstance(first, SendIntended | DeliverySkipped)
    return first.job_id


def longer(streams: dict[StreamId, list[Event]], than: int) -> dict[StreamId, list[Event]]:
    return {stream: events for stream, events in streams.items() if len(events) > than}


@asynccontextmanager
async def load(here: Ground) -> AsyncIterator[Load]:
    """The house at work meanwhile."""
    signal, made = LogSignal(here.url), Load(here)
    await signal.start()
    loops = [made.write(), Projector(here.store, here.models, signal).run(), made.read(), made.read()]
    tasks = [asyncio.create_task(loop) for loop in loops]
    try:
        yield made
    finally:
        for task in tasks:
            task.cancel()
        ended = await asyncio.gather(*tasks, return_exceptions=True)
        await signal.stop()
    assert all(isinstance(one, asyncio.CancelledError) for one in ended), ended


async def test_nothing_is_missed_or_doubled_and_no_reader_is_told_wrong(here: Ground) -> None:
    async with load(here) as going:
        for name in ("all", "deliveries", "jobs", "all"):
            rebuilt = await rebuild(here.url, named(name))
            assert differing(rebuilt) == []
        assert going.written > 0
        assert going.reads > 0
    await here.project()
    checked = await rebuild(here.url, swap=False)
    assert differing(checked) == []
    assert checked.compared_at == await here.store.head()


@pytest.mark.long
@pytest.mark.timeout(900)
async def test_three_hundred_thousand_events_under_load(scratch: Path) -> None:
    server = EmbeddedPostgres(scratch / "postgres")
    server.start()
    try:
        migrate(server.url)
        await laid(server.url, 300_000)
        async with ground(server.url) as here, load(here) as going:
            for _ in range(3):
                rebuilt = await rebuild(here.url, PROJECTIONS)
                assert differing(rebuilt) == []
                assert rebuilt.readers_stood < 5
                told = f"{rebuilt.rate:,.0f} events/s; readers stood {rebuilt.readers_stood:.3f} s, the projector "
                told += (
                    f"{rebuilt.projector_stood:.3f} s; the slowest of {going.reads} reads took {going.slowest:.3f} s; "
                )
                log.warning("%s %d events were written", told, going.written)
    finally:
        server.stop()
