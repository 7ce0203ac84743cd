"""Doing something in one process only: the one that leads."""

from collections.abc import Awaitable, Callable

from adapters.leader import Leader, NotLeading


async def while_leading(leader: Leader, task: Callable[[], Awaitable[None]]) -> None:
    """Run a task whenever this process leads; the task checks its lead, and ends by NotLeading when it is lost."""
    try:
        while True:
            await leader.lead()
            try:
                await task()
            except NotLeading:
                continue
    finally:
        await leader.resign()
