"""Keeping COMMANDS short: the server keeps what was acknowledged until it is told to remove it."""

import asyncio
import contextlib
from collections import defaultdict, deque
from collections.abc import Sequence
from datetime import datetime

from nats.aio.msg import Msg

from adapters.bus import Bus
from adapters.bus_messages import sequence_in
from adapters.outages import OUTAGES
from adapters.streams import COMMANDS

PAUSE = 0.5  # seconds
Batch = list[tuple[str, str]]  # subject and reply of each message
STUCK = 2  # looks without progress after which one message is seen to hold up the removal of those behind it


class Trimming:
    """Removes all up to the first message that is not acknowledged.

    One message that is tried again and again would so fill the subjects of everybody, for what was answered behind it
    counts as waiting. Then those are removed one by one that a subject has many of.
    """

    def __init__(self, bus: Bus, waiting: int) -> None:
        """`waiting`: messages that may be on one subject."""
        self._bus = bus
        self._many = max(waiting // 4, 1)
        self._acknowledged = asyncio.Event()
        self._behind: deque[Batch] = deque()  # what was acknowledged, as far as it is above the floor
        self._made: datetime | None = None  # the consumer
        self._floor = 0
        self._looks = 0  # without progress

    async def acknowledge(self, messages: Sequence[Msg]) -> None:
        """These are done with, and to be removed."""
        await self._bus.ack(messages)
        if messages:
            self._behind.append([(message.subject, message.reply) for message in messages])
        self._acknowledged.set()

    async def run(self) -> None:
        """Until cancelled. Acknowledgements are on their way while it looks: it looks until all came."""
        while True:
            await self._acknowledged.wait()
            self._acknowledged.clear()
            whole = False
            with contextlib.suppress(*OUTAGES):
                floor, whole, made = await self._bus.trim(COMMANDS)
                if self._made not in (None, made):  # of a queue that was made anew: its sequences are others
                    self._behind.clear()
                self._made = made
                await self._remove_behind(floor, whole)
            if not whole:
                self._acknowledged.set()
            await asyncio.sleep(PAUSE)

    async def _remove_behind(self, floor: int, whole: bool) -> None:
        self._looks = self._looks + 1 if floor == self._floor and not whole else 0
        self._floor = floor
        if self._looks < STUCK:
            self._forget(floor)
            return
        by_subject: dict[str, list[tuple[int, str]]] = defaultdict(list)
        for batch in self._behind:
            for subject, reply in batch:
                if (sequence := sequence_in(reply)) > floor:
                    by_subject[subject].append((sequence, reply))
        self._behind.clear()
        for subject, several in by_subject.items():
            if len(several) >= self._many:
                await self._bus.remove(COMMANDS, [sequence for sequence, _ in several])
            else:
                self._behind.append([(subject, reply) for _, reply in several])

    def _forget(self, floor: int) -> None:
        """What came about in order is forgotten in order, by the last one of each batch: looking at all would cost."""
        while self._behind and sequence_in(self._behind[0][-1][1]) <= floor:
            self._behind.popleft()
