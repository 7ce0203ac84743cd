"""nats-py's client with shortcuts for thousands of messages a second.

Publishing with ten headers takes it 10 µs, here 2: a publish is made as bytes, and many are handed over at once. Taking
a message in takes it 13 µs, here 6: no regular expression a line, no queue and no task between socket and reader.
That leans on names that are not public (those with an underscore below, and `Parser`): hence the narrow pin in
pyproject.toml, and the tests that compare both ways with the library's own.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from nats import errors
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription

from adapters.cancellation import heeding
from adapters.lean_parser import PLAIN, LeanParser, decoded, headers_of


class BadFrame(ValueError):
    """A subject or header that would break the protocol's lines."""


def frame(subject: str, body: bytes, headers: Mapping[str, str] | None = None, reply: str = "") -> bytes:
    """One publish as the protocol has it."""
    words = f"{subject} {reply}" if reply else subject
    if len(words.split()) != (2 if reply else 1):
        raise BadFrame("a subject has no white space")
    if not headers:
        return b"PUB %b %d\r\n%b\r\n" % (words.encode(), len(body), body)
    head = head_of(headers)
    return b"HPUB %b %d %d\r\n%b%b\r\n" % (words.encode(), len(head), len(head) + len(body), head, body)


def head_of(headers: Mapping[str, str]) -> bytes:
    """Headers as the protocol has them."""
    lines = "".join([f"{name}: {value}\r\n" for name, value in headers.items()])
    if lines.count("\n") != len(headers) or lines.count("\r") != len(headers):
        raise BadFrame("a header has no line breaks")
    return b"%b%b\r\n" % (PLAIN, lines.encode())


class LeanClient(Client):
    """A client that also takes frames, and hands messages to listeners as they come."""

    def __init__(self) -> None:
        super().__init__()
        self.listeners: dict[bytes, Callable[[Msg], None]] = {}  # by subscription
        self._ps = LeanParser(self)

    @property
    def tended(self) -> bool:
        """Whether the library's tasks run that read, write, ping, or connect anew; without them it is deaf for good."""
        connected = (self._reading_task, self._flusher_task, self._ping_interval_task)
        tasks = (self._reconnection_task,) if self.is_reconnecting else connected
        return all(task is not None and not task.done() for task in tasks)

    async def listen(self, subject: str, listener: Callable[[Msg], None]) -> Subscription:
        """Have each message handed over at once: whoever listens must not let too many come."""
        subscription = await self.subscribe(subject)
        self.listeners[b"%d" % subscription._id] = listener
        return subscription

    async def hush(self, subscription: Subscription) -> None:
        """Listen no more."""
        await subscription.unsubscribe()
        self.listeners.pop(b"%d" % subscription._id, None)

    async def _process_headers(self, headers: bytes | None) -> dict[str, str] | None:
        return headers_of(headers or b"") or None

    def _build_message(
        self, sid: int, subject: bytes, reply: bytes, data: bytes, headers: dict[str, str] | None
    ) -> Msg:
        return self.msg_class(self, decoded(subject), decoded(reply), data, headers, _sid=sid)

    async def put(self, frames: Sequence[bytes]) -> None:
        """Send frames in order, without waiting for the server; raises as `publish` does."""
        if self.is_closed:
            raise errors.ConnectionClosedError
        if self.is_draining_pubs:
            raise errors.ConnectionDrainingError
        if not frames:
            return
        if any(len(one) > self.max_payload for one in frames):  # its first line included: a little early is safe
            raise errors.MaxPayloadError
        together = b"".join(frames)
        if not self.is_connected and len(together) + self.pending_data_size > self._max_pending_size:
            raise errors.OutboundBufferLimitError
        self.stats["out_msgs"] += len(frames)
        self.stats["out_bytes"] += len(together)
        await self._send_command(together)
        await self._flush_pending()

    async def _close(self, status: int, do_cbs: bool = True) -> None:
        try:
            await super()._close(status, do_cbs)
        finally:
            if self._transport is not None:
                self._transport.close()  # type: ignore[no-untyped-call]  # the library leaves it open when it is reset

    async def _process_connect_init(self) -> None:
        try:
            await super()._process_connect_init()
        except BaseException:  # also when it is given up
            if self._transport is not None:
                self._transport.close()  # type: ignore[no-untyped-call]  # the library leaves it open when refused
            raise

    async def _process_pong(self) -> None:
        """Answer whoever still waits: a flush that timed out or was cancelled would cost the connection."""
        if self._pongs and self._pongs[0].done():
            self._pongs[0] = asyncio.get_running_loop().create_future()
        await super()._process_pong()

    async def _flush_pending(self, force_flush: bool = False) -> Any:
        with heeding():
            return await super()._flush_pending(force_flush)
