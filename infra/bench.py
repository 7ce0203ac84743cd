"""`drumline bench pipeline`: from publish to visible in a projection, with servers and processes like those of `up`."""

import json
import statistics
from dataclasses import asdict, dataclass, field
from typing import Any

import uvloop
from rich.console import Console
from rich.table import Table

from infra.bench_cpu import medians
from infra.bench_house import RATE, Lost, Run, house
from infra.bench_raw import Raw


@dataclass(slots=True)
class Figures:
    """What is printed; rates a second, times in ms, memory in MB, processor time in µs a command by process."""

    commands_per_s: float
    single_per_s: float
    mixed_per_s: float
    p50_ms: float
    p99_ms: float
    raw: dict[str, float]
    ratio: float
    settings: dict[str, Any]
    rss_mb: dict[str, float]
    cpu_us: dict[str, dict[str, float]]
    commands: int
    rounds: list[dict[str, float]] = field(default_factory=list)
    every_command_found: bool = True


async def measured(commands: int, seconds: float, rounds: int) -> Figures:
    """All runs, each kind `rounds` times; the medians."""
    async with house() as bench:
        await bench.run("batches", min(commands, 2_000))  # what is only the first time: plans, caches, files
        whole, mixed, single, raw = list[Run](), list[Run](), list[Run](), list[Raw]()
        for _ in range(rounds):
            whole.append(await bench.run("batches", commands))
            mixed.append(await bench.run("mixed", max(commands // 3, 1)))
            single.append(await bench.run("singly", max(commands // 3, 1)))
            raw.append(await bench.raw(max(commands // 2, 500)))
        paced = await bench.run("paced", int(seconds * RATE))
        limits = {name: statistics.median(getattr(one, name) for one in raw) for name in Raw.__slots__}
        rate = statistics.median(run.per_s for run in whole)
        waits = sorted(paced.waits)
        return Figures(
            commands_per_s=round(rate),
            single_per_s=round(statistics.median(run.per_s for run in single)),
            mixed_per_s=round(statistics.median(run.per_s for run in mixed)),
            p50_ms=round(waits[len(waits) // 2] * 1_000, 1),
            p99_ms=round(waits[int(len(waits) * 0.99)] * 1_000, 1),
            raw={name: round(value) for name, value in limits.items()},
            ratio=round(rate / min(limits.values()), 3),
            settings=await bench.durability(),
            rss_mb={"core": round(bench.core_mb()), "client": round(max(run.client_mb for run in whole + single))},
            cpu_us={
                "batches": medians([run.cpu_us for run in whole]),
                "mixed": medians([run.cpu_us for run in mixed]),
                "singly": medians([run.cpu_us for run in single]),
            },
            commands=commands,
            rounds=[
                {name: round(value) for name, value in asdict(c).items()}
                | {"commands_per_s": round(a.per_s), "single_per_s": round(b.per_s), "mixed_per_s": round(d.per_s)}
                for a, b, c, d in zip(whole, single, raw, mixed, strict=True)
            ],
        )


def pipeline(*, commands: int = 60_000, seconds: float = 30.0, rounds: int = 3, as_json: bool = False) -> int:
    """Measure and print; 1 when a command was lost."""
    console = Console(stderr=as_json)
    try:
        figures = uvloop.run(measured(commands, seconds, rounds))
    except Lost as error:
        console.print(f"lost: {error}")
        return 1
    table = Table("what", "figure", box=None, pad_edge=False)
    for name, value in asdict(figures).items():
        table.add_row(name, json.dumps(value) if isinstance(value, dict | list) else str(value))
    console.print(table)
    if as_json:
        print(json.dumps(asdict(figures)))
    return 0
