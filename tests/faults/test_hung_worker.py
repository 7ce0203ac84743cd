"""A session worker that hangs loses its accounts, and does no harm when it goes on."""

import signal
from collections import Counter
from pathlib import Path

import pytest

from domain.job import Status
from domain.send import SendUnknown
from tests.faults.test_crashes import Victim, over
from tests.workers.sending_house import core, house, running, sessions, until
from tests.workers.sending_steps import NUMBERS, link, open_workspace, sent, status_is, submit

PEOPLE = NUMBERS[:60]

pytestmark = pytest.mark.long


async def test_a_worker_that_stands_still_loses_its_accounts_and_sends_nothing_when_it_wakes(
    database_url: str, nats_url: str, scratch: Path
) -> None:
    victim = Victim(database_url, nats_url, scratch)
    async with house(database_url, nats_url, scratch) as home, running(*core(home)):
        await open_workspace(home, messages=5, seconds=1)
        async with running(*sessions(home)):
            accounts = await link(home, 2)
        async with victim.process("sessions") as process:
            job = await submit(home, accounts, PEOPLE)
            await until(lambda: sent(home, 10))
            process.send_signal(signal.SIGSTOP)
            fences = await home.rows("SELECT account, fence FROM leases ORDER BY account")
            async with home.pool.connection() as connection:  # as fifteen seconds later
                await connection.execute("UPDATE leases SET expires_at = clock_timestamp()")
            async with running(*sessions(home)):
                await until(lambda: sent(home, 20))
                process.send_signal(signal.SIGCONT)
                await until(lambda: over(home, job.job_id), 60)
                unknown = [one for one in await home.events() if isinstance(one.event, SendUnknown)]
                if not unknown:
                    await until(lambda: status_is(home, job.job_id, Status.COMPLETED))
                after = await home.rows("SELECT account, fence FROM leases ORDER BY account")
    assert [fence for _, fence in after] == [fence + 1 for _, fence in fences]
    times = Counter(entry.chat for entry in home.wire())
    assert set(times.values()) == {1}
    assert len(set(PEOPLE) - times.keys()) <= len(unknown) <= len(accounts)
