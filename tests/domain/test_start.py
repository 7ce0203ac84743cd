"""The start of a job when its time has come: at once, later, or never again for a time that was replaced."""

from datetime import timedelta

import pytest

from domain.account import AccountDegraded, AccountPaused, Trouble
from domain.job import (
    Deferral,
    JobApprovalGiven,
    JobApproved,
    JobScheduled,
    JobStartDeferred,
    JobStarted,
    StartDueJob,
    StartJob,
    Status,
)
from domain.message import Event
from tests.builders import (
    DAY,
    JOB,
    JOB_STREAM,
    MINUTE,
    MODERATOR,
    NORTH,
    NORTH_STREAM,
    NOW,
    OPERATOR,
    READY,
    SECOND,
    SOUTH,
    SOUTH_STREAM,
    SYSTEM,
    submitted,
)
from tests.domain.test_job import EACH
from tests.given import Given

BEGUN = submitted(accounts=(NORTH, SOUTH), start_at=NOW + DAY, expires_at=NOW + 30 * DAY)
SEEN = BEGUN.review_hash
GIVEN, APPROVED = JobApprovalGiven(MODERATOR.id, SEEN), JobApproved(SEEN)
SCHEDULED = Given().on(JOB_STREAM, BEGUN, GIVEN, APPROVED, JobScheduled(NOW + DAY))
DUE = StartDueJob(JOB, 4, (NORTH, SOUTH))
AT = NOW + DAY
AWAY: tuple[Event, ...] = (*READY, AccountDegraded(Trouble.CRASHED))


def deferred(until: timedelta) -> JobStartDeferred:
    return JobStartDeferred(Deferral.NO_ACCOUNT_READY, AT + until)


def test_it_starts_when_one_of_its_accounts_may_send() -> None:
    given = SCHEDULED.on(NORTH_STREAM, *AWAY).on(SOUTH_STREAM, *READY)
    after = given.when(DUE, by=SYSTEM, at=AT).then(JobStarted())
    after.when(DUE, by=SYSTEM, at=AT).then_nothing()


@pytest.mark.parametrize("away", [(), READY[:1], AWAY, (*READY, AccountPaused())])
def test_when_none_may_send_it_is_put_off(away: tuple[Event, ...]) -> None:
    given = SCHEDULED if not away else SCHEDULED.on(NORTH_STREAM, *away)
    after = given.when(DUE, by=SYSTEM, at=AT).then(deferred(MINUTE))
    assert after.state(JOB_STREAM).status is Status.SCHEDULED
    after.when(DUE, by=SYSTEM, at=AT).then_nothing()  # that time is past; the next one has its own


def test_the_pauses_grow_until_the_job_expires() -> None:
    given, now, pauses, version = SCHEDULED, AT, list[timedelta](), 4
    while now < NOW + 30 * DAY:
        [put_off] = given.when(StartDueJob(JOB, version, (NORTH, SOUTH)), by=SYSTEM, at=now).events
        assert isinstance(put_off, JobStartDeferred)
        pauses.append(put_off.until - now)
        given, now, version = given.on(JOB_STREAM, put_off), put_off.until, version + 1
    assert pauses[:4] == [MINUTE, 3 * MINUTE, 9 * MINUTE, 27 * MINUTE]
    assert pauses[:-1] == sorted(pauses[:-1])
    assert len(pauses) < 12
    assert now == NOW + 30 * DAY  # never beyond, and then it starts no more
    given.when(StartDueJob(JOB, version, (NORTH, SOUTH)), by=SYSTEM, at=now).then_nothing()


def test_an_account_that_gets_ready_starts_it_early() -> None:
    put_off = SCHEDULED.when(DUE, by=SYSTEM, at=AT).after
    again = StartDueJob(JOB, 5, (NORTH, SOUTH))
    put_off.when(again, by=SYSTEM, at=AT + SECOND).then_nothing()  # woken in vain: it was gone again
    put_off.on(NORTH_STREAM, *READY).when(again, by=SYSTEM, at=AT + SECOND).then(JobStarted())


@pytest.mark.parametrize("version", [1, 3, 5])
def test_a_time_that_is_none_of_its_own_any_more_starts_nothing(version: int) -> None:
    given = SCHEDULED.on(NORTH_STREAM, *READY)
    given.when(StartDueJob(JOB, version, (NORTH, SOUTH)), by=SYSTEM, at=AT).then_nothing()


@pytest.mark.parametrize("status", [status for status in EACH if status not in (Status.APPROVED, Status.SCHEDULED)])
def test_neither_does_one_of_a_job_that_is_not_approved(status: Status) -> None:
    given = EACH[status].on(NORTH_STREAM, *READY)
    due = given.state(JOB_STREAM).due
    given.when(StartDueJob(JOB, due, (NORTH,)), by=SYSTEM).then_nothing()


def test_a_person_starts_it_all_the_same_and_early() -> None:
    SCHEDULED.when(StartJob(JOB), by=OPERATOR).then(JobStarted())
    put_off = SCHEDULED.when(DUE, by=SYSTEM, at=AT).after
    state = put_off.when(StartJob(JOB), by=OPERATOR, at=AT + SECOND).then(JobStarted()).state(JOB_STREAM)
    assert (state.status, state.deferred_until) == (Status.RUNNING, None)
