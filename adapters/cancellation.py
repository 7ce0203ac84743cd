"""Cancellations that would be lost.

Before Python 3.12 `asyncio.wait_for`, which nats-py and psycopg's pool wait with, loses a cancellation that comes
together with what it waited for (https://github.com/python/cpython/issues/86296). Who was cancelled then goes on,
perhaps for ever. This package puts 3.12's way in its place when it is imported (`adapters/__init__.py`).
"""

import asyncio
import sys
from collections.abc import Awaitable
from types import TracebackType
from typing import TypeVar

T = TypeVar("T")
LOSING = asyncio.wait_for


async def wait_for(fut: Awaitable[T], timeout: float | None) -> T:  # noqa: ASYNC109  # asyncio's own
    """As Python 3.12 has it: waits in the task itself, so there is no second one to be asked instead."""
    if timeout is not None and timeout <= 0:  # nothing is waited for, so nothing can be lost
        return await LOSING(fut, timeout)
    async with asyncio.timeout(timeout):
        return await fut


def keep_cancellations() -> None:
    """Put `wait_for` above in the place of Python 3.11's, for the whole process."""
    if sys.version_info < (3, 12):
        asyncio.wait_for = asyncio.tasks.wait_for = wait_for  # type: ignore[assignment]  # ours takes what is awaitable


class heeding:  # noqa: N801  # read as a phrase, like contextlib's own
    """A cancellation that comes in here is raised at the end, whatever took its place: an error, or an answer.

    A task group raises its tasks' errors and not that it was cancelled, a `finally` that meets an outage raises that; a
    loop that goes on after outages would then go on for ever. What was cancelled before is not cancelled again.
    """

    __slots__ = ("_before", "_task")

    def __enter__(self) -> None:
        self._task = asyncio.current_task()
        self._before = self._task.cancelling() if self._task else 0

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._task is not None and self._task.cancelling() > self._before and isinstance(error, Exception | None):
            raise asyncio.CancelledError from error
