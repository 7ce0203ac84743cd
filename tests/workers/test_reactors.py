"""The reactors' tables follow from the log, whatever the pages it is read in."""

from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest

from domain.job import JobApproved, JobScheduled, JobStarted, Status, StopJob
from domain.message import Envelope, Event, PrincipalId, Recorded, StreamId, WorkspaceId
from domain.recipient import OptOut
from tests.workers.sending_house import House, core, house, now, running, sessions, until
from tests.workers.sending_steps import NUMBERS, link, open_workspace, status_is, submit
from workers import reactors
from workers.reactors import fold, whole

TABLES = {
    "job_progress": "job_id",
    "send_progress": "delivery_id",
    "sent_messages": "wa_id",
    "session_accounts": "account_id",
}


async def tables(home: House) -> dict[str, list[tuple[Any, ...]]]:
    found = {name: await home.rows(f"SELECT * FROM {name} ORDER BY {key}") for name, key in TABLES.items()}
    numbers = sorted(job[-1] for job in found["job_progress"])  # only their order means anything
    return found | {"job_progress": [(*job[:-1], numbers.index(job[-1])) for job in found["job_progress"]]}


@pytest.mark.parametrize("page", [3, 7, 500])
async def test_a_fresh_reading_of_the_log_gives_the_same_tables(
    database_url: str, nats_url: str, scratch: Path, page: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with house(database_url, nats_url, scratch) as home:
        async with running(*core(home), *sessions(home)):
            home.world.faults.arm("hang_before_wire", NUMBERS[1])
            home.world.faults.arm("hang_after_wire", NUMBERS[2])
            home.world.faults.arm("nack", NUMBERS[3])
            await open_workspace(home, messages=8, seconds=1)
            accounts = await link(home, 2)
            job = await submit(
                home, accounts, NUMBERS[:12], texts=("One", "Two"), consented=lambda index: index % 4 > 0
            )
            await home.give(OptOut(job.recipients[-1]))
            other = await submit(home, accounts, NUMBERS[20:22])
            await until(lambda: status_is(home, other.job_id, Status.COMPLETED))
            await home.give(StopJob(job.job_id))
            head = await home.store.head()

            async def caught_up() -> bool:
                return await home.tools.progress.position() >= head

            await until(caught_up)
        while await home.reactors.step():
            continue  # what was told while everything ended
        live = await tables(home)
        for name in TABLES:
            await home.rows(f"DELETE FROM {name} RETURNING 1")
        await home.rows("UPDATE reactor_position SET position = 0 RETURNING 1")
        monkeypatch.setattr(reactors, "PAGE", page)
        while await home.reactors.step():
            continue
        assert await tables(home) == live
        states = {row[7] for row in live["send_progress"]}
        assert states >= {"terminal", "unknown"}
        started = [one.stream for one in await home.events() if isinstance(one.event, JobStarted)]
        assert len(started) == len(set(started)) == 2


def recorded(position: int, event: Event, decision: UUID, job_id: UUID) -> Recorded:
    stream = StreamId(f"job-{job_id}")
    actor, here = PrincipalId("someone"), WorkspaceId("here")
    return Recorded(position, stream, position, event, Envelope(uuid4(), actor, here, decision, decision, now(), {}))


def test_a_decision_cut_in_two_by_the_page_is_left_for_the_next_page() -> None:
    job_id, first, second = uuid4(), uuid4(), uuid4()
    approved, scheduled = JobApproved(review_hash="0" * 64), JobScheduled(now())  # type: ignore[arg-type]  # a digest
    log = [
        recorded(1, JobStarted(), first, job_id),
        recorded(2, approved, second, job_id),
        recorded(3, scheduled, second, job_id),
    ]
    assert whole(log[:2], 2) == log[:1]
    assert whole(log, 500) == log
    assert whole(log[:2], 3) == log[:2]


def test_an_approval_starts_its_job_now_or_when_it_is_scheduled_but_never_both() -> None:
    job_id, decision = uuid4(), uuid4()
    approved, at = JobApproved(review_hash="0" * 64), now()  # type: ignore[arg-type]  # a digest
    alone = fold([recorded(1, approved, decision, job_id)], {})
    both = fold([recorded(1, approved, decision, job_id), recorded(2, JobScheduled(at), decision, job_id)], {})
    assert [timer.kind for timer in alone.timers] == ["start"]
    assert [(timer.kind, timer.due_at, timer.serves) for timer in both.timers] == [("start", at, 2)]
    later = fold([recorded(3, JobScheduled(at), decision, job_id)], {})
    assert later.timers[0].id != both.timers[0].id  # another version of the schedule is another timer
