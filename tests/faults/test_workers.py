"""Several session workers beside each other."""

from collections import Counter
from pathlib import Path

from domain.job import Status
from domain.send import SendUnknown
from tests.faults.test_crashes import Victim
from tests.workers.sending_house import core, house, running, sessions, until
from tests.workers.sending_steps import NUMBERS, link, open_workspace, status_is, submit
from workers.session import SessionWorker


async def test_two_workers_share_the_accounts_and_never_hold_one_together(
    database_url: str, nats_url: str, scratch: Path
) -> None:
    victim = Victim(database_url, nats_url, scratch)
    async with house(database_url, nats_url, scratch) as home, running(*core(home)):
        await open_workspace(home, messages=5, seconds=1)
        async with running(*sessions(home)):
            accounts = await link(home, 2)
        home.used.clear()
        async with running(SessionWorker(home.tools, most=1).run):

            async def mine() -> bool:
                return len(home.used) == 1

            await until(mine)
            async with victim.process("sessions"):

                async def both_held() -> bool:
                    rows = await home.rows("SELECT DISTINCT pid FROM leases WHERE owner IS NOT NULL")
                    return len(rows) == 2

                await until(both_held)
                fences = await home.rows("SELECT account, fence FROM leases ORDER BY account")
                job = await submit(home, accounts, NUMBERS[:20])
                await until(lambda: status_is(home, job.job_id, Status.COMPLETED), 40)
                assert await home.rows("SELECT account, fence FROM leases ORDER BY account") == fences
        events = [recorded.event for recorded in await home.events()]
    assert Counter(entry.chat for entry in home.wire()) == Counter(NUMBERS[:20])
    assert not any(isinstance(event, SendUnknown) for event in events)
