"""Real worker processes, as `up` starts them, on a test's own servers; for a test to kill, stop and let go on."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.workers.core import MASTER, PEPPER

ROOT = Path(__file__).parents[2]


@dataclass
class Worker:
    """One process."""

    process: asyncio.subprocess.Process
    log: Path

    def said(self) -> str:
        return self.log.read_text(errors="replace")

    async def ends(self, seconds: float = 60.0) -> int:
        """Its exit code, once it has ended by itself."""
        async with asyncio.timeout(seconds):
            return await self.process.wait()

    async def is_killed(self, seconds: float = 60.0) -> None:
        """It dies at its crash point."""
        assert await self.ends(seconds) == -signal.SIGKILL, self.said()

    def signal(self, sign: signal.Signals) -> None:
        self.process.send_signal(sign)


@dataclass
class Place:
    """Where workers run: their servers and their data directory, whose keys are those of `tests/workers/core.py`."""

    database_url: str
    nats_url: str
    data: Path

    def __post_init__(self) -> None:
        secrets = self.data / "secrets"
        secrets.mkdir(parents=True, mode=0o700)
        for name, key in (("master.key", MASTER), ("pepper.key", PEPPER)):
            (secrets / name).write_text(key.hex())

    @asynccontextmanager
    async def worker(self, role: str, **settings: object) -> AsyncIterator[Worker]:
        """A worker process; what is left of it at the end is killed."""
        given = {"database_url": self.database_url, "nats_url": self.nats_url, "data_dir": self.data}
        given |= {"command_rate": 1_000} | settings  # most tests give more at once than a key may
        environment = {f"DRUMLINE_{name.upper()}": str(value) for name, value in given.items()}
        log = self.data / f"{role}-{len(list(self.data.glob('*.log')))}.log"
        with log.open("wb") as out:
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "infra.cli", "work", role),
                cwd=ROOT,
                env={**os.environ, **environment},
                stdout=out,
                stderr=out,
            )
        try:
            yield Worker(process, log)
        finally:
            if process.returncode is None:
                process.kill()
            await process.wait()
