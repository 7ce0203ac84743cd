"""A cancellation is heeded, whatever a library waits with."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable

import pytest

from adapters.cancellation import heeding, wait_for

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


async def swallowing() -> None:
    """Comes back as if nothing were, as some libraries do."""
    with contextlib.suppress(asyncio.CancelledError):
        await asyncio.Event().wait()


async def failing() -> None:
    """Tidies up, which fails."""
    try:
        await asyncio.Event().wait()
    finally:
        raise ConnectionResetError


async def grouped() -> None:
    """A task of a group fails as the group is cancelled: the group tells of its task alone."""
    async with asyncio.TaskGroup() as group:
        group.create_task(failing())


@pytest.mark.parametrize("work", [swallowing, failing, grouped])
async def test_what_takes_the_place_of_a_cancellation_does_not_hide_it(work: Callable[[], Awaitable[None]]) -> None:
    async def act() -> None:
        with heeding():
            await work()

    task = asyncio.create_task(act())
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    task.cancel()
    await asyncio.wait([task])
    assert task.cancelled()


async def late() -> None:
    """Its time is up, and it fails of something else as it ends."""
    async with asyncio.timeout(0.01):
        with heeding():
            await failing()


async def test_errors_answers_and_times_that_are_up_pass_when_nobody_cancels() -> None:
    with pytest.raises(ConnectionError), heeding():
        raise ConnectionResetError
    with pytest.raises(TimeoutError):
        await late()
    with heeding():
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(0.01):
                await asyncio.Event().wait()
        passed = True
    assert passed


async def test_who_tidies_up_after_a_cancellation_is_not_cancelled_again() -> None:
    tidied = []

    async def act() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            with heeding():
                tidied.append(await asyncio.sleep(0, "tidy"))

    task = asyncio.create_task(act())
    await asyncio.sleep(0)
    task.cancel()
    await asyncio.wait([task])
    assert tidied == ["tidy"]
