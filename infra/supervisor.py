"""The processes of one drumline: servers first, then workers; who dies is started again, and all end together."""

import asyncio
import signal
import sys
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from adapters.runtime.environment import PYTHON, allowed
from infra.child import Child
from infra.process.upkeep import keep_up, seen_through

SHORTEST_PAUSE, LONGEST_PAUSE = 0.5, 10.0  # seconds between two starts of a process that keeps dying
HEALTHY_AFTER = 30.0  # seconds after which a process is no longer one that keeps dying


def pause(deaths: int) -> float:
    """Seconds until a process that died so often lately is started again: the first time at once."""
    return min(SHORTEST_PAUSE * 2 ** (deaths - 2), LONGEST_PAUSE) if deaths > 1 else 0.0


@dataclass(slots=True)
class Process:
    """One worker process: how it is started, and how often it died lately."""

    name: str
    argv: list[str]
    child: Child
    patience: float  # seconds it may take to end when asked
    deaths: int = 0
    started: float = 0.0
    again_at: float | None = None

    def start(self) -> None:
        self.child.end_leftover(signal.SIGTERM, self.patience)
        self.child.start(self.argv, signal.SIGTERM)
        self.started, self.again_at = time.monotonic(), None


@dataclass(slots=True)
class Supervisor:
    """Starts processes in the order given, restarts the dead with a growing pause, stops in the reverse order."""

    home: Path  # each process has its log and record under it
    on_death: Callable[[str, str], None]  # name, how it ended
    before_again: Callable[[int | None], Awaitable[None]] | None = None  # hears a dead process's exit code first
    say: Callable[[str], None] = lambda _: None  # hears why a process cannot be started again
    processes: list[Process] = field(default_factory=list)
    _watches: list[asyncio.Task[None]] = field(default_factory=list)

    def add(
        self, name: str, *arguments: str, environment: dict[str, str] | None = None, patience: float = 15.0
    ) -> Process:
        """Plan a process that runs Python with these arguments; asked to end, it may take `patience` seconds.

        Without an environment of its own it gets what Python needs.
        """
        directory = self.home / name
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        child = Child(name, directory, directory / f"{name}.log", environment or allowed(PYTHON))
        process = Process(name, [sys.executable, *arguments], child, patience)
        self.processes.append(process)
        return process

    def left(self, name: str) -> bool:
        """Whether what a killed supervisor started under this name is still there, running or stopped."""
        directory = self.home / name
        return Child(name, directory, directory / f"{name}.log").running() is not None

    async def start(self) -> None:
        """Start all that are not running, and watch them from here on, each by itself."""
        for process in self.processes:
            if not process.child.alive():
                await seen_through(process.start)
        if not self._watches:
            self._watches = [
                asyncio.create_task(keep_up(one.name, partial(self._look, one), self.say)) for one in self.processes
            ]

    async def watched(self) -> None:
        """Return only when stopped; raises what ended the watching of a process, which nobody had foreseen."""
        await asyncio.gather(*self._watches)

    async def stop(self) -> None:
        """Ask each to end, the last started first."""
        for watch in self._watches:
            watch.cancel()
        await asyncio.gather(*self._watches, return_exceptions=True)
        self._watches = []
        for process in reversed(self.processes):
            await asyncio.to_thread(process.child.stop, signal.SIGTERM, process.patience)

    async def _look(self, process: Process) -> None:
        if not process.child.alive():
            await self._again(process)

    async def _again(self, process: Process) -> None:
        """Start a dead process again once its pause is over."""
        now = time.monotonic()
        if process.again_at is None:
            process.deaths = 1 if now - process.started > HEALTHY_AFTER else process.deaths + 1
            process.again_at = now + pause(process.deaths)
            self.on_death(process.name, process.child.how_it_ended())
        if now >= process.again_at:
            if self.before_again is not None:
                await self.before_again(process.child.code)
            await seen_through(process.start)
