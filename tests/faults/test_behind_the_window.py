"""A service on the bus that fell behind the window of EVENTS sees the hole, and hears the rest from the log."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

import pytest
from nats.aio.msg import Msg

from adapters import streams
from domain.message import Role
from tests.api.house import House, Tenant
from tests.api.house import house as running
from tests.api.listeners import Listener

WINDOW = 8  # messages that the stream keeps


@pytest.fixture
def house(database_url: str, nats_url: str) -> Iterator[House]:
    """A house whose EVENTS keeps next to nothing."""
    with running(database_url, nats_url) as made:
        yield made


async def narrow(house: House) -> None:
    js = house.services.bus.js
    config = (await js.stream_info(streams.EVENTS)).config
    config.max_msgs = WINDOW
    await js.update_stream(config)


@dataclass
class Service:
    """What an operator's own service does: consume all of EVENTS, look for holes, fill them from `/v1/events`."""

    house: House
    tenants: list[Tenant]
    position: int = 0
    heard: list[str] = field(default_factory=list)
    holes: int = 0

    async def take(self, message: Msg) -> None:
        headers = message.headers or {}
        before, here = int(headers["Drl-Prev"]), int(headers["Drl-Position"])
        if here <= self.position:
            return  # from the log already
        if before > self.position:
            self.holes += 1
            await self.catch_up(before)
        self.heard.append(headers["ce-id"])
        self.position = here

    async def catch_up(self, upto: int) -> None:
        """Hear from the log what the window has forgotten, of each workspace, in the order of positions."""
        missed: dict[int, str] = {}
        for tenant in self.tenants:
            one = Listener(tenant.house.url, tenant.keys[Role.AUDITOR], after=str(self.position))
            async with listening(one):
                await reached(one, upto)
            missed |= {int(event["position"]): event["id"] for event in one.heard if int(event["position"]) <= upto}
        self.heard += [missed[position] for position in sorted(missed)]

    async def consume(self, count: int) -> None:
        """Go on from where it is, as a consumer of its own, until it has heard so many events of the log."""
        js = self.house.services.bus.js
        consumer = await js.pull_subscribe("evt.>", "service", stream=streams.EVENTS)
        async with asyncio.timeout(30):
            while len(self.heard) < count:
                for message in await consumer.fetch(5, timeout=5):
                    await self.take(message)
                    await message.ack()
        await consumer.unsubscribe()


@asynccontextmanager
async def listening(one: Listener) -> AsyncIterator[None]:
    task = asyncio.create_task(one.by_sse())
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def reached(one: Listener, position: int) -> None:
    async with asyncio.timeout(20):
        while True:
            if one.place and int(one.place) >= position:
                return
            await asyncio.sleep(0.01)


async def relayed(house: House) -> list[str]:
    """The ids of the whole log, once the relay has told its end."""
    log = await house.services.store.page(0, 100_000)
    async with asyncio.timeout(20):
        while True:
            _, last = await house.services.bus.last(streams.EVENTS)
            if last is not None and int(last.headers["Drl-Position"]) >= log[-1].position:
                return [str(one.envelope.event_id) for one in log]
            await asyncio.sleep(0.01)


def work(tenants: list[Tenant], rounds: int) -> None:
    for number in range(rounds):
        tenants[number % len(tenants)].campaign()


def test_a_service_behind_the_window_misses_nothing(house: House) -> None:
    house.run(narrow(house))
    tenants = [house.tenant(), house.tenant()]
    service = Service(house, tenants)
    work(tenants, 3)
    log = house.run(relayed(house))
    house.run(service.consume(len(log)))
    assert (service.heard, service.holes) == (log, 0)

    work(tenants, 3 * WINDOW)  # meanwhile it is away, and the window moves on
    log = house.run(relayed(house))
    kept: Any = house.run(house.services.bus.js.stream_info(streams.EVENTS))
    assert kept.state.messages == WINDOW
    house.run(service.consume(len(log)))
    assert (service.heard, service.holes) == (log, 1)
