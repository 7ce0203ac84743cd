"""A host's clock that a test moves: what depends on it, on the real log and tables."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import timedelta
from uuid import uuid4

import pytest

from adapters.runtime.host_clock import HostClock
from domain.allowance import AllowanceDeferred, AllowanceGranted, GrantAllowance
from domain.job import Status
from domain.message import Actor, PrincipalId, Role
from domain.steady import SETTLING, Reading
from domain.workspace import SetSendingPolicy
from tests.workers.core import HERE, SYSTEM, Core
from tests.workers.test_timers import DAY, HOUR, NOW, SECOND, Bench, prepared
from workers.decisions import Request

ADMIN = Actor(PrincipalId("admin"), HERE, frozenset({Role.ADMIN}))


@dataclass
class Host:
    """A host whose two clocks are in the test's hand."""

    bench: Bench
    clock: HostClock
    passed: timedelta = timedelta(hours=1)
    boot: str = "boot"

    def read(self) -> Reading:
        return Reading(self.bench.now, self.passed, self.boot)

    async def goes_on(self, time: timedelta, jump: timedelta = timedelta()) -> None:
        """So much time passes, at the end of which the clock jumps."""
        self.passed += time
        self.bench.now += time + jump
        self.clock.look()
        await self.bench.settle()

    async def starts_anew(self, boot: str = "boot") -> None:
        """The worker is started again, or the whole machine: it knows what is in the database."""
        await self.clock._keep(self.clock.look())
        self.boot = boot
        self.clock = HostClock(self.bench.core.pool, self.read)
        await self.clock.load()
        self.bench.decisions._steady = self.bench.timers._steady = self.clock.look

    async def grants(self) -> str | None:
        """Ask for an allowance; the rule that refuses it, or None."""
        outcome = await self.bench.decisions.one(Request(GrantAllowance(self.bench.account), SYSTEM, uuid4()))
        return outcome.rule


@pytest.fixture
async def host(house: Core) -> AsyncIterator[Host]:
    async with prepared(house) as bench:
        made = Host(bench, HostClock(house.pool))
        made.clock = HostClock(house.pool, made.read)
        await made.starts_anew()
        yield made


async def test_a_job_does_not_start_by_a_clock_that_was_hours_ahead_for_a_moment(host: Host) -> None:
    job = await host.bench.submit(start_at=NOW + 10 * HOUR)
    await host.goes_on(SECOND, 11 * HOUR)
    assert await host.bench.status(job) is Status.SCHEDULED
    await host.starts_anew()
    await host.goes_on(SETTLING / 2, -11 * HOUR)
    await host.goes_on(2 * SETTLING)
    assert await host.bench.status(job) is Status.SCHEDULED
    await host.goes_on(10 * HOUR)
    assert await host.bench.status(job) is Status.RUNNING


async def test_a_job_starts_once_a_true_jump_is_believed(host: Host) -> None:
    job = await host.bench.submit(start_at=NOW + 10 * HOUR)
    await host.goes_on(SECOND, 11 * HOUR)
    await host.goes_on(SETTLING)
    assert await host.bench.status(job) is Status.RUNNING


@pytest.mark.parametrize("back", [DAY, timedelta()], ids=["taken-back", "kept"])
async def test_a_day_that_the_clock_skips_grants_no_second_days_worth(host: Host, back: timedelta) -> None:
    await host.bench.give(SetSendingPolicy(messages=1, seconds=1, per_day=1), ADMIN)
    assert await host.grants() is None
    await host.goes_on(HOUR, DAY)
    assert await host.grants() == "clock_jumped"
    await host.goes_on(SETTLING)
    await host.grants()
    await host.starts_anew()
    await host.goes_on(SECOND, -back)
    await host.goes_on(SETTLING)
    await host.grants()
    assert len(await host.bench.told(AllowanceGranted)) == 1
    assert await host.bench.told(AllowanceDeferred)
    await host.goes_on(DAY + HOUR)
    assert await host.grants() is None
    assert len(await host.bench.told(AllowanceGranted)) == 2


async def test_a_jump_is_known_in_a_new_container_and_after_a_new_start_of_the_machine(
    host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    await host.goes_on(HOUR, 3 * SECOND)
    jumped = host.clock.look().since
    assert jumped == host.bench.now
    monkeypatch.setattr("platform.node", lambda: uuid4().hex)  # as in containers
    await host.starts_anew()
    assert host.clock.look().since == jumped
    await host.starts_anew("boot-after-it")
    assert host.clock.look().since == jumped


async def test_what_was_kept_of_machines_that_are_gone_is_swept(host: Host) -> None:
    async with host.bench.core.pool.connection() as connection:
        await connection.execute("UPDATE host_clocks SET kept_at = kept_at - interval '31 days'")
    for boot in ("second", "third"):
        host.boot = boot
        await host.starts_anew(boot)
    async with host.bench.core.pool.connection() as connection:
        rows = await (await connection.execute("SELECT boot FROM host_clocks ORDER BY boot")).fetchall()
    assert rows == [("second",), ("third",)]
