"""The log as outsiders hear it: read, decoded and written as CloudEvents once for all who listen to this process.

Whoever is behind and whoever is up to date read the same stretches of the same log, so there is no seam between the
two at which an event could be missed, and no buffer of a listener's own that could overflow.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from adapters import metrics
from adapters.cancellation import heeding
from adapters.cloudevents import structured
from adapters.event_store import EventStore
from adapters.heartbeats import beat
from adapters.log_signal import LogSignal
from adapters.outages import OUTAGES
from adapters.runtime.quotas import Quota
from domain import catalog
from domain.message import Actor, Recorded, StreamId, WorkspaceId

log = logging.getLogger(__name__)

PAGE = 250  # events read at once: what a listener holds at most
STRETCHES = 8  # remembered, written
PATIENCE = 10.0  # seconds for one look
QUIET = 1.0  # seconds after which the log is looked at without a signal
PACE = 0.000_25  # seconds of pause after each look, for each listener: they all wake at once


@dataclass(frozen=True, slots=True)
class Told:
    """An event, written."""

    position: int
    name: str
    stream: StreamId
    json: str


@dataclass(slots=True)
class Stretch:
    """The events behind `after` up to `upto`, none left out; those of a workspace are written when first asked for."""

    after: int
    upto: int
    events: Sequence[Recorded]
    _told: dict[WorkspaceId, list[Told]] = field(default_factory=dict)

    def of(self, workspace: WorkspaceId, after: int) -> list[Told]:
        """The events of a workspace behind a position."""
        if workspace not in self._told:
            own = [one for one in self.events if one.envelope.workspace == workspace]
            self._told[workspace] = [
                Told(one.position, catalog.EVENT_NAMES[type(one.event)], one.stream, structured(one)) for one in own
            ]
        told = self._told[workspace]
        return told if after <= self.after else [one for one in told if one.position > after]


class Feed:
    """What the listeners of one process share: how far the log is, its last stretches, and the room there is."""

    def __init__(self, store: EventStore, signal: LogSignal, seats: Quota) -> None:
        self._store = store
        self._signal = signal
        self._seats = seats
        self._stretches: deque[Stretch] = deque(maxlen=STRETCHES)
        self._reading = asyncio.Lock()
        self._moved = asyncio.Event()
        self._head = 0
        self.closed = False

    @property
    def listeners(self) -> int:
        """How many there are now."""
        return self._seats.held

    async def run(self) -> None:
        """Tell the listeners when the log has grown, until cancelled; then tell them that this is the end."""
        try:
            while True:
                beat("feed")
                seen = self._signal.count
                if self.listeners:
                    await self._look()
                await self._signal.wait(QUIET, seen)
        finally:
            self.closed = True
            self._moved.set()

    @contextmanager
    def seat(self, listener: Actor) -> Iterator[None]:
        """Room for one listener; raises OverQuota."""
        with self._seats.hold(listener):
            metrics.LISTENERS.inc()
            try:
                yield
            finally:
                metrics.LISTENERS.dec()

    async def head(self) -> int:
        """Where the log ends now."""
        self._head = max(self._head, await self._store.head())
        return self._head

    async def grown(self, after: int, seconds: float) -> bool:
        """Whether there is something behind a position, within so many seconds; at once when this is the end."""
        try:
            async with asyncio.timeout(seconds):
                while self._head <= after and not self.closed:
                    await self._moved.wait()
        except TimeoutError:
            return False
        return self._head > after

    async def stretch(self, after: int) -> Stretch:
        """What follows a position (nothing, when nothing does yet), from memory when another has just read it."""
        if found := self._remembered(after):
            return found
        async with self._reading:
            if found := self._remembered(after):
                return found
            page = await self._store.tail(after, PAGE)
            made = Stretch(after, page[-1].position if page else after, page)
            if page:
                self._stretches.append(made)
            return made

    def _remembered(self, after: int) -> Stretch | None:
        return next((one for one in self._stretches if one.after <= after < one.upto), None)

    async def _look(self) -> None:
        before = self._head
        try:
            with heeding():
                async with asyncio.timeout(PATIENCE):  # a server that hangs is no stalled loop
                    await self.head()
        except OUTAGES as error:
            log.warning("feed waits: %s", type(error).__name__)
            return
        if self._head > before:
            self._moved.set()
            self._moved.clear()
            await asyncio.sleep(PACE * self.listeners)
