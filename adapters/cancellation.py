"""Cancellations that a library forgot.

Before Python 3.12 `asyncio.wait_for`, which nats-py and psycopg's pool wait with, forgets a cancellation that comes
together with what it waited for. A loop that does not look again would then never end, and its process not stop.
"""

import asyncio
from collections.abc import Awaitable
from typing import TypeVar

T = TypeVar("T")


def heed_cancellation() -> None:
    """Raise CancelledError when this task was asked to end; to be called once a round in a loop without end."""
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        raise asyncio.CancelledError


async def heeding(answer: Awaitable[T]) -> T:
    """An answer, unless this task was asked to end meanwhile."""
    got = await answer
    heed_cancellation()
    return got
