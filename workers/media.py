"""Removes media that nothing refers to any more, and uploads that nobody went on with."""

import asyncio
import logging

from adapters.event_store import EventStore
from adapters.heartbeats import beat
from adapters.media_removal import Removal
from projections.apply import ReadModels
from projections.media import in_use
from workers.persevering import through_outages

log = logging.getLogger(__name__)

LOOP = "media"
PAUSE = 60.0  # seconds between two looks, at most
TICK = 5.0


class Remover:
    """Several may run. It judges by read models that have taken in all that was in the log when it began to look."""

    def __init__(self, removal: Removal, store: EventStore, models: ReadModels, pause: float = PAUSE) -> None:
        self._removal = removal
        self._store = store
        self._models = models
        self._pause = pause

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            removed = await through_outages(self.step, loop=LOOP)
            if removed:
                log.info("removed unused media", extra={"count": removed})
            waited = 0.0
            while waited < self._pause:
                beat(LOOP)
                await asyncio.sleep(min(TICK, self._pause))
                waited += TICK

    async def step(self) -> int:
        """Remove what is unused; how much. Nothing while the read models are behind."""
        head = await self._store.head()
        if await self._models.position() < head:
            return 0
        async with self._models.connection() as connection:
            used = await in_use(connection)
        return await self._removal.step(used)
