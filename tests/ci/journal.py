"""A pytest plugin that writes what happens to a file, a line of JSON each, as it happens.

A run that is killed leaves what it had written: which tests began and never ended is told by that, and by nothing else.
JUnit's XML is written at the end only, and names tests by other names than those that run them again.
"""

import json
import time
from pathlib import Path
from typing import Any

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--journal", metavar="FILE", help="write what happens to this file, a line of JSON each")


def pytest_configure(config: pytest.Config) -> None:
    path = config.getoption("--journal")
    if path and not hasattr(config, "workerinput"):  # xdist's workers tell the process that started them
        config.pluginmanager.register(Journal(Path(path), config))


class Journal:
    """One run of pytest, as it goes on."""

    def __init__(self, path: Path, config: pytest.Config) -> None:
        self._path, self._config = path, config

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        if report.failed:
            self._write(what="uncollected", test=report.nodeid, reason=reason_of(report))

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        if self._config.option.collectonly:
            for item in session.items:
                self._write(what="collected", test=item.nodeid)

    def pytest_runtest_logstart(self, nodeid: str) -> None:
        self._write(what="began", test=nodeid)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        reason = reason_of(report) if report.failed else ""
        self._write(
            what="ran", test=report.nodeid, phase=report.when, failed=report.failed, took=report.duration, reason=reason
        )

    def pytest_runtest_logfinish(self, nodeid: str) -> None:
        self._write(what="ended", test=nodeid)

    def pytest_sessionfinish(self, exitstatus: int) -> None:
        seed = getattr(self._config.option, "randomly_seed", None)
        self._write(what="finished", status=int(exitstatus), seed=seed if isinstance(seed, int) else None)

    def _write(self, **line: Any) -> None:
        with self._path.open("a") as file:
            file.write(json.dumps({"at": time.time(), **line}) + "\n")


def reason_of(report: pytest.CollectReport | pytest.TestReport) -> str:
    """Why it failed, on one line."""
    crash = getattr(report.longrepr, "reprcrash", None)
    lines = [line.strip() for line in (crash.message if crash else str(report.longrepr)).splitlines() if line.strip()]
    if not crash:  # of an error in words the last line tells, of a test the first
        lines = lines[-1:]
    return lines[0][:200] if lines else "it gave no reason"
