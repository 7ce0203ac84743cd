"""A page that is not ready for a moment, an account that is given up, a decision that fails: everybody gets it once."""

from collections import Counter, defaultdict
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from adapters.sandbox.memory import InstantMessenger
from domain.account import PauseAccount, RemoveAccount, ReportReady
from domain.job import JobCompleted, PauseJob, Status
from domain.message import Command
from domain.ports import Ack, SendRejected
from domain.send import (
    MOST_TRIES,
    ConfirmSend,
    Finding,
    IntendSend,
    Rejection,
    ResolveUnknown,
    SendIntended,
    SendUnknown,
    delivery_id,
    wa_id,
)
from domain.send import SendRejected as Rejected
from domain.submission import JobRevised, ReviseJob
from tests.workers.sending_house import House, core, house, running, sessions, until
from tests.workers.sending_steps import NUMBERS, approve_job, link, open_workspace, sent, status_is, submit, told
from tests.workers.test_revised_job import accounts_after
from workers import account_session
from workers.decisions import Contended, Outcome, Request, Unstorable

TEXTS = [("One", "Two"), pytest.param(("Hello {{name}}",), marks=pytest.mark.long)]


def unready(monkeypatch: pytest.MonkeyPatch, tries: dict[str, int]) -> None:
    """Let pages refuse the first tries of some numbers."""
    send = InstantMessenger.send

    async def moody(messenger: InstantMessenger, number: str, *rest: Any, **quoted: Any) -> Ack:
        if tries.get(number, 0) > 0:
            tries[number] -= 1
            raise SendRejected("not_ready")
        return await send(messenger, number, *rest, **quoted)

    monkeypatch.setattr(InstantMessenger, "send", moody)


@pytest.mark.parametrize("texts", TEXTS)
async def test_a_page_that_was_not_ready_gets_the_message_again_and_sends_it_once(
    database_url: str, nats_url: str, scratch: Path, monkeypatch: pytest.MonkeyPatch, texts: tuple[str, ...]
) -> None:
    monkeypatch.setattr(account_session, "NOT_NOW", 0.05)
    unready(monkeypatch, {NUMBERS[1]: 2, NUMBERS[2]: MOST_TRIES})
    async with house(database_url, nats_url, scratch) as home, running(*core(home), *sessions(home)):
        await open_workspace(home)
        job = await submit(home, await link(home, 1), NUMBERS[:4], texts=texts)
        await until(lambda: status_is(home, job.job_id, Status.COMPLETED))
        events, wire = await told(home), home.wire()
    tries = defaultdict(list)
    for event in events:
        if isinstance(event, SendIntended) and event.part == 0:
            tries[event.recipient_id].append((event.attempt, event.wa_id))
    sent_as = [wa_id(delivery_id(job.job_id, recipient), 0) for recipient in job.recipients]
    assert [tries[recipient] for recipient in job.recipients] == [
        [(attempt + 1, one) for attempt in range(count)]
        for one, count in zip(sent_as, [1, 3, MOST_TRIES, 1], strict=True)
    ]
    rejected = [(event.reason, event.final) for event in events if isinstance(event, Rejected)]
    assert rejected.count((Rejection.NOT_READY, False)) == 2 + MOST_TRIES - 1
    assert rejected.count((Rejection.NOT_READY, True)) == 1
    reached = [*NUMBERS[:2], NUMBERS[3]]
    assert Counter(entry.chat for entry in wire) == Counter(reached * len(texts))
    assert len({entry.wa_id for entry in wire}) == len(wire)


async def terminal(home: House, job_id: UUID) -> tuple[int, int]:
    [(ended, unknown)] = await home.rows("SELECT terminal, unknown FROM job_progress WHERE job_id = %s", job_id)
    return ended, unknown


@pytest.mark.parametrize("texts", TEXTS)
async def test_the_share_of_a_removed_account_waits_and_moves_by_a_revision(
    database_url: str, nats_url: str, scratch: Path, texts: tuple[str, ...]
) -> None:
    people = NUMBERS[:24]
    async with house(database_url, nats_url, scratch) as home, running(*core(home), *sessions(home)):
        home.world.faults.arm("hang_before_wire", times=1)  # whoever comes first stays unknown: nobody tries again
        await open_workspace(home, messages=4, seconds=1)
        lost, kept, fresh = await link(home, 3)
        job = await submit(home, [lost, kept], people, texts=texts)
        rows = await home.rows(
            "SELECT account_id, count(*) FROM frozen_audience WHERE root = %s GROUP BY 1",
            (await home.job(job.job_id)).audience,
        )
        share = dict(rows)
        await until(lambda: sent(home, 3))
        await home.give(PauseAccount(lost))
        removed = (await home.give(RemoveAccount(lost))).position
        assert removed is not None

        async def only_its_share_is_left() -> bool:
            counted = await home.rows(
                "SELECT count(*) FROM send_progress WHERE job_id = %s AND account_id = %s"
                " AND state IN ('terminal', 'unknown')",
                job.job_id,
                kept,
            )
            return counted == [(share[kept],)] and not await home.sends.waiting()

        async def let_go() -> bool:
            return not await home.rows("SELECT 1 FROM leases WHERE account = %s", lost)

        await until(only_its_share_is_left)
        await until(let_go)
        assert await status_is(home, job.job_id, Status.RUNNING)
        assert sum(await terminal(home, job.job_id)) < len(people)
        await home.give(PauseJob(job.job_id))
        await home.give(ReviseJob(job.job_id, (fresh,)))
        await approve_job(home, job.job_id)

        async def all_but_one() -> bool:
            return await terminal(home, job.job_id) == (len(people) - 1, 1)

        await until(all_but_one, 40)
        assert await status_is(home, job.job_id, Status.RUNNING)
        log = await home.events()
        [unknown] = [one for one in log if isinstance(one.event, SendUnknown)]
        await home.give(ResolveUnknown(UUID(unknown.stream.removeprefix("delivery-")), Finding.NOT_SENT))
        await until(lambda: status_is(home, job.job_id, Status.COMPLETED))
        events = await told(home)
        moved = (await home.job(job.job_id)).audience
        cursors = await home.rows(
            "SELECT account_id FROM send_cursors WHERE job_id = %s AND audience = %s", job.job_id, moved
        )
    times = Counter(entry.chat for entry in home.wire())
    assert len({entry.wa_id for entry in home.wire()}) == len(home.wire())
    assert sorted(times.values()) == [len(texts)] * (len(people) - 1)
    [revised] = [one.position for one in log if isinstance(one.event, JobRevised)]
    assert lost not in accounts_after(log, removed)
    assert {*accounts_after(log, revised)} == {fresh}
    assert cursors == [(fresh,)]  # its own, from the beginning of the new audience
    assert [event for event in events if isinstance(event, JobCompleted)] == [JobCompleted(len(people))]


@pytest.mark.parametrize(
    ("command", "failure"),
    [(ReportReady, Unstorable), (IntendSend, Contended), (ConfirmSend, Unstorable)],
)
async def test_a_decision_that_fails_for_good_ends_no_worker(
    database_url: str,
    nats_url: str,
    scratch: Path,
    monkeypatch: pytest.MonkeyPatch,
    command: type[Command],
    failure: type[Exception],
) -> None:
    monkeypatch.setattr(account_session, "MUCH_LATER", 0.05)
    failed: list[Command] = []
    async with house(database_url, nats_url, scratch) as home, running(*core(home)):
        await open_workspace(home)
        async with running(*sessions(home)):
            accounts = await link(home, 2)
        decide = home.decisions.one

        async def fails_once(request: Request) -> Outcome:
            if isinstance(request.command, command) and not failed:
                failed.append(request.command)
                raise failure
            return await decide(request)

        monkeypatch.setattr(home.decisions, "one", fails_once)
        async with running(*sessions(home)):
            job = await submit(home, accounts, NUMBERS[:8])
            await until(lambda: status_is(home, job.job_id, Status.COMPLETED))
    assert len(failed) == 1
    assert Counter(entry.chat for entry in home.wire()) == Counter(NUMBERS[:8])
