"""A worker in a process of its own, for a test to kill: `python -m tests.faults.worker core|sessions …`."""

import asyncio
import contextlib
import sys
from pathlib import Path

from infra.work import LoopEnded, until_told
from tests.workers.sending_house import core, house, sessions
from workers.crashpoints import arm


async def main(role: str, database_url: str, nats_url: str, data: str, crashpoint: str, page: str) -> None:
    arm(crashpoint)
    async with house(database_url, nats_url, Path(data), page) as home:
        runs = {"core": core, "sessions": sessions}[role](home)
        await until_told({f"{role}-{number}": run for number, run in enumerate(runs)})


if __name__ == "__main__":
    with contextlib.suppress(LoopEnded):
        asyncio.run(main(*sys.argv[1:]))
