"""CI in its order: the tests, the slowest of them, the failed ones again, the long ones of the day."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from pathlib import Path

from tests.ci import flaky
from tests.ci.part import part_of
from tests.ci.run import Run, pytest

GREEN, RED = 0, 1
TESTS = 40 * 60.0  # seconds for `make test`
LONG = 10 * 60.0  # for the long tests of a day
AGAIN = 15 * 60.0  # for one test alone: the longest of the long ones may take as long
ALL_OF_IT = 75 * 60.0
MOST_AGAIN = 10  # tests that run again: more failures are no chance
SLOWEST = 20
LONG_MARKS = ("-m", "long or security")


@dataclass
class CI:
    """How tests are run, and for how many seconds at most."""

    tests: Callable[[float], Run]  # runs all that are not long
    pytest: Callable[[Sequence[str], float], Run] = pytest  # runs those named
    page: Path = Path(flaky.PAGE)
    day: date = field(default_factory=lambda: datetime.now(UTC).date())
    workers: int = 2
    flaky: dict[str, str] = field(default_factory=dict)
    _deadline: float = field(default_factory=lambda: time.monotonic() + ALL_OF_IT)

    def run(self) -> int:
        """Run it all; the exit code."""
        known = self.page.read_text()
        for test in flaky.named_twice(known):
            self.say(f"{test} is in {self.page} twice: it is mended before anything else.")
        if flaky.named_twice(known):
            return RED
        green = self._tests() and self._long()
        self._tell(known)
        return GREEN if green else RED

    def _tests(self) -> bool:
        result = self.tests(self._at_most(TESTS))
        self.say(f"\nThe slowest {SLOWEST} tests:")
        for test, seconds in result.slowest(SLOWEST):
            self.say(f"{seconds:7.1f} s  {test}")
        if broken := result.broken():
            self.say(f"\nred: {broken}")
            return False
        return self._passed(result, ())

    def _long(self) -> bool:
        """As many of the long tests as the clock allows, beginning where this day does."""
        found = self.pytest([*LONG_MARKS, "--collect-only", "-qq"], self._at_most(LONG))
        if found.uncollected or found.status != 0 or found.cut_off:
            self.say(f"\nred: the long tests: {found.broken()}")
            return False
        self.say(f"\nLong tests for {LONG / 60:.0f} minutes, as of {self.day}:")
        options = ["-n", str(self.workers), "--maxschedchunk", "1", "--randomly-dont-reorganize", *LONG_MARKS]
        result = self.pytest([*options, *part_of(self.day, found.collected)], self._at_most(LONG))
        if result.cut_off:
            cut_off = ", ".join(result.unended) or "none"
            self.say(f"\nThe time is over: {len(result.took)} long tests ran; cut off, and so not judged: {cut_off}")
        if broken := result.broken(may_be_cut_off=True):
            self.say(f"\nred: the long tests: {broken}")
            return False
        return self._passed(result, LONG_MARKS)

    def _passed(self, result: Run, options: Sequence[str]) -> bool:
        """Whether each test that failed passes when it runs again, alone."""
        if len(result.failed) > MOST_AGAIN:
            self.say(f"\nred: {len(result.failed)} tests failed, too many to be chance.")
            return False
        # A test that chance made fail meets the same chance again: what fails by its seed is a fault, not flaky.
        seed = [] if result.seed is None else [f"--randomly-seed={result.seed}"]
        failed = []
        for test, reason in result.failed.items():
            self.say(f"\nOnce more, alone: {test}")
            alone = self.pytest(["-n", "0", *seed, *options, test], self._at_most(AGAIN))
            if alone.broken() or alone.failed:
                failed.append(test)
            else:
                self.flaky[test] = reason
        for test in failed:
            self.say(f"\nred: {test} failed twice: {result.failed[test]}")
        return not failed

    def say(self, text: str) -> None:
        print(text, flush=True)  # pytest prints beside us

    def _at_most(self, seconds: float) -> float:
        return max(0.0, min(seconds, self._deadline - time.monotonic()))

    def _tell(self, known: str) -> None:
        """The table of what was flaky, and what a person is to do about it."""
        if not self.flaky:
            return
        self.say("")
        for test, reason in self.flaky.items():
            self.say(f"flaky: {test}, {reason}")
        self.say(f"\nAdd to the table in {self.page}:")
        for test, reason in self.flaky.items():
            self.say(flaky.row(self.day, test, reason))
        for test in self.flaky:
            if flaky.unmended(known)[test]:
                self.say(f"{test} is there already: it is mended before anything else.")
