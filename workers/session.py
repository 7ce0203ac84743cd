"""The session worker: a session for each account it can claim, and what is queued for them."""

import asyncio
import logging
from uuid import UUID

from adapters.cancellation import heed_cancellation
from adapters.heartbeats import beat
from adapters.sends import ACCOUNTS, account_of
from workers.account_session import AccountSession, Tools
from workers.persevering import through_outages

LOOK_AGAIN = 2.0  # seconds; a nudge tells of a new account earlier
NOT_HERE = 0.2  # seconds until a message comes again whose account another worker may hold
FIRST_PAUSE, LONGEST_PAUSE = 1.0, 60.0  # seconds before a session that ended is opened again
log = logging.getLogger(__name__)


class SessionWorker:
    """Holds up to `most` accounts, opens new ones as they are registered, and shares out the queue among them."""

    def __init__(self, tools: Tools, *, most: int = 20) -> None:
        self._tools = tools
        self._most = most
        self._held: dict[UUID, AccountSession] = {}
        self._pauses: dict[UUID, float] = {}
        self._not_before: dict[UUID, float] = {}
        self._nudged = asyncio.Event()

    async def run(self) -> None:
        """Work until cancelled; then each session comes to the outcome of what it is doing, and closes its browser."""
        async with self._tools.sends.nudges(ACCOUNTS, self._nudged.set), asyncio.TaskGroup() as group:
            group.create_task(self._tools.receipts.run())
            group.create_task(self._share_out())
            while True:
                heed_cancellation()
                beat("sessions")
                self._nudged.clear()
                await through_outages(lambda: self._open(group), loop="sessions")
                try:
                    async with asyncio.timeout(LOOK_AGAIN):
                        await self._nudged.wait()
                except TimeoutError:
                    continue

    async def _open(self, group: asyncio.TaskGroup) -> None:
        """Begin sessions for accounts that have none, as far as nobody else holds them and there is room."""
        now = asyncio.get_running_loop().time()
        for wanted in await self._tools.sessions.wanted():
            account = wanted.account_id
            if len(self._held) >= self._most:
                return
            if account in self._held or now < self._not_before.get(account, now):
                continue
            claim = await self._tools.leases.claim(account)
            if claim is not None:
                session = self._held[account] = AccountSession(self._tools, wanted, claim)
                group.create_task(self._hold(account, session))

    async def _hold(self, account: UUID, session: AccountSession) -> None:
        """Run a session to its end; then the account waits, longer each time that it did not become ready."""
        try:
            await session.run()
        finally:
            del self._held[account]
            pause = FIRST_PAUSE if session.was_ready else self._pauses.get(account, FIRST_PAUSE)
            self._pauses[account] = min(pause * 2, LONGEST_PAUSE)
            self._not_before[account] = asyncio.get_running_loop().time() + pause

    async def _share_out(self) -> None:
        """Hand each queue message to its account's session; without one here it comes again."""
        pulls = self._tools.sends.pulls()
        await pulls.start()
        try:
            while True:
                heed_cancellation()
                for message in await pulls.next():
                    account = account_of(message.subject)
                    session = self._held.get(account) if account else None
                    if account is None:
                        log.error("a queue message for no account")
                        await self._tools.sends.done(message)
                    elif session is None or not session.offer(message):
                        await self._tools.sends.again(message, NOT_HERE)
        finally:
            await pulls.stop()
