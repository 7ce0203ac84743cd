"""The core of drumline on a test's own servers: intake, relay and what they need, and a client of the bus."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

import orjson
from nats.aio.msg import Msg
from psycopg_pool import AsyncConnectionPool

from adapters import streams
from adapters.audiences import Audiences, SubmissionFacts
from adapters.bus import Bus, Message
from adapters.bus_messages import delivery, stored_as
from adapters.cloudevents import Address, command_headers
from adapters.contents import Contents
from adapters.dead_letters import DeadLetters
from adapters.event_store import EventStore
from adapters.inbox import Inbox
from adapters.keys import Keys
from adapters.leader import Leader
from adapters.log_signal import LogSignal
from adapters.sealing import Sealing
from domain.message import Actor, PrincipalId, Role, WorkspaceId
from domain.workspace import CreateWorkspace
from tests.waiting import until as until
from workers.commands import Intake
from workers.decisions import Decisions, Request
from workers.intake.retries import TOGETHER, TRIES
from workers.relay import Relay

HERE = WorkspaceId("here")
MASTER, PEPPER = bytes(range(32)), bytes(range(32, 64))
SYSTEM = Actor(PrincipalId("system-test"), HERE, frozenset({Role.SYSTEM}))
QUICK = streams.Limits(duplicate_window=0.5, ack_wait=2.0, commands_waiting=5_000)


def clock() -> datetime:
    return datetime.now(UTC)


@dataclass
class Core:
    """What a test can reach."""

    database_url: str
    pool: AsyncConnectionPool
    bus: Bus
    store: EventStore
    signal: LogSignal
    inbox: Inbox
    keys: Keys
    contents: Contents
    decisions: Decisions
    secrets: dict[PrincipalId, str] = field(default_factory=dict)

    @property
    def dead(self) -> DeadLetters:
        return DeadLetters(self.pool, self.contents, self.bus, clock)

    def intake(self, **options: Any) -> Intake:
        return Intake(self.bus, self.decisions, self.inbox, self.keys, self.contents, clock, retry=0.05, **options)

    def relay(self, **options: Any) -> Relay:
        leader = Leader(self.database_url, f"relay-{self.database_url}", retry=0.05)
        return Relay(self.bus, self.store, self.signal, leader, clock=clock, **options)

    @asynccontextmanager
    async def running(self, *runs: Callable[[], Awaitable[None]]) -> AsyncIterator[None]:
        """Run loops meanwhile; the one that fails fails the test."""
        tasks = [asyncio.ensure_future(run()) for run in runs]
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            for task in tasks:
                with contextlib.suppress(asyncio.CancelledError):
                    await task

    async def principal(self, *roles: Role, workspace: WorkspaceId = HERE) -> Actor:
        key = await self.keys.create(workspace, roles)
        self.secrets[key.id] = key.secret
        return Actor(key.id, workspace, frozenset(roles))

    async def make_workspace(self, workspace: WorkspaceId = HERE) -> None:
        actor = Actor(SYSTEM.id, workspace, SYSTEM.roles)
        await self.decisions.one(Request(CreateWorkspace(), actor, uuid4()))

    async def row(self, actor: Actor, command_id: UUID) -> Any:
        return await self.inbox.by_command(actor.workspace, command_id)

    async def deliver_in_vain(self, messages: int, *, tried: bool) -> None:
        """Five deliveries of the commands that wait, to handlers that were killed: while they tried them, or before."""
        subscription = await self.bus.js.pull_subscribe_bind(streams.INTAKE, streams.COMMANDS)
        taken: list[Msg] = []
        while len(taken) < TRIES * messages:
            for message in await subscription.fetch(messages, timeout=5):
                if tried and delivery(message.reply).times > TOGETHER:
                    await self.inbox.trying(stored_as(message))
                await message.nak()
                taken.append(message)

    async def events(self) -> list[Any]:
        return [recorded.event for recorded in await self.store.page(0, 10_000)]


@asynccontextmanager
async def core(database_url: str, nats_url: str, limits: streams.Limits = QUICK) -> AsyncIterator[Core]:
    """A core with its streams declared and its workspace made; no loop runs yet."""
    async with AsyncConnectionPool(
        database_url, min_size=1, max_size=6, kwargs={"autocommit": True}, open=False
    ) as pool:
        bus = await Bus.connect(nats_url, "test")
        signal = LogSignal(database_url)
        store = EventStore(database_url)
        sealing = Sealing(MASTER, PEPPER)
        contents = Contents(pool, sealing)
        decisions = Decisions(store, SubmissionFacts(Audiences(pool), contents), clock)
        try:
            store.start()
            await signal.start()
            await streams.declare(bus.js, limits)
            keys = Keys(pool, PEPPER, ttl=0.2)
            made = Core(database_url, pool, bus, store, signal, Inbox(pool), keys, contents, decisions)
            await made.make_workspace()
            yield made
        finally:
            await signal.stop()
            await store.stop()
            await bus.close()


async def drained(house: Core) -> bool:
    """Whether no command waits on the bus, or is being decided."""
    return await house.bus.length(streams.COMMANDS) == 0


class Client:
    """A principal's client of the bus, and the outcomes that came to its inbox."""

    def __init__(self, core: Core, actor: Actor) -> None:
        self._core = core
        self._nc = core.bus.nc
        self.actor = actor
        self.inbox = f"_INBOX.{actor.id}.{uuid4().hex}"
        self.arrived: asyncio.Queue[Msg] = asyncio.Queue()

    def actor_address(self, name: str) -> Address:
        """Where a command of this name goes."""
        return Address(self.actor.workspace, self.actor.id, name)

    async def listen(self) -> "Client":
        await self._nc.subscribe(self.inbox, cb=self.arrived.put)
        return self

    async def outcome(self, seconds: float = 30.0) -> dict[str, Any]:
        """The next outcome at the inbox."""
        async with asyncio.timeout(seconds):
            found: dict[str, Any] = orjson.loads((await self.arrived.get()).data)
            return found

    async def give(
        self,
        name: str,
        body: Mapping[str, Any] | bytes,
        command_id: UUID | None = None,
        *,
        workspace: WorkspaceId | None = None,
        headers: Mapping[str, str | None] | None = None,
    ) -> UUID:
        """Publish a command; headers given replace the usual ones, None removes one."""
        address = Address(workspace or self.actor.workspace, self.actor.id, name)
        command_id = command_id or uuid4()
        usual = command_headers(address, command_id, clock(), reply_to=self.inbox)
        changed = {**usual, **(headers or {})}
        data = body if isinstance(body, bytes) else orjson.dumps(body)
        kept = {key: value for key, value in changed.items() if value is not None}
        await self._core.bus.single(Message(address.subject, data, kept))
        return command_id

    async def ask(self, name: str, body: Mapping[str, Any] | bytes, **options: Any) -> dict[str, Any]:
        """Publish a command and wait for its outcome."""
        await self.give(name, body, **options)
        return await self.outcome()


def campaign(text: str = "Hello {{name}}", **more: Any) -> dict[str, Any]:
    """A body of `campaign.create`."""
    return {"campaign_id": str(uuid4()), "title": "Spring", "parts": [{"text": text}], **more}
