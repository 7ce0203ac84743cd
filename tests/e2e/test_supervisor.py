"""Processes that die are started again, and their deaths are told as they were."""

import asyncio
import os
import signal
from pathlib import Path

from infra.child import wait_until
from infra.supervisor import Supervisor, pause

WAIT = 20.0


async def test_a_death_is_told_as_it_was(scratch: Path) -> None:
    """A killed process said nothing about it: an old line of its log would accuse the wrong thing."""
    told: asyncio.Queue[str] = asyncio.Queue()
    supervisor = Supervisor(scratch, lambda name, how: told.put_nowait(f"{name}: {how}"))
    killed = supervisor.add("killed", "-c", "import signal; print('an old line', flush=True); signal.pause()")
    supervisor.add("ended", "-c", "import sys; sys.exit('a reason')")
    await supervisor.start()
    try:
        assert await asyncio.wait_for(told.get(), WAIT) == "ended: a reason"
        assert await asyncio.to_thread(wait_until, lambda: "an old line" in killed.child.last_words(), WAIT)
        pid = killed.child.running()
        assert pid is not None
        os.kill(pid, signal.SIGKILL)
        async with asyncio.timeout(WAIT):
            while (said := await told.get()) == "ended: a reason":
                pass
        assert said == "killed: killed by signal 9"
    finally:
        await supervisor.stop()


def test_who_dies_once_is_started_again_at_once_and_who_keeps_dying_ever_more_seldom() -> None:
    assert [pause(deaths) for deaths in range(1, 9)] == [0.0, 0.5, 1.0, 2.0, 4.0, 8.0, 10.0, 10.0]
