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
from nats.protocol.parser import AWAITING_CONTROL_LINE, AWAITING_MSG_PAYLOAD, CRLF_SIZE, Parser

from adapters.cancellation import heeding
from adapters.cloudevents import ID, MSG_ID, SOURCE, SPEC, TIME, TYPE

VERSION = b"NATS/1.0\r\n"
# What nearly every header is called: these need no check.
NAMES = frozenset((MSG_ID, SPEC, ID, TYPE, SOURCE, TIME, "Nats-Batch-Id", "Nats-Batch-Sequence"))


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
    return b"%b%b\r\n" % (VERSION, lines.encode())


class LeanParser(Parser):
    """The library's parser, that hands messages with headers to listeners by itself, and all else to the library."""

    nc: "LeanClient"

    async def parse(self, data: bytes = b"") -> None:
        if self.state == AWAITING_MSG_PAYLOAD:  # the library has begun on it
            missing = self.needed + CRLF_SIZE - len(self.buf)
            await super().parse(data[:missing])
            data = data[missing:]
        if self.state == AWAITING_CONTROL_LINE:
            data = bytes(self.buf) + data
            end, partial = self._handed_on(data)
            self.buf = bytearray(data[end:])
            if not partial:
                await super().parse()

    def _handed_on(self, data: bytes) -> tuple[int, bool]:
        """How far the data was taken in, and whether what is left is the beginning of a message."""
        listeners, position = self.nc.listeners, 0
        while data.startswith(b"HMSG ", position):
            line_end = data.find(b"\r\n", position)
            if line_end < 0:
                return position, True
            words = data[position + 5 : line_end].split()
            listener = listeners.get(words[1]) if len(words) == 5 else None
            if listener is None:  # without a reply it is the server's word
                return position, False
            subject, _, reply, head, whole = words
            start = line_end + 2
            body, end = start + int(head), start + int(whole)
            if len(data) < end + 2:
                return position, True
            if not data.startswith(VERSION, start):
                return position, False
            self.nc.stats["in_msgs"] += 1
            self.nc.stats["in_bytes"] += end - body
            headers = self.nc._parse_header_lines(data[start + len(VERSION) : body])
            listener(Msg(self.nc, subject.decode(), reply.decode(), data[body:end], headers or None))
            position = end + 2
        return position, False


class LeanClient(Client):
    """A client that also takes frames, and hands messages to listeners as they come."""

    def __init__(self) -> None:
        super().__init__()
        self.listeners: dict[bytes, Callable[[Msg], None]] = {}  # by subscription
        self._ps = LeanParser(self)

    async def listen(self, subject: str, listener: Callable[[Msg], None]) -> Subscription:
        """Have each message handed over at once: whoever listens must not let too many come."""
        subscription = await self.subscribe(subject)
        self.listeners[b"%d" % subscription._id] = listener
        return subscription

    async def hush(self, subscription: Subscription) -> None:
        """Listen no more."""
        await subscription.unsubscribe()
        self.listeners.pop(b"%d" % subscription._id, None)

    async def _process_msg(self, sid: int, subject: bytes, reply: bytes, data: bytes, headers: Any) -> None:
        listener = self.listeners.get(b"%d" % sid)
        if listener is None:
            await super()._process_msg(sid, subject, reply, data, headers)
        else:  # what the parser left to the library must not be overtaken by what comes after it
            listener(Msg(self, subject.decode(), reply.decode(), data, await self._process_headers(headers)))

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

    async def _process_connect_init(self) -> None:
        try:
            await super()._process_connect_init()
        except Exception:
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

    @staticmethod
    def _parse_header_lines(raw: bytes) -> dict[str, str]:
        if not raw.isascii():
            return Client._parse_header_lines(raw)
        found: dict[str, str] = {}
        for line in raw.decode().split("\r\n"):
            name, colon, value = line.partition(":")
            if name in NAMES:
                found[name] = value.strip()
            elif colon and len(name.split()) == 1:
                found[name.strip()] = value.strip()
        return found
