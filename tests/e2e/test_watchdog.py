"""The watchdog: what hangs ends with the reason, what only waits or slept goes on."""

import logging
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from adapters import heartbeats
from infra.process.exit_codes import STALLED
from infra.watchdog import Watchdog

ROOT = Path(__file__).parents[2]


@pytest.fixture
def now(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The time, in a list of one, and no other loop's beats."""
    now = [1_000.0]
    monkeypatch.setattr(heartbeats, "_last", {})
    monkeypatch.setattr("time.monotonic", lambda: now[0])
    return now


def test_a_loop_that_does_not_go_round_ends_the_process_with_its_name(
    now: list[float], caplog: pytest.LogCaptureFixture
) -> None:
    codes: list[int] = []
    watchdog = Watchdog(10.0, codes.append)
    heartbeats.beat("relay")
    for _ in range(11):
        assert watchdog.look() == (now[0] <= 1_010.0)
        heartbeats.beat("intake")
        now[0] += 1.0
    with caplog.at_level(logging.ERROR):
        assert not watchdog.look()
    assert codes == [STALLED]
    assert "relay has not gone round for 11 s" in caplog.text


def test_a_process_that_stood_still_as_a_whole_gets_its_time_again(now: list[float]) -> None:
    """As after SIGSTOP and SIGCONT, or a machine that slept."""
    codes: list[int] = []
    watchdog = Watchdog(10.0, codes.append)
    heartbeats.beat("relay")
    now[0] += 3_600.0
    assert watchdog.look()
    for _ in range(10):
        now[0] += 1.0
        assert watchdog.look()
    now[0] += 1.0
    assert not watchdog.look()


@pytest.mark.parametrize(
    ("loop", "said"),
    [
        ("await asyncio.Event().wait()", "relay has not gone round"),
        ("await asyncio.sleep(0.2); time.sleep(3600)", "has not gone round"),
    ],
    ids=["waits without end", "blocks the event loop"],
)
def test_a_process_that_hangs_is_ended(loop: str, said: str) -> None:
    program = f"""
        import asyncio, logging, time
        from adapters.heartbeats import beat
        from infra.watchdog import Watchdog
        from infra.work import until_told
        async def relay():
            beat("relay")
            {loop}
        logging.basicConfig()
        Watchdog(1.0, every=0.1).start()
        asyncio.run(until_told({{"relay": relay}}))
    """
    ended = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program)], cwd=ROOT, capture_output=True, text=True, timeout=60
    )
    assert ended.returncode == STALLED
    assert said in ended.stderr


def test_an_ending_that_hangs_is_ended_too() -> None:
    program = """
        import asyncio, logging, os, signal
        from infra.watchdog import Watchdog
        from infra.work import until_told
        async def relay():
            while True:
                try:
                    await asyncio.sleep(3600)
                except asyncio.CancelledError:
                    continue
        logging.basicConfig()
        Watchdog(1.0, every=0.1).start()
        async def main():
            asyncio.get_running_loop().call_later(0.2, os.kill, os.getpid(), signal.SIGTERM)
            await until_told({"relay": relay}, 0.1)
        asyncio.run(main())
    """
    ended = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program)], cwd=ROOT, capture_output=True, text=True, timeout=60
    )
    assert ended.returncode == STALLED
    assert "ending has not gone round" in ended.stderr
