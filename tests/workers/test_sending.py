"""A job's messages, from its approval to its completion."""

from collections import Counter
from pathlib import Path

from domain.delivery import DeliverySkipped, SendConfirmed, SendIntended, SkipReason, delivery_id, wa_id
from domain.job import JobCompleted, Status
from tests.workers.sending_house import (
    NUMBERS,
    core,
    house,
    link,
    open_workspace,
    running,
    sessions,
    status_is,
    submit,
    until,
)


async def test_each_recipient_gets_the_message_once_and_the_job_completes(
    database_url: str, nats_url: str, scratch: Path
) -> None:
    async with house(database_url, nats_url, scratch) as home, running(*core(home), *sessions(home)):
        await open_workspace(home)
        accounts = await link(home, 3)
        job = await submit(home, accounts, NUMBERS, consented=lambda index: index % 10 != 0)
        await until(lambda: status_is(home, job.job_id, Status.COMPLETED), 60)
        wire, events = home.wire(), [recorded.event for recorded in await home.events()]
    assert Counter(entry.chat for entry in wire) == Counter(n for i, n in enumerate(NUMBERS) if i % 10)
    assert {entry.wa_id for entry in wire} == {
        wa_id(delivery_id(job.job_id, recipient), 0) for i, recipient in enumerate(job.recipients) if i % 10
    }
    skipped = [event for event in events if isinstance(event, DeliverySkipped)]
    assert [event.reason for event in skipped] == [SkipReason.NO_CONSENT] * 20
    assert sum(isinstance(event, SendIntended) for event in events) == 180
    assert sum(isinstance(event, SendConfirmed) for event in events) == 180
    assert [event for event in events if isinstance(event, JobCompleted)] == [JobCompleted(200)]
