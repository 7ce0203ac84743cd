"""Keeping COMMANDS short: the server keeps what was acknowledged until it is told to remove it."""

import asyncio
import logging
from collections import defaultdict, deque
from collections.abc import Sequence
from datetime import datetime

from nats.aio.msg import Msg

from adapters.bus import Bus
from adapters.bus_messages import delivery
from adapters.outages import OUTAGES
from adapters.streams import COMMANDS, NotDeclared
from workers.persevering import through_outages

log = logging.getLogger(__name__)

PAUSE = 0.5  # seconds
Batch = list[tuple[str, str]]  # subject and reply of each message
STUCK = 2  # looks after which what was acknowledged is seen to be held up by a message before it


class Trimming:
    """Removes all up to the first message that is not acknowledged.

    One message that is tried again and again, or waits to be refused, would so fill the subjects of everybody, for what
    was answered behind it counts as waiting. Then those are removed one by one that a subject has many of.
    """

    def __init__(self, bus: Bus, waiting: int) -> None:
        """`waiting`: messages that may be on one subject; see `begin`."""
        self._bus = bus
        self._many = max(waiting // 4, 1)
        self._acknowledged = asyncio.Event()
        self._behind: deque[tuple[int, Batch]] = deque()  # acknowledged after which look, as far as above the floor
        self._made: datetime | None = None  # the consumer
        self._created = 0  # the queue, in nanoseconds
        self._anew = 0  # the same, if there was another one before: what was stored earlier lay in that
        self._breaks = bus.breaks
        self._looks = 0

    async def begin(self) -> None:
        """See which queue it is, before it is read."""
        breaks = self._bus.breaks
        created = await self._bus.created(COMMANDS)
        if self._created not in (0, created):
            self._anew = created
            self._behind.clear()
        self._created, self._breaks = created, breaks

    async def acknowledge(self, messages: Sequence[Msg]) -> None:
        """These are done with, and to be removed.

        Those of a queue that was lost are passed over: by their sequences others are meant now.
        """
        if self._breaks != self._bus.breaks:
            try:  # were it left to the caller, all would be decided and told again
                await through_outages(self.begin, loop="intake")
            except NotDeclared:  # there is nothing to be acknowledged
                return
        ours = [one for one in messages if delivery(one.reply).stored >= self._anew] if self._anew else messages
        await self._bus.ack(ours)
        if ours:
            self._behind.append((self._looks, [(message.subject, message.reply) for message in ours]))
        self._acknowledged.set()

    async def run(self) -> None:
        """Until cancelled. Acknowledgements are on their way while it looks: it looks until all came."""
        while True:
            await self._acknowledged.wait()
            self._acknowledged.clear()
            whole = False
            try:
                floor, whole, made = await self._bus.trim(COMMANDS)
                if self._made not in (None, made):
                    await self.begin()
                self._made = made
                await self._remove_behind(floor, whole)
            except OUTAGES as error:
                log.warning("intake: what was answered is not removed yet: %s", type(error).__name__)
            if not whole:
                self._acknowledged.set()
            await asyncio.sleep(PAUSE)

    async def _remove_behind(self, floor: int, whole: bool) -> None:
        self._looks += 1
        self._forget(floor)
        if whole or not self._behind or self._looks - self._behind[0][0] < STUCK:
            return
        by_subject: dict[str, Batch] = defaultdict(list)
        for _, batch in self._behind:
            for subject, reply in batch:
                if delivery(reply).sequence > floor:
                    by_subject[subject].append((subject, reply))
        self._behind = deque((self._looks, batch) for batch in by_subject.values())
        for entry in [entry for entry in self._behind if len(entry[1]) >= self._many]:
            kept = await self._bus.remove(COMMANDS, [delivery(reply).sequence for _, reply in entry[1]])
            if kept:
                log.warning("intake: the server keeps what was answered", extra={"messages": kept})
            elif entry in self._behind:  # it may be forgotten meanwhile
                self._behind.remove(entry)

    def _forget(self, floor: int) -> None:
        """What came about in order is forgotten in order, by the last one of each batch: looking at all would cost."""
        while self._behind and delivery(self._behind[0][1][-1][1]).sequence <= floor:
            self._behind.popleft()
