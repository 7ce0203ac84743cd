"""A suite of pytest in a directory of its own."""

import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

Suite = Callable[..., None]

CONFIGURATION = """\
[tool.pytest.ini_options]
addopts = ["-m", "not long and not security", "-p", "no:cacheprovider"]
markers = ["long: takes minutes", "security: takes minutes"]
"""
BEGINNING = """\
import os, pathlib, pytest, random, signal, time

def once():  # true the first time
    been = pathlib.Path("been"); was = been.exists(); been.touch()
    return not was
"""
LONG = """\
@pytest.mark.long
def test_of_faults(): pass
@pytest.mark.security
def test_of_attacks(): pass
"""


@pytest.fixture
def suite(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Suite]:
    """Writes the suite: its short tests, and its long ones."""
    heeded = signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored in a shell's background
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")  # loading all takes a second
    monkeypatch.setenv("PYTEST_ADDOPTS", "-p xdist -p timeout -p randomly")

    def write(short: str, long: str = LONG) -> None:
        Path("docs").mkdir(exist_ok=True)
        Path("docs/flaky.md").touch()
        Path("pyproject.toml").write_text(CONFIGURATION)
        Path("Makefile").write_text(f"test:\n\t@{sys.executable} -m pytest $(ARGS)\n")
        Path("test_short.py").write_text(BEGINNING + short)
        Path("test_longer.py").write_text(BEGINNING + long)

    yield write
    signal.signal(signal.SIGINT, heeded)
