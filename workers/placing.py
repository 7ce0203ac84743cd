"""Messages of people whose numbers WhatsApp had not told when they wrote: asked for again, for one may say STOP."""

from contextlib import suppress
from dataclasses import replace

from domain.ports import Messenger, SessionState, Unanswered
from workers.arrivals import Arrivals
from workers.persevering import ever_more_seldom

PAUSE = (1.0, 600.0)  # seconds between two looks, since one came or the page became ready: the first, the longest


class Placing:
    """Finds the senders of one account's messages."""

    def __init__(self, arrivals: Arrivals, messenger: Messenger) -> None:
        self._arrivals = arrivals
        self._messenger = messenger

    async def run(self) -> None:
        """Ask the page for numbers, ever more seldom, until cancelled."""
        await ever_more_seldom(self._look, self._arrivals.unplaced, PAUSE)

    async def _look(self) -> None:
        if self._messenger.state is not SessionState.READY:
            return
        waiting = await self._arrivals.waiting()
        with suppress(Unanswered):
            numbers = await self._messenger.numbers({arrived.lid for arrived in waiting}) if waiting else {}
            for arrived in waiting:
                await self._arrivals.place(replace(arrived, number=numbers.get(arrived.lid, "")))
