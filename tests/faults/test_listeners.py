"""A listener whose connection is cut again and again hears each event once, in order, while commands go on."""

import asyncio
import json
import os
import shutil
import signal
import sys
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import orjson
import pytest
import pytest_asyncio
from psycopg_pool import AsyncConnectionPool
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidMessage

from adapters.bus import Bus
from adapters.cloudevents import Address
from adapters.event_store import EventStore
from adapters.keys import Keys
from api.events import GONE
from domain import catalog
from domain.message import PrincipalId, Role, WorkspaceId
from infra import deploy
from infra.embedded import EmbeddedServers
from infra.ports import free_port
from infra.settings import Settings, read
from infra.supervisor import Supervisor
from tests.api.listeners import Listener
from tests.faults.cut_tcp import CuttableTcp, cuttable
from tests.waiting import until

EXAMPLE = Path(__file__).parents[2] / "examples" / "follow_events.py"
SHOP = WorkspaceId("shop")
SHORT = ("at once", "within", "kill")
CUTS = (*SHORT, "at once", "within", "at once", "within", "kill", "at once", "within")
pytestmark = pytest.mark.asyncio(loop_scope="module")
CUT_OFF = (httpx.TransportError, ConnectionClosed, InvalidHandshake, InvalidMessage, OSError, EOFError)


@dataclass
class Shop:
    """Servers, core and API as processes of their own, an author's key, and somebody who gives commands on the bus."""

    settings: Settings
    workers: Supervisor
    bus: Bus
    store: EventStore
    key: str
    given: int = 0

    async def give(self) -> None:
        """Create campaigns, one after another, until cancelled."""
        principal = PrincipalId(self.key[9:17])
        await self.bus.command(Address(SHOP, principal, "workspace.create"), uuid4(), b"{}", datetime.now(UTC))
        address = Address(SHOP, principal, "campaign.create")
        while True:
            body = {"campaign_id": str(uuid4()), "title": "Spring", "parts": [{"text": "Hello {{name}}"}]}
            await self.bus.command(address, uuid4(), orjson.dumps(body), datetime.now(UTC))
            self.given += 1
            await asyncio.sleep(0.01)

    async def log(self) -> list[str]:
        """The ids of all events of campaigns, as the log has them."""
        return [
            str(recorded.envelope.event_id)
            for recorded in await self.store.page(0, 100_000)
            if catalog.EVENT_NAMES[type(recorded.event)].startswith("campaign.")
        ]

    def end_api(self, how: signal.Signals) -> None:
        (api,) = [process for process in self.workers.processes if process.name == "api"]
        pid = api.child.running()
        assert pid is not None
        os.kill(pid, how)


@pytest.fixture(scope="module")
def home() -> Iterator[Path]:
    """As `scratch`, for all tests of this module."""
    path = Path(tempfile.mkdtemp(prefix="drl-"))
    path.chmod(0o711)  # for root without user namespaces, whose PostgreSQL is somebody else's
    yield path
    shutil.rmtree(path)


@pytest_asyncio.fixture(loop_scope="module")
async def shop(running: Shop) -> Shop:
    """It answers, though a test before this one ended its API."""
    await answers(running.settings.http_port)
    return running


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def running(home: Path) -> AsyncIterator[Shop]:
    settings = read(data_dir=home, http_port=free_port(), command_rate=200)
    workers = Supervisor(home / "run", lambda name, words: None)
    with EmbeddedServers(home) as servers:
        await deploy.prepare(settings)
        async with AsyncConnectionPool(servers.database_url, min_size=1, open=False) as pool:
            keys = Keys(pool, settings.pepper())
            author = await keys.create(SHOP, [Role.AUTHOR, Role.ADMIN])
        for role in ("core", "api"):
            workers.add(role, "-m", "infra.cli", "work", role, environment=settings.environment())
        bus, store = await Bus.connect(servers.nats_url, "test"), EventStore(servers.database_url)
        try:
            await workers.start()
            await answers(settings.http_port)
            yield Shop(settings, workers, bus, store, author.secret)
        finally:
            await workers.stop()
            await store.stop()
            await bus.close()


async def answers(port: int) -> None:
    """Wait until the API answers."""
    async with httpx.AsyncClient(trust_env=False) as http, asyncio.timeout(30):
        while True:
            with suppress(httpx.TransportError):
                await http.get(f"http://127.0.0.1:{port}/healthz")
                return
            await asyncio.sleep(0.05)


async def over_and_over(listen: Callable[[], Any]) -> None:
    """Come again whenever the connection is lost or refused, as a client does."""
    while True:
        with suppress(*CUT_OFF):
            await listen()
        await asyncio.sleep(0.02)


@dataclass
class Example:
    """The example, as a process of its own, and what it printed."""

    process: asyncio.subprocess.Process
    heard: list[dict[str, Any]] = field(default_factory=list)

    @property
    def ids(self) -> list[str]:
        return [event["id"] for event in self.heard]

    async def read(self) -> None:
        assert self.process.stdout is not None
        async for line in self.process.stdout:
            self.heard.append(json.loads(line))


@asynccontextmanager
async def example(url: str, key: str) -> AsyncIterator[Example]:
    line = [sys.executable, str(EXAMPLE), url, key, "campaign", "0"]
    process = await asyncio.create_subprocess_exec(*line, stdout=asyncio.subprocess.PIPE)
    one = Example(process)
    reading = asyncio.create_task(one.read())
    try:
        yield one
    finally:
        process.kill()
        await process.wait()
        await reading


async def cut(how: str, proxy: CuttableTcp, shop: Shop) -> None:
    """Cut all connections there are, in one way or another."""
    if how == "kill":
        shop.end_api(signal.SIGKILL)
        await until(lambda: not proxy.wires)
        await answers(shop.settings.http_port)
    else:
        await proxy.cut(after=120 if how == "within" else 0)  # an event has more than 400 bytes


@pytest.mark.timeout(180)
@pytest.mark.parametrize("cuts", [SHORT, pytest.param(CUTS, marks=pytest.mark.long)], ids=["three times", "ten times"])
async def test_a_listener_that_is_cut_off_hears_each_event_once_and_in_order(shop: Shop, cuts: Sequence[str]) -> None:
    async with cuttable(shop.settings.http_port) as proxy:
        url = f"http://127.0.0.1:{proxy.port}"
        stream, socket = (Listener(url, shop.key, after="0", topics="campaign") for _ in range(2))
        tasks = [
            asyncio.create_task(work)
            for work in (shop.give(), over_and_over(stream.by_sse), over_and_over(socket.by_websocket))
        ]
        try:
            async with example(url, shop.key) as third:
                for number, how in enumerate(cuts, 1):
                    before = [len(one.heard) for one in (stream, socket)]
                    await until(partial(lambda times: stream.times >= times <= socket.times, number))
                    await until(partial(heard_more, (stream, socket), before))
                    await cut(how, proxy, shop)
                await until(lambda: shop.given > 51)  # the cuts came early on a machine that is fast at them
                tasks[0].cancel()
                await asyncio.wait(tasks[:1])
                await until(lambda: len(stream.heard) >= shop.given)
                log = await shop.log()
                await until(lambda: all(len(one.heard) >= len(log) for one in (stream, socket, third)))
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)
    assert len(log) >= shop.given - 1 > 50
    assert stream.ids == log
    assert socket.ids == log
    assert third.ids == log  # it waits a second each time, so it was cut off less often
    assert min(stream.times, socket.times) > len(cuts)


async def test_a_process_that_is_told_to_end_says_goodbye_to_its_listeners(shop: Shop) -> None:
    url = f"http://127.0.0.1:{shop.settings.http_port}"
    stream, socket = Listener(url, shop.key), Listener(url, shop.key)
    both = [asyncio.create_task(stream.by_sse()), asyncio.create_task(socket.by_websocket())]
    await until(lambda: stream.place is not None and socket.place is not None)
    shop.end_api(signal.SIGTERM)
    async with asyncio.timeout(2.5):  # before the server would cut them off
        await both[0]  # a stream that ended, and was not broken off
        with pytest.raises(ConnectionClosed) as closed:
            await both[1]
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == GONE


def heard_more(listeners: Any, before: list[int]) -> bool:
    return all(len(one.heard) > count for one, count in zip(listeners, before, strict=True))
