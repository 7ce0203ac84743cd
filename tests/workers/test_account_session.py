"""One account's session at its end: what was queued for it goes back at once, and nothing more is taken."""

import asyncio
from pathlib import Path
from uuid import uuid4

from adapters.bus import deliveries
from adapters.sessions import WantedSession
from domain.account import Trouble
from tests.workers.sending_house import HERE, house
from workers.account_session import AccountSession


async def test_a_closing_session_gives_its_messages_back_and_takes_no_more(
    database_url: str, nats_url: str, scratch: Path
) -> None:
    async with house(database_url, nats_url, scratch) as home:
        account = uuid4()
        claim = await home.tools.leases.claim(account)
        assert claim is not None
        pulls, told = home.sends.pulls(), asyncio.Event()
        session = AccountSession(home.tools, WantedSession(account, HERE), claim)
        for number in range(2):
            await home.sends.queue(account, uuid4(), b"%d" % number)
        await pulls.start()
        try:
            async with asyncio.timeout(10):
                first = (await pulls.next())[0]
                assert session.offer(first)
                stopping = asyncio.ensure_future(session._close(Trouble.STALLED))
                stopping.add_done_callback(lambda _: told.set())
                again = None
                while again is None or not told.is_set():
                    for message in await pulls.next():
                        assert not session.offer(message)
                        again = message if message.data == first.data else again
                        await home.sends.again(message, 0.05)
                await stopping
        finally:
            await pulls.stop()
        assert deliveries(again) > 1
