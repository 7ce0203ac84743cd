"""Reading a queue: two overlapped pulls, so that one fills while the other is worked on."""

import asyncio
from collections import deque

import orjson
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription
from nats.js import JetStreamContext

from adapters.streams import require

GRACE = 1.0  # seconds beyond a pull's end before it counts as lost
NO_RESPONDERS = "503"
HEARTBEAT = "100"


class Slot:
    """One pull: an inbox, how many messages it may still bring, and until when."""

    def __init__(self, pulls: "Pulls") -> None:
        self._pulls = pulls
        self.inbox = pulls.nc.new_inbox()
        self.subscription: Subscription | None = None
        self.left = 0
        self.until = 0.0

    async def take(self, message: Msg) -> None:
        """A message, or (without a reply subject) the server's word that this pull is over."""
        if message.reply:
            self.left -= 1
            self._pulls.arrived(message)
            return
        status = (message.headers or {}).get("Status", "")
        if status == HEARTBEAT:
            return
        self.left = 0
        self._pulls.over(missing=status == NO_RESPONDERS or b"Deleted" in describe(message))


def describe(message: Msg) -> bytes:
    """The server's own words beside a status."""
    return (message.headers or {}).get("Description", "").encode()


class Pulls:
    """What has arrived on a queue, up to a batch at a time. One reader."""

    def __init__(
        self, nc: Client, js: JetStreamContext, stream: str, consumer: str, batch: int = 500, seconds: float = 5.0
    ) -> None:
        self.nc = nc
        self._js = js
        self._stream = stream
        self._subject = f"$JS.API.CONSUMER.MSG.NEXT.{stream}.{consumer}"
        self._batch = batch
        self._seconds = seconds
        self._arrived: deque[Msg] = deque()
        self._changed = asyncio.Event()
        self._missing = False
        self._slots: list[Slot] = []

    async def start(self) -> None:
        """Raises NotDeclared when the queue is not there."""
        await require(self._js, self._stream)
        self._slots = [Slot(self), Slot(self)]
        for slot in self._slots:
            slot.subscription = await self.nc.subscribe(
                slot.inbox, cb=slot.take, pending_msgs_limit=self._batch * 4, pending_bytes_limit=64 << 20
            )

    async def stop(self) -> None:
        """Give back what was not taken, for another reader to have at once."""
        for slot in self._slots:
            if slot.subscription is not None:
                await slot.subscription.unsubscribe()
        for message in self._arrived:
            await self.nc.publish(message.reply, b"-NAK")
        self._slots, self._arrived = [], deque()

    async def next(self) -> list[Msg]:
        """What has arrived: at least one message, at most a batch."""
        while True:
            await self._ask()
            if self._arrived:
                return [self._arrived.popleft() for _ in range(min(self._batch, len(self._arrived)))]
            self._changed.clear()
            try:
                async with asyncio.timeout(self._seconds + GRACE):
                    await self._changed.wait()
            except TimeoutError:
                continue  # a pull was lost: it is asked for again
            if self._missing:
                self._missing = False
                await require(self._js, self._stream)
                await asyncio.sleep(0.2)  # it is there, so the server is only just starting

    def renew(self) -> None:
        """Ask again: the connection was lost, and the pulls with it."""
        for slot in self._slots:
            slot.left = 0
        self._changed.set()

    def arrived(self, message: Msg) -> None:
        self._arrived.append(message)
        self._changed.set()

    def over(self, *, missing: bool) -> None:
        self._missing = self._missing or missing
        self._changed.set()

    async def _ask(self) -> None:
        now = asyncio.get_running_loop().time()
        for slot in self._slots:
            if (slot.left <= 0 or now > slot.until) and len(self._arrived) <= self._batch:
                slot.left, slot.until = self._batch, now + self._seconds + GRACE
                wanted = orjson.dumps({"batch": self._batch, "expires": int(self._seconds * 1e9)})
                await self.nc.publish(self._subject, wanted, reply=slot.inbox)
