"""Pages of WhatsApp Web grow the longer they run, and a host has only so much memory: who outgrows it is told of."""

import asyncio
from uuid import UUID

from adapters import metrics
from adapters.whatsapp_web.browser import memory_of
from domain.ports import Messenger

LOOK = 15.0  # seconds between two looks


async def outgrown(account: UUID, messenger: Messenger, most: int) -> None:
    """Return once an account's browser takes more than so many bytes."""
    taken = 0
    while taken <= most:
        await asyncio.sleep(LOOK)
        if (group := messenger.process_group) is not None:
            taken = await asyncio.to_thread(memory_of, group)
            metrics.browser_takes(account, taken)
