"""The relay: publishes the log to EVENTS, in order, each event once. It alone writes there."""

import asyncio
import logging
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta

from adapters import metrics, tracing
from adapters.bus import MOST_IN_BATCH, BatchRefused, Bus, Message
from adapters.cancellation import heeding
from adapters.cloudevents import MSG_ID, POSITION, TRACEPARENT, event_message
from adapters.event_store import EventStore
from adapters.heartbeats import beat
from adapters.leader import Leader
from adapters.log_signal import LogSignal
from adapters.outages import OUTAGES
from adapters.streams import EVENTS, require
from domain.message import Recorded
from workers.crashpoints import crashpoint
from workers.leading import while_leading

log = logging.getLogger(__name__)

PAGE = MOST_IN_BATCH  # what is published together is read together
BATCH_BYTES = 4 << 20
FEW = 8  # messages that are published one by one: the server makes a file store of its own for each atomic batch
QUIET = 1.0  # seconds after which the log is looked at, and the lead checked, without a signal
LONGEST_PAUSE = 2.0


def utc_now() -> datetime:
    """Now."""
    return datetime.now(UTC)


class Overtaken(Exception):
    """EVENTS holds something that this relay did not write: there is, or was, another one."""


class BusAhead(Exception):
    """EVENTS tells of more than the log holds: this database is older than this bus, or another's. Empty the bus."""


class Relay:
    """Runs in one process at a time. Where it stands is told by the stream's own last message, so nothing is stored."""

    def __init__(
        self,
        bus: Bus,
        store: EventStore,
        signal: LogSignal,
        leader: Leader,
        *,
        clock: Callable[[], datetime] = utc_now,
        window: timedelta = timedelta(days=7),  # how far back an empty stream is filled again
    ) -> None:
        self._bus = bus
        self._store = store
        self._signal = signal
        self._leader = leader
        self._clock = clock
        self._window = window

    async def run(self) -> None:
        """Until cancelled, whenever this process leads."""
        await require(self._bus.js, EVENTS)
        await while_leading(self._leader, self._relay)

    async def _relay(self) -> None:
        """Publish until the lead is lost; after an outage, or when overtaken, look again where the stream stands."""
        pause = 0.05
        while True:
            beat("relay")
            try:
                with heeding():
                    sequence, position = await self._stand()
                    while True:
                        beat("relay")
                        sequence, position = await self._advance(sequence, position)
                        pause = 0.05
            except Overtaken:
                log.warning("relay: overtaken")
            except OUTAGES as error:
                log.warning("relay waits: %s", type(error).__name__)
            await asyncio.sleep(pause)
            pause = min(pause * 2, LONGEST_PAUSE)
            await self._leader.check()

    async def _stand(self) -> tuple[int, int]:
        """The stream's last sequence, and the log position up to which it is filled."""
        sequence, last = await self._bus.last(EVENTS, POSITION)  # passing over what is not ours
        if last is not None:
            position = int(last.headers[POSITION])
            if position > await self._store.head():
                raise BusAhead(
                    f"{EVENTS} ends at position {position}, which the log has not reached: see docs/how-to.md"
                )
            return sequence, position
        return sequence, await self._before(self._clock() - self._window)

    async def _advance(self, sequence: int, position: int) -> tuple[int, int]:
        """Publish the next page, or wait until there is one."""
        seen = self._signal.count
        page = await self._store.tail(position, PAGE)
        if not page:
            await self._leader.check()
            await self._signal.wait(QUIET, seen)
            return sequence, position
        for batch in batches(page, position):
            crashpoint("before_relay")
            told = tracing.messaging("publish", EVENTS, len(batch))
            traces = (message.headers.get(TRACEPARENT, "") for message in batch)
            with tracing.span("publish EVENTS", tracing.PRODUCER, told, traces):
                sequence = await self._publish(batch, sequence)
            crashpoint("after_relay")
        metrics.READ.labels("relay").inc(len(page))
        return sequence, page[-1].position

    async def _publish(self, batch: Sequence[Message], sequence: int) -> int:
        if len(batch) <= FEW:
            return await self._singly(batch, sequence)
        try:
            return await self._bus.batch(EVENTS, batch, expected=sequence)
        except BatchRefused as refused:
            log.warning("relay: a batch of %d was refused: code %d", len(batch), refused.code)
        last, _ = await self._bus.last(EVENTS)
        if last != sequence:
            raise Overtaken
        return await self._singly(batch, sequence)

    async def _singly(self, batch: Sequence[Message], sequence: int) -> int:
        """One by one. What the server calls a repetition is not in the stream, by its last message: it was purged."""
        for message in batch:
            try:
                stored, repeated = await self._bus.single(message, expected=sequence)
                if repeated:
                    anonymous = {name: value for name, value in message.headers.items() if name != MSG_ID}
                    again = Message(message.subject, message.body, anonymous)
                    stored, _ = await self._bus.single(again, expected=sequence)
            except BatchRefused:
                raise Overtaken from None
            sequence = stored
        return sequence

    async def _before(self, time: datetime) -> int:
        """The position of the last event before a time (0: there is none), by halving."""
        low, high = 0, await self._store.head()
        while low < high:
            middle = (low + high) // 2
            found = await self._store.page(middle, 1)
            if found and found[0].envelope.time < time:
                low = found[0].position
            else:
                high = middle
        return low


def batches(page: Sequence[Recorded], previous: int) -> Iterator[list[Message]]:
    """A page's messages, in batches of a size the server takes; `previous` is the position before the page."""
    batch: list[Message] = []
    size = 0
    for recorded in page:
        subject, headers, body = event_message(recorded, previous)
        if batch and size + len(body) > BATCH_BYTES:
            yield batch
            batch, size = [], 0
        batch.append(Message(subject, body, headers))
        size += len(body)
        previous = recorded.position
    yield batch
