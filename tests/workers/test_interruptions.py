"""What comes between: a pause, a stop, an opt-out, a log-out, a lost lease, a lost queue."""

from collections import Counter
from pathlib import Path
from uuid import UUID

import pytest

from domain.account import ReportReady
from domain.job import JobCompleted, PauseJob, ResumeJob, Status, StopJob
from domain.message import Actor, PrincipalId, Role
from domain.recipient import OptOut
from domain.send import (
    DeliverySkipped,
    SendIntended,
    SendUnknown,
    SkipReason,
)
from tests.workers.sending_house import HERE, House, core, house, running, sessions, until
from tests.workers.sending_steps import NUMBERS, all_ready, link, open_workspace, scan, sent, status_is, submit, told


async def test_a_paused_job_sends_nothing_until_it_is_resumed_and_the_log_tells(
    database_url: str, nats_url: str, scratch: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "workers")
    async with house(database_url, nats_url, scratch) as home, running(*core(home), *sessions(home)):
        await open_workspace(home, messages=4, seconds=1)
        job = await submit(home, await link(home, 1), NUMBERS[:10])
        await until(lambda: sent(home, 1))
        paused = await home.give(PauseJob(job.job_id))
        assert paused.position is not None
        await until(lambda: nothing_queued(home))
        during = len(home.wire())
        assert during < 10
        assert not [
            recorded
            for recorded in await home.events()
            if recorded.position > paused.position and isinstance(recorded.event, SendIntended)
        ]
        await home.give(ResumeJob(job.job_id))
        await until(lambda: status_is(home, job.job_id, Status.COMPLETED))
        assert Counter(entry.chat for entry in home.wire()) == Counter(NUMBERS[:10])
        await until(lambda: logged(caplog, "job completed"))
    steps = [one.message for one in caplog.records if getattr(one, "job_id", "") == str(job.job_id)]
    assert steps == ["job approved", "job running", "job paused", "job running", "job completed"]
    states = [one.message for one in caplog.records if one.message.startswith("session ")]
    assert "session ready" in states
    assert len(states) < 20  # changes, not looks


async def logged(caplog: pytest.LogCaptureFixture, message: str) -> bool:
    return message in caplog.messages


async def nothing_queued(home: House) -> bool:
    return not await home.sends.waiting()


async def test_a_stopped_job_sends_no_more_and_never_completes(database_url: str, nats_url: str, scratch: Path) -> None:
    async with house(database_url, nats_url, scratch) as home, running(*core(home), *sessions(home)):
        await open_workspace(home, messages=2, seconds=1)
        accounts = await link(home, 1)
        job = await submit(home, accounts, NUMBERS[:10])
        await until(lambda: sent(home, 1))
        stopped = await home.give(StopJob(job.job_id))
        other = await submit(home, accounts, NUMBERS[100:102])  # the account goes on with other work
        await until(lambda: status_is(home, other.job_id, Status.COMPLETED))
        log = await home.events()
    assert stopped.position is not None
    late = [one.event for one in log if one.position > stopped.position and isinstance(one.event, SendIntended)]
    assert {event.job_id for event in late} == {other.job_id}
    assert [one.event for one in log if isinstance(one.event, JobCompleted)] == [JobCompleted(2)]


async def test_an_opt_out_during_the_run_is_respected_also_between_parts(
    database_url: str, nats_url: str, scratch: Path
) -> None:
    async with house(database_url, nats_url, scratch) as home, running(*core(home), *sessions(home)):
        await open_workspace(home, messages=3, seconds=1)  # two parts for the first, one for the second
        job = await submit(home, await link(home, 1), NUMBERS[:3], texts=("One", "Two"))
        await until(lambda: sent(home, 3))
        for recipient in job.recipients[1:]:
            await home.give(OptOut(recipient))
        await until(lambda: status_is(home, job.job_id, Status.COMPLETED))
        skipped = [event for event in await told(home) if isinstance(event, DeliverySkipped)]
    assert [(event.recipient_id, event.part, event.reason) for event in skipped] == [
        (job.recipients[1], 1, SkipReason.OPTED_OUT),
        (job.recipients[2], 0, SkipReason.OPTED_OUT),
    ]
    assert len(home.wire()) == 3


async def test_an_account_that_is_logged_out_waits_and_goes_on_when_linked_again(
    database_url: str, nats_url: str, scratch: Path
) -> None:
    async with house(database_url, nats_url, scratch) as home, running(*core(home), *sessions(home)):
        await open_workspace(home, messages=2, seconds=1)
        accounts = await link(home, 1)
        job = await submit(home, accounts, NUMBERS[:6])
        await until(lambda: sent(home, 1))
        home.world.unlink(home.phones[accounts[0]])
        await until(lambda: scan(home, accounts[0]))
        await until(lambda: status_is(home, job.job_id, Status.COMPLETED))
        wire = home.wire()
    assert len({entry.wa_id for entry in wire}) == len(wire)
    assert {entry.chat for entry in wire} <= set(NUMBERS[:6])
    assert len(wire) >= 5  # one may have been refused while the session went


async def test_a_worker_told_to_stop_leaves_no_intent_open_and_another_goes_on(
    database_url: str, nats_url: str, scratch: Path
) -> None:
    async with house(database_url, nats_url, scratch) as home, running(*core(home)):
        await open_workspace(home)
        async with running(*sessions(home)):
            accounts = await link(home, 2)
            job = await submit(home, accounts, NUMBERS[:100])
            await until(lambda: sent(home, 5))
        assert len(home.wire()) < 100
        assert not await home.rows("SELECT account FROM leases WHERE owner IS NOT NULL OR browser_group IS NOT NULL")
        assert not await all_ready(home, accounts)
        async with running(*sessions(home)):
            await until(lambda: status_is(home, job.job_id, Status.COMPLETED))
        events = await told(home)
    assert Counter(entry.chat for entry in home.wire()) == Counter(NUMBERS[:100])
    assert not any(isinstance(event, SendUnknown) for event in events)


async def test_a_worker_whose_lease_was_taken_acts_no_more(database_url: str, nats_url: str, scratch: Path) -> None:
    async with house(database_url, nats_url, scratch) as home, running(*core(home), *sessions(home)):
        await open_workspace(home)
        accounts = await link(home, 1)
        first = home.used[accounts[0]]
        await home.rows("UPDATE leases SET fence = fence + 1 WHERE account = %s RETURNING fence", accounts[0])
        job = await submit(home, accounts, NUMBERS[:5])
        await until(lambda: status_is(home, job.job_id, Status.COMPLETED))
        fences = {event.fence for event in await told(home) if isinstance(event, SendIntended)}
    assert home.used[accounts[0]] is not first
    assert first.state == "dead"
    assert fences == {3}
    assert Counter(entry.chat for entry in home.wire()) == Counter(NUMBERS[:5])


@pytest.mark.parametrize("wipe", ["purge", "delete"])
async def test_a_wiped_queue_is_filled_again(database_url: str, nats_url: str, scratch: Path, wipe: str) -> None:
    async with house(database_url, nats_url, scratch) as home, running(*core(home)):
        await open_workspace(home)
        async with running(*sessions(home)):
            accounts = await link(home, 1)
        await ready_without_a_worker(home, accounts[0])
        job = await submit(home, accounts, NUMBERS[:5])
        await until(lambda: queued(home, 1))
        if wipe == "purge":
            await home.bus.js.purge_stream("SENDS")
        else:
            await home.bus.js.delete_stream("SENDS")
            await home.declare()
        await until(lambda: queued(home, 1))
        async with running(*sessions(home)):
            await until(lambda: status_is(home, job.job_id, Status.COMPLETED))
    assert Counter(entry.chat for entry in home.wire()) == Counter(NUMBERS[:5])


async def queued(home: House, messages: int) -> bool:
    return len(await home.sends.waiting()) == messages


async def ready_without_a_worker(home: House, account: UUID) -> None:
    """The log says ready though nobody holds the account, as after a kill."""
    await home.give(ReportReady(account), Actor(PrincipalId("system-test"), HERE, frozenset({Role.SYSTEM})))
