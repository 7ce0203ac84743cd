"""A worker process: its loops end together, and it says why without anybody's data."""

import asyncio
import gc
import os
import signal
from functools import partial

import psycopg
import pytest

from adapters.streams import NotDeclared
from infra.logs import reason
from infra.process.exit_codes import ENDED, UNDECLARED
from infra.work import LoopEnded, until_told


async def forever() -> None:
    await asyncio.Event().wait()


async def test_a_loop_that_fails_ends_all_with_its_name_and_reason() -> None:
    ended = asyncio.Event()

    async def neighbour() -> None:
        try:
            await forever()
        finally:
            ended.set()

    async def failing() -> None:
        await asyncio.sleep(0)
        raise NotDeclared(["EVENTS"])

    with pytest.raises(LoopEnded, match="relay ended: NotDeclared: The bus has no stream EVENTS"):
        await until_told({"intake": neighbour, "relay": failing})
    assert ended.is_set()


async def test_a_loop_that_was_cancelled_by_nobody_of_ours_is_an_end_too_and_named() -> None:
    async def cancelled() -> None:
        raise asyncio.CancelledError

    with pytest.raises(LoopEnded, match="timers ended: CancelledError"):
        await until_told({"timers": cancelled, "intake": forever})


async def test_a_loop_that_just_returns_is_an_end_too() -> None:
    async def returning() -> None:
        await asyncio.sleep(0)

    with pytest.raises(LoopEnded, match="timers ended: without an error"):
        await until_told({"timers": returning, "intake": forever})


async def test_a_signal_ends_a_process_without_an_error(caplog: pytest.LogCaptureFixture) -> None:
    gc.collect()  # what earlier tests left unfinished is told of when it is collected, and would be told of here
    caplog.clear()
    caplog.set_level("INFO", "drumline")
    asyncio.get_running_loop().call_soon(os.kill, os.getpid(), signal.SIGTERM)
    await until_told({"intake": forever}, serves="127.0.0.1:8180")
    (begins,) = caplog.records
    assert (begins.message, vars(begins)["serves"], vars(begins)["loops"]) == ("begins", "127.0.0.1:8180", "intake")


def test_a_foreign_error_is_told_by_its_kind_alone() -> None:
    try:
        raise psycopg.errors.UniqueViolation("Key (number)=(+12025550143) already exists.")
    except psycopg.Error as error:
        said = reason(error)
    assert said.startswith("UniqueViolation at test_work.py:")
    assert "2025550143" not in said


async def test_a_loop_that_lost_its_cancellation_is_asked_again() -> None:
    """As `asyncio.wait_for` loses it before Python 3.12."""
    asked = 0

    async def forgetful() -> None:
        nonlocal asked
        while asked < 3:
            try:
                await forever()
            except asyncio.CancelledError:
                asked += 1

    asyncio.get_running_loop().call_soon(os.kill, os.getpid(), signal.SIGTERM)
    await until_told({"projector": forgetful}, 0.01)
    assert asked == 3


async def test_the_code_tells_a_missing_stream_from_any_other_end() -> None:
    async def failing(error: Exception) -> None:
        async with asyncio.TaskGroup():
            raise error

    for error, code in ((NotDeclared(["EVENTS"]), UNDECLARED), (ValueError("a number"), ENDED)):
        with pytest.raises(LoopEnded, match=f"intake ended: {type(error).__name__}.* at test_work.py:") as ended:
            await until_told({"intake": partial(failing, error)})
        assert ended.value.code == code
