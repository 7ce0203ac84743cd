"""The session worker: a session for each account it can claim, and what is queued for them."""

import asyncio
import logging
from functools import partial
from uuid import UUID

from adapters import metrics
from adapters.heartbeats import beat
from adapters.leases import NoRoom
from adapters.sends import ACCOUNTS, account_of
from workers.account_session import AccountSession, SessionOver
from workers.persevering import through_outages
from workers.sending import LeaseLost
from workers.session_tools import Tools

LOOK_AGAIN = 2.0  # seconds; a nudge tells of a new account earlier
NOT_HERE = (0.2, 1.0)  # seconds until a message comes again whose account another worker may hold: first, at most
RENEWAL = 3.0  # seconds between two renewals of the leases; see adapters.leases.TTL
FIRST_PAUSE, LONGEST_PAUSE = 1.0, 60.0  # seconds before a session that ended is opened again
log = logging.getLogger(__name__)


class SessionWorker:
    """Holds accounts, opens new ones as they are registered, and shares out the queue among them.

    This host holds up to `most`, in all its processes together.
    """

    def __init__(self, tools: Tools, *, most: int = 20) -> None:
        self._tools = tools
        self._most = most
        self._held: dict[UUID, AccountSession] = {}
        self._wanted: set[UUID] = set()
        self._pauses: dict[UUID, float] = {}
        self._not_before: dict[UUID, float] = {}
        self._nudged = asyncio.Event()
        self._unplaced = 0

    async def run(self) -> None:
        """Work until cancelled; then each session comes to the outcome of what it is doing, and closes its browser."""
        async with self._tools.sends.nudges(ACCOUNTS, self._nudged.set), asyncio.TaskGroup() as group:
            group.create_task(self._tools.receipts.run())
            group.create_task(self._share_out())
            group.create_task(self._renew())
            while True:
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
        every = await self._tools.sessions.wanted()
        self._wanted = {wanted.account_id for wanted in every if not wanted.removed}
        for account, session in self._held.items():
            if account not in self._wanted and not session.removed:
                session.end(SessionOver())
        full = False
        for wanted in every:
            account = wanted.account_id
            if wanted.leaving and account in self._held:
                self._held[account].leave()
            if wanted.forgets and account in self._held:
                self._held[account].profile.forget()
            if full or account in self._held or now < self._not_before.get(account, now):
                continue
            try:
                claim = await self._tools.leases.claim(account, most=None if wanted.removed else self._most)
            except NoRoom:
                full = True
                continue
            if claim is not None:
                session = self._held[account] = AccountSession(self._tools, wanted, claim)
                group.create_task(self._hold(account, session))
        self._tell(await self._tools.sessions.no_room() if full else 0)

    def _tell(self, unplaced: int) -> None:
        """Say how many accounts have no place here, when that changes."""
        metrics.UNPLACED.set(unplaced)
        if unplaced != self._unplaced:
            self._unplaced = unplaced
            log.warning("accounts without a place: %s (sessions_max is %s)", unplaced, self._most)

    async def _hold(self, account: UUID, session: AccountSession) -> None:
        """Run a session to its end; then the account waits, longer each time that it did not become ready."""
        try:
            await session.run()
        finally:
            del self._held[account]
            pause = FIRST_PAUSE if session.at_once else self._pauses.get(account, FIRST_PAUSE)
            self._pauses[account] = min(pause * 2, LONGEST_PAUSE)
            loop = asyncio.get_running_loop()
            self._not_before[account] = loop.time() + pause
            loop.call_later(pause, self._nudged.set)

    async def _renew(self) -> None:
        """Hold the leases of all sessions; one that was lost ends its session."""
        while True:
            beat("leases")
            await asyncio.sleep(RENEWAL)
            held = list(self._held.values())
            kept = await through_outages(partial(self._tools.leases.renew, [one.claim for one in held]), loop="leases")
            for session in held:
                if session.claim.account not in kept:
                    session.end(LeaseLost())

    async def _share_out(self) -> None:
        """Hand each queue message to its account's session.

        Without one here it comes again, later each time; for an account that wants none it is done: the dispatcher
        queues anew what should be sent.
        """
        pulls = self._tools.sends.pulls()
        await pulls.start()
        try:
            while True:
                for message in await pulls.next():
                    account = account_of(message.subject)
                    session = self._held.get(account) if account else None
                    if session is not None and session.offer(message):
                        continue
                    if account is None:
                        log.error("a queue message for no account")
                    if account in self._wanted:
                        first, longest = NOT_HERE
                        tries = min(message.metadata.num_delivered or 1, 10)
                        await self._tools.sends.again(message, min(first * 2.0 ** (tries - 1), longest))
                    else:
                        await self._tools.sends.done(message)
        finally:
            await pulls.stop()
