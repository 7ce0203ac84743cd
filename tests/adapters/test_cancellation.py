"""A cancellation is heeded, whatever a library waits with."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from adapters.cancellation import unswallowed, wait_for

Wait = Callable[[Awaitable[str], float | None], Awaitable[str]]


@pytest.fixture(params=[asyncio.wait_for, wait_for], ids=["what libraries call", "ours"])
def waiting(request: pytest.FixtureRequest) -> Wait:
    wait: Wait = request.param
    return wait


async def test_a_cancellation_that_comes_with_the_answer_is_not_lost(waiting: Wait) -> None:
    answer: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    task = asyncio.ensure_future(waiting(answer, 5))
    await asyncio.sleep(0)
    answer.set_result("here")
    task.cancel()
    await asyncio.wait([task])
    assert task.cancelled()


async def test_what_is_waited_for_comes_or_its_time_is_up(waiting: Wait) -> None:
    async def at_once() -> str:
        return "here"

    assert await waiting(at_once(), 5) == "here"
    assert await waiting(at_once(), None) == "here"
    for seconds in (0.01, 0, -1):
        never: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        with pytest.raises(TimeoutError):
            await waiting(never, seconds)
        assert never.cancelled()


async def test_what_swallows_a_cancellation_is_made_to_raise_it() -> None:
    async def swallowing() -> None:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            return

    task = asyncio.create_task(unswallowed(swallowing()))
    await asyncio.sleep(0)
    task.cancel()
    await asyncio.wait([task])
    assert task.cancelled()


async def test_who_tidies_up_after_a_cancellation_is_not_cancelled_again() -> None:
    tidied = []

    async def act() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            tidied.append(await unswallowed(asyncio.sleep(0, "tidy")))

    task = asyncio.create_task(act())
    await asyncio.sleep(0)
    task.cancel()
    await asyncio.wait([task])
    assert tidied == ["tidy"]
