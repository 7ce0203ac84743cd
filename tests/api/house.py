"""The API on a test session's own servers, with the workers that answer its commands, in a thread of its own."""

import asyncio
import socket
from collections.abc import Callable, Coroutine, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from contextlib import AsyncExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Thread
from typing import Any, TypeVar
from uuid import UUID, uuid4

import httpx
import uvicorn
from fastapi import FastAPI
from psycopg_pool import AsyncConnectionPool

from adapters import streams
from adapters.audience_import import AudienceImport
from adapters.audience_stream import StagedImport
from adapters.audiences import Audiences, SubmissionFacts
from adapters.bus import Bus
from adapters.contents import Contents
from adapters.dead_letters import DeadLetters
from adapters.event_feed import Feed
from adapters.event_store import EventStore
from adapters.imports import Imports
from adapters.inbound import Inbound
from adapters.inbox import Inbox
from adapters.keys import Keys
from adapters.leader import Leader
from adapters.log_signal import LogSignal
from adapters.media import Limits, Media
from adapters.media_fetch import Fetcher
from adapters.media_fetch import resolve as as_usual
from adapters.media_opened import Opened
from adapters.media_store import Directory
from adapters.media_uploads import Uploads
from adapters.phone_book import PhoneBook
from adapters.sealing import Sealing
from adapters.segments import Segments
from adapters.stated_consents import StatedConsents
from adapters.vault import Vault
from api.app import create
from api.deps import Services
from api.health import SharedLook
from domain.account import ReportReady
from domain.content import MediaKind
from domain.message import Actor, Command, PrincipalId, Role, WorkspaceId
from domain.rates import Rates
from infra import ports
from infra.quotas import quotas_of
from infra.serving import Server as Serving
from infra.serving import configured
from infra.settings import Settings
from projections.apply import ReadModels
from workers.commands import Intake
from workers.consents import Consents, ConsentWorker
from workers.decisions import Decisions, Outcome, Request
from workers.filling import Filling
from workers.imports import ImportWorker
from workers.projector import Projector
from workers.relay import Relay
from workers.sweeper import Sweeper

MASTER, PEPPER = bytes(range(32)), bytes(range(32, 64))
SWEEP = 0.5  # seconds
LARGEST = {kind: 200_000 if kind is MediaKind.IMAGE else 10_000_000 for kind in MediaKind}  # bytes
QUOTA = 40_000_000
ROLES = sorted(set(Role) - {Role.SYSTEM})

T = TypeVar("T")


def clock() -> datetime:
    return datetime.now(UTC)


@dataclass
class House:
    """What a test can reach: the address of the API, and what is behind it (through `run`)."""

    url: str
    loop: asyncio.AbstractEventLoop
    services: Services
    decisions: Decisions
    pool: AsyncConnectionPool
    app: FastAPI
    runs: dict[str, Callable[[], Coroutine[Any, Any, None]]]
    loops: dict[str, asyncio.Task[None]]
    http: httpx.Client = field(default_factory=lambda: httpx.Client(trust_env=False, timeout=40, verify=False))

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Let the house's own loop do something, and wait for it."""
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(30)

    @contextmanager
    def without(self, name: str) -> Iterator[None]:
        """Stop one of the workers meanwhile."""
        self.run(self._stop(name))
        try:
            yield
        finally:
            self.run(self._start(name))

    async def _stop(self, name: str) -> None:
        self.loops[name].cancel()
        await asyncio.wait([self.loops[name]])

    async def _start(self, name: str) -> None:
        self.loops[name] = asyncio.create_task(self.runs[name](), name=name)

    def tenant(self, *, created: bool = True) -> "Tenant":
        """A new workspace with a key for each role; other tests' data are not in it."""
        workspace = WorkspaceId(f"w{uuid4().hex[:12]}")
        keys = {role: self.key(workspace, role) for role in set(Role) - {Role.SYSTEM}}
        tenant = Tenant(self, workspace, keys)
        if created:
            tenant.ok("POST", "/v1/workspace", role=Role.ADMIN)
        return tenant

    def readyz(self) -> httpx.Response:
        """What the API says of itself now, and not a second ago."""
        self.app.state.look = SharedLook(self.services)
        return self.http.get(f"{self.url}/readyz")

    def key(self, workspace: WorkspaceId, *roles: Role) -> str:
        return self.run(self.services.keys.create(workspace, roles)).secret

    def decide(self, command: Command, workspace: WorkspaceId) -> Outcome:
        """What the system decides for itself."""
        system = Actor(PrincipalId("system-test"), workspace, frozenset({Role.SYSTEM}))
        return self.run(self.decisions.one(Request(command, system, uuid4())))


@dataclass
class Tenant:
    """A workspace, and whoever acts in it."""

    house: House
    workspace: WorkspaceId
    keys: dict[Role, str]

    def ask(self, method: str, path: str, *, role: Role = Role.AUTHOR, **options: Any) -> httpx.Response:
        """One request under a role's key."""
        headers = {"Authorization": f"Bearer {self.keys[role]}"} | options.pop("headers", {})
        return self.house.http.request(method, self.house.url + path, headers=headers, **options)

    def ok(self, method: str, path: str, body: Any = None, *, role: Role = Role.AUTHOR, **options: Any) -> Any:
        """A request that must succeed; commands are waited for."""
        headers = {"Prefer": "wait=20"} | options.pop("headers", {})
        options |= {} if body is None else {"json": body}
        response = self.ask(method, path, role=role, headers=headers, **options)
        assert response.status_code == 200, response.text
        return response.json()

    def problem(self, method: str, path: str, body: Any = None, *, role: Role = Role.AUTHOR, **options: Any) -> Any:
        """A request that must be refused; the problem document."""
        headers = {"Prefer": "wait=20"} | options.pop("headers", {})
        options |= {} if body is None else {"json": body}
        return problem_in(self.ask(method, path, role=role, headers=headers, **options))

    def campaign(self, **fields: Any) -> UUID:
        body = {"title": "Spring", "parts": [{"text": "Hello {{name}}"}]} | fields
        return UUID(self.ok("POST", "/v1/campaigns", body)["campaign_id"])

    def audience(self, rows: int = 3) -> UUID:
        answer = self.ok("POST", "/v1/audiences", files=csv_of(people(rows)), data={"title": "Customers"})
        return UUID(answer["audience_id"])

    def account(self, *, ready: bool = True) -> UUID:
        account = UUID(self.ok("POST", "/v1/accounts", {"label": "Desk"}, role=Role.OPERATOR)["account_id"])
        if ready:
            outcome = self.house.decide(ReportReady(account), self.workspace)
            assert outcome.state == "applied"
        return account

    def job(self, rows: int = 3, **fields: Any) -> dict[str, Any]:
        """A submitted job, as the API shows it."""
        campaign = self.campaign(audience_id=str(self.audience(rows)))
        body = {"campaign_id": str(campaign), "accounts": [str(self.account())]} | fields
        answer = self.ok("POST", "/v1/jobs", body)
        job: dict[str, Any] = self.ok("GET", f"/v1/jobs/{answer['job_id']}")
        return job


def people(rows: int) -> str:
    """A list of people with numbers kept for fiction."""
    lines = [f"+1202555{100 + row:04},Person {row},yes" for row in range(rows)]
    return "\n".join(["number,name,consent", *lines])


def csv_of(text: str) -> dict[str, Any]:
    return {"file": ("people.csv", text.encode(), "text/csv")}


def problem_in(response: httpx.Response) -> dict[str, Any]:
    """The problem document in an answer, whose form is checked here for every test."""
    assert response.headers["content-type"] == "application/problem+json", response.text
    document: dict[str, Any] = response.json()
    assert response.status_code == document["status"] >= 400
    assert document["rule"]
    assert document["field"]
    assert document["detail"].strip(), document
    assert document["type"] == f"urn:drumline:rule:{document['rule']}"
    return document


@contextmanager
def house(database_url: str, nats_url: str) -> Iterator[House]:
    """A running house."""
    loop, end = asyncio.new_event_loop(), asyncio.Event()
    ready: Future[House] = Future()

    def live() -> None:
        with asyncio.Runner(loop_factory=lambda: loop) as runner:
            runner.run(serve(database_url, nats_url, ready, end))

    living: Future[None] = Future()
    # A daemon: where it does not end, a test fails and says so, and the process still ends.
    Thread(target=lambda: settle(living, live), name="house", daemon=True).start()
    both: list[Future[Any]] = [living, ready]
    wait(both, timeout=60, return_when=FIRST_COMPLETED)
    if living.done():
        living.result()  # tells why it did not start
    made = ready.result(0)
    try:
        with made.http:
            yield made
    finally:
        loop.call_soon_threadsafe(end.set)
        living.result(30)


def settle(future: "Future[None]", work: Callable[[], None]) -> None:
    """Do something, and let a future tell how it ended."""
    try:
        work()
    except BaseException as error:  # noqa: BLE001  # whoever waits for the future gets it
        future.set_exception(error)
    else:
        future.set_result(None)


class Server(Serving):
    """A server that says when it listens."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.up = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.up.set()


async def serve(database_url: str, nats_url: str, ready: "Future[House]", end: asyncio.Event) -> None:
    """Build the house, run it until the end, and close it."""
    async with AsyncExitStack() as stack:
        pool = AsyncConnectionPool(database_url, min_size=1, max_size=10, kwargs={"autocommit": True}, open=False)
        await stack.enter_async_context(pool)
        bus = await Bus.connect(nats_url, "test-api")
        stack.push_async_callback(bus.close)
        await streams.declare(bus.js, streams.Limits(duplicate_window=0.5))
        signal, store = LogSignal(database_url), EventStore(database_url)
        await signal.start()
        stack.push_async_callback(signal.stop)
        store.start()
        stack.push_async_callback(store.stop)
        sealing = Sealing(MASTER, PEPPER)
        contents, audiences, keys = Contents(pool, sealing), Audiences(pool), Keys(pool, PEPPER, ttl=0.2)
        models, inbox = ReadModels(pool), Inbox(pool)
        root = Path(stack.enter_context(TemporaryDirectory(prefix="drl-media-")))
        media, media_uploads = media_of(pool, sealing, root)
        decisions = Decisions(store, SubmissionFacts(audiences, contents), clock, files=media)
        vault = Vault(pool, sealing)
        imports = AudienceImport(pool, vault, sealing, clock)
        quotas = quotas_of(Settings())
        feed = Feed(store, signal, quotas.streams)
        dead = DeadLetters(pool, contents, bus, clock)
        uploads = Imports(pool, sealing)
        leader = Leader(database_url, "imports", retry=0.05)
        segments = Segments(pool, vault, sealing, clock)
        stated, consents = StatedConsents(pool, sealing), Consents(decisions, contents, models)
        staged = StagedImport(pool, vault, sealing)
        services = Services(
            rates=Rates(1_000_000),
            keys=keys,
            models=models,
            contents=contents,
            inbox=inbox,
            bus=bus,
            store=store,
            signal=signal,
            imports=imports,
            vault=vault,
            feed=feed,
            clock=clock,
            dead=dead,
            uploads=uploads,
            consents=stated,
            people=PhoneBook(pool, vault, sealing),
            segments=segments,
            inbound=Inbound(pool, sealing, vault),
            media=media,
            media_uploads=media_uploads,
            fetcher=Fetcher(resolve=resolve, ports=range(1, 65_536), allowed=lambda address: address == "127.0.0.1"),
            quotas=quotas,
        )
        port, listening = free_port()
        app = create(services)
        server = Server(configured(app, log_level="critical", timeout_graceful_shutdown=3))
        runs: dict[str, Callable[[], Coroutine[Any, Any, None]]] = {
            "imports": ImportWorker(uploads, staged, decisions, consents, leader).run,
            "consents": ConsentWorker(stated, consents).run,
            "intake": Intake(bus, decisions, inbox, keys, contents, clock).run,
            "projector": Projector(store, models, signal).run,
            "feed": feed.run,
            "filling": Filling(segments).run,
            "relay": Relay(bus, store, signal, Leader(database_url, "relay", retry=0.05)).run,
            "sweeper": Sweeper(bus, inbox, contents, clock, after=SWEEP).run,
        }
        loops = {name: asyncio.create_task(run(), name=name) for name, run in runs.items()}
        serving = asyncio.create_task(server.serve(sockets=[listening]))
        await server.up.wait()
        url = f"http://127.0.0.1:{port}"
        ready.set_result(House(url, asyncio.get_running_loop(), services, decisions, pool, app, runs, loops))
        await end.wait()
        server.should_exit = True
        await serving
        for task in loops.values():
            task.cancel()
        await asyncio.gather(*loops.values(), return_exceptions=True)


def media_of(pool: AsyncConnectionPool, sealing: Sealing, root: Path) -> tuple[Media, Uploads]:
    """Media in a directory of the house."""
    store = Directory(root / "media")
    media = Media(pool, sealing, store, Limits(LARGEST, quota=QUOTA), Opened(root / "opened", most=0))
    return media, Uploads(pool, sealing, store, media, timedelta(days=1))


async def resolve(name: str, port: int) -> Sequence[str]:
    """Names of examples lead to this machine; to others as they do."""
    return ["127.0.0.1"] if name.endswith(".example") else await as_usual(name, port)


def free_port() -> tuple[int, socket.socket]:
    """A port, and a socket that is bound to it."""
    port, bound = ports.free_port(), socket.socket()
    bound.bind(("127.0.0.1", port))
    return port, bound
