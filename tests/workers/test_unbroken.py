"""What is being sent comes to its outcome, and whoever was told to stop stops."""

import asyncio

import pytest

from workers.sending import NotReady, unbroken


@pytest.mark.parametrize("ending", [None, NotReady(), RuntimeError("unforeseen")])
async def test_whoever_is_told_to_stop_while_sending_stops_whatever_the_sending_came_to(
    ending: Exception | None,
) -> None:
    under_way, go_on = asyncio.Event(), asyncio.Event()
    came_to_its_end = False

    async def act() -> None:
        nonlocal came_to_its_end
        under_way.set()
        await go_on.wait()
        came_to_its_end = True
        if ending is not None:
            raise ending

    sender = asyncio.create_task(unbroken(act()))
    await under_way.wait()
    sender.cancel()
    await asyncio.sleep(0)
    assert not sender.done()
    go_on.set()
    with pytest.raises(asyncio.CancelledError):
        await sender
    assert came_to_its_end
    assert sender.cancelled()


async def test_what_a_sending_came_to_is_raised_when_nobody_was_told_to_stop() -> None:
    async def act() -> None:
        raise NotReady

    with pytest.raises(NotReady):
        await unbroken(act())
