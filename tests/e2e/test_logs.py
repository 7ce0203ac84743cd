"""Logs are one line a record, and hold nobody's number, name or words, whoever logs and however a process ends."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

CANARIES = ("+12025550143", "12025550143", "Ada Canary", "be quiet about it")
SETUP = """
import asyncio, logging, sys, threading, uuid
sys.path.insert(0, {library!r})
from infra import logs
logs.configure({form!r}, "info")
number, name, words = "+12025550143", "Ada Canary", "be quiet about it"
"""
LIBRARY = """
import logging
log = logging.getLogger(__name__)
def constant(): log.warning("lost a connection")
def filled(number, error): log.warning("cannot reach %s after %d tries in %.1f s: %s", number, 3, 0.25, error)
def made(words): log.warning(f"refused: {words}")
def field(name): log.warning("refused", extra={"who": name})
def long(): log.warning("took %d", 12025550143)
def mapped(name): log.warning("of %(name)s", {"name": name})
def trace(words):
    try:
        raise ValueError(words)
    except ValueError:
        log.exception("failed")
"""


def said(tmp_path: Path, program: str, form: str = "json") -> str:
    """What a process that runs a program writes to stderr."""
    (tmp_path / "library.py").write_text(LIBRARY)
    text = SETUP.format(library=str(tmp_path), form=form) + program
    run = subprocess.run([sys.executable, "-c", text], capture_output=True, text=True, timeout=60, check=False)
    assert run.stdout == ""
    return run.stderr


def lines(tmp_path: Path, program: str) -> list[dict[str, Any]]:
    """The same as objects; none holds a canary."""
    text = said(tmp_path, program)
    assert [word for word in CANARIES if word in text] == []
    return [json.loads(line) for line in text.splitlines()]


def test_our_own_record_is_an_object_with_its_fields(tmp_path: Path) -> None:
    log = "logging.getLogger('workers.relay')"
    (line,) = lines(tmp_path, f"{log}.warning('relay waits: %s', 'TimeoutError', extra={{'batch': 3}})")
    assert line.pop("time").endswith("+00:00")
    assert line == {"level": "warning", "logger": "workers.relay", "message": "relay waits: TimeoutError", "batch": 3}


def test_of_a_library_only_what_stands_in_its_source_is_told(tmp_path: Path) -> None:
    calls = {
        "constant()": "lost a connection",
        "filled(number, ValueError(words))": "cannot reach … after 3 tries in 0.25 s: ValueError",
        "made(words)": "…",
        "field(name)": "refused",
        "long()": "took …",
        "mapped(name)": "of …",
    }
    found = lines(tmp_path, "import library\n" + "\n".join(f"library.{call}" for call in calls))
    assert [line["message"] for line in found] == list(calls.values())
    for line in found:
        assert line["where"].startswith("library.py:")
        assert set(line) == {"time", "level", "logger", "message", "where"}


def test_an_error_is_told_by_its_kind_and_place(tmp_path: Path) -> None:
    (line,) = lines(tmp_path, "import library; library.trace(words)")
    assert line["message"] == "failed"
    assert line["error"].startswith("ValueError at library.py:")


def test_a_collector_that_is_away_is_told_once_a_minute(tmp_path: Path) -> None:
    away = "logging.getLogger('opentelemetry.exporter.otlp').error('away')"
    program = f"for _ in range(50): {away}\nlogging.getLogger('workers.relay').error('ours')"
    found = lines(tmp_path, program)
    assert [line["logger"] for line in found] == ["opentelemetry.exporter.otlp", "workers.relay"]


def test_our_own_error_is_told_in_its_words_and_a_foreign_cause_by_its_kind(tmp_path: Path) -> None:
    program = """
from domain.message import Refused
try:
    try:
        raise KeyError(name)
    except KeyError as error:
        raise Refused("own_job", field="actor") from error
except Refused:
    logging.getLogger("workers.commands").exception("intake")
"""
    (line,) = lines(tmp_path, program)
    assert line["error"].startswith("Refused: actor: own_job at ")
    assert line["cause"].startswith("KeyError at ")


def test_what_nobody_catches_is_told_by_its_kind_and_a_warning_is_a_record_too(tmp_path: Path) -> None:
    program = """
import warnings
warnings.warn(words)
thread = threading.Thread(target=lambda: int(words))
thread.start()
thread.join()
async def main():
    asyncio.get_running_loop().set_exception_handler(logs.untended)
    asyncio.get_running_loop().call_soon([].index, words)
    await asyncio.sleep(0)
asyncio.run(main())
raise LookupError(words)
"""
    warning, *ends = lines(tmp_path, program)
    assert warning["logger"] == "py.warnings"
    assert [end["error"].partition(" ")[0] for end in ends] == ["ValueError", "ValueError", "LookupError"]
    assert [end["message"] for end in ends] == ["a thread ended", "a task or callback failed", "ended"]


def test_being_told_to_end_is_no_error(tmp_path: Path) -> None:
    assert said(tmp_path, "sys.exit(0)") == ""
    assert said(tmp_path, "raise KeyboardInterrupt") == ""


def test_for_people_a_record_is_one_line_with_its_fields(tmp_path: Path) -> None:
    log = "logging.getLogger('adapters.bus')"
    text = said(tmp_path, f"{log}.error('of two\\nlines', extra={{'job_id': uuid.UUID(int=7)}})", "console")
    (line,) = text.splitlines()
    assert line.endswith("ERROR adapters.bus of two lines job_id=00000000-0000-0000-0000-000000000007")


def test_a_record_within_a_trace_names_it(tmp_path: Path) -> None:
    program = """
from adapters import tracing
with tracing.carrying("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"):
    logging.getLogger("drumline").info("here")
"""
    (line,) = lines(tmp_path, program)
    assert line["trace_id"] == "0af7651916cd43dd8448eb211c80319c"
