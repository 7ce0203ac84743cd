"""Somebody whose number WhatsApp does not tell writes STOP: it is kept, and heard once the number is known."""

from pathlib import Path

import pytest

from adapters.sandbox.nouns import lid_of
from domain.ports import Arrived, MessageArrived
from domain.recipient import MessageReceived, OptOutSource, RecipientOptedOut
from tests.workers.sending_house import House, core, house, running, sessions, until
from tests.workers.sending_steps import NUMBERS, link, open_workspace, submit, told
from workers import placing


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(placing, "PAUSE", (0.05, 0.2))


async def kept(home: House) -> list[bytes]:
    return [sealed for (sealed,) in await home.rows("SELECT sealed FROM unplaced_messages")]


async def test_a_stop_of_somebody_whose_number_is_hidden_is_kept_sealed_and_heard_once_it_is_told(
    database_url: str, nats_url: str, scratch: Path
) -> None:
    async with house(database_url, nats_url, scratch) as home, running(*core(home)):
        await open_workspace(home)
        async with running(*sessions(home)):
            (account,) = await link(home, 1)
            job = await submit(home, [account], NUMBERS[:1], approve=False)
            home.world.faults.arm("numbers_hidden")
            home.world.receive(home.phones[account], NUMBERS[0], "STOP")

            async def is_kept() -> bool:
                return len(await kept(home)) == 1

            await until(is_kept)
        assert b"STOP" not in (await kept(home))[0]
        assert not [event for event in await told(home) if isinstance(event, MessageReceived)]
        home.world.faults.clear()
        async with running(*sessions(home)):
            await until(lambda: gone(home))
        log = await home.events()
    heard = [one for one in log if isinstance(one.event, RecipientOptedOut)]
    assert [one.stream for one in heard] == [f"recipient-{job.recipients[0]}"]
    assert isinstance(heard[0].event, RecipientOptedOut)
    assert heard[0].event.source is OptOutSource.MESSAGE


@pytest.mark.long
async def test_what_waits_is_placed_too_when_another_message_tells_the_number(
    database_url: str, nats_url: str, scratch: Path
) -> None:
    lid = lid_of(NUMBERS[0])
    async with house(database_url, nats_url, scratch) as home, running(*core(home), *sessions(home)):
        await open_workspace(home)
        (account,) = await link(home, 1)
        home.world.faults.arm("numbers_hidden")
        for wa_id, number in (("3A01", ""), ("3A01", ""), ("3A02", NUMBERS[0])):
            home.used[account]._notify(MessageArrived(wa_id, Arrived.TEXT, 1_790_000_000.0, number, lid, "Hello"))

        async def both() -> bool:
            return sum(isinstance(event, MessageReceived) for event in await told(home)) == 2

        await until(both)
        await until(lambda: gone(home))


async def gone(home: House) -> bool:
    return not await kept(home)
