"""The HTTP server as a loop among a process's others."""

import asyncio
import resource
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import uvicorn

from adapters import metrics
from adapters.heartbeats import beat
from infra.connections import Connection, Limits, Listener

LOOKS = 5  # ticks of 0.1 s between two looks at the connections
FILES = 500  # that a process has open beside its connections


def configured(app: Any, limits: Limits | None = None, **more: Any) -> uvicorn.Config:
    """How an application is served: by connections that have limits."""
    limits = limits or Limits()
    allow_files(limits.connections + FILES)
    return uvicorn.Config(
        app,
        http=partial(Connection, limits=limits),  # type: ignore[arg-type]  # a class with one argument given
        ws=partial(Listener, limits=limits),  # type: ignore[arg-type]  # likewise
        log_config=None,  # as infra/logs.py has it
        access_log=False,
        lifespan="off",
        ws_max_size=4_096,  # listeners have nothing to say
        ws_per_message_deflate=False,
        **more,
    )


def allow_files(wanted: int) -> None:
    """Let this process have so many files open, as far as the system lets it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        most = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))


class Server(uvicorn.Server):
    """A server that leaves the process's signals alone, and ends when its task is cancelled."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    async def on_tick(self, counter: int) -> bool:
        """Ten times a second; now and then look for whoever takes too long."""
        if counter % LOOKS == 0:
            now = asyncio.get_running_loop().time()
            connections = self.server_state.connections
            metrics.CONNECTIONS.set(len(connections))
            for connection in list(connections):
                if isinstance(connection, Connection | Listener):
                    connection.look(now)
        return await super().on_tick(counter)

    async def run_until_cancelled(self, loop: str = "api", sockets: list[socket.socket] | None = None) -> None:
        serving = asyncio.create_task(self.serve(sockets))
        try:
            while not serving.done():
                beat(loop)
                await asyncio.wait([serving], timeout=1.0)
        finally:
            self.should_exit = True
            await serving
