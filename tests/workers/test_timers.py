"""What is due, when it is due: reactors and timers on the real log and table, with a clock in the test's hand."""

from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest

from adapters.leader import Leader
from adapters.progress import Progress
from adapters.sends import Sends
from adapters.timers import TimerTable
from domain.account import RegisterAccount, ReportReady, ReportTrouble, Trouble
from domain.allowance import GrantAllowance
from domain.audience import ImportAudience
from domain.campaign import CreateCampaign
from domain.content import TextPart
from domain.job import DECIDER as JOBS
from domain.job import (
    ApproveJob,
    Deferral,
    JobCompleted,
    JobExpired,
    JobScheduled,
    JobStartDeferred,
    JobStarted,
    JobStopped,
    PauseJob,
    RejectJob,
    StartJob,
    Status,
    StopJob,
    WithdrawApproval,
)
from domain.lifecycle import Job
from domain.message import Actor, Command, Digest, Event, Frozen, PrincipalId, Ref, Role, StreamId, WorkspaceId
from domain.ports import Gathered
from domain.recipient import ConsentSource, RecordConsent
from domain.run import StartDueJob
from domain.schedule import LocalStart, ZoneName
from domain.send import ConfirmSend, Doubt, DoubtSend, IntendSend, Receipt, ReportReceipt, SendResolved, delivery_id
from domain.submission import ReviseJob, SubmitJob
from tests.workers.core import HERE, SYSTEM, Core
from workers.decisions import Contended, Decisions, Outcome, Request, Unstorable
from workers.reactors import Reactors
from workers.timers import LATER, Timers

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
SECOND, MINUTE, HOUR, DAY = (timedelta(seconds=seconds) for seconds in (1, 60, 3_600, 86_400))
MODERATOR = Actor(PrincipalId("moderator"), HERE, frozenset({Role.MODERATOR}))
CAMPAIGN, LIST, PEOPLE = uuid4(), uuid4(), [uuid4() for _ in range(2)]
TEXT, DIGEST = Ref("a" * 64), Digest("d" * 64)
PATIENCE = 6 * HOUR


class People:
    """Two people, frozen under a root of the accounts: other accounts have another."""

    async def __call__(self, command: Command, actor: Actor, states: Mapping[StreamId, Any]) -> Gathered:
        if isinstance(command, SubmitJob | ReviseJob):
            root = command.accounts[0].hex * 2 if command.accounts else "a" * 64
            return Gathered(frozen=Frozen(Digest(root), len(PEOPLE)))
        return Gathered(imported=DIGEST)

    async def held(self, people: Collection[tuple[WorkspaceId, UUID]]) -> Collection[tuple[WorkspaceId, UUID]]:
        return people


@dataclass
class Bench:
    """Reactors and timers, moved by hand."""

    core: Core
    decisions: Decisions
    reactors: Reactors
    timers: Timers
    account: UUID
    now: datetime = NOW

    def clock(self) -> datetime:
        return self.now

    async def give(self, command: Command, by: Actor = SYSTEM) -> None:
        outcome = await self.decisions.one(Request(command, by, uuid4()))
        assert outcome.state == "applied", outcome

    async def until(self, time: datetime) -> None:
        """The clock goes on to this time: what is due by then is done, and what follows from it."""
        self.now = time
        await self.settle()

    async def settle(self) -> None:
        await self.timers.fire()
        while await self.reactors.step():
            continue

    async def job(self, job_id: UUID) -> Job:
        stream = JOBS.stream(job_id)
        state: Job = (await self.core.store.load([stream]))[stream].state
        return state

    async def status(self, job_id: UUID) -> Status:
        return (await self.job(job_id)).status

    async def told(self, *kinds: type[Event]) -> list[Event]:
        return [event for event in await self.core.events() if isinstance(event, kinds)]

    async def submit(self, approve: bool = True, **options: Any) -> UUID:
        job_id = uuid4()
        await self.give(SubmitJob(job_id, CAMPAIGN, (self.account,), **options))
        if approve:
            await self.approve(job_id)
        await self.settle()
        return job_id

    async def approve(self, job_id: UUID) -> None:
        shown = (await self.job(job_id)).review_hash
        assert shown is not None
        await self.give(ApproveJob(job_id, shown), MODERATOR)

    async def intend(self, job_id: UUID, person: int) -> UUID:
        """A send of the job to one of the people has begun."""
        delivery = delivery_id(job_id, PEOPLE[person])
        await self.give(IntendSend(delivery, job_id, PEOPLE[person], self.account, person + 1, 0, 1))
        return delivery

    async def rows(self, query: str) -> list[tuple[Any, ...]]:
        async with self.core.pool.connection() as connection:
            return await (await connection.execute(query.encode())).fetchall()


@pytest.fixture
async def bench(house: Core) -> AsyncIterator[Bench]:
    async with prepared(house) as made:
        yield made


@asynccontextmanager
async def prepared(house: Core) -> AsyncIterator[Bench]:
    def clock() -> datetime:
        return made.now

    decisions = Decisions(house.store, People(), clock)
    timers = Timers(TimerTable(house.pool), decisions, clock)
    leader = Leader(house.database_url, "reactors", 0.1)
    reactors = Reactors(
        house.store, Progress(house.pool), timers, house.signal, Sends(house.bus), leader, clock, PATIENCE
    )
    made = Bench(house, decisions, reactors, timers, uuid4())
    await made.give(ImportAudience(LIST, TEXT, len(PEOPLE), 0, 0, DIGEST))
    await made.give(CreateCampaign(CAMPAIGN, TEXT, (TextPart(TEXT),), LIST))
    await made.give(RegisterAccount(made.account, TEXT))
    await made.give(ReportReady(made.account))
    for person in PEOPLE:
        await made.give(RecordConsent(person, ConsentSource.PAPER, NOW - DAY))
    yield made


async def test_a_job_starts_at_its_local_time_and_not_before(bench: Bench) -> None:
    start = LocalStart(datetime.fromisoformat("2026-12-01T09:00"), ZoneName("Europe/Berlin"))
    at = datetime(2026, 12, 1, 8, tzinfo=UTC)
    job = await bench.submit(start=start)
    assert await bench.rows("SELECT subject, due_at, local_time, zone FROM timers WHERE kind = 'start'") == [
        (job, at, "2026-12-01T09:00:00", "Europe/Berlin")
    ]
    await bench.until(at - SECOND)
    assert await bench.status(job) is Status.SCHEDULED
    await bench.until(at)
    assert await bench.status(job) is Status.RUNNING
    assert await bench.rows("SELECT kind FROM timers") == []


async def test_the_timer_of_a_former_schedule_starts_nothing(bench: Bench) -> None:
    job = await bench.submit(start_at=NOW + HOUR)
    await bench.give(ReviseJob(job, (bench.account,), NOW + 3 * HOUR))
    await bench.approve(job)
    await bench.settle()
    await bench.until(NOW + 2 * HOUR)
    assert await bench.status(job) is Status.SCHEDULED
    await bench.until(NOW + 3 * HOUR)
    assert await bench.status(job) is Status.RUNNING
    assert len(await bench.told(JobStarted)) == 1


async def test_only_what_may_still_happen_is_among_the_timers(bench: Bench) -> None:
    planned = "SELECT kind, due_at FROM timers ORDER BY due_at"
    job = await bench.submit(start_at=NOW + HOUR)
    assert await bench.rows(planned) == [("start", NOW + HOUR), ("expire", NOW + HOUR + DAY)]
    await bench.give(WithdrawApproval(job), MODERATOR)
    await bench.settle()
    assert await bench.rows(planned) == [("expire", NOW + HOUR + DAY)]
    await bench.give(ReviseJob(job, start_at=NOW + 2 * HOUR))
    await bench.approve(job)
    await bench.settle()
    assert await bench.rows(planned) == [("start", NOW + 2 * HOUR), ("expire", NOW + 2 * HOUR + DAY)]
    await bench.give(StopJob(job))
    await bench.settle()
    assert await bench.rows(planned) == []
    assert len(await bench.told(JobStopped)) == 1
    rejected = await bench.submit(approve=False)
    shown = (await bench.job(rejected)).review_hash
    assert shown is not None
    await bench.give(RejectJob(rejected, shown), MODERATOR)
    await bench.settle()
    assert await bench.rows(planned) == []


async def test_a_timer_that_has_no_point_any_more_fires_into_nothing(bench: Bench) -> None:
    job = await bench.submit(start_at=NOW + HOUR)
    row = "VALUES ('{}', 'here', '{}', '{}', 1, '{}') RETURNING 1"
    await bench.give(StopJob(job))
    await bench.settle()
    for kind in ("start", "start_again", "expire", "complete"):
        await bench.rows(
            "INSERT INTO timers (id, workspace, kind, subject, serves, due_at) " + row.format(uuid4(), kind, job, NOW)
        )
    before = len(await bench.core.events())
    await bench.settle()
    assert await bench.rows("SELECT kind FROM timers") == []
    assert len(await bench.core.events()) == before


async def test_neither_does_that_of_an_approval_that_was_withdrawn(bench: Bench) -> None:
    job = await bench.submit(start_at=NOW + HOUR)
    await bench.give(WithdrawApproval(job), MODERATOR)
    await bench.until(NOW + 2 * HOUR)
    assert await bench.status(job) is Status.SUBMITTED
    await bench.approve(job)  # late, so it starts at once
    await bench.settle()
    assert await bench.status(job) is Status.RUNNING
    assert len(await bench.told(JobScheduled)) == 1


@pytest.mark.parametrize("fault", [Contended, Unstorable, ZeroDivisionError])
async def test_a_timer_that_fails_is_put_off_and_the_others_are_fired(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, fault: type[Exception]
) -> None:
    bad, good = [await bench.submit(start_at=NOW + HOUR) for _ in range(2)]
    make = bench.decisions.make

    async def faulty(requests: Sequence[Request]) -> Sequence[Outcome]:
        if any(isinstance(one.command, StartDueJob) and one.command.job_id == bad for one in requests):
            raise fault("a text that quotes what somebody wrote")
        return await make(requests)

    with monkeypatch.context() as patch:
        patch.setattr(bench.decisions, "make", faulty)
        await bench.until(NOW + HOUR)
    assert [await bench.status(one) for one in (bad, good)] == [Status.SCHEDULED, Status.RUNNING]
    assert "somebody wrote" not in caplog.text
    await bench.until(NOW + HOUR + LATER)
    assert await bench.status(bad) is Status.RUNNING


async def test_a_timer_of_a_kind_that_nobody_knows_is_put_off_too(bench: Bench) -> None:
    await bench.rows(f"INSERT INTO timers VALUES ('{uuid4()}', 'here', 'sing', '{uuid4()}', 1, '{NOW}') RETURNING 1")
    job = await bench.submit()
    assert await bench.status(job) is Status.RUNNING
    assert await bench.rows("SELECT due_at FROM timers WHERE kind = 'sing'") == [(NOW + LATER,)]


async def test_a_job_that_nobody_approves_expires(bench: Bench) -> None:
    job = await bench.submit(approve=False, expires_at=NOW + HOUR)
    await bench.until(NOW + HOUR - SECOND)
    assert await bench.status(job) is Status.SUBMITTED
    await bench.until(NOW + HOUR)
    assert await bench.status(job) is Status.EXPIRED
    assert await bench.told(JobExpired) == [JobExpired()]


async def test_a_revision_moves_the_expiry_and_the_old_time_passes(bench: Bench) -> None:
    job = await bench.submit(approve=False, expires_at=NOW + HOUR)
    await bench.give(ReviseJob(job, (bench.account,), expires_at=NOW + DAY))
    await bench.settle()
    await bench.until(NOW + 2 * HOUR)
    assert await bench.status(job) is Status.SUBMITTED
    await bench.until(NOW + DAY)
    assert await bench.status(job) is Status.EXPIRED


async def test_a_start_is_put_off_and_comes_with_the_account(bench: Bench) -> None:
    await bench.give(ReportTrouble(bench.account, Trouble.CRASHED))
    job = await bench.submit()
    assert await bench.told(JobStartDeferred) == [JobStartDeferred(Deferral.NO_ACCOUNT_READY, NOW + MINUTE)]
    await bench.until(NOW + MINUTE)
    [_, again] = await bench.told(JobStartDeferred)
    assert again == JobStartDeferred(Deferral.NO_ACCOUNT_READY, NOW + 4 * MINUTE)
    bench.now += SECOND
    await bench.give(ReportReady(bench.account))
    await bench.settle()
    assert await bench.status(job) is Status.RUNNING


async def test_a_scheduled_job_does_not_start_early_because_an_account_gets_ready(bench: Bench) -> None:
    job = await bench.submit(start_at=NOW + HOUR)
    await bench.give(ReportTrouble(bench.account, Trouble.CRASHED))
    await bench.give(ReportReady(bench.account))
    await bench.settle()
    assert await bench.status(job) is Status.SCHEDULED


async def test_an_unknown_send_is_given_up_in_time_and_the_job_completes(bench: Bench) -> None:
    job = await bench.submit()
    await bench.give(GrantAllowance(bench.account))
    delivery = await bench.intend(job, 0)
    await bench.give(DoubtSend(delivery, 0, Doubt.DEADLINE))
    await bench.until(NOW + 31 * SECOND)
    await bench.give(GrantAllowance(bench.account))
    other = await bench.intend(job, 1)
    await bench.give(ConfirmSend(other, 0))
    await bench.settle()
    await bench.until(NOW + PATIENCE - SECOND)
    assert await bench.status(job) is Status.RUNNING
    await bench.until(NOW + PATIENCE)
    assert await bench.status(job) is Status.COMPLETED
    assert len(await bench.told(SendResolved)) == 1
    # a receipt after all: the delivery is corrected, the job is as complete as before
    await bench.give(ReportReceipt(delivery, 0, Receipt.DELIVERED))
    await bench.settle()
    assert await bench.rows("SELECT terminal, unknown, recipients FROM job_progress") == [(2, 0, 2)]
    assert await bench.told(JobCompleted) == [JobCompleted(2)]


async def test_what_was_resolved_meanwhile_is_not_given_up(bench: Bench) -> None:
    job = await bench.submit()
    await bench.give(GrantAllowance(bench.account))
    delivery = await bench.intend(job, 0)
    await bench.give(DoubtSend(delivery, 0, Doubt.DEADLINE))
    await bench.settle()
    await bench.give(ReportReceipt(delivery, 0, Receipt.SENT))
    await bench.settle()
    assert await bench.rows("SELECT kind FROM timers") == []
    await bench.until(NOW + PATIENCE)
    assert await bench.told(SendResolved) == []


async def test_a_revised_job_whose_last_send_ended_meanwhile_completes_once_it_is_approved_anew(bench: Bench) -> None:
    job = await bench.submit()
    await bench.give(GrantAllowance(bench.account))
    first = await bench.intend(job, 0)
    await bench.until(NOW + 31 * SECOND)
    await bench.give(GrantAllowance(bench.account))
    second = await bench.intend(job, 1)
    await bench.give(ConfirmSend(first, 0))
    await bench.give(PauseJob(job))
    await bench.give(ReviseJob(job, (bench.account,), NOW + HOUR))
    await bench.give(ConfirmSend(second, 0))
    await bench.settle()
    assert await bench.status(job) is Status.SUBMITTED
    await bench.approve(job)
    await bench.until(NOW + HOUR)
    assert await bench.status(job) is Status.COMPLETED


async def test_the_log_read_anew_asks_for_nothing_again(bench: Bench) -> None:
    job = await bench.submit(start_at=NOW + HOUR)
    await bench.until(NOW + HOUR)
    await bench.give(PauseJob(job))
    await bench.settle()
    before = await bench.told(Event)
    for table in ("timers", "job_progress", "send_progress"):
        await bench.rows(f"DELETE FROM {table} RETURNING 1")
    await bench.rows("UPDATE reactor_position SET position = 0 RETURNING 1")
    await bench.settle()
    await bench.until(NOW + 40 * DAY)
    assert await bench.told(Event) == before
    assert await bench.rows("SELECT kind FROM timers") == []


async def test_a_person_may_start_a_job_that_was_put_off(bench: Bench) -> None:
    await bench.give(ReportTrouble(bench.account, Trouble.CRASHED))
    job = await bench.submit()
    await bench.give(StartJob(job))
    await bench.until(NOW + MINUTE)
    assert await bench.status(job) is Status.RUNNING
    assert len(await bench.told(JobStarted)) == 1
