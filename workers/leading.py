"""Doing something in one process only: the one that leads."""

import asyncio
import logging
from collections.abc import Awaitable, Callable

from adapters.cancellation import heeding
from adapters.leader import Leader, NotLeading
from adapters.outages import OUTAGES
from workers.persevering import LONGEST_PAUSE, SHORTEST_PAUSE

log = logging.getLogger(__name__)


async def while_leading(leader: Leader, task: Callable[[], Awaitable[None]]) -> None:
    """Run a task whenever this process leads; begin it anew when it lost the lead, or a server was away."""
    pause = SHORTEST_PAUSE
    try:
        while True:
            began = asyncio.get_running_loop().time()
            away: Exception | None = None  # what is raised inside `except*` comes out in a group before Python 3.11.4
            try:
                with heeding():
                    await leader.lead()
                    await task()
            except* NotLeading:
                pass
            except* OUTAGES as error:
                away = error.exceptions[0]
            if away is not None:
                log.warning("waits for a server: %s", type(away).__name__)
                lasted = asyncio.get_running_loop().time() - began
                pause = SHORTEST_PAUSE if lasted > LONGEST_PAUSE else min(pause * 2, LONGEST_PAUSE)
                await asyncio.sleep(pause)
    finally:
        await leader.resign()
