"""Sends that nobody could tell of: those that former holders left are recorded, and all are looked up in the page.

What the page shows as taken by WhatsApp's server was sent: that is told as a receipt. What it does not show was perhaps
sent all the same, so nothing follows from that.
"""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import partial
from uuid import UUID

from adapters.leases import Claim
from domain.message import WorkspaceId
from domain.ports import AckChanged, Messenger, SessionState, Unanswered
from domain.send import wa_id
from workers.persevering import ever_more_seldom, through_outages
from workers.session_tools import Tools

REACTORS = (0.05, 2.0)  # seconds between looks at how far the reactors are: the first, the longest
PAGE = (1.0, 600.0)  # the same of looks into the page, since a doubt arose or the page became ready
TOGETHER = 50  # messages looked up at a time

Doubt = Callable[[UUID, int], Awaitable[None]]  # records that nobody can tell of a delivery's part


class Doubts:
    """The doubts about one account's sends."""

    def __init__(self, tools: Tools, claim: Claim, messenger: Messenger, workspace: WorkspaceId) -> None:
        self._tools = tools
        self._claim = claim
        self._messenger = messenger
        self._workspace = workspace
        self._arisen = asyncio.Event()

    def arisen(self) -> None:
        """There is a new one, or a page that may know more."""
        self._arisen.set()

    async def left(self, doubt: Doubt) -> None:
        """Record what former holders intended and never told of, once the reactors know all that they did."""
        head, (pause, longest) = await self._tools.store.head(), REACTORS
        while await self._tools.progress.position() < head:
            await asyncio.sleep(pause)
            pause = min(pause * 2, longest)
        for left in await self._tools.sessions.open_intents(self._claim.account, self._claim.fence):
            await doubt(left.delivery_id, left.part)

    async def run(self, doubt: Doubt) -> None:
        """Record those left, then look in the page, ever more seldom, until cancelled."""
        await through_outages(partial(self.left, doubt))
        await ever_more_seldom(self._look, self._arisen, PAGE)

    async def _look(self) -> None:
        if self._messenger.state is not SessionState.READY:
            return
        unknown = await self._tools.sessions.unknown(self._claim.account)
        people = await self._tools.vault.people({(one.recipient_id, one.version) for one in unknown})
        numbers = {recipient: person.number for (recipient, _), person in people.items()}
        sent = [
            (numbers[one.recipient_id], wa_id(one.delivery_id, one.part))
            for one in unknown
            if one.recipient_id in numbers  # else erased
        ]
        for start in range(0, len(sent), TOGETHER):
            with suppress(Unanswered):
                for message, ack in (await self._messenger.found(sent[start : start + TOGETHER])).items():
                    self._tools.receipts.take(self._workspace, AckChanged((message,), ack))
