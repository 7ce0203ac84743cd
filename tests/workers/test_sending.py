"""A job's messages, from its approval to its end."""

from collections import Counter, defaultdict
from dataclasses import replace
from datetime import timedelta
from itertools import pairwise
from pathlib import Path
from uuid import UUID

import pytest

from domain.account import AllowanceGranted, ReportReady
from domain.job import JobCompleted, JobStarted, PauseJob, ResumeJob, Status, StopJob
from domain.message import Actor, Event, PrincipalId, Role
from domain.recipient import OptOut
from domain.send import (
    DeliveryDelivered,
    DeliveryRead,
    DeliverySkipped,
    Rejection,
    SendConfirmed,
    SendIntended,
    SendRejected,
    SendUnknown,
    SkipReason,
    delivery_id,
    wa_id,
)
from tests.workers.sending_house import (
    HERE,
    NUMBERS,
    House,
    all_ready,
    core,
    house,
    link,
    now,
    open_workspace,
    running,
    scan,
    sessions,
    status_is,
    submit,
    until,
)


async def told(home: House) -> list[Event]:
    """The events of the whole log."""
    return [recorded.event for recorded in await home.events()]


async def sent(home: House, at_least: int) -> bool:
    return len(home.wire()) >= at_least


async def test_each_recipient_gets_the_message_once_and_the_job_completes(
    database_url: str, nats_url: str, scratch: Path
) -> None:
    async with house(database_url, nats_url, scratch) as home, running(*core(home), *sessions(home)):
        await open_workspace(home)
        accounts = await link(home, 3)
        job = await submit(home, accounts, NUMBERS, consented=lambda index: index % 10 != 0)
        await until(lambda: status_is(home, job.job_id, Status.COMPLETED), 60)
        wire, events = home.wire(), await told(home)
    assert Counter(entry.chat for entry in wire) == Counter(n for i, n in enumerate(NUMBERS) if i % 10)
    assert {entry.wa_id for entry in wire} == {
        wa_id(delivery_id(job.job_id, recipient), 0) for i, recipient in enumerate(job.recipients) if i % 10
    }
    skipped = [event for event in events if isinstance(event, DeliverySkipped)]
    assert [event.reason for event in skipped] == [SkipReason.NO_CONSENT] * 20
    assert sum(isinstance(event, SendIntended) for event in events) == 180
    assert sum(isinstance(event, SendConfirmed) for event in events) == 180
    assert [event for event in events if isinstance(event, JobCompleted)] == [JobCompleted(200)]


async def test_a_job_of_several_parts_sends_them_in_order_and_tells_of_receipts(
    database_url: str, nats_url: str, scratch: Path
) -> None:
    async with house(database_url, nats_url, scratch) as home, running(*core(home), *sessions(home)):
        home.world.timings = replace(home.world.timings, read_share=1.0)
        await open_workspace(home)
        job = await submit(home, await link(home, 1), NUMBERS[:5], texts=("One, {{name}}", "Two", "Three"))
        await until(lambda: status_is(home, job.job_id, Status.COMPLETED))

        async def all_read() -> bool:
            return sum(isinstance(event, DeliveryRead) for event in await told(home)) == 15

        await until(all_read)
        wire, events = home.wire(), await told(home)
    by_chat = defaultdict(list)
    for entry in wire:
        by_chat[entry.chat].append(entry.wa_id)
    deliveries = [delivery_id(job.job_id, recipient) for recipient in job.recipients]
    assert list(by_chat.values()) == [[wa_id(delivery, part) for part in range(3)] for delivery in deliveries]
    assert sum(isinstance(event, DeliveryDelivered) for event in events) == 15


async def test_no_allowance_is_ever_exceeded_and_the_next_waits_for_its_end(
    database_url: str, nats_url: str, scratch: Path
) -> None:
    async with house(database_url, nats_url, scratch) as home, running(*core(home), *sessions(home)):
        await open_workspace(home, messages=3, seconds=1)
        job = await submit(home, await link(home, 1), NUMBERS[:8], consented=lambda index: index != 4)
        await until(lambda: status_is(home, job.job_id, Status.COMPLETED))
        log = await home.events()
    blocks = Counter(one.event.block for one in log if isinstance(one.event, SendIntended))
    granted = {one.event.block: one.event for one in log if isinstance(one.event, AllowanceGranted)}
    assert list(blocks.values()) == [3, 3, 1]
    for one in log:
        if isinstance(one.event, SendIntended):
            assert granted[one.event.block].since <= one.envelope.time < granted[one.event.block].until
    grants = list(granted.values())
    assert all(later.since >= earlier.until for earlier, later in pairwise(grants))


async def test_a_paused_job_sends_nothing_until_it_is_resumed(database_url: str, nats_url: str, scratch: Path) -> None:
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


async def test_what_the_service_refuses_fails_and_what_nobody_knows_is_unknown(
    database_url: str, nats_url: str, scratch: Path
) -> None:
    async with house(database_url, nats_url, scratch) as home, running(*core(home), *sessions(home)):
        home.world.faults.arm("not_on_whatsapp", NUMBERS[0])
        home.world.faults.arm("nack", NUMBERS[1])
        home.world.faults.arm("hang_before_wire", NUMBERS[2])
        await open_workspace(home)
        job = await submit(home, await link(home, 1), NUMBERS[:5])

        async def counted() -> bool:
            rows = await home.rows("SELECT terminal, unknown FROM job_progress WHERE job_id = %s", job.job_id)
            return rows == [(4, 1)]

        await until(counted)
        events = await told(home)
        assert not await status_is(home, job.job_id, Status.COMPLETED)
    rejected = [event.reason for event in events if isinstance(event, SendRejected)]
    assert rejected == [Rejection.NOT_ON_WHATSAPP, Rejection.REFUSED]
    assert sum(isinstance(event, SendUnknown) for event in events) == 1
    assert {entry.chat for entry in home.wire()} == set(NUMBERS[3:5])


async def test_a_late_receipt_resolves_an_unknown_and_the_rest_is_sent(
    database_url: str, nats_url: str, scratch: Path
) -> None:
    async with house(database_url, nats_url, scratch) as home, running(*core(home), *sessions(home)):
        home.world.faults.arm("hang_after_wire", NUMBERS[0], times=1)
        await open_workspace(home, messages=4, seconds=1)
        job = await submit(home, await link(home, 1), NUMBERS[:6], texts=("One", "Two"))
        await until(lambda: status_is(home, job.job_id, Status.COMPLETED))
        events, wire = await told(home), home.wire()
    assert sum(isinstance(event, SendUnknown) for event in events) == 1
    assert Counter(entry.chat for entry in wire) == dict.fromkeys(NUMBERS[:6], 2)
    assert len({entry.wa_id for entry in wire}) == 12


async def test_a_person_who_is_gone_from_the_vault_gets_a_failed_delivery(
    database_url: str, nats_url: str, scratch: Path
) -> None:
    async with house(database_url, nats_url, scratch) as home, running(*core(home), *sessions(home)):
        await open_workspace(home)
        accounts = await link(home, 1)
        job = await submit(home, accounts, NUMBERS[:2], start_at=now() + timedelta(seconds=1))
        async with home.pool.connection() as connection:
            await connection.execute("DELETE FROM people WHERE recipient_id = %s", [job.recipients[0]])
        await until(lambda: status_is(home, job.job_id, Status.COMPLETED))
        rejected = [event for event in await told(home) if isinstance(event, SendRejected)]
    assert [event.reason for event in rejected] == [Rejection.UNRENDERABLE]
    assert [entry.chat for entry in home.wire()] == [NUMBERS[1]]


async def test_a_scheduled_job_starts_once_when_its_time_has_come(
    database_url: str, nats_url: str, scratch: Path
) -> None:
    async with house(database_url, nats_url, scratch) as home, running(*core(home), home.timers.run, *sessions(home)):
        await open_workspace(home)
        accounts, start_at = await link(home, 1), now() + timedelta(seconds=1)
        job = await submit(home, accounts, NUMBERS[:2], start_at=start_at)
        dropped = await submit(home, accounts, NUMBERS[2:4], start_at=start_at)
        assert await status_is(home, job.job_id, Status.SCHEDULED)
        await home.give(StopJob(dropped.job_id))
        await until(lambda: status_is(home, job.job_id, Status.COMPLETED))

        async def no_timers() -> bool:
            return not await home.rows("SELECT id FROM timers")

        await until(no_timers)
        started = [one for one in await home.events() if isinstance(one.event, JobStarted)]
        assert await status_is(home, dropped.job_id, Status.STOPPED)
    assert [one.stream for one in started] == [f"job-{job.job_id}"]
    assert start_at <= started[0].envelope.time < start_at + timedelta(seconds=1)


async def test_jobs_on_one_account_take_turns(database_url: str, nats_url: str, scratch: Path) -> None:
    async with house(database_url, nats_url, scratch) as home, running(*core(home), *sessions(home)):
        await open_workspace(home, messages=1, seconds=1)
        accounts, later = await link(home, 1), now() + timedelta(seconds=1)
        await submit(home, accounts, NUMBERS[:10], start_at=later)
        await submit(home, accounts, NUMBERS[10:20], start_at=later)
        await until(lambda: sent(home, 4))
        jobs = [event.job_id for event in await told(home) if isinstance(event, SendIntended)]
    assert all(one != other for one, other in pairwise(jobs))


async def test_an_account_that_is_logged_out_waits_and_goes_on_when_linked_again(
    database_url: str, nats_url: str, scratch: Path
) -> None:
    async with house(database_url, nats_url, scratch) as home, running(*core(home), *sessions(home)):
        await open_workspace(home, messages=2, seconds=1)
        accounts = await link(home, 1)
        job = await submit(home, accounts, NUMBERS[:6])
        await until(lambda: sent(home, 1))
        home.world.unlink(next(iter(home.world.phones)))
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
