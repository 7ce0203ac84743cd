"""The kill table: whatever dies in the middle of a demo, nobody is written to twice and nobody is lost."""

import asyncio
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from adapters.bus import Bus
from adapters.event_store import EventStore
from adapters.sandbox.ledger import NAME, read, recount
from infra import settings
from infra.child import birth, wait_until
from infra.demo import Demo, begin_anew
from infra.embedded import EmbeddedServers
from infra.ports import free_port
from infra.rebuild import rebuild
from infra.settings import SettingsError
from tests.e2e.descendants import processes_on
from tests.faults.invariants import (
    i1_nobody_got_it_twice,
    i5_streams_are_in_order,
    i6_events_is_a_window_of_the_log,
    i11_enough_was_sent,
    whole_log,
)

COMMAND = [sys.executable, "-m", "infra.cli", "demo", "--data-dir"]
ACCOUNTS = 2
LIST = Path(__file__).with_name("contacts.csv")
BEGUN = ("--contacts", str(LIST))
SENT, PARTS = 29, 2  # people of it who are written to, and messages to each
LONGEST = 150.0  # seconds for a run, or for the rest of one, beside other tests
PROCESSES = {
    "core": "run/core",
    "sessions": "run/sessions",
    "imports": "run/imports",
    "api": "run/api",
    "sandbox": "run/sandbox",
    "nats": "nats",
    "postgres": "postgres",
}
VICTIMS = [*PROCESSES, "supervisor", "everything"]
SHARES = (10, 50, 90)  # per cent of the messages that are on the wire when it happens
ROWS = pytest.mark.parametrize("victim", VICTIMS)
COLUMNS = pytest.mark.parametrize("share", SHARES)

pytestmark = pytest.mark.timeout(3 * LONGEST)


class Run:
    """A demo as a process of its own, on a data directory that outlives it."""

    def __init__(self, data: Path) -> None:
        self.data = data
        ports = {"DRUMLINE_HTTP_PORT": str(free_port()), "DRUMLINE_SANDBOX_PORT": str(free_port())}
        self._environment = {**os.environ, **ports}
        self._out = data.with_suffix(".out")

    @contextmanager
    def going(self, *options: str) -> Iterator[subprocess.Popen[bytes]]:
        with self._out.open("wb") as out:
            line = [*COMMAND, str(self.data), *options]
            process = subprocess.Popen(line, env=self._environment, stdout=out, stderr=subprocess.STDOUT)
            try:
                yield process
            finally:
                if process.poll() is None:
                    process.send_signal(signal.SIGINT)
                process.wait(LONGEST)

    def said(self) -> str:
        return self._out.read_text(errors="replace")

    def resumed(self) -> dict[str, Any]:
        """What `demo --resume` says at its end; its exit code is 0."""
        with self.going("--resume") as process:
            assert process.wait(LONGEST) == 0, self.said()
        assert wait_until(self.ended, 20)
        line: dict[str, Any] = json.loads(self.said().splitlines()[-1])
        return line

    def on_the_wire(self) -> int:
        return sum(1 for _ in read(self.data / "sandbox" / NAME))

    def wait_for(self, share: int, process: subprocess.Popen[bytes]) -> None:
        """Until this share of the messages is on the wire."""
        reached = wait_until(
            lambda: self.on_the_wire() * 100 >= SENT * PARTS * share or process.poll() is not None, LONGEST, 0.05
        )
        assert reached, self.said()
        assert process.poll() is None, self.said()

    def pid(self, name: str) -> int:
        return int((self.data / PROCESSES[name] / "process").read_text().split()[0])

    def kill(self, victim: str, process: subprocess.Popen[bytes]) -> None:
        """With -9: one process, the supervisor alone, or all there are, the supervisor first."""
        if victim in PROCESSES:
            os.kill(self.pid(victim), signal.SIGKILL)
            return
        pids = [self.pid(name) for name in PROCESSES] if victim == "everything" else []
        process.kill()
        for pid in pids:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:  # the kernel told it of the supervisor's death
                continue
        process.wait(LONGEST)

    def ended(self) -> bool:
        """Whether all processes of the run are gone."""
        records = [self.data / place / "process" for place in PROCESSES.values()]
        return not any(birth(int(record.read_text().split()[0])) for record in records if record.exists())


@pytest.fixture
def run(scratch: Path) -> Iterator[Run]:
    made = Run(scratch / "data")
    yield made
    for pid in processes_on(made.data):  # what a test that failed left, stopped perhaps
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def check(said: dict[str, Any], run: Run) -> None:
    """The same last line as of a run that nothing happened to, but for what nobody can know."""
    assert (said["rows"], said["bad"], said["merged"], said["recipients"]) == (40, 4, 3, 33)
    assert said["skipped"] == {"no_consent": 4}
    assert said["unknown"] <= ACCOUNTS
    assert said["sent"] + said["unknown"] == SENT
    assert said["sent"] * PARTS <= said["parts"] <= said["sent"] * PARTS + said["unknown"]
    assert (said["duplicates"], said["lost"], said["failed"], said["partial"], said["stopped"]) == (0, 0, 0, 0, 0)
    wire = recount(run.data / "sandbox" / NAME)
    assert (wire.entries, wire.distinct) == (said["wire"], said["wire"])
    assert said["parts"] <= said["wire"] <= said["parts"] + said["unknown"]
    assert processes_on(run.data) == {}
    asyncio.run(check_the_invariants(run))
    assert not begin_anew(run.data)  # it came to its end


async def check_the_invariants(run: Run) -> None:
    """Of what is left on the disk: of the log, the wire, the bus and the read models."""
    wire = list(read(run.data / "sandbox" / NAME))
    with EmbeddedServers(run.data) as servers:
        store = EventStore(servers.database_url)
        store.start()
        bus = await Bus.connect(servers.nats_url, "invariants")
        try:
            log = await whole_log(store)
            i1_nobody_got_it_twice(wire, log)
            i5_streams_are_in_order(log)
            await i6_events_is_a_window_of_the_log(bus, log, complete=False)
            i11_enough_was_sent(wire, log, (SENT - ACCOUNTS) * PARTS)
        finally:
            await bus.close()
            await store.stop()
        anew = await rebuild(servers.database_url, swap=False)
        assert anew.same, anew.tables


def interrupted(run: Run, share: int, act: Callable[[subprocess.Popen[bytes]], None]) -> dict[str, Any]:
    """Begin a demo, let something happen to it, and resume what does not come to its end by itself."""
    with run.going(*BEGUN) as process:
        run.wait_for(share, process)
        act(process)
        process.wait(LONGEST)  # what lost a part of itself goes on, and ends
    return run.resumed()


def test_all_of_it_killed_in_the_middle_is_resumed_and_accounts_for_everybody(run: Run) -> None:
    check(interrupted(run, 50, lambda process: run.kill("everything", process)), run)


@pytest.mark.long
@ROWS
@COLUMNS
def test_whoever_is_killed_nobody_is_written_to_twice_and_nobody_is_lost(run: Run, victim: str, share: int) -> None:
    said = interrupted(run, share, lambda process: run.kill(victim, process))
    check(said, run)
    assert said["unknown"] == 0 or victim in ("sessions", "sandbox", "supervisor", "everything")


@pytest.mark.long
@COLUMNS
def test_what_was_stopped_when_the_supervisor_was_killed_is_ended_and_the_run_resumed(run: Run, share: int) -> None:
    def stop_and_kill(process: subprocess.Popen[bytes]) -> None:
        for name in PROCESSES:
            os.kill(run.pid(name), signal.SIGSTOP)
        run.kill("supervisor", process)

    check(interrupted(run, share, stop_and_kill), run)


def wipe(run: Run) -> None:
    shutil.rmtree(run.data / "nats" / "jetstream")


@pytest.mark.long
@COLUMNS
def test_the_bus_may_lose_everything_while_it_runs(run: Run, share: int) -> None:
    def kill_and_wipe(process: subprocess.Popen[bytes]) -> None:
        run.kill("nats", process)
        wipe(run)

    check(interrupted(run, share, kill_and_wipe), run)


@pytest.mark.long
@COLUMNS
def test_the_bus_may_lose_everything_while_it_is_stopped(run: Run, share: int) -> None:
    with run.going(*BEGUN) as process:
        run.wait_for(share, process)
        run.kill("everything", process)
    wipe(run)
    check(run.resumed(), run)


async def test_there_must_be_a_demo_to_resume(scratch: Path) -> None:
    with pytest.raises(SettingsError, match="holds no demo that could be resumed"):
        await Demo(settings.read(data_dir=scratch / "data"), None, (), resume=True).run()
