"""A wire to PostgreSQL that can be cut at the worst moment: a proxy on a Unix socket of its own."""

import asyncio
from asyncio import StreamReader, StreamWriter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from enum import Enum
from pathlib import Path
from urllib.parse import quote

from psycopg.conninfo import conninfo_to_dict

SYNC = b"S\0\0\0\x04", b"S\0\0\0\x04H\0\0\0\x04"  # the end of one round trip's requests; with a flush behind it
IDLE = b"Z\0\0\0\x05I"  # the end of its replies: no transaction is open
CHUNK = 1 << 20


class Loss(Enum):
    """What is lost when the wire is cut."""

    REQUEST = "the server never gets the COMMIT"
    REPLY = "the server has committed, and nobody hears of it"
    CONNECTION = "the server has been asked to commit, and is still at it"


class CutWire:
    """Passes everything on, until `lose` is set: then the next round trip ends so, with the connection, once."""

    def __init__(self, url: str, upstream: str) -> None:
        self.url = url
        self.lose: Loss | None = None
        self._upstream = upstream
        self._cut = asyncio.Event()
        self._connections: dict[asyncio.Task[object], StreamWriter] = {}

    async def cut(self) -> None:
        """Return when it has happened."""
        async with asyncio.timeout(30):
            await self._cut.wait()

    async def close(self) -> None:
        """End what is still connected."""
        for writer in self._connections.values():
            writer.close()
        if self._connections:
            await asyncio.wait(self._connections)

    async def serve(self, reader: StreamReader, writer: StreamWriter) -> None:
        """One connection."""
        task = asyncio.current_task()
        assert task is not None
        self._connections[task] = writer
        from_server, to_server = await asyncio.open_unix_connection(self._upstream)
        replies = asyncio.create_task(self._replies(from_server, writer))
        try:
            with suppress(ConnectionError):  # either end may go as it likes
                while data := await reader.read(CHUNK):
                    if self.lose is not None and data.endswith(SYNC):
                        await self._end(self.lose, data, from_server, to_server, replies)
                        break
                    to_server.write(data)
        finally:
            replies.cancel()
            for end in (writer, to_server):
                end.close()
                with suppress(ConnectionError):
                    await end.wait_closed()

    async def _end(
        self, loss: Loss, data: bytes, from_server: StreamReader, to_server: StreamWriter, replies: asyncio.Task[None]
    ) -> None:
        self.lose = None
        replies.cancel()
        await asyncio.wait([replies])
        if loss is not Loss.REQUEST:
            to_server.write(data)
            await to_server.drain()
        if loss is Loss.REPLY:
            heard = b""
            while not heard.endswith(IDLE):
                heard += await from_server.read(CHUNK)
        self._cut.set()

    async def _replies(self, from_server: StreamReader, writer: StreamWriter) -> None:
        try:
            while data := await from_server.read(CHUNK):
                writer.write(data)
        finally:
            writer.close()


@asynccontextmanager
async def cut_wire(folder: Path, database_url: str) -> AsyncIterator[CutWire]:
    """A wire to this database."""
    given = conninfo_to_dict(database_url)
    url = f"postgresql://{given['user']}@/{given['dbname']}?host={quote(str(folder), safe='')}"
    wire = CutWire(url, f"{given['host']}/.s.PGSQL.5432")
    server = await asyncio.start_unix_server(wire.serve, folder / ".s.PGSQL.5432", limit=CHUNK)
    try:
        yield wire
    finally:
        server.close()
        await wire.close()
