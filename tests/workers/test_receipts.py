"""A receipt about a send of a former process, which the reactors are yet to tell of."""

from pathlib import Path

from domain.message import WorkspaceId
from domain.ports import Ack, AckChanged
from domain.send import DeliveryDelivered, DeliveryRead, SendConfirmed, SendUnknown, delivery_id, wa_id
from tests.workers.sending_house import HERE, core, house, running, sessions, until
from tests.workers.sending_steps import NUMBERS, link, open_workspace, submit, told
from workers.receipts import Receipts


async def test_a_receipt_waits_until_the_reactors_know_its_message(
    database_url: str, nats_url: str, scratch: Path
) -> None:
    async with house(database_url, nats_url, scratch) as home:

        async def doubted() -> bool:
            return any(isinstance(event, SendUnknown) for event in await told(home))

        async def noted() -> bool:
            return bool(await home.rows("SELECT 1 FROM sent_messages"))

        async with running(*core(home), *sessions(home)):
            home.world.faults.arm("hang_before_wire", NUMBERS[0])
            await open_workspace(home)
            job = await submit(home, await link(home, 1), NUMBERS[:1])
            await until(doubted)
            await until(noted)
        sent = wa_id(delivery_id(job.job_id, job.recipients[0]), 0)
        row = await home.rows("DELETE FROM sent_messages RETURNING wa_id, delivery_id, part, workspace")
        looked: list[int] = []
        look = home.tools.sessions.messages

        async def looking(wa_ids: list[str]) -> object:
            looked.append(len(wa_ids))
            return await look(wa_ids)

        home.tools.sessions.messages = looking  # type: ignore[method-assign, assignment]  # to see that it was asked
        receipts = Receipts(home.tools.sessions, home.decisions)
        receipts.take(HERE, AckChanged((sent,), Ack.DELIVERED))
        receipts.take(WorkspaceId("there"), AckChanged((sent,), Ack.READ))  # no message of theirs

        async def was_looked_up() -> bool:
            return bool(looked)

        async def delivered() -> bool:
            return isinstance((await told(home))[-1], DeliveryDelivered)

        async with running(receipts.run):
            await until(was_looked_up)
            await home.rows("INSERT INTO sent_messages VALUES (%s, %s, %s, %s) RETURNING 1", *row[0])
            await until(delivered)
        assert not any(isinstance(event, DeliveryRead) for event in await told(home))
        assert isinstance((await told(home))[-2], SendConfirmed)
