"""One run of pytest: started, bounded, and read from its journal."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

PLUGIN = "tests.ci.journal"
ENDING = 30.0  # seconds that pytest has to end its servers
TESTS_FAILED = 1  # pytest's exit status


@dataclass
class Run:
    """What became of one run."""

    code: int  # of the process, which may be make: negative for a signal
    cut_off: bool = False  # by the clock
    status: int | None = None  # pytest's own word at its end; None when it did not come to that
    seed: int | None = None
    collected: list[str] = field(default_factory=list)
    uncollected: dict[str, str] = field(default_factory=dict)  # what could not be collected -> why
    failed: dict[str, str] = field(default_factory=dict)  # test -> why
    took: dict[str, float] = field(default_factory=dict)  # test -> seconds
    unended: list[str] = field(default_factory=list)  # they began

    def broken(self, *, may_be_cut_off: bool = False) -> str:
        """Why this run tells nothing of its tests, or not of all; empty when each passed or failed."""
        if self.uncollected:
            return "; ".join(f"{name} cannot be collected: {why}" for name, why in self.uncollected.items())
        if self.cut_off:
            return "" if may_be_cut_off else "it took too long"
        if self.status is None:
            during = f", during {', '.join(self.unended)}" if self.unended else ""
            return f"pytest ended before its end{during} (exit code {self.code})"
        if self.status not in (0, TESTS_FAILED):
            return f"pytest ended with status {self.status}"
        if bool(self.status) != bool(self.code):
            return f"pytest told of status {self.status}, and its process ended with {self.code}"
        if not self.took:
            return "no test ran"
        if bool(self.status) != bool(self.failed):
            return f"pytest ended with status {self.status}, and {len(self.failed)} tests failed"
        return ""

    def slowest(self, many: int) -> list[tuple[str, float]]:
        return sorted(self.took.items(), key=lambda item: item[1], reverse=True)[:many]


def pytest(options: Sequence[str], seconds: float) -> Run:
    """Run pytest with these options and tests, for at most so long."""
    return journaled(lambda journal: [sys.executable, "-m", "pytest", *options, *journal], seconds)


def make(command: Sequence[str], seconds: float) -> Run:
    """Run a target of the Makefile that runs pytest, for at most so long."""
    return journaled(lambda journal: [*command, f"ARGS={' '.join(journal)}"], seconds)


def journaled(command: Callable[[Sequence[str]], Sequence[str]], seconds: float) -> Run:
    """Run what a command is with the options for a journal, and read that."""
    with tempfile.TemporaryDirectory(prefix="drl-ci-") as scratch:
        journal = Path(scratch) / "journal"
        journal.touch()
        argv = command(["-p", PLUGIN, f"--journal={journal}"])
        process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, start_new_session=True)
        deadline = time.time() + seconds
        cut_off = False
        try:
            process.wait(seconds)
        except subprocess.TimeoutExpired:
            cut_off = True
        finally:  # also after Ctrl-C, which reaches us alone
            end(process)
        return read(journal, process.returncode, deadline if cut_off else None)


def end(process: "subprocess.Popen[bytes]") -> None:
    """End a process and its group as Ctrl-C does, so that tests stop their servers; kill what does not listen."""
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGINT)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(ENDING)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def read(journal: Path, code: int, deadline: float | None = None) -> Run:
    """What a journal tells. What it tells of after the deadline was done by the end put to it."""
    result = Run(code, cut_off=deadline is not None)
    unended: dict[str, None] = {}
    for text in journal.read_text().splitlines():
        line = json.loads(text)
        if deadline is not None and line["at"] >= deadline:
            break
        match line:
            case {"what": "collected", "test": test}:
                result.collected.append(test)
            case {"what": "uncollected", "test": test, "reason": reason}:
                result.uncollected[test] = reason
            case {"what": "began", "test": test}:
                unended[test] = None
            case {"what": "ran", "test": test, "failed": failed, "took": took, "reason": reason}:
                result.took[test] = result.took.get(test, 0.0) + took
                if failed:
                    result.failed.setdefault(test, reason)
            case {"what": "ended", "test": test}:
                unended.pop(test, None)
            case {"what": "finished", "status": status, "seed": seed}:
                result.status, result.seed = status, seed
    result.unended = list(unended)
    return result
