"""`drumline bench fairness`: one workspace's commands and reads, while another does all the harm its keys allow.

Workspace A gives five commands a second, in turns over the bus and over HTTP, and reads ten times a second. Workspace B
attacks from a process at `nice 10` (`bench_attacker`). Times begin when something was due, not when it was sent.
"""

import asyncio
import contextlib
import json
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass, field
from itertools import cycle
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import httpx
import orjson
import uvloop
from nats.aio.msg import Msg
from rich.console import Console
from rich.table import Table

from adapters.bus import Bus
from adapters.cloudevents import Address, command_headers
from adapters.keys import NewKey
from domain.message import PrincipalId, Role, WorkspaceId
from infra import bootstrap, deploy
from infra.bench_attacker import Order, Report, body
from infra.bench_cpu import fields
from infra.bench_house import Bench, Lost, carried_out, house
from infra.bench_ready import is_ready, until_ready

ROLES = (Role.SERVICE, Role.ADMIN, Role.AUTHOR)
COMMANDS_PER_S, READS_PER_S = 5.0, 10.0
QUIET = 5.0  # seconds that A is measured alone first
BEGINNING = 2.0  # seconds that B's process takes to start
PATIENCE = 30.0  # seconds after which an answer counts as missing
SAMPLE = 0.5  # seconds between two looks at memory
READS = ("/v1/campaigns", "/v1/workspace", "/v1/jobs", "/v1/commands", "/v1/audiences", "/v1/counts")


@dataclass(slots=True)
class Times:
    """Seconds that each answer took, and what was not answered as it should be."""

    commands: list[float] = field(default_factory=list)
    reads: list[float] = field(default_factory=list)
    wrong: dict[str, int] = field(default_factory=dict)

    def figures(self) -> dict[str, float]:
        """Milliseconds."""
        found = {}
        for name, took in (("commands", self.commands), ("reads", self.reads)):
            ordered = sorted(took) or [0.0]
            for words, share in (("p50", 0.5), ("p99", 0.99), ("max", 1.0)):
                found[f"{name}_{words}_ms"] = round(ordered[min(int(len(ordered) * share), len(ordered) - 1)] * 1e3, 1)
        return found


@dataclass(slots=True)
class Figures:
    """What is printed; times in ms, memory in MB at its most, rates a second."""

    alone: dict[str, float]
    attacked: dict[str, float]
    commands: int
    reads: int
    wrong: dict[str, int]
    attacks_per_s: dict[str, float]
    attacks: dict[str, int]
    answers_to_b: dict[str, int]
    memory_mb: dict[str, int]
    ready: bool
    died: list[str]
    seconds: float


class Tenant:
    """Workspace A: gives commands and reads, and notes how long each took."""

    def __init__(self, bus: Bus, inbox: str, http: httpx.AsyncClient, address: Address) -> None:
        self._bus = bus
        self._inbox = inbox
        self._http = http
        self._address = address
        self._waiting: dict[UUID, asyncio.Future[str]] = {}

    async def hear(self, message: Msg) -> None:
        """An outcome; what is about no command of ours is nobody's word."""
        with contextlib.suppress(ValueError, KeyError, TypeError):
            answer = orjson.loads(message.data)
            waiting = self._waiting.get(UUID(answer["command_id"]))
            if waiting is not None and not waiting.done():
                waiting.set_result(str(answer["state"]))

    async def work(self, seconds: float) -> Times:
        """Commands and reads, each when it is due, for so long."""
        times = Times()
        ways = cycle([self._over_the_bus, self._over_http])
        paths = cycle(READS)
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._at(COMMANDS_PER_S, seconds, tasks, lambda: next(ways)(), times.commands, times))
            tasks.create_task(
                self._at(READS_PER_S, seconds, tasks, lambda: self._read(next(paths)), times.reads, times)
            )
        return times

    async def _at(
        self,
        rate: float,
        seconds: float,
        tasks: asyncio.TaskGroup,
        way: Callable[[], Coroutine[Any, Any, str]],
        took: list[float],
        times: Times,
    ) -> None:
        began = time.monotonic()

        async def one(asked: Coroutine[Any, Any, str], due: float) -> None:
            try:
                async with asyncio.timeout(PATIENCE):
                    said = await asked
            except (TimeoutError, httpx.HTTPError) as error:
                said = type(error).__name__
            took.append(time.monotonic() - due)
            if said != "applied":
                times.wrong[said] = times.wrong.get(said, 0) + 1

        for number in range(int(rate * seconds)):
            due = began + number / rate
            await asyncio.sleep(max(0.0, due - time.monotonic()))
            tasks.create_task(one(way(), due))

    async def _over_the_bus(self) -> str:
        command_id = uuid4()
        heard: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self._waiting[command_id] = heard
        try:
            headers = command_headers(self._address, command_id, bootstrap.clock(), reply_to=self._inbox)
            await self._bus.js.publish(self._address.subject, body("create"), headers=headers)
            return await heard
        finally:
            del self._waiting[command_id]

    async def _over_http(self) -> str:
        made = {"title": "Spring", "parts": [{"text": "Hello"}]}
        answer = await self._http.post("/v1/campaigns", json=made, headers={"Prefer": f"wait={PATIENCE:.0f}"})
        return "applied" if answer.status_code == httpx.codes.OK else f"HTTP {answer.status_code}"

    async def _read(self, path: str) -> str:
        answer = await self._http.get(path)
        return "applied" if answer.is_success else f"{path} {answer.status_code}"


async def alone(seconds: float) -> Figures:
    """On servers that do nothing else."""
    async with house("api", "imports") as bench:
        return await measured(bench, seconds)


async def measured(bench: Bench, seconds: float, quiet: float = QUIET) -> Figures:
    """A alone for a moment, then beside B's attack."""
    a, b = await settled(bench, "fair-a"), await settled(bench, "fair-b")
    await deploy.reload_users(bench.settings, bench.servers)
    processes = bench.roots()
    async with tenant(bench, a) as ours:
        await until_ready(bench)
        calm = await ours.work(quiet)
        most: dict[str, int] = {}
        looking = asyncio.create_task(look(processes, most))
        order = Order(bus_of(bench, b), bench.settings.http_port, b.workspace, b.id, b.secret, list(ROLES), seconds)
        attack = asyncio.create_task(carried_out("infra.bench_attacker", order))
        times = await ours.work(seconds + BEGINNING)
        report = Report(**await attack)
        looking.cancel()
        ready = await is_ready(bench)
    return Figures(
        alone=calm.figures(),
        attacked=times.figures(),
        commands=len(times.commands),
        reads=len(times.reads),
        wrong=times.wrong,
        attacks_per_s={kind: round(count / report.seconds, 1) for kind, count in sorted(report.sent.items())},
        attacks=dict(sorted(report.sent.items())),
        answers_to_b=dict(sorted(report.answers.items())),
        memory_mb=most,
        ready=ready,
        died=[name for name, pid in processes.items() if not fields(Path(f"/proc/{pid}"))],
        seconds=round(report.seconds, 1),
    )


@dataclass(frozen=True, slots=True)
class Place:
    """A workspace and its key."""

    workspace: WorkspaceId
    id: PrincipalId
    secret: str


async def settled(bench: Bench, name: str) -> Place:
    """A workspace that exists, and a key for nearly all that there is to do."""
    workspace = WorkspaceId(name)
    async with bootstrap.connected(bench.settings, "bench") as parts:
        key: NewKey = await parts.keys.create(workspace, ROLES, "bench")
        address = Address(workspace, key.id, "workspace.create")
        await parts.bus.command(address, command_id := uuid4(), b"{}", bootstrap.clock())
        while await parts.inbox.by_command(workspace, command_id) is None:  # noqa: ASYNC110  # another process's doing
            await asyncio.sleep(0.01)
    return Place(workspace, key.id, key.secret)


def bus_of(bench: Bench, place: Place) -> str:
    return f"nats://{place.id}:{place.secret}@{bench.servers.nats_url.rpartition('@')[2]}"


@asynccontextmanager
async def tenant(bench: Bench, place: Place) -> AsyncIterator[Tenant]:
    """Workspace A, connected to both doors."""
    bus = await Bus.connect(bus_of(bench, place), "fair-a", f"_INBOX.{place.id}")
    headers = {"Authorization": f"Bearer {place.secret}"}
    http = httpx.AsyncClient(base_url=bench.settings.api_url, headers=headers, timeout=PATIENCE, trust_env=False)
    try:
        async with http:
            inbox = bus.nc.new_inbox()
            found = Tenant(bus, inbox, http, Address(place.workspace, place.id, "campaign.create"))
            await bus.nc.subscribe(inbox, cb=found.hear)
            yield found
    finally:
        await bus.close()


async def look(processes: Mapping[str, int], most: dict[str, int]) -> None:
    """The most memory that each process had, its children's with it, until cancelled."""
    while True:
        for name, megabytes in (await asyncio.to_thread(memory, processes)).items():
            most[name] = max(most.get(name, 0), megabytes)
        await asyncio.sleep(SAMPLE)


def memory(roots: Mapping[str, int]) -> dict[str, int]:
    """MB of these processes and their children; pages that several share are counted once (PSS)."""
    parents = {int(path.name): int(stat[1]) for path in Path("/proc").glob("[0-9]*") if (stat := fields(path))}
    names = {pid: name for name, pid in roots.items()}
    used = dict.fromkeys(roots, 0)
    for pid in parents:
        ancestor = pid
        while ancestor not in names and ancestor in parents:
            ancestor = parents[ancestor]
        if ancestor in names:
            used[names[ancestor]] += pss(pid)
    return {name: kilobytes // 1024 for name, kilobytes in used.items()}


def pss(pid: int) -> int:
    """KB; 0 when the process has ended."""
    with contextlib.suppress(OSError):
        said = Path(f"/proc/{pid}/smaps_rollup").read_text()
        return int(said.partition("\nPss:")[2].split()[0])
    return 0


def fairness(*, seconds: float, as_json: bool) -> int:
    """Measure and print; 1 when a command of A was not applied, a read not answered, or a process died."""
    console = Console(stderr=as_json)
    try:
        figures = uvloop.run(alone(seconds))
    except Lost as error:
        console.print(f"lost: {error}")
        return 1
    return show(figures, console, as_json=as_json)


def show(figures: Figures, console: Console, *, as_json: bool) -> int:
    """Print the figures; 1 when a command of A was not applied, a read not answered, or a process died."""
    table = Table("what", "figure", box=None, pad_edge=False)
    for name, value in asdict(figures).items():
        table.add_row(name, json.dumps(value) if isinstance(value, dict | list) else str(value))
    console.print(table)
    if as_json:
        print(json.dumps(asdict(figures)))
    return 1 if figures.wrong or figures.died or not figures.ready else 0
