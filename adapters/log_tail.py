"""The end of the log, decoded once for all that tail it in a process, or not at all where this process wrote it."""

import asyncio
import threading
from bisect import bisect_right
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from domain.message import Recorded

Fetch = Callable[[int, int], Awaitable[list[Recorded]]]

CHUNKS = 8  # pages remembered: tails are at most a few apart


@dataclass(frozen=True, slots=True)
class Chunk:
    """A stretch of the log: the events that follow `after`, with nothing left out between."""

    after: int
    events: list[Recorded]
    positions: Sequence[int]

    def covers(self, after: int) -> bool:
        return self.after <= after < self.positions[-1]


class LogTail:
    """Pages of the log, from memory when another tail has just read them, or when they were appended here.

    What is committed never changes, so nothing can be stale. What is not next to it in memory is read from the log:
    after a restart, behind a gap, and when another process has written.
    """

    def __init__(self, fetch: Fetch) -> None:
        self._fetch = fetch
        self._chunks: tuple[Chunk, ...] = ()
        self._changing = threading.Lock()
        self._reading = asyncio.Lock()
        self._followed = False

    async def page(self, after: int, limit: int) -> list[Recorded]:
        """The events after a position, in order; a page shorter than `limit` never ends within a decision."""
        self._followed = True
        if found := self._remembered(after, limit):
            return found
        async with self._reading:
            if found := self._remembered(after, limit):
                return found
            page = await self._fetch(after, limit)
        whole = page if len(page) < limit else without_last_decision(page)
        self._remember(after, whole, [recorded.position for recorded in whole])
        return page

    def appended(self, first: int, last: int, events: Callable[[], list[Recorded]]) -> None:
        """Take in what was just committed, from any thread: whole decisions that are all there is from first to last.

        Positions without a gap leave no room for anybody else's events.
        """
        if self._followed:
            self._remember(first - 1, events(), range(first, last + 1))

    def _remembered(self, after: int, limit: int) -> list[Recorded]:
        found: list[Recorded] = []
        for chunk in self._chunks:
            if chunk.covers(after):
                start = bisect_right(chunk.positions, after)
                found += chunk.events[start : start + limit - len(found)]
                if len(found) == limit:
                    break
                after = chunk.positions[-1]
        return found

    def _remember(self, after: int, events: list[Recorded], positions: Sequence[int]) -> None:
        if events:
            with self._changing:
                self._chunks = (*self._chunks[1 - CHUNKS :], Chunk(after, events, positions))


def without_last_decision(page: list[Recorded]) -> list[Recorded]:
    """A full page without the decision at its end, which the limit may have cut in two."""
    last = page[-1].envelope.causation
    cut = len(page)
    while cut and page[cut - 1].envelope.causation == last:
        cut -= 1
    return page[:cut]
