"""A process that appends to a log and then ends: `python -m tests.adapters.log_writer URL ITEMS`."""

import asyncio
import sys
from uuid import uuid4

from adapters.event_store import EventStore
from domain.message import StreamId
from tests.adapters.logs import an_item
from tests.builders import READY

CALLERS = 8


async def main(database_url: str, items: int) -> None:
    """Append so many items from several callers, each of three events on a stream of its own."""
    store = EventStore(database_url)
    store.start()

    async def caller() -> None:
        for _ in range(items // CALLERS):
            [verdict] = await store.append([an_item(StreamId(f"account-{uuid4()}"), *READY)])
            assert verdict.code == "ok"

    await asyncio.gather(*(caller() for _ in range(CALLERS)))
    await store.stop()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], int(sys.argv[2])))
