"""Turns at what only few can have at once: one workspace never has them all."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class Turns:
    """`most` at once in this process, and `each` of a workspace; the others wait in the order in which they came."""

    def __init__(self, most: int, each: int) -> None:
        self._all = asyncio.Semaphore(most)
        self._each = each
        self._of: dict[str, tuple[asyncio.Semaphore, int]] = {}  # with the number of those who have it in hand

    @asynccontextmanager
    async def of(self, workspace: str) -> AsyncIterator[None]:
        """Wait for a turn, and have it meanwhile."""
        own, users = self._of.get(workspace, (asyncio.Semaphore(self._each), 0))
        self._of[workspace] = (own, users + 1)
        try:
            async with own, self._all:
                yield
        finally:
            own, users = self._of.pop(workspace)
            if users > 1:
                self._of[workspace] = (own, users - 1)
