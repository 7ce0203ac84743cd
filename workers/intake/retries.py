"""Commands that cannot be handled together with others: each by itself, beside the batches, each key in its turn."""

import asyncio
import contextlib
import logging
import time
from collections import Counter, defaultdict, deque
from collections.abc import Awaitable, Callable, Sequence
from functools import partial

from nats.aio.msg import Msg

from adapters import metrics
from adapters.bus import Bus
from adapters.bus_messages import delivery, stored_as
from adapters.heartbeats import beat
from adapters.inbox import Inbox
from adapters.outages import OUTAGES
from workers.intake.messages import key_of, size_of
from workers.persevering import through_outages

TRIES = 5  # of one message; after the last it has crashed
TOGETHER = 2  # deliveries at which a message is still taken together with others
MOST_FAILING = 20  # messages of one key that are tried again at a time; a further one that fails has crashed
MOST_BYTES = 16 << 20  # of what waits here; no key takes more of them than it leaves to others
TURN = 1.0  # seconds after which the next key has its turn beside one that is not done
GIVEN_BACK = 10.0  # seconds
LOOK = 5.0  # seconds
FORGET = 120.0  # seconds after which what failed and did not come again went to another reader
LOOP = "intake-retries"
log = logging.getLogger(__name__)


class Retries:
    """Takes what failed, and what brought its reader down, one by one; so nobody else waits for it.

    While a key has some here, all that it gives is handled here: its next one could make a batch fail again. What there
    is no room for is given back for a while.
    """

    def __init__(
        self,
        bus: Bus,
        inbox: Inbox,
        handle: Callable[[Msg, str], Awaitable[bool]],
        crash: Callable[[Msg, str], Awaitable[bool]],
        done: Callable[[Sequence[Msg]], None],
        *,
        pause: float = 1.0,  # seconds before a failed message is tried again; doubled each time
    ) -> None:
        """`handle` and `crash` wait for as long as a server is away, telling meanwhile that the loop goes round which
        they hold up, and return whether it went through; by `done` the server is not told any more that messages are
        being seen to."""
        self._bus = bus
        self._inbox = inbox
        self._handle = handle
        self._crash = crash
        self._done = done
        self._pause = pause
        self._waiting: dict[str, deque[Msg]] = {}  # by key, the one whose turn it is first
        self._bytes: Counter[str] = Counter()  # by key, of what waits
        self._total = 0  # of these
        self._having_turns: set[str] = set()  # keys
        self._failing: dict[str, dict[str, float]] = defaultdict(dict)  # by key: what comes again, and since when
        self._came = asyncio.Event()

    async def divert(self, messages: Sequence[Msg]) -> list[Msg]:
        """Keep those that must not be taken together with others; returns the rest."""
        if not self._waiting and not self._failing and all(delivery(one.reply).times <= TOGETHER for one in messages):
            return list(messages)
        rest = []
        for message in messages:
            key = key_of(message)
            if delivery(message.reply).times > TOGETHER or key in self._waiting or key in self._failing:
                await self._put(key, message)
            else:
                rest.append(message)
        return rest

    async def add(self, messages: Sequence[Msg]) -> None:
        """Handle these by themselves."""
        for message in messages:
            await self._put(key_of(message), message)

    async def run(self) -> None:
        """Until cancelled. One turn after the other; but none waits for one that takes long, or does not end.

        What does not end is the oldest at last, which `Stuck` handles; as that has no end either, the watchdog sees it.
        """
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._tidy())
            while True:
                beat(LOOP)
                self._came.clear()
                key = next((key for key in self._waiting if key not in self._having_turns), None)
                if key is None:
                    with contextlib.suppress(TimeoutError):
                        async with asyncio.timeout(LOOK):
                            await self._came.wait()
                    continue
                self._having_turns.add(key)
                await asyncio.wait([tasks.create_task(self._turn(key, self._next(key)))], timeout=TURN)

    async def _turn(self, key: str, message: Msg) -> None:
        try:
            await self.alone(message)
        finally:
            self._having_turns.discard(key)
            self._came.set()

    async def alone(self, message: Msg, loop: str = LOOP) -> None:
        """One message by itself: answered, or to be delivered again, or crashed. Whatever happens, others go on."""
        try:
            await self._alone(message, loop)
        except Exception as error:  # noqa: BLE001  # the server brings it again
            self._done([message])
            log.error("intake: a message could not be put aside: %s", type(error).__name__)  # noqa: TRY400  # it may quote

    async def give_back(self) -> None:
        """Leave what waits to another reader."""
        with contextlib.suppress(*OUTAGES):
            for messages in self._waiting.values():
                for message in messages:
                    await self._bus.again(message, 0)
        self._waiting.clear()
        self._bytes.clear()
        self._total = 0

    async def _alone(self, message: Msg, loop: str) -> None:
        tries, counted = delivery(message.reply).times, delivery(message.reply).times > TOGETHER
        if counted:  # a delivery is no try: this one may have waited behind another that killed us
            tries = TOGETHER + await through_outages(partial(self._inbox.trying, stored_as(message)), loop=loop)
        if not (tries <= TRIES and await self._handle(message, loop)):
            if tries < TRIES and self._may_fail(message):
                await self._again(message, self._pause * 2 ** (tries - 1), loop)
                return
            if not await self._crash(message, loop):
                self._done([message])  # the server brings it again, and its tries are still counted
                return
        self._settled(key_of(message), stored_as(message))
        if counted:
            await through_outages(partial(self._inbox.tried, stored_as(message)), loop=loop)

    async def _again(self, message: Msg, seconds: float, loop: str = LOOP) -> None:
        self._done([message])
        await through_outages(partial(self._bus.again, message, seconds), loop=loop)

    def _may_fail(self, message: Msg) -> bool:
        """Whether it is tried again: a key has but so many tries at a time."""
        failing = self._failing[key_of(message)]
        if len(failing) < MOST_FAILING or stored_as(message) in failing:
            failing[stored_as(message)] = time.monotonic()
        return stored_as(message) in failing

    def _settled(self, key: str, stored: str) -> None:
        if key in self._failing:
            self._failing[key].pop(stored, None)
            if not self._failing[key]:
                del self._failing[key]

    async def _put(self, key: str, message: Msg) -> None:
        size = size_of(message)
        if self._bytes[key] + size > MOST_BYTES - self._total:
            await self._again(message, GIVEN_BACK)
            return
        self._waiting.setdefault(key, deque()).append(message)
        self._bytes[key] += size
        self._total += size
        metrics.INTAKE_APART.inc()
        self._came.set()

    def _next(self, key: str) -> Msg:
        """The oldest of a key, which then is behind the others."""
        messages = self._waiting.pop(key)
        message = messages.popleft()
        self._bytes[key] -= size_of(message)
        self._total -= size_of(message)
        if messages:
            self._waiting[key] = messages
        else:
            del self._bytes[key]
        return message

    async def _tidy(self) -> None:
        """Forget what went to another reader."""
        while True:
            await asyncio.sleep(LOOK)
            long_ago = time.monotonic() - FORGET
            for key, failing in list(self._failing.items()):
                for stored in [stored for stored, since in failing.items() if since < long_ago]:
                    self._settled(key, stored)
