"""Wakes whoever waits for the log: one LISTEN connection for a whole process."""

import asyncio
import logging
from typing import Any

import psycopg
from psycopg import AsyncConnection

from adapters.append_sql import CHANNEL
from adapters.cancellation import heeding
from adapters.connecting import ALIVE
from adapters.heartbeats import beat

logger = logging.getLogger(__name__)

RETRY_SECONDS = 1.0
LOOK_AGAIN = 5.0  # seconds


class LogSignal:
    """Tells that something was committed. A hint and no more: who waits looks into the log again after each time-out.

    `count` grows with each commit, so that one which comes between a look and the wait is not missed::

        seen = signal.count
        if not await store.page(after):
            await signal.wait(1.0, seen)
    """

    def __init__(self, database_url: str) -> None:
        self._url = database_url
        self._task: asyncio.Task[None] | None = None
        self._connection: AsyncConnection[Any] | None = None
        self._changed = asyncio.Event()
        self.count = 0

    async def start(self) -> None:
        """Listen from now on; returns when the first connection stands."""
        connection = await self._connect()
        self._task = asyncio.create_task(self._run(connection), name="log-signal")

    async def stop(self) -> None:
        """Listen no more."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])
        if (
            self._connection is not None
        ):  # a task that is cancelled before its first step, or as it connects, closes none
            await self._connection.close()

    async def watch(self) -> None:
        """Return never; raises what ended the listening, for the process to end with it."""
        assert self._task is not None
        while not self._task.done():
            beat("log-signal")
            await asyncio.wait([self._task], timeout=LOOK_AGAIN)
        self._task.result()

    async def wait(self, seconds: float, seen: int | None = None) -> bool:
        """Whether there was a commit since `count` was `seen` (now, if not given), within so many seconds."""
        since = self.count if seen is None else seen
        try:
            async with asyncio.timeout(seconds):
                while self.count == since:
                    await self._changed.wait()
        except TimeoutError:
            return False
        return True

    async def _connect(self) -> AsyncConnection[Any]:
        self._connection = connection = await AsyncConnection.connect(
            self._url, autocommit=True, application_name="drumline-log-signal", **ALIVE
        )
        try:
            await connection.execute(f"LISTEN {CHANNEL}")
        except BaseException:
            await connection.close()
            raise
        return connection

    async def _run(self, connection: AsyncConnection[Any]) -> None:
        while True:
            try:
                with heeding():
                    async with connection:
                        self._wake()  # what was committed while nobody listened
                        async for _ in connection.notifies():
                            self._wake()
            except psycopg.OperationalError as error:
                logger.warning("The log's signal lost its database (%s), tries again", type(error).__name__)
            connection = await self._reconnected()

    async def _reconnected(self) -> AsyncConnection[Any]:
        while True:
            await asyncio.sleep(RETRY_SECONDS)
            try:
                with heeding():
                    return await self._connect()
            except psycopg.OperationalError:
                continue

    def _wake(self) -> None:
        self.count += 1
        self._changed.set()
        self._changed.clear()
