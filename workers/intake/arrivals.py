"""What has arrived on COMMANDS, within the keys' rates, and handed on by workspace in turn."""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import datetime
from itertools import chain, groupby

from nats.aio.msg import Msg

from adapters.bus import Bus
from adapters.bus_messages import delivery
from adapters.cloudevents import Address
from adapters.heartbeats import beat
from adapters.inbox import Inbox
from adapters.pulls import Pulls
from adapters.streams import COMMANDS, INTAKE
from domain.rates import Rates
from workers.intake.fair_queue import FairQueue
from workers.intake.messages import giver, size_of
from workers.intake.over_rate import Acknowledge, OverRate
from workers.persevering import through_outages

READ_AHEAD = 10_000  # messages: whoever has many waiting is read past up to here
READ_TOGETHER = 2_000  # by one pull: reading is to be faster than deciding, or nobody would be read past
# Of bodies the intake holds 124 MB at most: these, which are looked at before `Pulls` is asked, and what that has or
# may bring then (3 * 8 MB), five batches (one read, one prepared, one that waits for two decided), 16 MB in `Retries`.
READ_AHEAD_BYTES = 64 << 20
BATCH_BYTES = 4 << 20  # of bodies that are decided together
HOLD = 2.0  # seconds, a third of what the server waits for an acknowledgement
IDLE = 5.0  # seconds
SOON = 0.1  # seconds
FIRST_DELIVERY = f"$JS.ACK.{COMMANDS}.{INTAKE}.1."  # as the reply subject of a message begins
READING = "intake-queue"  # the loop that looks at the queue, as `Pulls` names it


class Arrivals:
    """Reads ahead of what is decided, so that nobody's thousands are in front of somebody else's one.

    The rate is measured by when the server stored a message: what could not be decided meanwhile is not held against
    its giver. A message that is delivered again is not counted again.
    """

    def __init__(
        self, bus: Bus, inbox: Inbox, clock: Callable[[], datetime], rates: Rates | None, acknowledge: Acknowledge
    ) -> None:
        self._bus = bus
        self._rates = rates
        self._over = OverRate(bus, inbox, clock, acknowledge, rates.rate) if rates is not None else None
        self._waiting: FairQueue[Msg] = FairQueue(READ_AHEAD, READ_AHEAD_BYTES, size_of)
        self._behind = 0  # that the server had not handed out when it handed out the last one
        self._in_hand: dict[str, Msg] = {}  # taken and not done with, by their reply subjects
        self._long_in_hand: set[str] = set()
        self._came = asyncio.Event()
        self._left = asyncio.Event()

    async def fill(self, pulls: Pulls) -> None:
        """Read ahead, until cancelled."""
        while True:
            while self._waiting.full:
                self._left.clear()
                beat(READING)
                try:
                    async with asyncio.timeout(IDLE):
                        await self._left.wait()
                except TimeoutError:
                    continue
            await self._admit(await pulls.next())

    async def take(self, most: int) -> list[Msg]:
        """The next ones, at least one.

        What the server still has is read first, as far as there is room: it may be of somebody whose turn it is.
        """
        while not self._waiting:
            self._came.clear()
            await self._came.wait()
        with suppress(TimeoutError):  # the server does not hand it out now: others have it
            while self._behind and not self._waiting.full:
                self._came.clear()
                async with asyncio.timeout(SOON):
                    await self._came.wait()
        taken = self._waiting.take(most, BATCH_BYTES)
        self._in_hand.update((message.reply, message) for message in taken)
        self._left.set()
        return taken

    def done(self, messages: Sequence[Msg]) -> None:
        """These were answered, or are to be delivered again."""
        for message in messages:
            self._in_hand.pop(message.reply, None)

    def refusing(self, message: Msg) -> bool:
        """Whether this one is being turned away."""
        return self._over is not None and self._over.has(message)

    async def refuse(self) -> None:
        """Turn away what is over a key's rate, until cancelled."""
        if self._over is not None:
            await self._over.run()

    async def hold(self, pulls: Pulls) -> None:
        """Tell the server of what came, waits or is decided here that it is seen to, or it would deliver it again;
        until cancelled."""
        while True:
            await asyncio.sleep(HOLD)
            held = [message for reply, message in self._in_hand.items() if reply in self._long_in_hand]
            self._long_in_hand = set(self._in_hand)
            held += chain(self._waiting.waited(), pulls.arrived())  # these lie there only while it is not read on
            held += self._over.held() if self._over is not None else []
            if held:
                await through_outages(lambda: self._bus.all_working(held))  # noqa: B023  # done before the next round

    async def give_back(self) -> None:
        """What is left is for another reader to have at once, what was in hand once nobody has spoken for it."""
        self._in_hand.clear()
        surplus = self._over.drain() if self._over is not None else []
        await self._bus.not_taken([*self._waiting.drain(), *surplus])

    async def _admit(self, messages: Sequence[Msg]) -> None:
        over: list[tuple[Address | None, Msg]] = []
        for (workspace, principal), run in groupby(messages, giver):
            some = list(run)
            if self._rates is None or all_within(self._rates, principal, some):
                self._waiting.put(workspace, *some)
                continue
            for message in some:
                told = delivery(message.reply)
                if told.times > 1 and self.refusing(message):
                    continue  # the server lost patience; it is refused in its turn
                if told.times > 1 or self._rates.take(principal, told.stored / 1e9):
                    self._waiting.put(workspace, message)
                else:
                    over.append((Address.read(message.subject), message))
        if over:
            assert self._over is not None
            for message in await self._over.turn_away(over, READING):
                self._waiting.put(giver(message)[0], message)
        self._behind = delivery(messages[-1].reply).behind
        if self._waiting:
            self._came.set()


def all_within(rates: Rates, principal: str, some: Sequence[Msg]) -> bool:
    """Whether these, all delivered the first time, are within a key's rate: the usual case, and looked at at once."""
    if not all(message.reply.startswith(FIRST_DELIVERY) for message in some):
        return False
    return rates.take_all(principal, len(some), delivery(some[0].reply).stored / 1e9)
