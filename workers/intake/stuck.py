"""Messages that the queue brings in vain: whatever they do to its reader, they are read another way, and put aside."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from datetime import datetime

from nats.aio.msg import Msg

from adapters import metrics, undelivered
from adapters.bus import Bus
from adapters.heartbeats import beat
from adapters.streams import COMMANDS
from workers.intake.retries import TOGETHER
from workers.persevering import through_outages

LOOKS = 6  # within the time after which a message counts as stuck
MOST = 200  # at a look
LOOP = "intake-stuck"
log = logging.getLogger(__name__)


class Stuck:
    """Looks at the oldest message that nobody acknowledges. If it is the same for long, its handling may never begin.

    A fault of ours in reading it would end the connection, or the process, each time that it comes. What is only slow
    is harmed by nothing: handled twice, a command is answered once.
    """

    def __init__(
        self,
        bus: Bus,
        handle: Callable[[Msg, str], Awaitable[None]],
        refusing: Callable[[Msg], bool],
        clock: Callable[[], datetime],
        after: float,
    ) -> None:
        """`handle` takes one message by itself, counting its tries, for a loop that it holds up; `refusing` says
        whether one is being turned away, without a row; `after` is in seconds."""
        self._bus = bus
        self._handle = handle
        self._refusing = refusing
        self._clock = clock
        self._after = after
        self._floor: int | None = None  # at the last look
        self._looks = LOOKS  # since it moved; before the first one it may have stood for long

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            beat(LOOP)
            await asyncio.sleep(self._after / LOOKS)
            await through_outages(self.look, loop=LOOP)

    async def look(self, loop: str = LOOP) -> None:
        """Handle what is stuck, the oldest first; `loop` is held up meanwhile.

        Only the next message above the floor is known not to be acknowledged. Any other could be one that was refused
        without a row, over a rate or for want of room, and would be decided now; so would one that is about to be.
        """
        floor, given = await undelivered.span(self._bus, COMMANDS)
        if self._floor is not None:
            self._looks = self._looks + 1 if self._floor == floor else 0
        self._floor = floor
        if self._looks < LOOKS:
            return
        for _ in range(MOST):
            found = await undelivered.read(self._bus, COMMANDS, floor + 1, TOGETHER + 1) if given > floor else None
            if found is None or self._clock().timestamp() - found.stored < self._after or self._refusing(found.message):
                return
            metrics.INTAKE_STUCK.inc()
            log.error("intake: a message that the queue brings in vain is read by itself", extra={"at": found.sequence})
            await self._handle(found.message, loop)
            if not await undelivered.settled(self._bus, COMMANDS, found):
                return  # it is to be tried again: at the next look
            floor, given = await undelivered.span(self._bus, COMMANDS)
