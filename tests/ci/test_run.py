"""What a run of pytest came to is told rightly, however it ended."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.ci.conftest import Suite
from tests.ci.run import PLUGIN, end, make, read
from tests.ci.run import pytest as run_pytest

ENDLESS = "def test_endless():\n    pathlib.Path('pid').write_text(str(os.getpid())); time.sleep(60)\n"
FINISHED: dict[str, Any] = {"what": "finished", "status": 0, "seed": 1}


def ran(*, failed: bool = False) -> dict[str, Any]:
    return {"what": "ran", "test": "a.py::test_a", "failed": failed, "took": 1.0, "reason": "late" if failed else ""}


@pytest.mark.parametrize(
    ("lines", "code", "why"),
    [
        ([ran(), FINISHED], 0, ""),
        ([ran(failed=True), FINISHED | {"status": 1}], 1, ""),
        ([ran(failed=True), FINISHED | {"status": 1}], 2, ""),  # make's own code
        ([ran(), FINISHED], 3, "pytest told of status 0, and its process ended with 3"),
        ([ran(failed=True), FINISHED | {"status": 1}], 0, "pytest told of status 1, and its process ended with 0"),
        ([ran(), FINISHED], -11, "pytest told of status 0, and its process ended with -11"),
        ([ran(failed=True), FINISHED], 0, "pytest ended with status 0, and 1 tests failed"),
        ([ran(), FINISHED | {"status": 1}], 1, "pytest ended with status 1, and 0 tests failed"),
        ([ran(failed=True), FINISHED | {"status": 2}], 2, "pytest ended with status 2"),
        ([ran(), FINISHED | {"status": 3}], 3, "pytest ended with status 3"),
        ([FINISHED | {"status": 4}], 4, "pytest ended with status 4"),
        ([FINISHED | {"status": 5}], 5, "pytest ended with status 5"),
        ([FINISHED], 0, "no test ran"),
        ([], 0, "pytest ended before its end (exit code 0)"),
        ([ran()], 1, "pytest ended before its end (exit code 1)"),
        (
            [{"what": "began", "test": "a.py::test_a"}],
            -9,
            "pytest ended before its end, during a.py::test_a (exit code -9)",
        ),
        (
            [{"what": "uncollected", "test": "b.py", "reason": "no module x"}, FINISHED | {"status": 2}],
            2,
            "b.py cannot be collected: no module x",
        ),
    ],
)
def test_only_a_run_that_came_to_its_end_tells_of_its_tests(
    tmp_path: Path, lines: list[dict[str, Any]], code: int, why: str
) -> None:
    journal = tmp_path / "journal"
    journal.write_text("".join(json.dumps({"at": 1.0} | line) + "\n" for line in lines))
    assert read(journal, code).broken() == why


def test_what_comes_after_the_deadline_was_done_by_the_end(tmp_path: Path) -> None:
    journal = tmp_path / "journal"
    lines: list[dict[str, Any]] = [
        {"at": 1.0, "what": "began", "test": "a.py::test_a"},
        {"at": 2.0} | ran(failed=True),
        {"at": 3.0, "what": "began", "test": "a.py::test_b"},
        {"at": 9.0} | ran(failed=True) | {"test": "a.py::test_b"},
        {"at": 9.0} | FINISHED,
    ]
    journal.write_text("".join(json.dumps(line) + "\n" for line in lines))
    result = read(journal, 2, deadline=9.0)
    assert (result.failed, result.unended, result.status) == (
        {"a.py::test_a": "late"},
        ["a.py::test_a", "a.py::test_b"],
        None,
    )
    assert (result.broken(), result.broken(may_be_cut_off=True)) == ("it took too long", "")


def long(short: str, why: str, name: str) -> Any:
    return pytest.param(short, why, marks=pytest.mark.long, id=name)


@pytest.mark.parametrize(
    ("short", "why"),
    [
        pytest.param(
            "def test_dies(): os._exit(0)", "during test_short.py::test_dies (exit code 0)", id="dies as if well"
        ),
        long("def test_dies(): os.kill(os.getpid(), signal.SIGKILL)", "(exit code -9)", "killed"),
        long("import nothing_of_this_name", "test_short.py cannot be collected: ", "uncollected"),
        long("", "pytest ended with status 5", "nothing"),
        long("def test_stops(): raise KeyboardInterrupt", "pytest ended with status 2", "interrupted"),
        long("import atexit\natexit.register(os._exit, 3)\ndef test_a(): pass", "process ended with 3", "at exit"),
        long(
            "@pytest.mark.timeout(0.2, method='thread')\ndef test_hangs(): time.sleep(30)",
            "during test_short.py::test_hangs (exit code 1)",
            "hung beyond a signal",
        ),
    ],
)
def test_pytest_that_breaks_is_not_believed(suite: Suite, short: str, why: str) -> None:
    suite(short)
    assert why in run_pytest(["-n", "0"], 60).broken()


@pytest.mark.long
def test_what_a_worker_cannot_collect_is_told(suite: Suite) -> None:
    suite("import nothing_of_this_name")
    assert "test_short.py cannot be collected: " in run_pytest(["-n", "2"], 60).broken()


def test_make_ends_with_a_code_of_its_own_and_pytest_is_believed(suite: Suite) -> None:
    suite("def test_well(): pass\ndef test_ill(): assert 1 == 2")
    result = make(["make", "test"], 60)
    assert (result.code, result.status, result.broken()) == (2, 1, "")
    assert result.failed == {"test_short.py::test_ill": "assert 1 == 2"}
    assert set(result.took) == {"test_short.py::test_ill", "test_short.py::test_well"}


def test_a_run_that_takes_too_long_is_ended(suite: Suite) -> None:
    suite(ENDLESS)
    result = run_pytest(["-n", "0"], 0.0)
    assert (result.cut_off, result.broken()) == (True, "it took too long")


@pytest.mark.parametrize("workers", [0, pytest.param(2, marks=pytest.mark.long)])
def test_who_ends_a_run_ends_its_tests(suite: Suite, workers: int) -> None:
    suite(ENDLESS)
    argv = [sys.executable, "-m", "pytest", "-n", str(workers), "-p", PLUGIN, "--journal=journal"]
    process = subprocess.Popen(argv, start_new_session=True)
    until(lambda: process.poll() is not None or running() is not None)
    end(process)
    ended(running())
    assert read(Path("journal"), 0).unended == ["test_short.py::test_endless"]


@pytest.mark.parametrize("sign", [signal.SIGINT, pytest.param(signal.SIGTERM, marks=pytest.mark.long)])
def test_who_ends_ci_ends_its_tests(suite: Suite, sign: signal.Signals) -> None:
    suite(ENDLESS)
    ci = subprocess.Popen([sys.executable, "-m", "tests.ci", "make", "test"])
    try:
        until(lambda: ci.poll() is not None or running() is not None)
        ci.send_signal(sign)
        assert ci.wait(60) == 128 + signal.SIGINT
    finally:
        ci.kill()
        ci.wait()
    ended(running())


def running() -> int | None:
    """The process in which the endless test runs."""
    pid = Path("pid").read_text() if Path("pid").exists() else ""
    return int(pid) if pid else None


def ended(pid: int | None) -> None:
    assert pid is not None

    def gone() -> bool:
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return True
        return False

    until(gone)


def until(condition: Callable[[], bool], seconds: float = 60.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)
