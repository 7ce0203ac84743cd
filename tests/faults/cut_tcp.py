"""A TCP proxy on this machine whose connections can be cut: at once, or in the middle of what comes next."""

import asyncio
from asyncio import StreamReader, StreamWriter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

CHUNK = 1 << 16


@dataclass(eq=False)
class Wire:
    """One connection; `left` is how many more bytes it carries to the client before it is cut, if it is to be."""

    client: StreamWriter
    server: StreamWriter
    left: int | None = None

    def cut(self) -> None:
        for end in (self.client, self.server):
            end.transport.abort()


@dataclass
class CuttableTcp:
    """Carries connections to a port, and cuts them when told to."""

    upstream: int
    port: int = 0
    wires: set[Wire] = field(default_factory=set)

    async def cut(self, after: int = 0) -> None:
        """Cut the connections of now, each after so many more bytes to the client; returns when all are cut."""
        wires = set(self.wires)
        for wire in wires:
            wire.left = after
            if not after:
                wire.cut()
        async with asyncio.timeout(20):
            while True:
                if not self.wires & wires:
                    return
                await asyncio.sleep(0.01)

    async def serve(self, reader: StreamReader, writer: StreamWriter) -> None:
        try:
            from_server, to_server = await asyncio.open_connection("127.0.0.1", self.upstream)
        except ConnectionError:
            writer.transport.abort()
            return
        wire = Wire(writer, to_server)
        self.wires.add(wire)
        up, down = asyncio.ensure_future(carry(reader, to_server)), asyncio.ensure_future(self.down(from_server, wire))
        try:
            await asyncio.wait([up, down], return_when=asyncio.FIRST_COMPLETED)
        finally:
            self.wires.discard(wire)
            wire.cut()
            up.cancel()
            down.cancel()
            await asyncio.wait([up, down])

    async def down(self, reader: StreamReader, wire: Wire) -> None:
        with suppress(ConnectionError):
            while data := await reader.read(CHUNK):
                if wire.left is not None and len(data) >= wire.left:
                    wire.client.write(data[: wire.left])
                    await wire.client.drain()
                    return
                if wire.left is not None:
                    wire.left -= len(data)
                wire.client.write(data)
                await wire.client.drain()


async def carry(reader: StreamReader, writer: StreamWriter) -> None:
    with suppress(ConnectionError):
        while data := await reader.read(CHUNK):
            writer.write(data)
            await writer.drain()


@asynccontextmanager
async def cuttable(upstream: int) -> AsyncIterator[CuttableTcp]:
    """A proxy in front of a port of this machine."""
    proxy = CuttableTcp(upstream)
    server = await asyncio.start_server(proxy.serve, "127.0.0.1", 0)
    proxy.port = server.sockets[0].getsockname()[1]
    try:
        yield proxy
    finally:
        server.close()
        await proxy.cut()
