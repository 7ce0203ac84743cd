"""`drumline bench imports`: a list of any length from the command line until everything in it can be asked for."""

import asyncio
import json
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import httpx
import psycopg
import uvloop
from rich.console import Console
from rich.table import Table

from domain.message import Role, WorkspaceId
from infra import bootstrap
from infra.bench_house import Bench, Lost, house, position
from infra.client import Api, until

WORKSPACE = WorkspaceId("bench-imports")
HEADER = "number,name,city"
CONSENT = ",consent,consent_source,consent_at"
STATED = ",yes,web_form,2025-01-14T09:30:00+00:00"
CITIES = ("Washington", "Toronto", "Lisbon", "Lagos", "São Paulo", "Kraków", "Jaipur")
HEAD = "SELECT coalesce(max(notification_id), 0) FROM stored_events"


@dataclass(slots=True)
class Import:
    """One import: seconds by the clock and of the processors, and the most memory the imports worker had until then."""

    what: str
    rows: int
    added: int
    changed: int
    seconds: float
    cpu_s: dict[str, float]
    peak_mb: float


def written(file: Path, rows: int, *, consents: bool) -> None:
    """A list of people who do not exist, each under a number of their own."""
    with file.open("w") as out:
        out.write(HEADER + (CONSENT if consents else "") + "\n")
        out.writelines(lines(rows, STATED if consents else ""))


def lines(rows: int, stated: str) -> Iterator[str]:
    """Made-up subscribers of a long numbering range: they are read, never written to."""
    for n in range(rows):
        yield f"+1 202 {200 + n // 10_000 % 800} {n % 10_000:04},Person {n},{CITIES[n % len(CITIES)]}{stated}\n"


async def alone(rows: int, *, consents: bool) -> list[Import]:
    """On servers that do nothing else."""
    async with house("api", "imports") as bench:
        return await measured(bench, rows, consents=consents)


async def measured(bench: Bench, rows: int, *, consents: bool) -> list[Import]:
    """Import a list into an empty vault, and then the same list again."""
    async with bootstrap.connected(bench.settings, "bench") as parts:
        key = await parts.keys.create(WORKSPACE, [Role.ADMIN, Role.AUTHOR], "bench")
        async with Api(bench.settings.api_url, key.secret) as admin, asyncio.timeout(60):
            await until(lambda: opened(admin))
        list_file = bench.settings.data_dir / "list.csv"
        written(list_file, rows, consents=consents)
        return [await one(bench, what, list_file, key.secret, rows) for what in ("new", "again")]


async def opened(admin: Api) -> Any:
    """Make the workspace, once the API answers."""
    try:
        return await admin.post("/v1/workspace", key="bench")
    except httpx.TransportError:
        return None


async def one(bench: Bench, what: str, file: Path, key: str, rows: int) -> Import:
    """Import it as a user does. It is over when the projections are at the end of the log. Raises Lost."""
    cpu, began = bench.cpu().seconds(), time.monotonic()
    told = await imported(bench, file, key)
    with psycopg.connect(bench.servers.database_url, autocommit=True) as log:
        head = (log.execute(HEAD).fetchone() or (0,))[0]
        while position(log) < head:  # noqa: ASYNC110  # another process's doing
            await asyncio.sleep(0.02)
    took, used = time.monotonic() - began, bench.cpu().seconds()
    if told["written"] != rows or told["bad"]:
        raise Lost(f"of {rows} rows came {told}")
    spent = {name: round(used[name] - cpu[name], 1) for name in cpu}
    spent["all"] = round(sum(spent.values()), 1)
    peak = round(bench.peak_mb("imports"))
    return Import(what, rows, told["added"], told["changed"], round(took, 1), spent, peak)


async def imported(bench: Bench, file: Path, key: str) -> Any:
    """What `drumline audience import` says on its last line. Raises Lost."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "infra.cli", "audience", "import", str(file)),
        env={**bench.settings.environment(), "DRL_KEY": key},
        stdout=asyncio.subprocess.PIPE,
    )
    out, _ = await process.communicate()
    if process.returncode:
        raise Lost(f"the import ended with {process.returncode}")
    return json.loads(out.splitlines()[-1])


def imports(*, rows: int, consents: bool, as_json: bool) -> int:
    """Measure and print; 1 when a row was lost."""
    console = Console(stderr=as_json)
    try:
        found = uvloop.run(alone(rows, consents=consents))
    except Lost as error:
        console.print(f"lost: {error}")
        return 1
    show(found, console, as_json=as_json)
    return 0


def show(found: list[Import], console: Console, *, as_json: bool) -> None:
    """Print what each import took."""
    table = Table("list", "people", "seconds", "processor s", "peak MB of work imports", box=None, pad_edge=False)
    for one in found:
        table.add_row(one.what, f"{one.rows:,}", str(one.seconds), str(one.cpu_s["all"]), str(one.peak_mb))
    console.print(table)
    console.print(f"processor seconds: {found[0].cpu_s}")
    if as_json:
        print(json.dumps([asdict(one) for one in found]))
