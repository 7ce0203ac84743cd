"""A job's messages, from its approval to its end."""

from collections import Counter, defaultdict
from dataclasses import replace
from datetime import timedelta
from itertools import pairwise
from pathlib import Path

from domain.allowance import AllowanceGranted
from domain.job import JobCompleted, JobStarted, StartJob, Status, StopJob
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
from domain.submission import Pace, ReviseJob
from tests.workers.sending_house import House, core, house, now, running, sessions, until
from tests.workers.sending_steps import NUMBERS, approve_job, link, open_workspace, sent, status_is, submit, told


async def test_each_recipient_gets_the_message_once_and_the_job_completes(
    database_url: str, nats_url: str, scratch: Path
) -> None:
    async with house(database_url, nats_url, scratch) as home, running(*core(home), *sessions(home)):
        await open_workspace(home)
        accounts = await link(home, 3)
        job = await submit(home, accounts, NUMBERS[:80], consented=lambda index: index % 10 != 0)
        await until(lambda: status_is(home, job.job_id, Status.COMPLETED), 60)
        wire, events = home.wire(), await told(home)
    assert Counter(entry.chat for entry in wire) == Counter(n for i, n in enumerate(NUMBERS[:80]) if i % 10)
    assert {entry.wa_id for entry in wire} == {
        wa_id(delivery_id(job.job_id, recipient), 0) for i, recipient in enumerate(job.recipients) if i % 10
    }
    skipped = [event for event in events if isinstance(event, DeliverySkipped)]
    assert [event.reason for event in skipped] == [SkipReason.NO_CONSENT] * 8
    assert sum(isinstance(event, SendIntended) for event in events) == 72
    assert sum(isinstance(event, SendConfirmed) for event in events) == 72
    assert [event for event in events if isinstance(event, JobCompleted)] == [JobCompleted(80)]


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
        job = await submit(home, accounts, NUMBERS[:2], start_at=now() + timedelta(seconds=4))
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
        accounts, start_at = await link(home, 1), now() + timedelta(seconds=3)
        job = await submit(home, accounts, NUMBERS[:2], start_at=start_at)
        dropped = await submit(home, accounts, NUMBERS[2:4], start_at=start_at)
        assert await status_is(home, job.job_id, Status.SCHEDULED)
        await home.give(StopJob(dropped.job_id))
        await until(lambda: status_is(home, job.job_id, Status.COMPLETED))

        async def no_timers() -> bool:
            return not await home.rows("SELECT id FROM timers WHERE kind = 'start'")

        await until(no_timers)
        started = [one for one in await home.events() if isinstance(one.event, JobStarted)]
        assert await status_is(home, dropped.job_id, Status.STOPPED)
    assert [one.stream for one in started] == [f"job-{job.job_id}"]
    assert start_at <= started[0].envelope.time < start_at + timedelta(seconds=20)


async def test_jobs_on_one_account_take_turns(database_url: str, nats_url: str, scratch: Path) -> None:
    async with house(database_url, nats_url, scratch) as home, running(*core(home), *sessions(home)):
        await open_workspace(home, messages=1, seconds=1)
        accounts, later = await link(home, 1), now() + timedelta(seconds=4)  # both are submitted before it
        await submit(home, accounts, NUMBERS[:10], start_at=later)
        await submit(home, accounts, NUMBERS[10:20], start_at=later)
        await until(lambda: sent(home, 4))
        jobs = [event.job_id for event in await told(home) if isinstance(event, SendIntended)]
    assert all(one != other for one, other in pairwise(jobs))


async def test_jobs_of_one_person_are_sent_in_the_order_in_which_they_were_submitted(
    database_url: str, nats_url: str, scratch: Path
) -> None:
    async with house(database_url, nats_url, scratch) as home:
        others = [run for run in core(home) if run != home.dispatch.run]
        async with running(*others, *sessions(home)):
            await open_workspace(home, messages=5)
            accounts = await link(home, 1)
            submitted = [(await submit(home, accounts, NUMBERS[:1], approve=False)).job_id for _ in range(6)]
            for job_id in reversed(submitted):
                await approve_job(home, job_id)
            await until(lambda: listed(home, 6))  # only then, however long it took, does anybody send
            async with running(home.dispatch.run):
                await until(lambda: sent(home, 6))
        assert [event.job_id for event in await told(home) if isinstance(event, SendIntended)] == submitted


async def listed(home: House, count: int) -> bool:
    """Whether so many jobs run, as the dispatcher finds them."""
    return await home.rows("SELECT count(*) FROM job_progress WHERE status = 'running'") == [(count,)]


async def test_a_jobs_own_pace_counts_messages_and_only_a_recipients_parts_go_together(
    database_url: str, nats_url: str, scratch: Path
) -> None:
    async with house(database_url, nats_url, scratch) as home, running(*core(home), *sessions(home)):
        await open_workspace(home)
        accounts = await link(home, 1)
        job = await submit(home, accounts, NUMBERS[:3], texts=("One", "Two", "Three"), approve=False)
        await home.give(ReviseJob(job.job_id, tuple(accounts), pace=Pace(2, 1)))
        await approve_job(home, job.job_id)
        await until(lambda: status_is(home, job.job_id, Status.COMPLETED))

        async def nothing_kept() -> bool:
            return not home.dispatch._not_before

        later = await submit(home, accounts, NUMBERS[3:4], start_at=now() + timedelta(hours=1))
        await home.give(StartJob(later.job_id))
        await until(nothing_kept)
    wire = [(entry.chat, entry.at) for entry in home.wire()]
    assert [chat for chat, _ in wire] == [number for number in NUMBERS[:3] for _ in range(3)] + [NUMBERS[3]]
    begun = [at for _, at in wire[0:9:3]]
    assert all(later - earlier > 0.9 for earlier, later in pairwise(begun))  # 1.5: three messages, at two a second
