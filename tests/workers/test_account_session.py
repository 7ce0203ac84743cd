"""One account's session: what fails as it opens or ends is its own; what was queued goes back at once at its end."""

import asyncio
from dataclasses import replace
from pathlib import Path
from uuid import UUID, uuid4

import psycopg
import pytest

from adapters.bus_messages import delivery
from adapters.leases import Claim
from adapters.sandbox.memory import InstantMessenger, Notify
from adapters.sessions import WantedSession
from adapters.whatsapp_web.browser import FormerBrowserAlive
from adapters.whatsapp_web.session import LaunchFailed
from domain.account import Trouble
from domain.job import Status
from domain.ports import Messenger
from tests.workers.sending_house import HERE, House, core, house, profile_of, running, sessions, until
from tests.workers.sending_steps import NUMBERS, link, open_workspace, status_is, submit
from workers import session as session_worker
from workers.account_session import AccountSession
from workers.session_tools import Launched

BROWSER = 4_000_001  # a process group that no system hands out


class Frail(InstantMessenger):
    """Tells of its browser as it starts; the first start and the first end of each kind fail as told."""

    def __init__(self, home: House, account: UUID, launched: Launched, failures: set[str]) -> None:
        super().__init__(home.world, profile_of(home.world, account))
        self._launched = launched
        self._failures = failures

    def fails(self, how: str) -> bool:
        struck = how in self._failures
        self._failures.discard(how)
        return struck

    async def start(self, on_notice: Notify) -> None:
        if self.fails("launch"):
            raise LaunchFailed
        await self._launched(BROWSER)
        await super().start(on_notice)

    async def stop(self) -> None:
        await super().stop()
        if self.fails("stop"):
            raise FormerBrowserAlive


@pytest.mark.parametrize("how", ["launch", "stop", "database"])
async def test_a_session_that_fails_as_it_opens_or_ends_leaves_the_others_at_work_and_is_opened_anew(
    database_url: str, nats_url: str, scratch: Path, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    monkeypatch.setattr(session_worker, "FIRST_PAUSE", 0.1)
    async with house(database_url, nats_url, scratch) as home, running(*core(home)):
        await open_workspace(home)
        async with running(*sessions(home)):
            accounts = await link(home, 2)
        frail, failures, leases = accounts[0], {how}, home.tools.leases
        note = leases.browser

        def opens(account: UUID, launched: Launched) -> Messenger:
            return Frail(home, account, launched, failures if account == frail else set())

        async def away(claim: Claim, group: int) -> None:
            if claim.account == frail and how == "database" in failures:
                failures.clear()
                raise psycopg.OperationalError
            await note(claim, group)

        monkeypatch.setattr(leases, "browser", away)
        home.tools = replace(home.tools, open_messenger=opens)
        async with running(*sessions(home)):
            if how == "stop":
                await until(lambda: open_with_a_browser(home, frail))
                home.world.unlink(home.phones[frail])
                await until(lambda: gone(failures))
                accounts = accounts[1:]
            job = await submit(home, accounts, NUMBERS[:8])
            await until(lambda: status_is(home, job.job_id, Status.COMPLETED))
            await until(lambda: open_with_a_browser(home, frail))
        assert not failures
    assert len(home.wire()) == 8


async def open_with_a_browser(home: House, account: UUID) -> bool:
    query = "SELECT 1 FROM leases WHERE account = %s AND pid IS NOT NULL AND browser_group = %s"
    return bool(await home.rows(query, account, BROWSER))


async def gone(failures: set[str]) -> bool:
    return not failures


async def test_the_lease_of_a_browser_that_did_not_die_is_not_given_back(
    database_url: str, nats_url: str, scratch: Path
) -> None:
    async with house(database_url, nats_url, scratch) as home:
        account = uuid4()
        for failures, held in (({"stop"}, [(BROWSER,)]), (set[str](), [(None,)])):
            claim = await home.tools.leases.claim(account)
            assert claim is not None
            tools = replace(
                home.tools,
                open_messenger=lambda one, launched, failures=failures: Frail(home, one, launched, failures),
            )
            session = AccountSession(tools, WantedSession(account, HERE), claim)
            await session._launched(BROWSER)
            await session._close(Trouble.CRASHED)
            assert await home.rows("SELECT browser_group FROM leases WHERE account = %s", account) == held


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
            async with asyncio.timeout(30):
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
        assert delivery(again.reply).times > 1
