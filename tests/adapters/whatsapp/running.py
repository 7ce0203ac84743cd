"""A sandbox as a process of its own, and waiting with a deadline."""

import asyncio
import contextlib
import itertools
import random
import secrets
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from adapters.sandbox.client import SandboxControl
from domain.ports import Messenger, SessionState
from infra.ports import free_port


@dataclass
class Sandbox:
    """One sandbox server: its address, its control, and the process to hurt."""

    url: str
    data_dir: Path
    control: SandboxControl
    command: list[str]
    process: asyncio.subprocess.Process

    @property
    def ledger(self) -> Path:
        return self.data_dir / "ledger.jsonl"

    async def kill(self) -> None:
        self.process.kill()
        await self.process.wait()

    async def start(self) -> None:
        self.process = await asyncio.create_subprocess_exec(*self.command)
        await self.listens()

    async def listens(self) -> None:
        """Wait until it answers: a busy machine takes long to start it, and one that ended never answers."""
        for _ in range(12):
            assert self.process.returncode is None, "the sandbox ended"
            with contextlib.suppress(TimeoutError):
                return await self.control.alive(5.0)
        raise AssertionError("the sandbox does not answer")


@contextlib.asynccontextmanager
async def running_sandbox(data_dir: Path, *flags: str) -> AsyncIterator[Sandbox]:
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    command = [sys.executable, "-m", "adapters.sandbox", "--port", str(port), "--data-dir", str(data_dir), *flags]
    async with SandboxControl(url) as control:
        sandbox = Sandbox(url, data_dir, control, command, await asyncio.create_subprocess_exec(*command))
        try:
            await sandbox.listens()
            yield sandbox
        finally:
            await sandbox.kill()


T = TypeVar("T")


async def until(condition: Callable[[], bool], within: float = 30.0) -> None:
    """Wait for a condition to hold."""

    async def holds() -> bool:
        return condition()

    await until_answered(holds, within)


async def until_answered(ask: Callable[[], Awaitable[T]], within: float = 30.0) -> T:
    """The first true answer."""
    end = time.monotonic() + within
    while True:
        answer = await ask()
        if answer:
            return answer
        assert time.monotonic() < end, "waited too long"
        await asyncio.sleep(0.02)


async def until_state(messenger: Messenger, state: SessionState, within: float = 30.0) -> None:
    await until(lambda: messenger.state is state, within)


async def link(messenger: Messenger, scan: Callable[[str, str], Awaitable[object]], phone: str) -> None:
    code = await until_answered(messenger.qr)
    assert code is not None
    await scan(code, phone)
    await until_state(messenger, SessionState.READY)


AREAS = itertools.cycle([area for area in range(212, 990) if area % 100 != 11])


def new_number() -> str:
    """A number kept for fiction that no other test of this sandbox has: theirs may be off, or read by hand."""
    return f"+1{next(AREAS)}5550{random.randint(100, 199)}"


def new_id() -> str:
    return "3EB0" + secrets.token_hex(9).upper()
