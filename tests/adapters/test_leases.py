"""Leases: one living holder an account, and a fence that grows with each."""

import os
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any
from uuid import UUID, uuid4

import pytest
from psycopg import AsyncConnection
from psycopg_pool import AsyncConnectionPool

from adapters.event_store import EventStore, Lease
from adapters.leases import TTL, Claim, Leases, Owner, boot_id, namespace, started
from domain.account import AccountPaused
from domain.message import StreamId
from tests.adapters.logs import an_item, codes, opened

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
    return Owner(boot_id(), namespace(), process.pid, started(process.pid) or "")


def end(process: subprocess.Popen[Any]) -> None:
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


async def expire(pool: Pool, account: UUID, ago: str = "0 seconds") -> None:
    """As if its last renewal were that much longer ago, by the database's clock."""
    async with pool.connection() as connection:
        await connection.execute(
            "UPDATE leases SET expires_at = clock_timestamp() - %s::interval WHERE account = %s", [ago, account]
        )


async def lasts(pool: Pool, account: UUID) -> float:
    """Seconds until the lease may be taken, by the database's clock."""
    async with pool.connection() as connection:
        query = "SELECT extract(epoch FROM expires_at - clock_timestamp())::float8 FROM leases WHERE account = %s"
        row = await (await connection.execute(query, [account])).fetchone()
    assert row is not None
    return float(row[0])


async def test_a_living_holder_that_renews_no_more_loses_its_account_when_its_time_is_over(pool: Pool) -> None:
    account, process = uuid4(), another_process()
    try:
        other, mine = Leases(pool, owner_of(process)), Leases(pool, Owner.here())
        held = await other.claim(account)
        assert held is not None
        await other.browser(held, 4711)
        assert 0 < await lasts(pool, account) <= TTL
        await expire(pool, account, "-5 seconds")  # in five seconds
        assert await mine.claim(account) is None
        assert await other.renew([held]) == {account}
        assert TTL - 5 < await lasts(pool, account) <= TTL
        await expire(pool, account)
        taken = await mine.claim(account)
        assert taken == Claim(account, held.fence + 1, 4711)
        assert await other.renew([held]) == set()  # it finds out
        assert await mine.renew([taken]) == {account}
    finally:
        end(process)


HOLDER = """
import asyncio, sys
from uuid import UUID
from psycopg_pool import AsyncConnectionPool
from adapters.leases import Leases, Owner
async def main():
    async with AsyncConnectionPool(sys.argv[1], min_size=1, kwargs={"autocommit": True}, open=False) as pool:
        leases = Leases(pool, Owner.here())
        while sys.stdin.readline():
            print(await leases.claim(UUID(sys.argv[2])) is not None, flush=True)
asyncio.run(main())
"""
CONTAINER = (
    "unshare",
    *(() if os.geteuid() == 0 else ("--user", "--map-root-user")),
    "--pid",
    "--fork",
    "--kill-child",
)


class Contained:
    """A process that claims an account when asked, in a PID namespace of its own; its /proc shows that one, or ours."""

    def __init__(self, database_url: str, account: UUID, *, own_proc: bool = True) -> None:
        line = [*CONTAINER, *(["--mount-proc"] if own_proc else []), sys.executable, "-c", HOLDER]
        pipe = subprocess.PIPE
        self.process = subprocess.Popen([*line, database_url, str(account)], stdin=pipe, stdout=pipe, text=True)

    def claims(self) -> bool:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write("claim\n")
        self.process.stdin.flush()
        return self.process.stdout.readline() == "True\n"


@pytest.fixture(scope="module")
def namespaces() -> None:
    """A machine on which we may make PID namespaces."""
    if (
        shutil.which(CONTAINER[0]) is None
        or subprocess.run([*CONTAINER, "--mount-proc", "true"], capture_output=True, check=False).returncode != 0
    ):
        pytest.skip("this machine lets nobody make PID namespaces (unshare --pid), so there are none to tell apart")


@pytest.mark.usefixtures("namespaces")
@pytest.mark.parametrize("own_proc", [True, False], ids=["each with its /proc", "under a /proc of the host"])
async def test_a_holder_in_another_container_of_this_host_keeps_its_account_until_its_time_is_over(
    pool: Pool, database_url: str, own_proc: bool
) -> None:
    account = uuid4()
    one, other = (Contained(database_url, account, own_proc=own_proc) for _ in range(2))
    try:
        assert one.claims()
        assert not other.claims()
        assert await Leases(pool, Owner.here()).claim(account) is None
        await expire(pool, account)
        assert other.claims()
        assert not one.claims()
    finally:
        for holder in (one, other):
            end(holder.process)


async def test_a_lease_of_an_older_version_is_its_holders_until_its_time_is_over(pool: Pool) -> None:
    account, process = uuid4(), another_process()
    other = Leases(pool, replace(owner_of(process), namespace=""))
    end(process)
    assert await other.claim(account)
    mine = Leases(pool, Owner.here())
    assert await mine.claim(account) is None
    await expire(pool, account)
    assert await mine.claim(account)


async def test_a_lease_that_is_over_is_still_its_holders_until_somebody_takes_it(pool: Pool) -> None:
    account, leases = uuid4(), Leases(pool, Owner.here())
    claim = await leases.claim(account)
    assert claim is not None
    await expire(pool, account, "1 day")
    assert await leases.renew([claim]) == {account}
    assert await lasts(pool, account) > 0


async def test_only_the_leases_that_were_lost_are_not_renewed(pool: Pool) -> None:
    leases, accounts = Leases(pool, Owner.here()), [uuid4() for _ in range(3)]
    claims = [claim for account in accounts if (claim := await leases.claim(account))]
    await leases.claim(accounts[1])
    await leases.drop(claims[2])
    assert await leases.renew(claims) == {accounts[0]}
    assert await leases.renew([]) == set()


async def test_a_holder_of_another_host_keeps_its_account_until_its_time_is_over(pool: Pool) -> None:
    account = uuid4()
    far, mine = Leases(pool, Owner("another-boot", "", 1, "1")), Leases(pool, Owner.here())
    assert await far.claim(account) is not None
    assert await mine.claim(account) is None  # nobody here can tell whether it lives
    await expire(pool, account)
    assert await mine.claim(account) is not None


async def test_a_holder_is_sure_for_less_than_its_time_and_not_after_it_was_put_out(pool: Pool) -> None:
    account, leases = uuid4(), Leases(pool, Owner.here())
    first = await leases.claim(account)
    assert first is not None
    assert leases.sure(first)
    second = await leases.claim(account)
    assert second is not None
    assert (leases.sure(first), leases.sure(second)) == (False, True)
    assert not leases.sure(replace(second, account=uuid4()))
    brief = Leases(pool, Owner.here(), ttl=0.0)
    third = await brief.claim(account)
    assert third is not None
    assert not brief.sure(third)
    await brief.renew([third])
    assert not brief.sure(third)


async def test_whoever_was_put_out_appends_nothing_more(pool: Pool, database_url: str) -> None:
    account, process = uuid4(), another_process()
    try:
        async with opened(database_url) as store:
            zombie, mine = Leases(pool, owner_of(process)), Leases(pool, Owner.here())
            lost = await zombie.claim(account)
            assert lost is not None
            assert await append(store, lost) == ["ok"]
            await expire(pool, account)
            assert await append(store, lost) == ["ok"]  # nobody else is at work yet
            taken = await mine.claim(account)
            assert taken is not None
            assert await append(store, lost) == ["fence"]
            assert await append(store, taken) == ["ok"]
    finally:
        end(process)


async def append(store: EventStore, claim: Claim) -> list[str]:
    """What becomes of something appended under a claim's fence."""
    lease = Lease(claim.account, fence=claim.fence)
    return await codes(store, [an_item(StreamId(f"delivery-{uuid4()}"), AccountPaused(), lease=lease)])


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
    assert here.neighbour(replace(here, pid=1))
    assert not here.neighbour(replace(here, boot="another"))
    assert not here.neighbour(replace(here, namespace="another"))


def test_a_process_that_ended_but_was_not_waited_for_is_dead() -> None:
    process = another_process()
    owner = owner_of(process)
    assert owner.alive()
    process.kill()
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)  # it stays as a zombie
    assert not owner.alive()
    process.communicate()
