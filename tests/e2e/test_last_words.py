"""Why a process ended is told by what it complained of in this run, and by nothing else."""

import json
import shutil
import signal
import sys
from pathlib import Path

import pytest

from infra.child import Child, wait_until
from infra.embedded import EmbeddedNats, EmbeddedPostgres, ServerError
from infra.process.last_words import last_words

OF_POSTGRES = """\
2026-12-01 05:19:33.845 UTC [89] LOG:  listening on Unix socket "/x/.s.PGSQL.5432"
2026-12-01 05:19:33.884 UTC [96] PANIC:  could not locate a valid checkpoint record at 0/1AEFE50
2026-12-01 05:19:33.886 UTC [97] FATAL:  the database system is starting up
2026-12-01 05:19:33.892 UTC [89] LOG:  startup process (PID 96) was terminated by signal 6: Aborted
2026-12-01 05:19:33.893 UTC [98] PANIC:  a later one
"""
ENDED = "relay ended: NotDeclared: The bus has no stream EVENTS at streams.py:150"
TRACEBACK = 'Traceback (most recent call last):\n  File "x.py", line 1, in <module>\n    boom()\nValueError: boom\n'


def ours(level: str, words: str) -> str:
    return f"2026-12-01 05:19:33.886+00:00 {level} drumline {words}\n"


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        (OF_POSTGRES, "could not locate a valid checkpoint record at 0/1AEFE50"),
        ("2026-12-01 05:19:33.886 UTC [97] FATAL:  the database system is starting up\n", None),
        ("[89] 2026/12/01 05:19:34.1 [INF] Starting\n[89] 2026/12/01 05:19:34.2 [FTL] no room\n", "no room"),
        (ours("ERROR", "got over") + ours("CRITICAL", ENDED) + ours("ERROR", "a later one"), ENDED),
        (ours("CRITICAL", "ended error=ValueError at x.py:1 places=x.py:1"), "ended error=ValueError at x.py:1"),
        (json.dumps({"level": "critical", "message": "ended", "error": "ValueError"}), "ended: ValueError"),
        (ours("INFO", "begins") + "drumline: Port 8180 is in use.\n" + TRACEBACK, "Port 8180 is in use."),
        (ours("INFO", "begins") + TRACEBACK + ours("INFO", "exporter stopped"), "ValueError: boom"),
        (ours("INFO", "begins") + ours("WARNING", "waits for a server: TimeoutError"), None),
        ("", None),
    ],
)
def test_the_gravest_complaint_is_the_reason_and_what_is_none_is_not_told(said: str, reason: str | None) -> None:
    assert last_words(said) == reason


def test_what_an_earlier_run_complained_of_is_no_reason(scratch: Path) -> None:
    child = Child("worker", scratch, scratch / "log")

    def run(program: str) -> str:
        child.start([sys.executable, "-c", program], signal.SIGTERM)
        assert wait_until(lambda: not child.alive(), 20)
        return child.how_it_ended()

    assert run("import sys; sys.exit('drumline: the first reason')") == "the first reason"
    assert run("print('2026-12-01 05:19:33+00:00 INFO drumline begins')") == "exit code 0, without a complaint"
    child.kill()


def test_postgres_that_does_not_start_is_quoted_with_its_panic(scratch: Path) -> None:
    server = EmbeddedPostgres(scratch / "postgres")
    server.start()
    server.stop()
    for segment in (server.data / "pg_wal").glob("0000*"):
        segment.unlink()
    with pytest.raises(ServerError, match=r"does not start: could not locate a valid checkpoint record at \S+ \(all"):
        server.start()


def test_nats_that_does_not_start_is_quoted_with_its_reason(nats_server: EmbeddedNats) -> None:
    nats_server.stop()
    shutil.rmtree(nats_server.home / "jetstream", ignore_errors=True)
    (nats_server.home / "jetstream").write_text("in the way")
    with pytest.raises(ServerError, match=r"does not start: Can't start JetStream: storage directory is not a direc"):
        nats_server.start()
