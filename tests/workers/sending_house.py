"""Everything that sends, on real servers, with messengers that need no browser and a ledger that tells the truth."""

import asyncio
import hashlib
import shutil
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

from psycopg import AsyncConnection
from psycopg_pool import AsyncConnectionPool

from adapters import media
from adapters.audience_import import AudienceImport
from adapters.audiences import Audiences, SubmissionFacts
from adapters.bus import Bus
from adapters.contents import Contents
from adapters.cursors import Cursors
from adapters.event_store import EventStore
from adapters.forgotten_chats import ForgottenChats
from adapters.inbound import Inbound
from adapters.leader import Leader
from adapters.leases import Leases, Owner
from adapters.log_signal import LogSignal
from adapters.media_opened import Opened
from adapters.media_store import Directory
from adapters.progress import Progress
from adapters.sandbox import ledger
from adapters.sandbox.memory import InstantMessenger, Profile
from adapters.sandbox.world import Timings, World
from adapters.sealing import Sealing
from adapters.sends import Sends
from adapters.sessions import Sessions
from adapters.streams import Limits, declare
from adapters.timers import TimerTable
from adapters.unplaced import Unplaced
from adapters.vault import Vault
from adapters.whatsapp_web import browser
from adapters.whatsapp_web.driver import WhatsAppWeb
from domain import job as jobs
from domain.content import MediaKind
from domain.message import Actor, Command, PrincipalId, Recorded, Role, WorkspaceId
from domain.ports import Messenger
from workers.batches import Batches
from workers.decisions import Decisions, Outcome, Request
from workers.dispatch import Dispatch
from workers.reactors import Reactors
from workers.receipts import Receipts
from workers.session import SessionWorker
from workers.session_tools import Launched, Tools
from workers.timers import Timers

HERE = WorkspaceId("here")
AUTHOR = Actor(PrincipalId("author"), HERE, frozenset({Role.AUTHOR, Role.ADMIN, Role.OPERATOR}))
LIMITS = Limits(sends_ack_wait=3.0)
TIMINGS = Timings(delivered_after=0.01, read_after=0.02)


def now() -> datetime:
    return datetime.now(UTC)


@dataclass
class House:
    """What tests reach for; `core` and `sessions` are the workers, run by `running`."""

    database_url: str
    data: Path
    pool: AsyncConnectionPool[AsyncConnection[Any]]
    store: EventStore
    decisions: Decisions
    contents: Contents
    media: media.Media
    imports: AudienceImport
    bus: Bus
    sends: Sends
    tools: Tools
    reactors: Reactors
    timers: Timers
    dispatch: Dispatch
    world: World
    used: dict[UUID, InstantMessenger] = field(default_factory=dict)  # each account's latest
    phones: dict[UUID, str] = field(default_factory=dict)

    async def give(self, command: Command, actor: Actor = AUTHOR) -> Outcome:
        """A command from outside, applied."""
        outcome = await self.decisions.one(Request(command, actor, uuid4()))
        assert outcome.state == "applied", outcome
        return outcome

    async def job(self, job_id: UUID) -> jobs.Job:
        stream = jobs.DECIDER.stream(job_id)
        loaded = await self.store.load([stream])
        state: jobs.Job = loaded[stream].state
        return state

    async def events(self) -> list[Recorded]:
        """The whole log."""
        found: list[Recorded] = []
        while page := await self.store.page(found[-1].position if found else 0):
            found += page
        return found

    def wire(self) -> list[ledger.Entry]:
        """What reached the wire, read from the file."""
        return list(ledger.read(self.data / "ledger.jsonl"))

    async def declare(self) -> None:
        """What a deploy does for the bus."""
        await declare(self.bus.js, LIMITS)

    async def rows(self, query: str, *values: object) -> list[tuple[Any, ...]]:
        async with self.pool.connection() as connection:
            return await (await connection.execute(query.encode(), values)).fetchall()


@asynccontextmanager
async def house(database_url: str, nats_url: str, data: Path, page: str = "") -> AsyncIterator[House]:
    """Builds everything as the composition root does; nothing runs yet. Sessions open the page, if one is given."""
    async with AsyncExitStack() as stack:
        pool: AsyncConnectionPool[AsyncConnection[Any]] = await stack.enter_async_context(
            AsyncConnectionPool(database_url, min_size=2, max_size=8, kwargs={"autocommit": True}, open=False)
        )
        bus = await Bus.connect(nats_url, "test")
        stack.push_async_callback(bus.close)
        await declare(bus.js, LIMITS)
        store = EventStore(database_url)
        store.start()
        stack.push_async_callback(store.stop)
        signal = LogSignal(database_url)
        await signal.start()
        stack.push_async_callback(signal.stop)
        sealing = Sealing(bytes(range(32)), bytes(range(32, 64)))
        contents, vault, audiences = Contents(pool, sealing), Vault(pool, sealing), Audiences(pool)
        opened = Opened(data / "opened", most=10**8)
        stack.callback(opened.close)
        files = media.Media(
            pool, sealing, Directory(data / "media"), media.Limits(dict.fromkeys(MediaKind, 10**7), 10**8), opened
        )
        decisions = Decisions(store, SubmissionFacts(audiences, contents), now)
        sends, progress, sessions = Sends(bus), Progress(pool), Sessions(pool)
        leases, inbound = Leases(pool, Owner.here()), Inbound(pool, sealing, vault)
        timers = Timers(TimerTable(pool), decisions, now)
        world = World(data, TIMINGS, durable=False)  # what is killed here are processes, not the machine
        stack.callback(world.close)
        used: dict[UUID, InstantMessenger] = {}

        web = await stack.enter_async_context(WhatsAppWeb(url=page)) if page else None

        def open_messenger(account: UUID, launched: Launched) -> Messenger:
            if web is not None:
                return web.session(data / "profiles" / str(account), launched=launched)
            messenger = used[account] = InstantMessenger(world, profile_of(world, account))
            return messenger

        async def kill_former(account: UUID, process_group: int | None) -> None:
            if web is not None:
                await browser.kill_former(data / "profiles" / str(account), process_group)
            elif account in used:
                await used[account].stop()

        async def erase_profile(account: UUID) -> None:
            if web is not None:
                shutil.rmtree(data / "profiles" / str(account), ignore_errors=True)
            world.devices.pop(profile_of(world, account).device, None)

        tools = Tools(
            store,
            decisions,
            Batches(store, audiences, contents, vault, files),
            progress,
            sessions,
            inbound,
            Unplaced(pool, sealing),
            vault,
            leases,
            sends,
            Receipts(sessions, decisions),
            ForgottenChats(pool, sealing),
            open_messenger,
            kill_former,
            erase_profile,
        )
        yield House(
            database_url,
            data,
            pool,
            store,
            decisions,
            contents,
            files,
            AudienceImport(pool, vault, sealing, now),
            bus,
            sends,
            tools,
            Reactors(store, progress, timers, signal, sends, Leader(database_url, "reactors", 0.1), now),
            timers,
            Dispatch(
                store,
                decisions,
                Cursors(pool),
                audiences,
                leases,
                sends,
                Leader(database_url, "dispatch", 0.1),
                now,
            ),
            world,
            used,
        )


def profile_of(world: World, account: UUID) -> Profile:
    """What the account's browser profile keeps, also over the end of this process."""
    device = hashlib.sha256(account.bytes).hexdigest()[:18].upper()
    return Profile(device, "secret-of-" + device, "a,b,c", linked=device in world.devices)


@asynccontextmanager
async def running(*workers: Callable[[], Awaitable[None]]) -> AsyncIterator[None]:
    """Run workers; one that ends by itself fails the test."""
    tasks = [asyncio.ensure_future(worker()) for worker in workers]
    try:
        yield
        for task in tasks:
            if task.done():
                task.result()
    finally:
        for task in tasks:
            task.cancel()
        ended = await asyncio.gather(*tasks, return_exceptions=True)
        failed = [error for error in ended if isinstance(error, Exception)]
        if failed:
            raise failed[0]


def core(home: House) -> list[Callable[[], Awaitable[None]]]:
    return [home.reactors.run, home.timers.run, home.dispatch.run]


def sessions(home: House) -> list[Callable[[], Awaitable[None]]]:
    return [SessionWorker(home.tools).run]


async def until(condition: Callable[[], Awaitable[bool]], seconds: float = 30.0) -> None:
    """Wait for a condition."""
    async with asyncio.timeout(seconds):
        while not await condition():  # noqa: ASYNC110  # conditions are read from servers: nothing here sets an event
            await asyncio.sleep(0.02)
