"""One worker process: builds its parts, runs its loops, and ends cleanly when told to."""

import asyncio
import contextlib
import logging
import signal
import sys
import traceback
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

import uvloop

from infra import bootstrap
from infra.settings import Settings, SettingsError

log = logging.getLogger("drumline")
OURS = {"adapters", "api", "domain", "infra", "projections", "workers"}


def work(role: str, settings: Settings) -> None:
    """Run `core`, `sessions` or `api` until SIGTERM or SIGINT; a loop that fails ends the process with the reason."""
    roles = {"core": core, "sessions": sessions, "api": api}
    if role not in roles:
        raise SettingsError(f"There is no worker {role!r}: choose core, sessions or api.")
    logging.basicConfig(level=settings.log_level.upper(), format="%(asctime)s %(levelname)s %(name)s %(message)s")
    logging.getLogger("httpx").setLevel(logging.WARNING)
    try:
        uvloop.run(roles[role](settings))
    except LoopEnded as ended:
        log.error("%s", ended)  # noqa: TRY400  # a traceback's last line would tell a foreign error's text
        sys.exit(1)


async def core(settings: Settings) -> None:
    async with bootstrap.connected(settings, "core") as parts:
        await until_told(bootstrap.core(parts))


async def sessions(settings: Settings) -> None:
    async with bootstrap.connected(settings, "sessions") as parts, bootstrap.sessions(parts) as loops:
        await until_told(loops)


async def api(settings: Settings) -> None:
    async with bootstrap.connected(settings, "api") as parts:
        await until_told(bootstrap.api(parts))


class LoopEnded(Exception):
    """One of a process's loops ended by itself, and the process with it; the message says which and why."""


def reason(error: BaseException | None) -> str:
    """An error in words that hold nothing of anybody's: our own text, or a foreign error's kind; and where it arose."""
    if error is None:
        return "without an error"
    ours = type(error).__module__.partition(".")[0] in OURS
    frames = traceback.extract_tb(error.__traceback__)
    where = f" at {Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else ""
    return f"{type(error).__name__}{f': {error}' if ours else ''}{where}"


async def until_told(loops: Mapping[str, Callable[[], Awaitable[None]]]) -> None:
    """Run loops side by side until a signal; the first that ends by itself ends all, with its reason."""
    told = asyncio.Event()
    for name in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(name, told.set)
    running: dict[asyncio.Future[Any], str] = {asyncio.ensure_future(loop()): name for name, loop in loops.items()}
    stop: asyncio.Future[Any] = asyncio.ensure_future(told.wait())
    try:
        ended, _ = await asyncio.wait([stop, *running], return_when=asyncio.FIRST_COMPLETED)
        for loop in ended - {stop}:
            raise LoopEnded(f"{running[loop]} ended: {reason(loop.exception())}")
    finally:
        for task in (stop, *running):
            task.cancel()
        for task in (stop, *running):
            with contextlib.suppress(asyncio.CancelledError, Exception):
                await task
