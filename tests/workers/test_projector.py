"""The projector on the real log: soon after a commit it shows; two of them, an outage or a rebuild do no harm."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from uuid import UUID, uuid4

import psycopg
import pytest
from psycopg_pool import AsyncConnectionPool

from adapters.event_store import EventStore
from adapters.log_signal import LogSignal
from domain.campaign import CampaignCreated, CampaignRevised
from domain.content import TextPart
from domain.message import Ref, StreamId
from projections import campaigns
from projections.apply import ReadModels
from tests.adapters.logs import an_item, opened
from tests.builders import HERE
from tests.waiting import until
from workers.projector import Projector

TEXT = Ref("a" * 64)


@dataclass
class Log:
    """A log, its read models, and projectors of it."""

    store: EventStore
    models: ReadModels
    signal: LogSignal
    pool: AsyncConnectionPool

    def projector(self, page: int = 500) -> Projector:
        return Projector(self.store, self.models, self.signal, page=page)

    async def campaign(self, revisions: int = 0) -> UUID:
        """A campaign in the log."""
        campaign = uuid4()
        stream = StreamId(f"campaign-{campaign}")
        later = [CampaignRevised(TEXT, (TextPart(TEXT),), uuid4()) for _ in range(revisions)]
        await self.store.append([an_item(stream, CampaignCreated(TEXT, (TextPart(TEXT),), None), *later)])
        return campaign

    async def shown(self, campaign: UUID) -> campaigns.Row | None:
        async with self.models.connection() as connection:
            return await campaigns.TABLE.one(connection, HERE, campaign)

    async def all_shown(self) -> bool:
        return await self.models.position() == await self.store.head()


@pytest.fixture
async def log(database_url: str) -> AsyncIterator[Log]:
    async with (
        opened(database_url) as store,
        AsyncConnectionPool(
            database_url, min_size=1, max_size=4, kwargs={"autocommit": True}, timeout=3, open=False
        ) as pool,
    ):
        signal = LogSignal(database_url)
        await signal.start()
        try:
            yield Log(store, ReadModels(pool), signal, pool)
        finally:
            await signal.stop()


@asynccontextmanager
async def running(*projectors: Projector) -> AsyncIterator[None]:
    tasks = [asyncio.create_task(projector.run()) for projector in projectors]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        ended = await asyncio.gather(*tasks, return_exceptions=True)
    assert all(isinstance(one, asyncio.CancelledError) for one in ended), ended


async def test_what_is_committed_is_soon_shown(log: Log) -> None:
    async with running(log.projector()):
        campaign = await log.campaign(revisions=2)
        await until(log.all_shown)
        row = await log.shown(campaign)
    assert row is not None
    assert row.version == 3


async def test_what_was_committed_before_it_started_is_shown_too(log: Log) -> None:
    made = [await log.campaign(revisions=3) for _ in range(5)]
    async with running(log.projector(page=3)):
        await until(log.all_shown)
    rows = [await log.shown(campaign) for campaign in made]
    assert [row.version for row in rows if row] == [4] * 5


async def test_two_projectors_count_nothing_twice(log: Log) -> None:
    async with running(log.projector(page=2), log.projector(page=5)):
        made = await asyncio.gather(*(log.campaign(revisions=4) for _ in range(20)))
        await until(log.all_shown)
    rows = [await log.shown(campaign) for campaign in made]
    assert [row.version for row in rows if row] == [5] * 20


async def test_it_goes_on_when_its_database_comes_back(log: Log) -> None:
    async with running(log.projector()):
        await log.campaign()
        await until(log.all_shown)
        async with log.pool.connection() as connection:
            await connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                "WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )
        campaign = await log.campaign()

        async def shown() -> bool:
            with suppress(psycopg.OperationalError):  # our own connections were cut off too
                return await log.shown(campaign) is not None
            return False

        await until(shown)


async def test_emptied_read_models_are_filled_again_by_a_running_projector(log: Log) -> None:
    async with running(log.projector()):
        campaign = await log.campaign(revisions=1)
        await until(log.all_shown)
        before = await log.shown(campaign)
        async with log.pool.connection() as connection, connection.transaction():
            await connection.execute("TRUNCATE read_campaigns")
            await connection.execute("UPDATE projected SET position = 0")
        await log.campaign()
        await until(log.all_shown)
        assert await log.shown(campaign) == before
