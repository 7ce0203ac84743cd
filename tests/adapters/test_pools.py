"""Work that takes long has threads of its own, in which workspaces take turns."""

import asyncio
import threading

import pytest

from adapters.runtime.pools import Pool
from adapters.runtime.turns import Turns
from domain.message import Refused


async def test_one_workspaces_work_does_not_hold_up_anothers() -> None:
    pool, gate = Pool("test", 2), threading.Event()
    theirs = [asyncio.ensure_future(pool.run("b", gate.wait, 30)) for _ in range(12)]
    try:
        assert await asyncio.wait_for(pool.run("a", lambda: "ours"), 20) == "ours"
        assert await asyncio.wait_for(asyncio.to_thread(lambda: "anybody's"), 20) == "anybody's"
    finally:
        gate.set()
    assert await asyncio.gather(*theirs) == [True] * 12


async def test_with_one_thread_workspaces_take_turns() -> None:
    pool, gate, order = Pool("test", 1), threading.Event(), list[str]()
    first = asyncio.ensure_future(pool.run("b", gate.wait, 30))
    work = [asyncio.ensure_future(pool.run(name, order.append, name)) for name in ("b", "b", "b", "a", "a")]
    await asyncio.sleep(0)
    gate.set()
    await asyncio.gather(first, *work)
    assert order in (["b", "a", "b", "a", "b"], ["a", "b", "a", "b", "b"])


async def test_a_workspace_has_only_so_much_waiting() -> None:
    pool, gate = Pool("test", 1), threading.Event()
    pool.most = 3
    work = [asyncio.ensure_future(pool.run("b", gate.wait, 30)) for _ in range(10)]
    await asyncio.sleep(0)
    ours = asyncio.ensure_future(pool.run("a", lambda: "ours"))
    gate.set()
    ended = await asyncio.gather(*work, return_exceptions=True)
    refused = [one for one in ended if isinstance(one, Refused)]
    assert {one.rule for one in refused} == {"too_busy"}
    assert len(refused) in (6, 7)  # one may have begun before the others were counted
    assert await ours == "ours"


async def test_an_error_is_raised_where_it_is_waited_for_and_who_left_is_not_worked_for() -> None:
    pool, gate, done = Pool("test", 1), threading.Event(), list[int]()
    with pytest.raises(ZeroDivisionError):
        await pool.run("a", lambda: 1 // 0)
    first = asyncio.ensure_future(pool.run("a", gate.wait, 30))
    left = asyncio.ensure_future(pool.run("a", done.append, 1))
    await asyncio.sleep(0)
    left.cancel()
    await asyncio.wait([left])
    gate.set()
    assert await first
    await pool.run("a", done.append, 2)
    assert done == [2]


async def test_turns_leave_room_for_another_workspace() -> None:
    turns, gate = Turns(2, 1), asyncio.Event()

    async def held(workspace: str) -> None:
        async with turns.of(workspace):
            await gate.wait()

    theirs = [asyncio.create_task(held("b")) for _ in range(5)]
    await asyncio.sleep(0)
    async with asyncio.timeout(10), turns.of("a"):
        gate.set()
    await asyncio.gather(*theirs)
    assert turns._of == {}
