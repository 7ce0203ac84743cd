"""CI tells a fault from chance: by its exit code, and by what it prints."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest

from tests.ci.ci import CI, GREEN, RED
from tests.ci.conftest import LONG, Suite
from tests.ci.run import Run
from tests.ci.run import pytest as run_pytest

DAY = date(2026, 12, 1)
Told = pytest.CaptureFixture[str]


def ci(workers: int = 0) -> CI:
    return CI(lambda seconds: run_pytest(["-n", str(workers)], seconds), workers=workers, day=DAY)


def test_what_chance_made_fail_is_told_of_and_ci_goes_on(suite: Suite, capfd: Told) -> None:
    """Here a worker dies with its test. The slowest are told, and the long tests run."""
    suite("def test_slow(): time.sleep(0.2)\ndef test_shy():\n    if once(): os.kill(os.getpid(), signal.SIGKILL)")
    assert ci(workers=2).run() == GREEN
    told = capfd.readouterr().out
    assert "s  test_short.py::test_slow\n" in told
    assert told.count("Once more, alone: ") == 1
    assert "2 passed" in told.partition("Long tests for 10 minutes, as of 2026-12-01")[2]
    assert "flaky: test_short.py::test_shy, worker 'gw" in told
    assert "\n| 2026-12-01 | `test_short.py::test_shy` | worker 'gw" in told


def test_what_fails_twice_is_red(suite: Suite, capfd: Told) -> None:
    """By its seed: chance would else hide a fault that one run in a thousand shows."""
    suite("def test_ill(): assert 0, random.random()")
    assert ci().run() == RED
    told = capfd.readouterr().out
    assert "red: test_short.py::test_ill failed twice: AssertionError: 0." in told
    assert "Long tests for" not in told
    assert len({line for line in told.splitlines() if line.startswith("E   AssertionError: 0.")}) == 1


def test_a_test_that_is_in_the_page_already_is_told_of(suite: Suite, capfd: Told) -> None:
    suite("", LONG)
    row = f"| {DAY} | `a.py::test_a` | late | |"
    Path("docs/flaky.md").write_text(f"# Flaky tests\n\n{row}\n")
    assert told_runs(Run(1, status=1, failed={"a.py::test_a": "late"})).run() == GREEN
    assert f"{row}\na.py::test_a is there already: it is mended before anything else.\n" in capfd.readouterr().out


def test_a_test_named_twice_makes_it_red_before_anything_runs(suite: Suite, capfd: Told) -> None:
    suite("def test_well(): pass")
    Path("docs/flaky.md").write_text(
        "| 2026-11-30 | `a.py::test_a` | late | |\n| 2026-12-01 | `a.py::test_a` | late | |\n"
    )
    assert ci().run() == RED
    assert capfd.readouterr().out == "a.py::test_a is in docs/flaky.md twice: it is mended before anything else.\n"


def told_runs(tests: Run, long: Run | None = None, alone: Run | None = None) -> CI:
    """CI with runs that ended thus; one that says nothing else passed."""
    well = Run(0, status=0)
    well.took["a.py::test_long"] = 1.0
    tests.took["a.py::test_a"] = 1.0

    def ran(options: Sequence[str], seconds: float) -> Run:
        if "--collect-only" in options:
            return Run(0, status=0, collected=["a.py::test_long"])
        return (long or well) if "--maxschedchunk" in options else (alone or well)

    return CI(lambda seconds: tests, ran, day=DAY)


CUT_OFF = Run(2, cut_off=True, unended=["a.py::test_endless"])
ILL = Run(1, status=1, failed={"a.py::test_long": "late"})
ILL.took["a.py::test_long"] = 1.0


@pytest.mark.parametrize(
    ("tests", "long", "alone", "code", "said"),
    [
        (Run(0, status=0), None, None, GREEN, "Long tests"),
        (Run(-9), None, None, RED, "red: pytest ended before its end (exit code -9)"),
        (Run(2, cut_off=True), None, None, RED, "red: it took too long"),
        (Run(1, status=1, failed={f"a.py::{n}": "late" for n in range(11)}), None, None, RED, "red: 11 tests failed"),
        (
            Run(1, status=1, failed={"a.py::test_a": "late"}),
            None,
            Run(5, status=5),
            RED,
            "red: a.py::test_a failed twice",
        ),
        (Run(1, status=1, failed={"a.py::test_a": "late"}), None, CUT_OFF, RED, "red: a.py::test_a failed twice"),
        (Run(0, status=0), CUT_OFF, None, GREEN, "cut off, and so not judged: a.py::test_endless"),
        (Run(0, status=0), replace(CUT_OFF, failed=ILL.failed), None, GREEN, "flaky: a.py::test_long, late"),
        (Run(0, status=0), replace(CUT_OFF, failed=ILL.failed), ILL, RED, "red: a.py::test_long failed twice: late"),
        (Run(0, status=0), ILL, None, GREEN, "flaky: a.py::test_long, late"),
        (Run(0, status=0), ILL, ILL, RED, "red: a.py::test_long failed twice: late"),
        (Run(0, status=0), Run(-9), None, RED, "red: the long tests: pytest ended before its end (exit code -9)"),
        (Run(0, status=0), Run(2, status=2, uncollected={"b.py": "no x"}), None, RED, "b.py cannot be collected: no x"),
    ],
)
def test_its_code_is_red_unless_all_that_was_judged_passed(
    suite: Suite, capfd: Told, tests: Run, long: Run | None, alone: Run | None, code: int, said: str
) -> None:
    suite("")
    assert told_runs(replace(tests, took=tests.took.copy()), long, alone).run() == code
    assert said in capfd.readouterr().out


def test_long_tests_that_cannot_be_collected_are_red(suite: Suite, capfd: Told) -> None:
    suite("def test_well(): pass", "import nothing_of_this_name")
    Path("test_longer.py").rename("of_length.py")
    Path("pyproject.toml").write_text(Path("pyproject.toml").read_text() + "python_files = ['test_*.py']\n")
    assert ci().run() == RED
    assert "red: the long tests: " in capfd.readouterr().out


@pytest.mark.long
@pytest.mark.parametrize(
    "fault",
    [
        "@pytest.fixture\ndef f(): assert not once()\ndef test_shy(f): pass",
        "@pytest.fixture\ndef f():\n    yield\n    assert not once()\ndef test_shy(f): pass",
        "@pytest.mark.timeout(0.2)\ndef test_shy():\n    if once(): time.sleep(30)",
    ],
    ids=["set-up", "tear-down", "time-out"],
)
@pytest.mark.parametrize("workers", [0, 2])
def test_a_fault_around_a_test_is_the_tests(suite: Suite, capfd: Told, fault: str, workers: int) -> None:
    suite(fault)
    assert ci(workers).run() == GREEN
    assert "flaky: test_short.py::test_shy, " in capfd.readouterr().out
