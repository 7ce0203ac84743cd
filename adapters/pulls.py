"""Reading a queue: two overlapped pulls, so that one fills while the other is worked on."""

import asyncio
import contextlib
from collections import deque
from collections.abc import Callable

import orjson
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription
from nats.js import JetStreamContext

from adapters.heartbeats import beat
from adapters.lean_client import LeanClient
from adapters.streams import require

MOST_BYTES = 8 << 20  # that one pull brings, and that lie here when it is asked for: so there are three times these
GRACE = 1.0  # seconds beyond a pull's end before it counts as lost
NO_RESPONDERS = "503"
LEFT_OVER = "Nats-Pending-Messages"  # what an ended pull did not bring


class Pulls:
    """What has arrived on a queue, in its order, up to a batch at a time. One reader.

    All pulls answer to one inbox: with one each, messages would overtake each other between two subscriptions.
    """

    def __init__(
        self,
        nc: LeanClient,
        js: JetStreamContext,
        stream: str,
        consumer: str,
        batch: int = 500,
        seconds: float = 5.0,
        broken: Callable[[], None] = lambda: None,
    ) -> None:
        """`broken` is told when the queue is gone."""
        self._nc = nc
        self._js = js
        self._stream = stream
        self._consumer = consumer
        self._subject = f"$JS.API.CONSUMER.MSG.NEXT.{stream}.{consumer}"
        self._inbox = nc.new_inbox()
        self._batch = batch
        self._wanted = orjson.dumps({"batch": batch, "expires": int(seconds * 1e9), "max_bytes": MOST_BYTES})
        self._seconds = seconds
        self._broken = broken
        self._coming = 0  # messages that the pulls may still bring
        self._until = 0.0  # when the last pull is over at the latest
        self._arrived: deque[Msg] = deque()
        self._bytes = 0  # of them
        self._changed = asyncio.Event()
        self._missing = False
        self._subscription: Subscription | None = None

    async def start(self) -> None:
        """Raises NotDeclared when the queue is not there."""
        await require(self._js, self._stream)
        self._subscription = await self._nc.listen(self._inbox, self._take)

    async def stop(self) -> None:
        """Give back what was not taken, for another reader to have at once."""
        if self._subscription is not None and self._nc.is_connected:
            await self._settled()
            await self._nc.hush(self._subscription)
            for message in self._arrived:
                await self._nc.publish(message.reply, b"-NAK")
            await self._nc.flush()
        self._arrived.clear()
        self._bytes = 0

    async def _settled(self) -> None:
        """Wait until the server sends no more of what was asked for: without a listener it would count as delivered."""
        before = None
        while self._coming > 0 and self._coming != before:
            before = self._coming
            await self._nc.flush()
            await asyncio.sleep(0.01)

    async def next(self) -> list[Msg]:
        """What has arrived: at least one message, at most a batch."""
        while True:
            beat(f"{self._consumer}-queue")
            await self._ask()
            if self._arrived:
                return self._some()
            self._changed.clear()
            with contextlib.suppress(TimeoutError):  # then a pull was lost, and is asked for again
                async with asyncio.timeout(self._seconds + GRACE):
                    await self._changed.wait()
            if self._missing:
                self._missing = False
                await require(self._js, self._stream)
                await asyncio.sleep(0.2)  # it is there, so the server is only just starting

    def arrived(self) -> list[Msg]:
        """What has come and nobody has taken yet."""
        return list(self._arrived)

    def _some(self) -> list[Msg]:
        some = [self._arrived.popleft() for _ in range(min(self._batch, len(self._arrived)))]
        self._bytes -= sum([len(message.data) for message in some])
        return some

    def renew(self) -> None:
        """Ask again: the connection was lost, and the pulls with it."""
        self._coming = 0
        self._changed.set()

    def _take(self, message: Msg) -> None:
        """A message, or (without a reply subject) the server's word that a pull is over."""
        if message.reply:
            self._coming -= 1
            self._arrived.append(message)
            self._bytes += len(message.data)
        else:
            headers = message.headers or {}
            self._coming -= int(headers.get(LEFT_OVER, 0))
            if headers.get("Status") == NO_RESPONDERS or "Deleted" in headers.get("Description", ""):
                self._coming, self._missing = 0, True
                self._broken()
        self._changed.set()

    async def _ask(self) -> None:
        now = asyncio.get_running_loop().time()
        if now > self._until:
            self._coming = 0
        while self._coming <= self._batch and len(self._arrived) <= self._batch and self._bytes <= MOST_BYTES:
            self._coming = max(self._coming, 0) + self._batch
            self._until = now + self._seconds + GRACE
            await self._nc.publish(self._subject, self._wanted, reply=self._inbox)
