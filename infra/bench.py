"""`drumline bench pipeline`: from publish to visible in a projection, with servers and processes like those of `up`."""

import json
import statistics
from contextlib import AsyncExitStack
from dataclasses import asdict, dataclass, field
from typing import Any

import uvloop
from rich.console import Console
from rich.table import Table

from infra.bench_cpu import medians
from infra.bench_house import KEY_RATE, RATE, Bench, Lost, Run, house
from infra.bench_raw import Raw
from infra.bench_traces import Sink, compared, sink

WARM = 2_000  # commands first: plans, caches, files


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
    traced: dict[str, float] | None = None
    every_command_found: bool = True


async def measured(commands: int, seconds: float, rounds: int, traces: bool) -> Figures:
    """All runs, each kind `rounds` times; the medians. Runs with traces take turns with those in batches."""
    async with AsyncExitStack() as open_:
        bench = await open_.enter_async_context(house(key_rate=KEY_RATE))
        await bench.run("batches", min(commands, WARM))
        beside: tuple[Bench, Sink] | None = None
        if traces:
            taken = open_.enter_context(sink())
            beside = await open_.enter_async_context(house(otlp=taken.endpoint, key_rate=KEY_RATE)), taken
            await beside[0].run("batches", min(commands, WARM), traced=True)
        whole, mixed, single, raw, traced = list[Run](), list[Run](), list[Run](), list[Raw](), list[Run]()
        for _ in range(rounds):
            whole.append(await bench.run("batches", commands))
            if beside:
                traced.append(await beside[0].run("batches", commands, traced=True))
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
            rss_mb={
                "core": round(bench.peak_mb("core")),
                "client": round(max(run.client_mb for run in whole + single)),
            },
            cpu_us={
                "batches": medians([run.cpu_us for run in whole]),
                "mixed": medians([run.cpu_us for run in mixed]),
                "singly": medians([run.cpu_us for run in single]),
            },
            traced=compared(whole, traced, beside[1]) if beside else None,
            commands=commands,
            rounds=[
                {name: round(value) for name, value in asdict(c).items()}
                | {"commands_per_s": round(a.per_s), "single_per_s": round(b.per_s), "mixed_per_s": round(d.per_s)}
                for a, b, c, d in zip(whole, single, raw, mixed, strict=True)
            ],
        )


def pipeline(
    *, commands: int = 60_000, seconds: float = 30.0, rounds: int = 3, as_json: bool = False, traces: bool = False
) -> int:
    """Measure and print; 1 when a command was lost."""
    console = Console(stderr=as_json)
    try:
        figures = uvloop.run(measured(commands, seconds, rounds, traces))
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
