"""A job revised in mid-run: its rest goes from other accounts, and everybody still gets each part exactly once."""

from collections import Counter
from pathlib import Path
from uuid import UUID

import pytest

from domain.account import PauseAccount
from domain.job import JobCompleted, PauseJob, Status
from domain.message import Recorded
from domain.send import SendIntended
from domain.submission import JobRevised, ReviseJob
from tests.workers.sending_house import House, core, house, running, sessions, until
from tests.workers.sending_steps import NUMBERS, approve_job, link, open_workspace, sent, status_is, submit


async def nothing_queued(home: House) -> bool:
    return not await home.sends.waiting()


@pytest.mark.parametrize("texts", [("One", "Two"), pytest.param(("Hello {{name}}",), marks=pytest.mark.long)])
async def test_the_share_of_an_account_that_cannot_go_on_moves_after_a_new_approval(
    database_url: str, nats_url: str, scratch: Path, texts: tuple[str, ...]
) -> None:
    async with house(database_url, nats_url, scratch) as home, running(*core(home), *sessions(home)):
        await open_workspace(home, messages=3, seconds=1)
        lost, kept = await link(home, 2)
        job = await submit(home, [lost, kept], NUMBERS[:12], texts=texts)
        await until(lambda: sent(home, 2))
        await home.give(PauseJob(job.job_id))
        await home.give(PauseAccount(lost))
        await until(lambda: nothing_queued(home))
        assert len(home.wire()) < 12 * len(texts)
        await home.give(ReviseJob(job.job_id, (kept,)))
        await approve_job(home, job.job_id)
        await until(lambda: status_is(home, job.job_id, Status.COMPLETED), 40)
        log = await home.events()
    assert Counter((entry.chat, entry.wa_id) for entry in home.wire()).most_common(1)[0][1] == 1
    assert Counter(entry.chat for entry in home.wire()) == Counter(NUMBERS[:12] * len(texts))
    [revised] = [one.position for one in log if isinstance(one.event, JobRevised)]
    assert {*accounts_after(log, revised)} == {kept}
    assert [one.event for one in log if isinstance(one.event, JobCompleted)] == [JobCompleted(12)]


def accounts_after(log: list[Recorded], position: int) -> list[UUID]:
    """The accounts that intended a send after this position."""
    return [one.event.account_id for one in log if one.position > position and isinstance(one.event, SendIntended)]
