"""A send that nobody could tell of is told once the page shows that WhatsApp has it; nothing is sent again."""

from collections import Counter
from pathlib import Path
from uuid import UUID

import pytest

from domain.job import Status
from domain.message import StreamId
from domain.send import Doubt, SendConfirmed, SendUnknown, delivery_id
from tests.workers.sending_house import House, core, house, running, sessions, until
from tests.workers.sending_steps import NUMBERS, link, open_workspace, status_is, submit
from workers import doubts


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doubts, "PAGE", (0.05, 0.5))


async def steps(home: House, job: UUID, person: UUID) -> list[object]:
    events = await home.store.history(StreamId(f"delivery-{delivery_id(job, person)}"))
    return [one.event for one in events if isinstance(one.event, SendConfirmed | SendUnknown)]


async def test_what_the_page_shows_as_sent_is_sent_and_what_it_does_not_show_stays_unknown(
    database_url: str, nats_url: str, scratch: Path
) -> None:
    never, lost, told = NUMBERS[:3]
    async with house(database_url, nats_url, scratch) as home, running(*core(home), *sessions(home)):
        await open_workspace(home)
        accounts = await link(home, 1)
        home.world.faults.arm("hang_before_wire", never, 1)
        home.world.faults.arm("hang_after_wire", lost, 1)
        home.world.faults.arm("receipts_lost", lost, 1)
        job = await submit(home, accounts, [never, lost, told])
        first, second, _ = job.recipients

        async def found() -> bool:
            return [type(step) for step in await steps(home, job.job_id, second)] == [SendUnknown, SendConfirmed]

        await until(found)
        unknown = await steps(home, job.job_id, first)
        assert [type(step) for step in unknown] == [SendUnknown]
        assert await status_is(home, job.job_id, Status.RUNNING)
    assert Counter(entry.chat for entry in home.wire()) == Counter([lost, told])


@pytest.mark.long
async def test_what_was_sent_as_its_browser_ended_is_found_by_the_next_one(
    database_url: str, nats_url: str, scratch: Path
) -> None:
    async with house(database_url, nats_url, scratch) as home, running(*core(home)):
        await open_workspace(home)
        async with running(*sessions(home)):
            accounts = await link(home, 1)
            home.world.faults.arm("receipts_lost", NUMBERS[0], 1)
            home.world.faults.arm("killed_after_wire", NUMBERS[0], 1)
            job = await submit(home, accounts, NUMBERS[:1])
            await until(lambda: status_is(home, job.job_id, Status.COMPLETED))
        [unknown, confirmed] = await steps(home, job.job_id, job.recipients[0])
    assert isinstance(unknown, SendUnknown)
    assert unknown.reason is Doubt.BROWSER_GONE
    assert isinstance(confirmed, SendConfirmed)
    assert len(home.wire()) == 1
