"""Whoever supervises is supervised: what fails is said and tried again, or ends all of it loudly; never silently."""

import asyncio
import logging
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from adapters.bus import Bus, BusLost
from adapters.log_signal import LogSignal
from infra import watchdog
from infra.child import ServerError
from infra.embedded import EmbeddedNats
from infra.process import upkeep
from infra.process.exit_codes import STALLED
from infra.process.upkeep import keep_up
from infra.settings import read
from infra.supervisor import Supervisor
from infra.up import House, NotTended
from tests.waiting import until

WAIT = 20.0
QUICK = 0.01


@pytest.fixture
def said(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What was said, without pauses between."""
    for name in ("EVERY", "FIRST_PAUSE", "LONGEST_PAUSE"):
        monkeypatch.setattr(upkeep, name, QUICK)
    return []


async def test_what_does_not_come_up_is_tried_again_and_a_reason_is_said_once(said: list[str]) -> None:
    up = asyncio.Event()
    errors = [ServerError("No room."), ServerError("No room."), ConnectionResetError(), BusLost("Refused.")]

    async def look() -> None:
        if errors:
            raise errors.pop(0)
        up.set()

    watching = asyncio.create_task(keep_up("NATS", look, said.append))
    await asyncio.wait_for(up.wait(), WAIT)
    watching.cancel()
    reasons = ["No room.", "ConnectionResetError.", "Refused."]
    assert said == [f"NATS is not up yet; trying again: {reason}" for reason in reasons]


async def test_one_process_that_cannot_be_started_holds_up_no_other(scratch: Path, said: list[str]) -> None:
    deaths: asyncio.Queue[str] = asyncio.Queue()
    supervisor = Supervisor(scratch, lambda name, _: deaths.put_nowait(name), say=said.append)
    broken = supervisor.add("broken", "-c", "")
    supervisor.add("other", "-c", "")
    await supervisor.start()
    broken.argv[0] = "/nowhere"
    broken.child.directory = scratch / "nowhere"
    try:
        async with asyncio.timeout(WAIT):
            others = 0
            while others < 3 or not said:
                others += await deaths.get() == "other"
    finally:
        await supervisor.stop()
    assert said == ["broken is not up yet; trying again: FileNotFoundError."]


async def test_a_mistake_of_who_watches_processes_is_noticed(scratch: Path) -> None:
    def mistaken(name: str, how: str) -> None:
        raise KeyError(name)

    supervisor = Supervisor(scratch, mistaken)
    supervisor.add("short", "-c", "")
    await supervisor.start()
    try:
        with pytest.raises(KeyError):
            await asyncio.wait_for(supervisor.watched(), WAIT)
    finally:
        await supervisor.stop()


class Mistaken(House):
    """One that has nothing to run, and whose watching fails."""

    async def _start(self) -> None:
        self._tenders.append(self._tending.create_task(self._mistaken()))

    async def _mistaken(self) -> None:
        raise ZeroDivisionError


async def test_a_mistake_of_who_looks_after_servers_ends_it_all_in_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(NotTended, match=r"^What looks after .* was ended: ZeroDivisionError at test_tended.py:\d+\.$"):
        async with Mistaken(read(data_dir=tmp_path), print):
            await asyncio.sleep(WAIT)


async def test_an_error_of_its_own_comes_out_of_a_running_drumline_as_it_was(tmp_path: Path) -> None:
    class Empty(House):
        async def _start(self) -> None:
            """Nothing runs."""

    with pytest.raises(LookupError):
        async with Empty(read(data_dir=tmp_path), print):
            raise LookupError


async def test_a_worker_is_started_again_once_the_servers_are_up(tmp_path: Path) -> None:
    class Dead:
        name, up = "NATS", False

        def alive(self) -> bool:
            return self.up

        def start(self) -> None:
            self.up = True

        def how_it_ended(self) -> str:
            return "killed by signal 9"

    said: list[str] = []
    server, house = Dead(), House(read(data_dir=tmp_path), said.append)
    house._servers.started = [server]  # type: ignore[list-item]  # all that is asked of it
    starting = asyncio.create_task(house._before_again(None))
    await asyncio.sleep(QUICK)
    assert not starting.done()
    await house._look_after(server)  # type: ignore[arg-type]  # the same
    await asyncio.wait_for(starting, WAIT)
    assert said == ["NATS ended (killed by signal 9); starting it again"]


async def test_a_server_that_dies_while_its_streams_are_declared_is_started_again_at_once(
    nats_server: EmbeddedNats, tmp_path: Path
) -> None:
    declaring = asyncio.Event()

    class Slow(House):
        async def _declare(self) -> None:
            declaring.set()
            await asyncio.sleep(WAIT)

    said: list[str] = []
    house = Slow(read(data_dir=tmp_path), said.append)
    house._undeclared = True
    looking = asyncio.create_task(house._look_after(nats_server))
    await declaring.wait()
    await asyncio.to_thread(nats_server.kill)
    await asyncio.wait_for(looking, WAIT / 4)
    assert house._undeclared
    looking = asyncio.create_task(house._look_after(nats_server))
    await until(nats_server.alive)
    looking.cancel()
    await asyncio.wait([looking])
    (sentence,) = said
    assert sentence.startswith("NATS ended (")


async def test_a_terminal_that_is_gone_ends_no_watching(tmp_path: Path) -> None:
    def gone(_sentence: str) -> None:
        raise BrokenPipeError

    House(read(data_dir=tmp_path), gone)._say("something")


async def test_a_connection_to_the_bus_that_nobody_looks_after_ends_the_process(
    nats_server: EmbeddedNats, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("adapters.bus.LOOK_AGAIN", QUICK)
    bus = await Bus.connect(nats_server.url, "test")
    watching = asyncio.create_task(bus.watch())
    await asyncio.to_thread(nats_server.kill)
    await until(lambda: bus.nc.is_reconnecting)
    await asyncio.to_thread(nats_server.start)
    await until(lambda: bus.nc.is_connected)
    assert not watching.done()  # away and back: somebody looked after it
    assert bus.nc._reading_task is not None
    bus.nc._reading_task.cancel()
    with pytest.raises(BusLost, match="Nobody looks after"):
        await asyncio.wait_for(watching, WAIT)
    await bus.close()


async def test_a_log_signal_that_failed_ends_the_process(database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    signal = LogSignal(database_url)
    monkeypatch.setattr(signal, "_wake", lambda: 1 // 0)
    await signal.start()
    with pytest.raises(ZeroDivisionError):
        await asyncio.wait_for(signal.watch(), WAIT)


def test_a_watchdog_that_fails_ends_the_process(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(watchdog, "ages", lambda: 1 // 0)
    codes: list[int] = []
    with caplog.at_level(logging.CRITICAL):
        watchdog.Watchdog(10.0, codes.append)._run()
    assert codes == [STALLED]
    assert "the watchdog failed" in caplog.text


def test_what_ends_up_by_itself_ends_it_in_a_sentence_and_not_with_zero(tmp_path: Path) -> None:
    program = """
        import infra.up
        from infra.cli import main
        async def nothing(self):
            async def mistaken():
                raise ZeroDivisionError
            self._tenders.append(self._tending.create_task(mistaken()))
        async def welcome(self, workspace): pass
        infra.up.House._start, infra.up.House.welcome = nothing, welcome
        main()
    """
    line = [sys.executable, "-c", textwrap.dedent(program), "up", "--data-dir", str(tmp_path / "data")]
    ended = subprocess.run(line, capture_output=True, text=True, timeout=60, check=False)
    assert ended.returncode == 2
    assert "drumline: What looks after servers and workers failed, and all was ended: ZeroDivisionError" in ended.stderr
