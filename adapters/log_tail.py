"""The end of the log, read and decoded once for all that tail it in a process."""

import asyncio
from bisect import bisect_right
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from domain.message import Recorded

Fetch = Callable[[int, int], Awaitable[list[Recorded]]]

CHUNKS = 6  # pages remembered: tails are at most a few apart


@dataclass(frozen=True, slots=True)
class Chunk:
    """A stretch of the log: the events that follow `after`, with nothing left out between."""

    after: int
    events: list[Recorded]
    positions: list[int]

    def covers(self, after: int) -> bool:
        return self.after <= after < self.positions[-1]


class LogTail:
    """Pages of the log, from memory when another tail has just read them; what is committed never changes."""

    def __init__(self, fetch: Fetch) -> None:
        self._fetch = fetch
        self._chunks: deque[Chunk] = deque(maxlen=CHUNKS)
        self._reading = asyncio.Lock()

    async def page(self, after: int, limit: int) -> list[Recorded]:
        """The events after a position, in order; a page shorter than `limit` never ends within a decision."""
        if found := self._remembered(after, limit):
            return found
        async with self._reading:
            if found := self._remembered(after, limit):
                return found
            page = await self._fetch(after, limit)
        self._remember(after, page if len(page) < limit else without_last_decision(page))
        return page

    def _remembered(self, after: int, limit: int) -> list[Recorded]:
        for chunk in reversed(self._chunks):
            if chunk.covers(after):
                start = bisect_right(chunk.positions, after)
                return chunk.events[start : start + limit]
        return []

    def _remember(self, after: int, events: list[Recorded]) -> None:
        if events:
            self._chunks.append(Chunk(after, events, [recorded.position for recorded in events]))


def without_last_decision(page: list[Recorded]) -> list[Recorded]:
    """A full page without the decision at its end, which the limit may have cut in two."""
    last = page[-1].envelope.causation
    cut = len(page)
    while cut and page[cut - 1].envelope.causation == last:
        cut -= 1
    return page[:cut]
