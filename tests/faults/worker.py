"""A worker in a process of its own, for a test to kill: `python -m tests.faults.worker core|sessions …`."""

import asyncio
import contextlib
import sys
from pathlib import Path

from tests.workers.sending_house import core, house, sessions
from workers.crashpoints import arm


async def main(role: str, database_url: str, nats_url: str, data: str, crashpoint: str, page: str) -> None:
    arm(crashpoint)
    async with house(database_url, nats_url, Path(data), page) as home, asyncio.TaskGroup() as group:
        for run in {"core": core, "sessions": sessions}[role](home):
            group.create_task(run())  # type: ignore[arg-type]  # every worker's run is a coroutine function


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(main(*sys.argv[1:]))
