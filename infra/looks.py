"""`/metrics`: what is asked at each look beside what is counted all the time, and the page that shows it."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from importlib.metadata import version
from platform import python_version
from typing import Any

from prometheus_client import CollectorRegistry, GCCollector, PlatformCollector, ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from psycopg_pool import AsyncConnectionPool
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from adapters import heartbeats, metrics
from adapters.bus import Bus
from adapters.census import Census, Counts
from adapters.cloudevents import POSITION
from adapters.event_store import EventStore
from adapters.outages import OUTAGES
from adapters.streams import EVENTS
from domain.job import Status
from domain.ports import SessionState

PATIENCE = 3.0  # seconds for a server to answer; Prometheus waits 10
FRESH = 1.0  # seconds for which a look serves whoever asks

Values = Mapping[tuple[str, ...], float]


@dataclass(frozen=True, slots=True)
class Family:
    """A metric that is asked for."""

    name: str
    text: str
    labels: tuple[str, ...] = ()

    def of(self, values: Values) -> Metric:
        make: Any = CounterMetricFamily if self.name.endswith("_total") else GaugeMetricFamily
        family: Metric = make(f"drumline_{self.name}", self.text, labels=self.labels)
        for labels, value in values.items():
            family.add_metric(labels, value)  # type: ignore[attr-defined]  # of both families, not of their base
        return family


PROCESS: Sequence[Family] = (
    Family("build_info", "The version that runs here; always 1.", ("version", "python")),
    Family("loop_last_progress_timestamp_seconds", "When each loop of this process began its last round.", ("loop",)),
    Family("pool_connections", "Connections to PostgreSQL in this process's pool.", ("state",)),
    Family("pool_requests_waiting", "Tasks that wait for a connection now."),
    Family("pool_requests_total", "How often a connection was asked for."),
    Family("pool_requests_queued_total", "How often one had to be waited for."),
    Family("pool_wait_seconds_total", "Seconds that were waited for connections."),
    Family("pool_errors_total", "How often none was to be had, or one could not be opened.", ("kind",)),
)
HOUSE: Sequence[Family] = (
    Family("server_up", "Whether PostgreSQL and NATS answered this look (1) or not (0).", ("server",)),
    Family("log_position", "The position of the last event in the log."),
    Family("log_lag_events", "Positions between the end of the log and where a reader is.", ("reader",)),
    Family("log_lag_seconds", "Age of the oldest event that a reader has not taken in.", ("reader",)),
    Family("commands_pending", "Commands that HTTP accepted and nobody answered yet."),
    Family("commands_pending_oldest_seconds", "Age of the oldest of them."),
    Family("accounts", "Registered accounts, by their session's state (none: there was never one).", ("state",)),
    Family("jobs", "Jobs, by status.", ("status",)),
    Family("deliveries_unknown", "Deliveries of running jobs of which nobody can tell whether they happened."),
    Family("permits", "Sends that accounts may still make of the allowances they have."),
    Family("accounts_without_permits", "Accounts of running jobs whose allowance is used up: they wait for the next."),
    Family("timers", "Decisions that are planned."),
    Family("timers_due", "Decisions whose time has come and that are not made yet."),
    Family("sends_queued", "Messages in SENDS, each some sends of one account."),
    Family("dead_letters", "Messages that nobody could handle, not yet replayed or dropped."),
    Family("imports_unfinished", "Imports that wait, or are under way."),
    Family("imports_unfinished_oldest_seconds", "Age of the oldest of them."),
    Family("stated_consents_waiting", "Pieces of lists whose consents are to be recorded."),
    Family("stated_consents_given_up", "Pieces of lists whose consents could not be recorded, and are not tried."),
)


class OfProcess(Collector):
    """What every process tells of itself."""

    def __init__(self, pool: AsyncConnectionPool) -> None:
        self._pool = pool

    def collect(self) -> Iterator[Metric]:
        found = self.values()
        return (family.of(found[family.name]) for family in PROCESS)

    def values(self) -> dict[str, Values]:
        stats, now = self._pool.get_stats(), time.time()
        size, idle = stats.get("pool_size", 0), stats.get("pool_available", 0)
        return {
            "build_info": {(version("drumline"), python_version()): 1},
            "loop_last_progress_timestamp_seconds": {
                (loop,): now - age for loop, age in heartbeats.ages().items() if age >= 0
            },
            "pool_connections": {("idle",): idle, ("used",): size - idle},
            "pool_requests_waiting": {(): stats.get("requests_waiting", 0)},
            "pool_requests_total": {(): stats.get("requests_num", 0)},
            "pool_requests_queued_total": {(): stats.get("requests_queued", 0)},
            "pool_wait_seconds_total": {(): stats.get("requests_wait_ms", 0) / 1_000},
            "pool_errors_total": {
                ("request",): stats.get("requests_errors", 0),
                ("connection",): stats.get("connections_errors", 0),
                ("lost",): stats.get("connections_lost", 0),
            },
        }


@dataclass(slots=True, eq=False)  # a registry tells collectors apart
class OfHouse(Collector):
    """What the core worker tells of the whole house; what a server that is away knows is left out."""

    store: EventStore
    bus: Bus
    census: Census
    readers: Mapping[str, Callable[[], Awaitable[int]]]  # of the log, in the database: where each is
    clock: Callable[[], datetime]
    _found: dict[str, dict[tuple[str, ...], float]] = field(default_factory=dict)
    _looking: asyncio.Lock = field(default_factory=asyncio.Lock)
    _looked: float = 0.0

    def collect(self) -> Iterator[Metric]:
        found = self._found
        return (family.of(found.get(family.name, {})) for family in HOUSE)

    async def look(self) -> None:
        """Ask the servers, unless somebody has just done so."""
        async with self._looking:
            if time.monotonic() - self._looked > FRESH:
                found: dict[str, dict[tuple[str, ...], float]] = {name.name: {} for name in HOUSE}
                for server, ask in (("postgresql", self._database), ("nats", self._queues), ("nats", self._relay)):
                    found["server_up"].setdefault((server,), 1)
                    try:
                        async with asyncio.timeout(PATIENCE):
                            await ask(found)
                    except OUTAGES:
                        found["server_up"][server,] = 0
                self._found, self._looked = found, time.monotonic()

    async def _database(self, found: dict[str, dict[tuple[str, ...], float]]) -> None:
        head = await self.store.head()
        found["log_position"][()] = head
        for name, value in flat(await self.census.counts()):
            found[name].update(value)
        for reader, position in self.readers.items():
            await self._lag(found, reader, await position(), head)

    async def _queues(self, found: dict[str, dict[tuple[str, ...], float]]) -> None:
        found["sends_queued"][()] = await self.census.sends()

    async def _relay(self, found: dict[str, dict[tuple[str, ...], float]]) -> None:
        _, last = await self.bus.last(EVENTS, POSITION)
        position = int(last.headers[POSITION]) if last is not None else 0
        await self._lag(found, "relay", position, await self.store.head())

    async def _lag(self, found: dict[str, dict[tuple[str, ...], float]], reader: str, position: int, head: int) -> None:
        rest = await self.store.page(position, 1) if position < head else []
        age = max((self.clock() - rest[0].envelope.time).total_seconds(), 0.0) if rest else 0.0
        found["log_lag_events"][reader,] = max(head - position, 0) if rest else 0
        found["log_lag_seconds"][reader,] = age


def flat(counts: Counts) -> Iterator[tuple[str, Values]]:
    """The database's counts by their metrics' names; a state that none is in counts 0."""
    yield "accounts", {(state,): counts.accounts.get(state, 0) for state in ("none", *SessionState)}
    yield "jobs", {(status,): counts.jobs.get(status, 0) for status in Status}
    yield "deliveries_unknown", {(): counts.unknown}
    yield "permits", {(): counts.permits}
    yield "accounts_without_permits", {(): counts.without_permits}
    yield "timers", {(): counts.timers}
    yield "timers_due", {(): counts.timers_due}
    yield "commands_pending", {(): counts.pending}
    yield "commands_pending_oldest_seconds", {(): counts.oldest_pending}
    yield "dead_letters", {(): counts.dead}
    yield "imports_unfinished", {(): counts.imports}
    yield "imports_unfinished_oldest_seconds", {(): counts.oldest_import}
    yield "stated_consents_waiting", {(): counts.consents}
    yield "stated_consents_given_up", {(): counts.consents_given_up}


def collect(*collectors: Collector, registry: CollectorRegistry = metrics.REGISTRY) -> None:
    """Show these from now on, and what the system and Python tell of the process."""
    for library in (ProcessCollector, PlatformCollector, GCCollector):
        library(registry=registry)
    for collector in collectors:
        registry.register(collector)


@dataclass(frozen=True, slots=True)
class Page:
    """An application of one page, for a worker that has no other; `look` is awaited before it is shown."""

    look: Callable[[], Awaitable[None]] | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        if Request(scope).url.path != "/metrics":
            await Response(status_code=404)(scope, receive, send)
            return
        if self.look is not None:
            await self.look()
        await Response(metrics.exposition(), media_type=metrics.MEDIA_TYPE)(scope, receive, send)
