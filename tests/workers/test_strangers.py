"""What somebody else put into the queue of sends."""

from pathlib import Path

from adapters.bus import Message
from adapters.streams import SENDS
from domain.job import Status
from tests.workers.sending_house import core, house, running, sessions, until
from tests.workers.sending_steps import NUMBERS, link, open_workspace, status_is, submit


async def test_a_message_for_no_account_is_taken_out_and_the_others_are_sent(
    database_url: str, nats_url: str, scratch: Path
) -> None:
    async with house(database_url, nats_url, scratch) as home:
        await home.bus.single(Message("send.nobody", b"{}"))
        async with running(*core(home), *sessions(home)):
            await open_workspace(home)
            job = await submit(home, await link(home, 1), NUMBERS[:3])
            await until(lambda: status_is(home, job.job_id, Status.COMPLETED))

            async def taken_out() -> bool:
                return not (await home.bus.js.stream_info(SENDS)).state.messages

            await until(taken_out)
        assert len(home.wire()) == 3
