"""A bus client that says exactly the bytes it is given: what no library would send."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

import orjson


class RawBus:
    """A connection to the real server, as one of its users."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self.errors: list[bytes] = []

    def say(self, words: bytes) -> None:
        """Bytes as they are."""
        self._writer.write(words)

    def publish(self, subject: bytes, body: bytes = b"", head: bytes | None = None, reply: bytes = b"") -> None:
        """One publish; `head` is the whole header block."""
        words = subject + b" " + reply if reply else subject
        if head is None:
            self.say(b"PUB %b %d\r\n%b\r\n" % (words, len(body), body))
        else:
            self.say(b"HPUB %b %d %d\r\n%b%b\r\n" % (words, len(head), len(head) + len(body), head, body))

    async def flush(self) -> None:
        """Wait until the server has read it all; its complaints are in `errors`."""
        self.say(b"PING\r\n")
        async with asyncio.timeout(10):
            while (line := await self._reader.readline()) != b"PONG\r\n":
                if not line:
                    raise ConnectionResetError
                if line == b"PING\r\n":
                    self.say(b"PONG\r\n")
                elif line.startswith(b"-ERR"):
                    self.errors.append(line)


@asynccontextmanager
async def raw_bus(url: str) -> AsyncIterator[RawBus]:
    """Connected with the credentials in the URL."""
    parts = urlsplit(url)
    reader, writer = await asyncio.open_connection(parts.hostname, parts.port, limit=1 << 20)
    try:
        await reader.readline()  # INFO
        options = {"verbose": False, "headers": True, "user": parts.username, "pass": parts.password}
        bus = RawBus(reader, writer)
        bus.say(b"CONNECT %b\r\n" % orjson.dumps(options))
        await bus.flush()
        yield bus
    finally:
        writer.close()
