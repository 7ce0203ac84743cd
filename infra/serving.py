"""The HTTP server as a loop among a process's others."""

import asyncio
import socket
from collections.abc import Iterator
from contextlib import contextmanager

import uvicorn

from adapters.heartbeats import beat


class Server(uvicorn.Server):
    """A server that leaves the process's signals alone, and ends when its task is cancelled."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    async def run_until_cancelled(self, loop: str = "api", sockets: list[socket.socket] | None = None) -> None:
        serving = asyncio.create_task(self.serve(sockets))
        try:
            while not serving.done():
                beat(loop)
                await asyncio.wait([serving], timeout=1.0)
        finally:
            self.should_exit = True
            await serving
