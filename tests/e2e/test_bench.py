"""`drumline bench`, short: every command is found again, every route answers; it ends with a line of JSON."""

import json
import subprocess
import sys

import pytest

LINE = [sys.executable, "-m", "infra.cli", "bench", "pipeline", "--json"]


@pytest.mark.parametrize("more", [(), pytest.param(("--traces",), marks=pytest.mark.long)], ids=["plain", "traced"])
def test_a_short_run_finds_every_command_and_says_what_was_measured(more: tuple[str, ...]) -> None:
    short = ["--commands", "1500", "--seconds", "1", "--rounds", "1"]
    done = subprocess.run([*LINE, *short, *more], capture_output=True, text=True, timeout=110)
    assert done.returncode == 0, done.stderr
    figures = json.loads(done.stdout.splitlines()[-1])
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


def test_a_short_run_of_reads_asks_every_route_and_gets_what_it_asked_for() -> None:
    short = ["--deliveries", "2000", "--rate", "40", "--seconds", "3", "--sends", "5"]
    line = [sys.executable, "-m", "infra.cli", "bench", "reads", "--json"]
    done = subprocess.run([*line, *short], capture_output=True, text=True, timeout=110)
    assert done.returncode == 0, done.stderr
    figures = json.loads(done.stdout.splitlines()[-1])
    assert figures["others"] == {}
    assert figures["requests"] == sum(route["requests"] for route in figures["routes"].values()) == 120
    assert 0 < figures["p50_ms"] <= figures["p99_ms"] <= figures["max_ms"]
    assert figures["beside_events_per_s"] > 0
    assert set(figures["cpu_percent"]) == {"core", "api", "nats", "postgresql", "client"}
    assert set(figures["cpu_us"]) == set(figures["cpu_percent"])
    assert len(figures["routes"]) > 15


def test_a_short_run_of_imports_finds_everybody_and_changes_nothing_the_second_time() -> None:
    line = [sys.executable, "-m", "infra.cli", "bench", "imports", "--json", "--rows", "1500", "--consents"]
    done = subprocess.run(line, capture_output=True, text=True, timeout=110)
    assert done.returncode == 0, done.stderr
    new, again = json.loads(done.stdout.splitlines()[-1])
    assert (new["rows"], new["added"], new["changed"]) == (1_500, 1_500, 0)
    assert (again["rows"], again["added"], again["changed"]) == (1_500, 0, 0)
    assert set(new["cpu_s"]) == {"core", "api", "imports", "nats", "postgresql", "all"}
    assert new["seconds"] > 0
    assert 0 < new["peak_mb"] < 300
