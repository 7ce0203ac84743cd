"""Rebuilding read models: the whole log into new tables beside the live ones, which serve until both change places."""

import asyncio
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing, suppress
from dataclasses import dataclass
from typing import Literal

from adapters.event_store import EventStore
from domain.message import Recorded
from projections.beside import Beside, RebuildRefused
from projections.comparing import Compared
from workers.crashpoints import crashpoint
from workers.memory import collecting_seldom

PAGE = 5_000  # events: of one delivery often all are in one page, and make one row
OBJECTS = 1_000_000  # a few pages' worth: the collector alone cost as much as all the rest
NEAR = 500  # events behind the live tables: what is quickly made up while the projector waits
ROUNDS = 20  # of making up, should the projector be about as fast

Phase = Literal["load", "index", "compare", "swap", "done"]


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a rebuild is."""

    phase: Phase
    position: int
    head: int  # where the live tables are
    events: int
    seconds: float

    @property
    def rate(self) -> float:
        """Events a second."""
        return self.events / self.seconds if self.seconds else 0.0


@dataclass(frozen=True, slots=True)
class Rebuilt:
    """What came of it: every table compared at one position, and whether the new ones are the live ones now."""

    tables: list[Compared]
    compared_at: int
    swapped_at: int | None
    events: int
    seconds: float  # of projecting and indexing
    projector_stood: float  # the longest time, in seconds
    readers_stood: float

    @property
    def rate(self) -> float:
        """Events a second."""
        return self.events / self.seconds if self.seconds else 0.0

    @property
    def same(self) -> bool:
        """Whether every table held what a replay gives."""
        return all(table.same for table in self.tables)


class Rebuild:
    """One rebuild of the tables of a `Beside`; `told` hears how far it is."""

    def __init__(
        self, store: EventStore, new: Beside, told: Callable[[Progress], None] = lambda _: None, *, page: int = PAGE
    ) -> None:
        self._store = store
        self._new = new
        self._told = told
        self._page = page
        self._events = self._position = self._head = 0
        self._since = time.monotonic()
        self._seconds = 0.0

    async def run(self, *, swap: bool = True) -> Rebuilt:
        """Fill the new tables, compare them with the live ones, and, unless that was all, put them in their place."""
        with collecting_seldom(OBJECTS):
            return await self._run(swap)

    async def _run(self, swap: bool) -> Rebuilt:
        self._since = time.monotonic()
        await self._make_up("load")
        crashpoint("rebuild_loaded")
        self._tell("index")
        await self._new.finish()
        self._seconds = time.monotonic() - self._since
        crashpoint("rebuild_indexed")
        await self._make_up("compare")
        compared_at, tables = await self._new.compare(self._catch_up)
        crashpoint("rebuild_compared")
        swapped_at = None
        if swap:
            await self._make_up("swap")
            swapped_at = await self._new.swap(self._swapping)
            crashpoint("rebuild_swapped")
        self._tell("done")
        return Rebuilt(
            tables,
            compared_at,
            swapped_at,
            self._events,
            self._seconds,
            self._new.projector_stood,
            self._new.readers_stood,
        )

    async def _make_up(self, phase: Phase) -> None:
        """Go after the live tables until they are near."""
        for _ in range(ROUNDS):
            self._head = await self._new.live_position()
            self._tell(phase)
            before = self._events
            await self._catch_up(self._head, phase)
            if self._events - before < NEAR:
                return

    async def _swapping(self, upto: int) -> None:
        await self._catch_up(upto)
        crashpoint("rebuild_swapping")

    async def _catch_up(self, upto: int, phase: Phase | None = None) -> None:
        """Take the log in up to a position of the live tables."""
        self._position = await self._new.position()  # what was taken in for a swap that failed was taken back
        if self._position > upto:
            raise RebuildRefused("The live tables were set back meanwhile, perhaps emptied by somebody: begin again.")
        async with aclosing(self._pages(self._position, upto)) as pages:
            async for page in pages:
                self._position = await self._new.apply(self._position, page)
                self._events += len(page)
                crashpoint("rebuild_page")
                if phase:
                    self._tell(phase)

    async def _pages(self, after: int, upto: int) -> AsyncGenerator[list[Recorded], None]:
        """The log up to a position, each page read while the one before is taken in."""
        reading: asyncio.Task[list[Recorded]] | None = None
        try:
            while after < upto:
                page = await (reading or self._store.page(after, self._page))
                reading = None
                if page and page[-1].position < upto:
                    after = page[-1].position
                    reading = asyncio.create_task(self._store.page(after, self._page))
                else:
                    page, after = [recorded for recorded in page if recorded.position <= upto], upto
                if page:
                    yield page
        finally:
            if reading is not None:
                reading.cancel()
                with suppress(asyncio.CancelledError):
                    await reading

    def _tell(self, phase: Phase) -> None:
        seconds = self._seconds or time.monotonic() - self._since
        self._told(Progress(phase, self._position, self._head, self._events, seconds))
