"""All of drumline on this machine: servers, migrations, streams, then one of each worker; and what to do first."""

import asyncio
import contextlib
import json
import logging
import signal
from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Self

import httpx
from pydantic import SecretStr

from adapters.keys import Keys
from domain.quota import LONGEST_ACT
from infra import bus_users, deploy, logs
from infra.child import ServerError, usable
from infra.client import Api, until
from infra.embedded import EmbeddedNats, EmbeddedServers, Server, refuse_in_use
from infra.erasures import erase_again
from infra.logs import first, reason
from infra.people import People, people
from infra.ports import LOCAL, in_use
from infra.process.exit_codes import UNDECLARED
from infra.process.upkeep import FORESEEN, keep_up, seen_through, while_alive
from infra.settings import Settings
from infra.supervisor import Supervisor
from infra.targets import announced

END_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
READY_WITHIN = 60.0  # seconds
DECLARED_WITHIN = 10.0  # seconds
TIDYING = 15.0  # seconds a process may take to end, beside what it is doing
MARK = "demo"  # a file of this name in a data directory: nobody but demos has used it

Say = Callable[[str], None]
log = logging.getLogger("drumline")


class NotReady(ServerError):
    """A part did not come up in time; the message names it and where its log lies."""


class NotTended(ServerError):
    """Who looks after servers and workers failed in a way nobody foresaw; nothing is left running."""


class House:
    """A running drumline: `async with House(settings, print) as house: …`. `settings` then names the servers in use."""

    def __init__(self, settings: Settings, say: Say, sandbox_options: tuple[str, ...] = ()) -> None:
        self.settings = self.settings_given = settings
        self.versions: dict[str, str] = {}
        self._tell = say
        self._servers = EmbeddedServers(settings.data_dir, nats_port=settings.nats_port)
        self._sandbox_options = sandbox_options
        self._workers = Supervisor(settings.data_dir / "run", self._tell_death, self._before_again, self._say)
        self._tending = asyncio.TaskGroup()  # who looks after servers and workers: if one fails, all ends
        self._tenders: list[asyncio.Task[None]] = []
        self._down: set[Server] = set()  # servers that are being started again
        self._all_up = asyncio.Event()
        self._all_up.set()
        self._undeclared = False  # whether the bus was started again since its streams were declared

    async def __aenter__(self) -> Self:
        await self._tending.__aenter__()
        try:
            await self._start()
        except BaseException as error:
            await self.__aexit__(type(error), error, error.__traceback__)
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for tender in self._tenders:
            tender.cancel()
        await asyncio.gather(*self._tenders, return_exceptions=True)
        await self._workers.stop()
        await asyncio.to_thread(self._servers.stop)
        cancelled = error if isinstance(error, asyncio.CancelledError) else None  # by the group itself, perhaps
        try:
            await self._tending.__aexit__(type(cancelled) if cancelled else None, cancelled, trace)
        except BaseExceptionGroup as failed:
            log.critical("up ends: what looks after servers and workers failed", exc_info=first(failed))
            why = reason(first(failed))
            raise NotTended(f"What looks after servers and workers failed, and all was ended: {why}.") from failed

    async def welcome(self, workspace: str) -> People:
        """The workspace's people, with keys; the workspace itself when it does not exist yet."""
        async with deploy.pool_of(self.settings) as pool:
            keys = Keys(pool, self.settings.pepper(), limits=self.settings.command_limits)
            team = await people(keys, self.settings.keys_file, workspace)
        if said := await bus_users.let_in(self.settings, team.keys["author"]):
            self._say(said)
        async with Api(self.settings.api_url, team.keys["admin"]) as admin:
            await admin.post("/v1/workspace")
        return team

    def _refuse_ports(self) -> None:
        """Say at once which port is taken, instead of starting a process again and again.

        One that a worker of a killed supervisor holds is free once that is ended, before the next is started.
        """
        for name, host, worker in (("http_port", self.settings.http_host, "api"), ("sandbox_port", LOCAL, "sandbox")):
            port = getattr(self.settings, name)
            if in_use(port, host) and not self._workers.left(worker):
                raise ServerError(f"Port {port} is in use by another program: end it, or set DRUMLINE_{name.upper()}.")

    async def _start(self) -> None:
        if self.settings.data_dir.exists():
            refuse_in_use(self.settings.data_dir)
        self._refuse_ports()
        given = self.settings_given
        own = {"postgres": given.database_url is None, "nats": given.nats_url is None}
        await asyncio.to_thread(self._servers.start, **own)
        self.versions = self._servers.versions
        self.settings = given.model_copy(
            update={
                "database_url": given.database_url or SecretStr(self._servers.database_url),
                "nats_url": given.nats_url or SecretStr(self._servers.nats_url),
            }
        )
        await bus_users.prepare(self.settings)
        if said := await erase_again(self.settings):
            self._say(said)
        await bus_users.let_in(self.settings)  # what is left for people to do is said in the welcome
        self.settings = announced(self.settings)
        self._plan()
        await self._workers.start()
        self._tend()
        await self._ready()

    def _tend(self) -> None:
        """Have servers and workers looked after from here on."""
        looked_after = [keep_up(one.name, partial(self._look_after, one), self._say) for one in self._servers.started]
        for tending in (*looked_after, self._workers.watched()):
            self._tenders.append(self._tending.create_task(tending))

    def _plan(self) -> None:
        settings, environment = self.settings, self.settings.environment()
        if settings.whatsapp_url is None:
            place = ("--port", str(settings.sandbox_port), "--data-dir", str(settings.data_dir / "sandbox"))
            self._workers.add("sandbox", "-m", "adapters.sandbox", *place, *self._sandbox_options)
        for role in ("core", "sessions", "imports", "api"):
            # A send on its way comes to its outcome first, then the browsers close.
            patience = TIDYING + (LONGEST_ACT.total_seconds() if role == "sessions" else 0.0)
            self._workers.add(role, "-m", "infra.cli", "work", role, environment=environment, patience=patience)

    async def _ready(self) -> None:
        """Wait until the API says that everything it needs is there, and the sandbox answers."""
        asked = [f"{self.settings.api_url}/readyz"]
        if self.settings.whatsapp_url is None:
            asked.append(f"{self.settings.sandbox_url}/control/phones")
        async with httpx.AsyncClient(trust_env=False, timeout=2.0) as http:
            for url in asked:
                try:
                    async with asyncio.timeout(READY_WITHIN):
                        await until(partial(answers, http, url), 0.05)
                except TimeoutError:
                    logs = self.settings.data_dir / "run"
                    raise NotReady(f"{url} does not answer; what the processes say is in {logs}.") from None

    async def _look_after(self, server: Server) -> None:
        """Start a server again that ended though nobody stopped it."""
        if not server.alive():
            if server not in self._down:
                self._say(f"{server.name} ended ({server.how_it_ended()}); starting it again")
            self._down.add(server)
            self._all_up.clear()
            await seen_through(server.start)
            self._down.discard(server)
            self._undeclared = self._undeclared or isinstance(server, EmbeddedNats)  # its directory may be a new one
        elif isinstance(server, EmbeddedNats) and await asyncio.to_thread(server.starved):
            self._say("NATS ran out of disk, and there is room again; starting it again")
            await seen_through(server.restart)
        if self._undeclared and isinstance(server, EmbeddedNats):
            self._undeclared = not await while_alive(self._declare(), server.alive)
        if not (self._all_up.is_set() or self._down or self._servers.dead()):
            self._all_up.set()

    async def _declare(self) -> None:
        """Make the streams and consumers that are gone."""
        async with asyncio.timeout(DECLARED_WITHIN):
            await deploy.declare(self.settings)

    async def _before_again(self, code: int | None) -> None:
        """Wait for our servers, without which a worker would only die again, and declare what one found missing."""
        if self._servers.dead():
            self._all_up.clear()
        await self._all_up.wait()
        if code != UNDECLARED:
            return
        try:
            await self._declare()
        except FORESEEN as error:
            self._say(f"streams could not be looked after: {type(error).__name__}")

    def _tell_death(self, name: str, how: str) -> None:
        self._say(f"{name} ended ({how}); starting it again, log in {self.settings.data_dir / 'run' / name}")

    def _say(self, sentence: str) -> None:
        with contextlib.suppress(OSError):  # the terminal may be gone: no reason to look after nothing any more
            self._tell(sentence)


async def answers(http: httpx.AsyncClient, url: str) -> bool:
    """Whether a GET of this address succeeds."""
    try:
        return (await http.get(url)).is_success
    except httpx.TransportError:
        return False


def first_steps(settings: Settings) -> str:
    """What to do first with a running drumline: lines that work as pasted into a shell."""
    body = json.dumps({"title": "Hello", "parts": [{"text": "Hello {{name}}"}]})
    return f"""\
KEY=$(python3 -c 'import json; print(json.load(open("{settings.keys_file}"))["keys"]["author"])')
curl -sw '\\n' -H "Authorization: Bearer $KEY" -H 'Prefer: wait=5' -H 'Content-Type: application/json' \\
  -d '{body}' {settings.api_url}/v1/campaigns
curl -sw '\\n' -H "Authorization: Bearer $KEY" {settings.api_url}/v1/campaigns
curl -sw '\\n' -H "Authorization: Bearer $KEY" {settings.api_url}/v1/review-queue"""


async def run_up(settings: Settings, workspace: str) -> None:
    """Run until told to end: by Ctrl-C, by SIGTERM, or by a terminal that closes."""
    told = asyncio.Event()
    for name in END_SIGNALS:
        asyncio.get_running_loop().add_signal_handler(name, told.set)
    logs.configure(settings.log_format, settings.log_level)
    keep(settings.data_dir)
    print("Starting: a few seconds …", flush=True)
    async with House(settings, print) as house:
        settings = house.settings
        await house.welcome(workspace)
        print(f"drumline runs; data in {settings.data_dir}. Ctrl-C ends it.\n")
        print(f"API docs        {settings.api_url}/docs (also /redoc, /asyncapi)")
        print(f"sandbox phone   {settings.sandbox_url}/phone")
        print(f"keys            {settings.keys_file} (author, moderator, operator, auditor, admin)\n")
        print(f"To begin with:\n\n{first_steps(settings)}\n", flush=True)
        await told.wait()
        with contextlib.suppress(OSError):  # the terminal may be gone
            print("Ending …", flush=True)
    with contextlib.suppress(OSError):
        print("Ended.", flush=True)


def keep(data_dir: Path) -> None:
    """Data that `up` has served belongs to somebody: no demo empties it any more."""
    with usable(data_dir):
        (data_dir / MARK).unlink(missing_ok=True)
