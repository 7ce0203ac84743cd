"""Cancellations that libraries lose.

Before Python 3.12 `asyncio.wait_for`, which nats-py and psycopg's pool wait with, loses a cancellation that comes
together with what it waited for (https://github.com/python/cpython/issues/86296). Who was cancelled then goes on,
perhaps for ever. This package puts 3.12's way in its place when it is imported (`adapters/__init__.py`).
"""

import asyncio
import sys
from collections.abc import Awaitable
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


async def unswallowed(work: Awaitable[T]) -> T:
    """Await what swallows a cancellation, and raise it afterwards."""
    task = asyncio.current_task()
    assert task is not None
    before = task.cancelling()
    done = await work
    if task.cancelling() > before:
        raise asyncio.CancelledError
    return done
