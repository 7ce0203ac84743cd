"""One worker process: builds its parts, runs its loops, and ends cleanly when told to."""

import asyncio
import gc
import logging
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping
from contextlib import asynccontextmanager
from importlib.metadata import version
from typing import Any

import orjson
import uvloop

from adapters.bus import Bus
from adapters.heartbeats import ASK, ages, beat, forget
from adapters.streams import NotDeclared
from domain.quota import LONGEST_ACT
from infra import bootstrap, logs
from infra.logs import first, reason
from infra.observe import observed, traced
from infra.process.exit_codes import ENDED, UNDECLARED
from infra.settings import Settings, SettingsError
from infra.watchdog import Watchdog
from workers.crashpoints import arm

log = logging.getLogger("drumline")
TIDYING = 3.0  # seconds a loop may take to end before it is asked again
TICK = 1.0  # seconds between two beats of the event loop itself


def work(role: str, settings: Settings) -> None:
    """Run one of the roles until SIGTERM or SIGINT; a loop that fails ends the process with the reason."""
    roles = {"core": core, "sessions": sessions, "imports": imports, "api": api}
    if role not in roles:
        raise SettingsError(f"There is no worker {role!r}: choose core, sessions, imports or api.")
    logs.configure(settings.log_format, settings.log_level)
    arm(settings.crashpoint)
    Watchdog(settings.stall_after).start()
    try:
        with traced(settings, role):
            uvloop.run(roles[role](settings))
    except LoopEnded as ended:
        sys.exit(ended.code)


async def core(settings: Settings) -> None:
    async with bootstrap.connected(settings, "core") as parts, answering(parts.bus, "core"):
        shown, serves = observed(parts, "core")
        await until_told(bootstrap.core(parts) | shown, serves=serves)


async def sessions(settings: Settings) -> None:
    async with (
        bootstrap.connected(settings, "sessions") as parts,
        bootstrap.sessions(parts) as loops,
        answering(parts.bus, "sessions"),
    ):
        shown, serves = observed(parts, "sessions")
        await until_told(loops | shown, LONGEST_ACT.total_seconds() + 2 * TIDYING, serves=serves)


async def imports(settings: Settings) -> None:
    async with bootstrap.connected(settings, "imports") as parts, answering(parts.bus, "imports"):
        shown, serves = observed(parts, "imports")
        await until_told(bootstrap.imports(parts) | shown, serves=serves)


async def api(settings: Settings) -> None:
    async with bootstrap.connected(settings, "api") as parts:
        shown, serves = observed(parts, "api")
        await until_told(bootstrap.api(parts) | shown, serves=serves)


@asynccontextmanager
async def answering(bus: Bus, role: str) -> AsyncIterator[None]:
    """Tell whoever asks how long ago each of our loops went round."""

    async def told(_asked: bytes) -> bytes:
        return orjson.dumps(ages())

    stop = await bus.serve(ASK.format(role=role), told)
    try:
        yield
    finally:
        await stop()


class LoopEnded(Exception):
    """One of a process's loops ended by itself, and the process with it; the message says which and why."""

    def __init__(self, loop: str, error: BaseException | None) -> None:
        error = first(error)
        super().__init__(f"{loop} ended: {reason(error)}")
        self.code = UNDECLARED if isinstance(error, NotDeclared) else ENDED


async def until_told(
    loops: Mapping[str, Callable[[], Awaitable[None]]], tidying: float = TIDYING, *, serves: str = ""
) -> None:
    """Run loops side by side until a signal; the first that ends by itself ends all, with its reason.

    One that has not ended `tidying` seconds after it was asked to is asked again:
    before Python 3.12 it may have lost the first asking (adapters/cancellation.py).
    `serves` is the address that the log tells.
    """
    log.info("begins", extra={"version": version("drumline"), "serves": serves, "loops": " ".join(loops)})
    gc.collect()
    gc.freeze()  # what is there now stays: walking it again and again would halt the loops for 0.1 s each time
    told = asyncio.Event()
    for sign in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(sign, told.set)
    every = {**loops, "event-loop": tick}
    running: dict[asyncio.Future[Any], str] = {asyncio.ensure_future(loop()): name for name, loop in every.items()}
    stop: asyncio.Future[Any] = asyncio.ensure_future(told.wait())
    try:
        ended, _ = await asyncio.wait([stop, *running], return_when=asyncio.FIRST_COMPLETED)
        for loop in ended - {stop}:
            error = asyncio.CancelledError() if loop.cancelled() else loop.exception()
            failure = LoopEnded(running[loop], error)
            log.critical("%s", failure)  # before the others end, which may take its time
            raise failure
    finally:
        forget()  # from here on it is the ending that must not stall
        beat("ending")
        await end_all([stop, *running], tidying)


async def tick() -> None:
    """Beat for the event loop: it stops when something blocks it."""
    while True:
        beat("event-loop")
        await asyncio.sleep(TICK)


async def end_all(tasks: Collection[asyncio.Future[Any]], tidying: float) -> None:
    """Cancel tasks until they have ended."""
    left = set(tasks)
    while left:
        for task in left:
            task.cancel()
        _, left = await asyncio.wait(left, timeout=tidying)
    await asyncio.gather(*tasks, return_exceptions=True)
