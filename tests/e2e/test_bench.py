"""`drumline bench`, short: every command is found again, every route answers; it ends with a line of JSON."""

import json
import os
import subprocess
import sys
from typing import Any

import pytest
from rich.console import Console

from infra import bench_fairness, bench_imports, bench_reads
from infra.bench_house import house

BENCH = [sys.executable, "-m", "infra.cli", "bench"]


@pytest.mark.parametrize("more", [(), pytest.param(("--traces",), marks=pytest.mark.long)], ids=["plain", "traced"])
def test_a_short_run_finds_every_command_and_says_what_was_measured(more: tuple[str, ...]) -> None:
    short = ["--commands", "1500", "--seconds", "1", "--rounds", "1"]
    figures = figures_of([*BENCH, "pipeline", "--json", *short, *more])
    assert figures["every_command_found"] is True
    assert figures["commands"] == 1_500
    raw = figures["raw"]
    assert set(raw) == {"insert_per_s", "publish_per_s", "consume_per_s"}
    for name in ("commands_per_s", "mixed_per_s", "single_per_s", "p50_ms", "p99_ms"):
        assert figures[name] > 0
    assert figures["p50_ms"] <= figures["p99_ms"]
    assert abs(figures["ratio"] - figures["commands_per_s"] / min(raw.values())) < 0.01
    for how in ("batches", "mixed", "singly"):
        used = figures["cpu_us"][how]
        assert set(used) == {"core", "nats", "postgresql", "client", "all"}
        assert all(0 < microseconds < 20_000 for microseconds in used.values())
    assert bool(figures["traced"]) is bool(more)
    if more:
        assert figures["traced"]["commands_per_s"] > 0
        assert figures["traced"]["posts"] > 0  # spans came
    postgresql, nats = figures["settings"]["postgresql"], figures["settings"]["nats"]
    assert (postgresql["fsync"], postgresql["synchronous_commit"], postgresql["data_checksums"]) == ("on", "on", "on")
    assert (nats["sync_always"], nats["storage"]) == (True, "file")
    assert all(0 < megabytes < 200 for megabytes in figures["rss_mb"].values())


@pytest.mark.timeout(240)
async def test_a_short_run_of_each_on_the_same_servers(capsys: pytest.CaptureFixture[str]) -> None:
    """In this process: the commands are run as such where it takes long."""
    console = Console(stderr=True)

    def said() -> Any:
        return json.loads(capsys.readouterr().out.splitlines()[-1])

    async with house("api", "imports") as bench:
        imported = await bench_imports.measured(bench, 1_500, consents=True)
        bench_imports.show(imported, console, as_json=True)
        everybody_is_found(said())
        attacked = await bench_fairness.measured(bench, 2, quiet=0.5)
        assert bench_fairness.show(attacked, console, as_json=True) == 0
        an_attack_cost_no_answer(said())
        read = await bench_reads.measured(bench, deliveries=2_000, rate=40, seconds=3, sends=5)
        assert bench_reads.show(read, console, as_json=True) == 0
        every_route_was_asked(said(), {"core", "api", "imports", "nats", "postgresql", "client"})


def every_route_was_asked(figures: Any, processes: set[str]) -> None:
    assert figures["others"] == {}
    assert figures["requests"] == sum(route["requests"] for route in figures["routes"].values()) == 120
    assert 0 < figures["p50_ms"] <= figures["p99_ms"] <= figures["max_ms"]
    assert figures["beside_events_per_s"] > 0
    assert set(figures["cpu_percent"]) == set(figures["cpu_us"]) == processes
    assert len(figures["routes"]) > 15


def everybody_is_found(figures: Any) -> None:
    """The second time nothing changes."""
    new, again = figures
    assert (new["rows"], new["added"], new["changed"]) == (1_500, 1_500, 0)
    assert (again["rows"], again["added"], again["changed"]) == (1_500, 0, 0)
    assert set(new["cpu_s"]) == {"core", "api", "imports", "nats", "postgresql", "all"}
    assert new["seconds"] > 0
    assert 0 < new["peak_mb"] < 300


def an_attack_cost_no_answer(figures: Any) -> None:
    """The long form is in tests/security/test_fairness.py."""
    assert figures["wrong"] == {}
    assert figures["died"] == []
    assert figures["ready"] is True
    kinds = {"garbage", "refused", "deep", "large", "image_50_megapixels", "import", "half_request", "stopped_upload"}
    assert kinds <= set(figures["attacks"])


@pytest.mark.long
def test_reads_end_with_their_figures() -> None:
    line = [*BENCH, "reads", "--json", "--deliveries", "2000", "--rate", "40", "--seconds", "3", "--sends", "5"]
    every_route_was_asked(figures_of(line), {"core", "api", "nats", "postgresql", "client"})


@pytest.mark.long
def test_imports_end_with_their_figures() -> None:
    everybody_is_found(figures_of([*BENCH, "imports", "--json", "--rows", "1500", "--consents"]))


def figures_of(line: list[str]) -> Any:
    """The last line of a benchmark in a process of its own."""
    done = subprocess.run(line, capture_output=True, text=True, timeout=110, env=os.environ.copy())
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])
