"""Waiting out a server that is away, and what nobody tells of."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import TypeVar

from adapters.cancellation import heeding
from adapters.heartbeats import beat
from adapters.outages import OUTAGES

SHORTEST_PAUSE, LONGEST_PAUSE = 0.05, 2.0  # seconds between two tries
T = TypeVar("T")
log = logging.getLogger(__name__)


async def through_outages(act: Callable[[], Awaitable[T]], *, loop: str = "") -> T:
    """Do something that may be repeated until it got through, however long a server is away.

    The loop that it holds up is not stalled meanwhile.
    """
    pause = SHORTEST_PAUSE
    while True:
        if loop:
            beat(loop)
        try:
            with heeding():
                return await act()
        except OUTAGES as error:
            log.warning("waits for a server: %s", type(error).__name__)
        await asyncio.sleep(pause)
        pause = min(pause * 2, LONGEST_PAUSE)


async def ever_more_seldom(
    look: Callable[[], Awaitable[None]], arisen: asyncio.Event, pauses: tuple[float, float]
) -> None:
    """Look again and again until cancelled: after the first pause since something arose, then after longer ones.

    `pauses` are the first and the longest, in seconds; servers that are away are waited out.
    """
    first, longest = pauses
    pause = first
    while True:
        try:
            async with asyncio.timeout(pause):
                await arisen.wait()
        except TimeoutError:
            pause = min(pause * 2, longest)
            await through_outages(look)
        else:
            arisen.clear()
            pause = first
