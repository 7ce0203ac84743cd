"""`drumline bench reads`: the whole REST API's answers over a long history, while a job's events come in."""

import asyncio
import json
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from uuid import UUID

import psycopg
import uvloop
from rich.console import Console
from rich.table import Table

from adapters.vault import Entry
from domain.message import Role, WorkspaceId
from infra import bootstrap
from infra.bench_asking import Order, Report
from infra.bench_beside import Beside
from infra.bench_fill import Place, fill
from infra.bench_house import Bench, Lost, carried_out, house, position
from infra.bench_ready import until_ready
from infra.bench_routes import NUMBER, SOME, routes
from infra.bootstrap import Parts

WORKSPACE = WorkspaceId("bench")
KEYS, TITLES = 5, 20
WARM = 2.0  # seconds before the clock runs: plans, caches, connections
SLACK = 120.0  # seconds longer that the job beside would run
IDS = "SELECT {id} FROM {table} WHERE workspace = %s ORDER BY md5({id}::text) LIMIT %s"
THINGS = {
    **{name: ("id", f"read_{name}") for name in ("campaigns", "audiences", "accounts", "recipients", "deliveries")},
    "commands": ("command_id", "commands"),
}


@dataclass(slots=True)
class Figures:
    """What is printed; times in milliseconds, processor time in percent of one core, and in µs a request."""

    deliveries: int
    rate: float
    p50_ms: float
    p99_ms: float
    max_ms: float
    requests: int
    others: dict[str, int]
    routes: dict[str, dict[str, float]]
    beside_events_per_s: int
    cpu_percent: dict[str, int]
    cpu_us: dict[str, int]
    fill_s: float


async def alone(deliveries: int, rate: float, seconds: float, sends: float) -> Figures:
    """On servers that do nothing else."""
    async with house("api") as bench:
        return await measured(bench, deliveries, rate, seconds, sends)


async def measured(bench: Bench, deliveries: int, rate: float, seconds: float, sends: float) -> Figures:
    """Fill, ask while a job runs, and count."""
    async with bootstrap.connected(bench.settings, "bench") as parts:
        began = time.monotonic()
        key, place = await settled(parts)
        async with parts.pool.connection() as connection:
            jobs = await fill(connection, place, deliveries)
        filled = time.monotonic() - began
        beside = Beside(parts, WORKSPACE, int(sends * (seconds + WARM + SLACK)), place.titles[0])
        await beside.begin()
        await until_ready(bench)
        requests = routes(parts, WORKSPACE, place.principals[0], jobs, await things(parts))
        order = Order("127.0.0.1", bench.settings.http_port, key, requests, rate, WARM)
        running = asyncio.create_task(beside.run(sends))
        await asked(order)
        with psycopg.connect(bench.servers.database_url, autocommit=True) as log:
            cpu, before = bench.cpu().seconds(), position(log)
            report = await asked(replace(order, seconds=seconds))
            events, used = position(log) - before, bench.cpu().seconds()
        if running.done():
            running.result()
            raise Lost("the job beside ended before the reading did")
        running.cancel()
        busy = {name: used[name] - cpu[name] for name in cpu} | {"client": report.cpu_s}
        return figures(deliveries, rate, seconds, report, round(events / seconds), busy, filled)


async def settled(parts: Parts) -> tuple[str, Place]:
    """A workspace with keys, texts and somebody in the vault; the secret of the key that asks."""
    keys = [await parts.keys.create(WORKSPACE, [Role.ADMIN, Role.AUTHOR], "bench") for _ in range(KEYS)]
    titles = await parts.contents.put_many(
        WORKSPACE, [f"Spring opening {n}: we open on Saturday" for n in range(TITLES)]
    )
    async with parts.pool.connection() as connection:
        await parts.vault.store(connection, WORKSPACE, [Entry(NUMBER, "US", {})])
        await connection.execute(
            b"INSERT INTO read_workspaces (workspace, born, position, changed_at, approvals, "
            b"own_approval, messages, seconds) VALUES ('bench', 1, 1, now(), 1, false, 1, 30)"
        )
    return keys[0].secret, Place(WORKSPACE, [key.id for key in keys], titles)


async def things(parts: Parts) -> dict[str, list[UUID]]:
    """Ids of things that are there."""
    found = {}
    async with parts.pool.connection() as connection:
        for name, (column, table) in THINGS.items():
            query = IDS.format(id=column, table=table).encode()
            found[name] = [row[0] for row in await (await connection.execute(query, [WORKSPACE, SOME])).fetchall()]
    return found


async def asked(order: Order) -> Report:
    return Report(**await carried_out("infra.bench_asking", order))


def figures(
    deliveries: int, rate: float, seconds: float, report: Report, events: int, busy: dict[str, float], filled: float
) -> Figures:
    """What the requests came to; `busy` is in seconds of processor time."""
    took = sorted(one for each in report.took.values() for one in each)
    return Figures(
        deliveries=deliveries,
        rate=rate,
        requests=len(took),
        p50_ms=quantile(took, 0.5),
        p99_ms=quantile(took, 0.99),
        max_ms=quantile(took, 1.0),
        others=report.others,
        routes={
            name: {"requests": len(each), "p50_ms": quantile(sorted(each), 0.5), "p99_ms": quantile(sorted(each), 0.99)}
            for name, each in sorted(report.took.items())
        },
        beside_events_per_s=events,
        cpu_percent={name: round(spent / seconds * 100) for name, spent in busy.items()},
        cpu_us={name: round(spent / len(took) * 1e6) for name, spent in busy.items()},
        fill_s=round(filled, 1),
    )


def quantile(ordered: Sequence[float], share: float) -> float:
    """In milliseconds."""
    return round(ordered[min(int(len(ordered) * share), len(ordered) - 1)] * 1_000, 1)


def reads(*, deliveries: int, rate: float, seconds: float, sends: float, as_json: bool) -> int:
    """Measure and print; 1 when anything was answered but with 200."""
    console = Console(stderr=as_json)
    try:
        found = uvloop.run(alone(deliveries, rate, seconds, sends))
    except Lost as error:
        console.print(f"lost: {error}")
        return 1
    return show(found, console, as_json=as_json)


def show(found: Figures, console: Console, *, as_json: bool) -> int:
    """Print the figures; 1 when anything was answered but with 200."""
    table = Table("route", "requests", "p50 ms", "p99 ms", box=None, pad_edge=False)
    for name, one in found.routes.items():
        table.add_row(name, *(str(value) for value in one.values()))
    table.add_row("all", str(found.requests), str(found.p50_ms), str(found.p99_ms))
    console.print(table)
    for name in ("deliveries", "rate", "max_ms", "others", "beside_events_per_s", "cpu_percent", "cpu_us", "fill_s"):
        console.print(f"{name}: {getattr(found, name)}")
    if as_json:
        print(json.dumps(asdict(found)))
    return 1 if found.others else 0
