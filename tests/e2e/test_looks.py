"""The core's view of the house: true while all is there, and silent about what a server that is away knows."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest
from prometheus_client import CollectorRegistry, generate_latest
from psycopg_pool import AsyncConnectionPool

from adapters import streams
from adapters.bus import Bus
from adapters.census import Census
from adapters.event_store import EventStore
from adapters.progress import Progress
from domain.campaign import CampaignArchived
from domain.message import StreamId
from infra.embedded import EmbeddedNats
from infra.looks import FRESH, OfHouse, OfProcess
from projections.apply import ReadModels
from tests.adapters.logs import an_item


def clock() -> datetime:
    return datetime.now(UTC)


@pytest.fixture
async def pool(database_url: str) -> AsyncIterator[AsyncConnectionPool]:
    async with AsyncConnectionPool(database_url, min_size=1, open=False, kwargs={"autocommit": True}) as made:
        await made.wait()
        yield made


@pytest.fixture
async def house(pool: AsyncConnectionPool, database_url: str, nats_url: str) -> AsyncIterator[OfHouse]:
    """A house in which nobody works: no relay, no projector, no reactors."""
    store, bus = EventStore(database_url), await Bus.connect(nats_url, "test")
    await streams.declare(bus.js, streams.Limits())
    store.start()
    readers = {"projections": ReadModels(pool).position, "reactors": Progress(pool).position}
    try:
        yield OfHouse(store, bus, Census(pool, bus), readers, clock)
    finally:
        await store.stop()
        await bus.close()


async def told(house: OfHouse) -> dict[str, float]:
    """What a look shows, by series."""
    house._looked = 0.0  # as if the last one were long ago
    await house.look()
    registry = CollectorRegistry()
    registry.register(house)
    lines = [line for line in generate_latest(registry).decode().splitlines() if not line.startswith("#")]
    return {name: float(value) for name, _, value in (line.rpartition(" ") for line in lines)}


async def test_readers_that_do_not_move_are_behind_in_events_and_seconds(house: OfHouse) -> None:
    assert set((await told(house)).values()) == {0.0, 1.0}  # an empty house: servers are up, nothing else
    old = clock() - timedelta(minutes=10)
    await house.store.append([an_item(StreamId(f"campaign-{uuid4()}"), CampaignArchived(), now=old) for _ in range(3)])
    found = await told(house)
    for reader in ("relay", "projections", "reactors"):
        assert found[f'drumline_log_lag_events{{reader="{reader}"}}'] == found["drumline_log_position"] == 3
        assert 590 < found[f'drumline_log_lag_seconds{{reader="{reader}"}}'] < 700
    assert found['drumline_jobs{status="running"}'] == found["drumline_dead_letters"] == 0


async def test_an_account_waits_for_permits_only_while_a_job_runs(house: OfHouse, pool: AsyncConnectionPool) -> None:
    busy, idle = uuid4(), uuid4()
    async with pool.connection() as connection:
        await connection.execute("INSERT INTO leases (account, permits) SELECT unnest(%s::uuid[]), 0", [[busy, idle]])
    assert (await told(house))["drumline_accounts_without_permits"] == 0
    async with pool.connection() as connection:
        for status, accounts in (("running", [busy]), ("completed", [busy, idle])):
            await connection.execute(
                "INSERT INTO job_progress (job_id, workspace, audience, accounts, parts, recipients, status, messages,"
                " seconds) VALUES (gen_random_uuid(), 'here', 'root', %s, 1, 1, %s, 1, 1)",
                [accounts, status],
            )
    assert (await told(house))["drumline_accounts_without_permits"] == 1


async def test_what_a_broker_that_is_away_knows_is_left_out(house: OfHouse, nats_server: EmbeddedNats) -> None:
    await asyncio.to_thread(nats_server.stop)
    found = await told(house)
    assert (found['drumline_server_up{server="nats"}'], found['drumline_server_up{server="postgresql"}']) == (0, 1)
    assert "drumline_sends_queued" not in found
    assert 'drumline_log_lag_events{reader="relay"}' not in found
    assert 'drumline_log_lag_events{reader="projections"}' in found
    await asyncio.to_thread(nats_server.start)
    async with asyncio.timeout(20):
        while (await told(house))['drumline_server_up{server="nats"}'] == 0:  # noqa: ASYNC110  # another process's doing
            await asyncio.sleep(0.05)  # its client comes back by itself


async def test_many_who_look_at_once_ask_the_servers_once(house: OfHouse, pool: AsyncConnectionPool) -> None:
    await asyncio.gather(*(house.look() for _ in range(5)))
    asked = pool.get_stats()["requests_num"]
    await house.look()
    assert FRESH > 0.5
    assert pool.get_stats()["requests_num"] == asked


async def test_waits_for_a_connection_are_told(pool: AsyncConnectionPool) -> None:
    values = OfProcess(pool).values()
    assert values["pool_connections"] == {("idle",): 1, ("used",): 0}
    async with pool.connection():
        assert OfProcess(pool).values()["pool_connections"]["used",] == 1
    assert OfProcess(pool).values()["pool_requests_total"][()] == 1
