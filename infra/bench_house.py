"""Where `drumline bench` measures: servers of its own, the core worker as `up` starts it, and orders for clients."""

import asyncio
import bisect
import contextlib
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self
from uuid import uuid4

import orjson
import psycopg

from adapters import streams
from adapters.bus import Bus
from adapters.cloudevents import POSITION, Address
from adapters.keys import Keys
from adapters.runtime.environment import PYTHON, allowed
from domain.message import PrincipalId, Role, WorkspaceId
from infra import bench_raw, bootstrap, deploy
from infra.bench_client import Order, Report, kind_of
from infra.bench_cpu import Cpu, per_command
from infra.bench_raw import Raw
from infra.embedded import EmbeddedServers
from infra.ports import free_port
from infra.settings import Settings, read
from infra.supervisor import Supervisor

PATIENCE = 300.0  # seconds for all of a run to become visible
RATE = 500.0  # commands a second, for the latencies
KEY_RATE = 30_000  # that a key may give, above all that is measured; as many of a command may wait
POSTGRES_SETTINGS = ("server_version", "fsync", "synchronous_commit", "full_page_writes", "data_checksums")
COUNTS = """
SELECT count(*) FILTER (WHERE state = 'applied'), count(*) FILTER (WHERE state = 'refused'),
       (SELECT count(*) FROM stored_events e JOIN read_campaigns c ON e.originator_id = 'campaign-' || c.id
        WHERE c.workspace = %(w)s),
       (SELECT count(*) FROM read_campaigns WHERE workspace = %(w)s)
FROM commands WHERE workspace = %(w)s AND name <> 'workspace.create'
"""
ROWS = "SELECT count(*) FROM read_campaigns WHERE workspace = %s"
POSITIONS = "SELECT command_id::text, position FROM commands WHERE workspace = %s AND name = 'campaign.create'"


@dataclass(frozen=True, slots=True)
class Expected:
    """What becomes of the commands of a run."""

    applied: int
    refused: int
    campaigns: int

    @classmethod
    def of(cls, how: str, commands: int) -> Self:
        if how != "mixed":
            return cls(commands, 0, commands)
        kinds = Counter(map(kind_of, range(commands)))
        applied = kinds["create"] + kinds["revise"]
        return cls(applied, commands - applied - kinds["repeat"], kinds["create"])


class Lost(Exception):
    """A command that was published was not found again; the message tells the numbers."""


@dataclass(frozen=True, slots=True)
class Run:
    """One run: how many, how fast, and (paced) the seconds each took to be visible."""

    commands: int
    per_s: float
    waits: Sequence[float] = ()
    client_mb: float = 0.0
    cpu_us: Mapping[str, float] = field(default_factory=dict)


class Bench:
    """Servers of its own, the core worker of `up`, and orders for clients."""

    def __init__(self, settings: Settings, servers: EmbeddedServers, bus: Bus, pids: Mapping[str, int]) -> None:
        self.settings = settings
        self.servers = servers
        self._bus = bus
        self._pids = pids

    async def run(self, how: Any, commands: int, *, traced: bool = False) -> Run:
        """Publish commands in a workspace of their own, and wait until each is visible. Raises Lost."""
        workspace = WorkspaceId(f"bench-{uuid4().hex[:12]}")
        url, principal = await self._principal(workspace)
        with psycopg.connect(self.servers.database_url, autocommit=True) as connection:
            cpu = self.cpu()
            used = cpu.seconds()
            before = position(connection)
            client = asyncio.create_task(
                told(Order(url, workspace, principal, how, commands, rate=RATE, traced=traced))
            )
            # Looking costs the servers' time: often only where the time of each command counts.
            pause = 0.002 if how == "paced" else 0.02
            expected = Expected.of(how, commands)
            samples = await self._watch(connection, client, workspace, before, expected, pause)
            report = client.result()
            await self._relayed(connection)
            spent = per_command(used, cpu.seconds(), commands) | {"client": round(report.cpu_s * 1e6 / commands, 1)}
            self._check(connection, workspace, expected)
            if not report.sent:
                rate = commands / (samples[-1][0] - report.began)
                return Run(commands, rate, client_mb=report.peak_mb, cpu_us=spent)
            positions: dict[str, int] = dict(connection.execute(POSITIONS, [workspace]).fetchall())
        times, seen = [sample[0] for sample in samples], [sample[1] for sample in samples]
        waits = [times[bisect.bisect_left(seen, positions[command])] - sent for command, sent in report.sent.items()]
        return Run(commands, commands / (samples[-1][0] - report.began), waits, report.peak_mb, spent)

    async def raw(self, commands: int) -> Raw:
        return await bench_raw.measure(self.servers.database_url, self._bus, commands)

    def peak_mb(self, worker: str) -> float:
        """The most memory a worker had."""
        status = Path(f"/proc/{self._pids[worker]}/status").read_text()
        return int(status.partition("VmHWM:")[2].split()[0]) / 1024

    def cpu(self) -> Cpu:
        return Cpu(self.roots())

    def roots(self) -> dict[str, int]:
        """The first process of each worker and server, by name."""
        servers = {"nats": self.servers.nats.running() or 0, "postgresql": self.servers.postgres.running() or 0}
        return {**self._pids, **servers}

    async def durability(self) -> dict[str, Any]:
        """The servers' own word on what an acknowledgement means."""
        with psycopg.connect(self.servers.database_url) as connection:
            said = {name: connection.execute(f"SHOW {name}").fetchone() for name in POSTGRES_SETTINGS}
        config = (await self._bus.js.stream_info(streams.COMMANDS)).config
        system = await Bus.connect(self.servers.nats.system_url, "bench-system")
        try:
            varz = orjson.loads(await system.ask("$SYS.REQ.SERVER.PING.VARZ") or b"{}")
        finally:
            await system.close()
        jetstream = varz.get("data", {}).get("jetstream", {}).get("config", {})
        return {
            "postgresql": {name: row[0] if row else None for name, row in said.items()}
            | {"projections_commit": "asynchronous; rows and position together, so the log gives them again"},
            "nats": {
                "version": varz.get("server", {}).get("ver"),
                "sync_always": jetstream.get("sync_always"),
                "storage": config.storage,
                "retention": config.retention,
                "replicas": config.num_replicas,
            },
        }

    async def _principal(self, workspace: WorkspaceId) -> tuple[str, PrincipalId]:
        """A key in a new workspace that exists, and the address its user connects to."""
        async with bootstrap.connected(self.settings, "bench") as parts:
            keys = Keys(parts.pool, self.settings.pepper())  # which fills the bus on purpose
            key = await keys.create(workspace, [Role.SERVICE, Role.ADMIN], "bench")
            await deploy.reload_users(self.settings, self.servers)
            address = Address(workspace, key.id, "workspace.create")
            await parts.bus.command(address, command_id := uuid4(), b"{}", bootstrap.clock())
            while await parts.inbox.by_command(workspace, command_id) is None:  # noqa: ASYNC110  # another process's doing
                await asyncio.sleep(0.01)
        server = self.servers.nats_url.rpartition("@")[2]
        return f"nats://{key.id}:{key.secret}@{server}", key.id

    async def _watch(
        self,
        connection: psycopg.Connection,
        client: asyncio.Task[Report],
        workspace: str,
        before: int,
        expected: Expected,
        pause: float,
    ) -> list[tuple[float, int]]:
        """When which position became visible, up to the last command's. Rows and position become visible together."""
        target = before + expected.applied
        samples: list[tuple[float, int]] = []
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            if client.done():
                client.result()
            seen = position(connection)
            if not samples or seen > samples[-1][1]:
                samples.append((time.monotonic(), seen))
                if seen >= target and rows(connection, workspace) >= expected.campaigns:
                    break
            await asyncio.sleep(pause)
        else:
            raise Lost(f"{rows(connection, workspace)} of {expected.campaigns} visible after {PATIENCE:.0f} s")
        await client
        while expected.refused and time.monotonic() < deadline:  # what is refused is never visible, but answered
            if counts(connection, workspace)[:2] == (expected.applied, expected.refused):
                samples.append((time.monotonic(), samples[-1][1]))
                break
            await asyncio.sleep(pause)
        return samples

    def _check(self, connection: psycopg.Connection, workspace: str, expected: Expected) -> None:
        """Every command is answered, and what was applied is stored and projected, once."""
        found = counts(connection, workspace)
        if found != (expected.applied, expected.refused, expected.applied, expected.campaigns):
            raise Lost(f"{expected}; applied, refused, stored, projected: {found}")

    async def _relayed(self, connection: psycopg.Connection) -> None:
        """Wait until EVENTS reaches the end of the log."""
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            _, last = await self._bus.last(streams.EVENTS)
            if last is not None and int(last.headers[POSITION]) >= position(connection):
                return
            await asyncio.sleep(0.05)
        raise Lost("EVENTS does not reach the end of the log")


def position(connection: psycopg.Connection) -> int:
    """How far the projections are."""
    row = connection.execute("SELECT position FROM projected").fetchone()
    return int(row[0]) if row else 0


def counts(connection: psycopg.Connection, workspace: str) -> tuple[int, ...]:
    """How many commands were applied, how many refused, how many events and campaigns there are."""
    return connection.execute(COUNTS, {"w": workspace}).fetchone() or ()


def rows(connection: psycopg.Connection, workspace: str) -> int:
    """How many campaigns are visible."""
    row = connection.execute(ROWS, [workspace]).fetchone()
    return int(row[0]) if row else 0


async def carried_out(module: str, order: object) -> Any:
    """What a client process reports of an order."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", module),
        env=allowed(PYTHON),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        out, _ = await process.communicate(orjson.dumps(order) + b"\n")
    finally:
        if process.returncode is None:
            process.kill()
    if process.returncode:
        raise Lost(f"the client ended with {process.returncode}")
    return orjson.loads(out)


async def told(order: Order) -> Report:
    return Report(**await carried_out("infra.bench_client", order))


@asynccontextmanager
async def house(*more: str, otlp: str | None = None, key_rate: int | None = None) -> AsyncIterator[Bench]:
    """Fresh servers in a directory of their own, and the core worker (and more) as `up` starts it.

    Spans go to `otlp`, if it is given. A key may give `key_rate` commands a second (None: as many as is usual).
    """
    home = Path(tempfile.mkdtemp(prefix="drumline-bench-"))
    servers = EmbeddedServers(home)
    settings = read(data_dir=home, http_port=free_port(), otlp_endpoint=otlp, command_rate=key_rate)
    workers = Supervisor(home / "run", lambda name, words: print(f"{name} ended: {words}", file=sys.stderr))
    try:
        await asyncio.to_thread(servers.start)
        await deploy.prepare(settings)
        for role in ("core", *more):
            workers.add(role, "-m", "infra.cli", "work", role, environment=settings.environment())
        await workers.start()
        bus = await Bus.connect(servers.nats_url, "bench")
        try:
            yield Bench(settings, servers, bus, {one.name: one.child.running() or 0 for one in workers.processes})
        finally:
            await bus.close()
    finally:
        await workers.stop()
        await asyncio.to_thread(servers.stop)
        with contextlib.suppress(OSError):
            shutil.rmtree(home)
