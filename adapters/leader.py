"""One leader at a time: whoever holds a session's advisory lock, for as long as its connection lives."""

import asyncio
import logging
from typing import Any

from psycopg import AsyncConnection, OperationalError

from adapters.connecting import ALIVE
from adapters.heartbeats import beat

logger = logging.getLogger(__name__)

TRY = "SELECT pg_try_advisory_lock(hashtextextended(%s, 0))"


class NotLeading(Exception):
    """The connection that held the lock is gone, and the lead with it."""


class Leader:
    """The lead of one task, on a connection of its own; given back by `resign`, or by the end of the process."""

    def __init__(self, database_url: str, task: str, retry: float = 1.0) -> None:
        self._url = database_url
        self._loop = task
        self._task = f"drumline-{task}"
        self._retry = retry
        self._connection: AsyncConnection[Any] | None = None

    async def lead(self) -> None:
        """Return when this process leads; a former leader must be gone first."""
        while True:
            beat(self._loop)
            if await self._tried():
                return
            await asyncio.sleep(self._retry)

    async def check(self) -> None:
        """Raise NotLeading when the lead is lost."""
        try:
            if self._connection is None:
                raise NotLeading(self._task)
            await self._connection.execute("SELECT 1")
        except OperationalError:
            raise NotLeading(self._task) from None

    async def resign(self) -> None:
        """Let another lead."""
        if self._connection is not None:
            await self._connection.close()
            self._connection = None

    async def _tried(self) -> bool:
        try:
            if self._connection is None or self._connection.broken:
                self._connection = await AsyncConnection.connect(
                    self._url,
                    autocommit=True,
                    application_name=self._task,
                    **ALIVE,
                )
            row = await (await self._connection.execute(TRY, [self._task])).fetchone()
        except OperationalError as error:
            logger.warning("no lead of %s for want of a database: %s", self._task, type(error).__name__)
            return False
        return row is not None and bool(row[0])
