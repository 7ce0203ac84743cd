"""The projector: keeps the read models up with the log, page by page; live and rebuild are this one path."""

import asyncio
import logging

from adapters import metrics
from adapters.cancellation import heeding
from adapters.event_store import EventStore
from adapters.heartbeats import beat
from adapters.log_signal import LogSignal
from adapters.outages import OUTAGES
from projections.apply import ReadModels

log = logging.getLogger(__name__)

PAGE = 1_000
QUIET = 1.0  # seconds after which the log is looked at without a signal
FIRST_DELAY, LONGEST_DELAY = 0.1, 5.0  # seconds between tries while a server is away


class Projector:
    """Projects the log. Two at once do no harm: they wait for each other, and pass over what is done."""

    def __init__(self, store: EventStore, models: ReadModels, signal: LogSignal, *, page: int = PAGE) -> None:
        self._store = store
        self._models = models
        self._signal = signal
        self._page = page
        self._position: int | None = None  # None: to be read again

    async def run(self) -> None:
        """Tail the log until cancelled; while a server is away, try again ever more seldom."""
        delay = FIRST_DELAY
        while True:
            beat("projector")
            seen = self._signal.count
            try:
                with heeding():
                    if not await self.step():
                        await self._signal.wait(QUIET, seen)
                delay = FIRST_DELAY
            except OUTAGES as error:
                log.warning("projector: %s, trying again in %.1f s", type(error).__name__, delay)
                self._position = None
                await asyncio.sleep(delay)
                delay = min(delay * 2, LONGEST_DELAY)

    async def step(self) -> bool:
        """Project one page; False when there was nothing new."""
        if self._position is None:
            self._position = await self._models.position()
        page = await self._store.tail(self._position, self._page)
        if page:
            self._position = await self._models.apply(self._position, page)
            metrics.READ.labels("projections").inc(len(page))
        return bool(page)
