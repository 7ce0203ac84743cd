"""Leases: one living holder an account, and a fence that grows with each."""

import os
import subprocess
import sys
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any
from uuid import uuid4

import pytest
from psycopg import AsyncConnection
from psycopg_pool import AsyncConnectionPool

from adapters.leases import Leases, Owner, boot_id, started

Pool = AsyncConnectionPool[AsyncConnection[Any]]


@pytest.fixture
async def pool(database_url: str) -> AsyncIterator[Pool]:
    opened: Pool = AsyncConnectionPool(database_url, min_size=1, max_size=4, kwargs={"autocommit": True}, open=False)
    async with opened:
        yield opened


def another_process() -> subprocess.Popen[bytes]:
    """A process that lives until it is killed."""
    return subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)


def owner_of(process: subprocess.Popen[bytes]) -> Owner:
    return Owner(boot_id(), process.pid, started(process.pid) or "")


def end(process: subprocess.Popen[bytes]) -> None:
    process.kill()
    process.communicate()


async def test_the_first_claim_of_an_account_has_no_former_holder(pool: Pool) -> None:
    claim = await Leases(pool, Owner.here()).claim(uuid4())
    assert claim is not None
    assert (claim.fence, claim.former_browser) == (1, None)


async def test_a_claim_by_the_same_process_puts_its_former_claim_out(pool: Pool) -> None:
    account, leases = uuid4(), Leases(pool, Owner.here())
    first = await leases.claim(account)
    assert first is not None
    await leases.browser(first, 4711)
    second = await leases.claim(account)
    assert second is not None
    assert (second.fence, second.former_browser) == (2, 4711)
    await leases.browser(first, 4712)  # too late
    await leases.release(first)  # too late, too
    third = await leases.claim(account)
    assert third is not None
    assert third.former_browser == 4711


async def test_a_living_holder_keeps_its_account_and_a_dead_one_loses_it(pool: Pool) -> None:
    account, process = uuid4(), another_process()
    try:
        other = Leases(pool, owner_of(process))
        held = await other.claim(account)
        assert held is not None
        await other.browser(held, 4711)
        mine = Leases(pool, Owner.here())
        assert await mine.claim(account) is None
    finally:
        end(process)
    taken = await mine.claim(account)
    assert taken is not None
    assert (taken.fence, taken.former_browser) == (2, 4711)


async def test_what_was_released_has_no_former_browser(pool: Pool) -> None:
    account, leases = uuid4(), Leases(pool, Owner.here())
    claim = await leases.claim(account)
    assert claim is not None
    await leases.browser(claim, 4711)
    await leases.release(claim)
    again = await leases.claim(account)
    assert again is not None
    assert (again.fence, again.former_browser) == (2, None)


async def test_permits_of_an_account_without_a_row_are_none(pool: Pool) -> None:
    account, leases = uuid4(), Leases(pool, Owner.here())
    await leases.claim(account)
    assert await leases.permits([account, uuid4()]) == {account: 0}


def test_a_later_process_or_boot_with_the_same_number_is_another_owner() -> None:
    here = Owner.here()
    assert here.alive()
    assert here.pid == os.getpid()
    assert not replace(here, started="1").alive()
    assert not replace(here, boot="another").alive()


def test_a_process_that_ended_but_was_not_waited_for_is_dead() -> None:
    process = another_process()
    owner = owner_of(process)
    assert owner.alive()
    process.kill()
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)  # it stays as a zombie
    assert not owner.alive()
    process.communicate()
