"""Looking after something for as long as drumline runs: what goes wrong is said and tried again."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from subprocess import SubprocessError
from typing import Any

import nats.errors
import psycopg

from adapters.bus import BusLost
from adapters.outages import OUTAGES
from infra.child import ServerError

EVERY = 0.2  # seconds between two looks
FIRST_PAUSE, LONGEST_PAUSE = 0.5, 10.0  # seconds until what went wrong is tried again

# What may go wrong with servers and processes. Anything else is a mistake of ours, and ends whoever watches.
FORESEEN: tuple[type[Exception], ...] = (
    ServerError,
    BusLost,
    OSError,
    SubprocessError,
    psycopg.Error,
    nats.errors.Error,
    *OUTAGES,
)


async def keep_up(name: str, look: Callable[[], Awaitable[None]], say: Callable[[str], None]) -> None:
    """Look after something until cancelled. What was foreseen is said, and tried again after a growing pause.

    Raises what was not foreseen.
    """
    pause, said_before = FIRST_PAUSE, ""
    while True:
        try:
            await look()
        except FORESEEN as error:
            said = str(error) if isinstance(error, ServerError | BusLost) else f"{type(error).__name__}."
            if said != said_before:
                say(f"{name} is not up yet; trying again: {said}")
            said_before = said
            await asyncio.sleep(pause)
            pause = min(pause * 2, LONGEST_PAUSE)
        else:
            pause, said_before = FIRST_PAUSE, ""
            await asyncio.sleep(EVERY)


async def while_alive(act: Coroutine[Any, Any, None], alive: Callable[[], bool]) -> bool:
    """Do something that needs a process; False, and it is given up, once that has ended. Raises what the act raises."""
    doing = asyncio.ensure_future(act)
    try:
        done = set[asyncio.Future[None]]()
        while alive() and not done:
            done, _ = await asyncio.wait([doing], timeout=EVERY)
        if not alive():
            return False  # whatever came of it
        await doing
        return True
    finally:
        doing.cancel()
        await asyncio.gather(doing, return_exceptions=True)


async def seen_through(act: Callable[[], None]) -> None:
    """Do something in a thread. Cancelled meanwhile, it is over first: nothing is started behind its stopper's back."""
    doing = asyncio.ensure_future(asyncio.to_thread(act))
    try:
        await asyncio.shield(doing)
    except asyncio.CancelledError:
        await asyncio.wait([doing])
        raise
