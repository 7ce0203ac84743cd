"""A recipient moved by a revision while the former account still acts: it is left alone until that account tells."""

import asyncio
from collections import Counter
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from adapters.sandbox.memory import InstantMessenger
from domain import delivery as deliveries
from domain.job import PauseJob, Status
from domain.ports import Ack, SendRejected
from domain.send import SendIntended, SendUnknown, delivery_id
from domain.send import SendRejected as Rejected
from domain.submission import ReviseJob
from tests.workers.sending_house import core, house, running, sessions, until
from tests.workers.sending_steps import NUMBERS, approve_job, link, open_workspace, sent, status_is, submit
from workers.batches import Batch


@pytest.mark.parametrize("ready", [True, False])
async def test_who_still_acts_on_a_recipient_that_was_moved_is_waited_for_and_nothing_is_doubled_or_lost(
    database_url: str, nats_url: str, scratch: Path, monkeypatch: pytest.MonkeyPatch, ready: bool
) -> None:
    people, told, acting = NUMBERS[:8], asyncio.Event(), asyncio.Event()
    send = InstantMessenger.send
    async with house(database_url, nats_url, scratch) as home, running(*core(home), *sessions(home)):
        await open_workspace(home)
        slow, other = await link(home, 2)

        async def slowly(messenger: InstantMessenger, number: str, *rest: Any, **quoted: Any) -> Ack:
            if messenger is home.used[slow]:
                acting.set()
                await asyncio.wait_for(told.wait(), 20)
                if not ready:
                    raise SendRejected("not_ready")
            return await send(messenger, number, *rest, **quoted)

        monkeypatch.setattr(InstantMessenger, "send", slowly)
        job = await submit(home, [slow, other], people)
        await asyncio.wait_for(acting.wait(), 20)
        await home.give(PauseJob(job.job_id))
        await home.give(ReviseJob(job.job_id, (other,)))
        await approve_job(home, job.job_id)
        await until(lambda: sent(home, 7))
        await home.sends.queue(other, uuid4(), Batch(job.job_id, other, uuid4(), list(range(1, 9))).body())

        async def worked_off() -> bool:
            return other not in await home.sends.waiting()

        await until(worked_off)
        states = await home.store.load(
            [deliveries.DECIDER.stream(delivery_id(job.job_id, recipient)) for recipient in job.recipients]
        )
        assert Counter(one.state.status for one in states.values()) == {
            deliveries.Status.SENT: 7,
            deliveries.Status.INTENDED: 1,
        }
        told.set()
        await until(lambda: status_is(home, job.job_id, Status.COMPLETED))
        log = [recorded.event for recorded in await home.events()]
    assert Counter(entry.chat for entry in home.wire()) == Counter(people)
    assert [event.final for event in log if isinstance(event, Rejected)] == ([] if ready else [False])
    assert not [event for event in log if isinstance(event, SendUnknown)]
    by = Counter(event.account_id for event in log if isinstance(event, SendIntended))
    assert by[slow] == 1 + 7 - (by[other] - (0 if ready else 1))
