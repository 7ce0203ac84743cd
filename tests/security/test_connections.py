"""Whoever takes too long, or comes too often, is shown out; the server goes on with everybody else."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any

import orjson
import pytest
from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse, StreamingResponse
from starlette.websockets import WebSocket

from infra.connections import Connection, Limits
from infra.serving import Server, configured
from tests.waiting import until

QUICK = Limits(connections=40, per_address=30, head=0.6, body=0.6, whole=60.0, unread=0.6, answer=1.0)
POST = b"POST /%b HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\n"
GET = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
UPGRADE = b"GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
UPGRADE += b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"


async def app(scope: Any, receive: Any, send: Any) -> None:
    """Takes bodies, and answers at length."""
    if scope["type"] == "websocket":
        listener = WebSocket(scope, receive, send)
        await listener.accept()
        with contextlib.suppress(Exception):
            while True:
                await listener.receive()
        return
    request = Request(scope, receive)
    if scope["path"] == "/long":

        async def much() -> AsyncIterator[bytes]:
            while True:
                yield bytes(1 << 20)

        await StreamingResponse(much())(scope, receive, send)
        return
    if scope["path"] == "/large":
        await PlainTextResponse(bytes(16 << 20))(scope, receive, send)
        return
    with contextlib.suppress(ClientDisconnect):
        size = 0 if scope["path"] == "/unread" else len(await request.body())
        await PlainTextResponse(f"{size}")(scope, receive, send)


@dataclass
class Other:
    """The other end of a connection."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    def say(self, data: bytes) -> None:
        self.writer.write(data)

    async def rest(self) -> bytes:
        """All that comes until the server closes."""
        with contextlib.suppress(ConnectionError):
            return await asyncio.wait_for(self.reader.read(-1), 20)
        return b""


class Ground:
    """A server with limits that are reached quickly."""

    def __init__(self, server: Server, port: int) -> None:
        self.server, self.port = server, port
        self.others: list[Other] = []

    async def connected(self) -> Other:
        other = Other(*await asyncio.open_connection("127.0.0.1", self.port))
        self.others.append(other)
        return other

    async def asked(self, data: bytes) -> bytes:
        other = await self.connected()
        other.say(data)
        return await other.rest()

    async def unread(self, data: bytes) -> Connection:
        """The server's end of a connection whose other end says something, and reads nothing."""
        connections = self.server.server_state.connections
        before = set(connections)
        other = await self.connected()
        other.writer.transport.pause_reading()  # type: ignore[attr-defined]  # a socket's has it
        other.say(data)
        await until(lambda: any(one.transport.get_write_buffer_size() for one in connections - before))
        (connection,) = connections - before
        assert isinstance(connection, Connection)
        return connection

    async def lives(self) -> None:
        assert (await self.asked(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")).endswith(b"\r\n\r\n0")


@asynccontextmanager
async def serving(limits: Limits = QUICK) -> AsyncIterator[Ground]:
    listening = socket.create_server(("127.0.0.1", 0))
    server = Server(configured(app, limits, timeout_graceful_shutdown=1))
    running = asyncio.create_task(server.serve([listening]))
    ground = Ground(server, listening.getsockname()[1])
    try:
        await until(lambda: server.started)
        yield ground
        await ground.lives()
    finally:
        for other in ground.others:
            other.writer.transport.abort()
        server.should_exit = True
        await running


def rule_of(answer: bytes) -> str:
    return str(orjson.loads(answer.partition(b"\r\n\r\n")[2])["rule"])


@pytest.mark.parametrize(
    ("said", "status", "field"),
    [
        (b"GET / HT", 408, "request"),
        (b"GET / HTTP/1.1\r\nX: y\r\n", 408, "request"),
        (POST % b"" + b"half", 408, "body"),
        (b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab", 408, "body"),
    ],
)
async def test_half_a_request_is_ended(said: bytes, status: int, field: str) -> None:
    async with serving() as ground:
        answer = await ground.asked(said)
        assert answer.startswith(b"HTTP/1.1 %d " % status)
        assert (rule_of(answer), orjson.loads(answer.partition(b"\r\n\r\n")[2])["field"]) == ("too_slow", field)


@pytest.mark.parametrize("said", [b"", UPGRADE[:-2]])
async def test_who_says_nothing_is_ended(said: bytes) -> None:
    async with serving() as ground:
        await ground.asked(said)


async def test_a_head_that_comes_byte_by_byte_is_ended() -> None:
    async with serving() as ground:
        other = await ground.connected()
        with contextlib.suppress(ConnectionError):
            while not other.reader.at_eof():
                other.say(b"G")
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(other.reader.read(1_000), 0.05)
        assert ground.server.server_state.connections == set()


async def test_a_body_that_nobody_needs_is_not_waited_for() -> None:
    async with serving() as ground:
        assert (await ground.asked(POST % b"unread")).startswith(b"HTTP/1.1 200 ")


async def test_a_slow_body_that_keeps_its_rate_is_taken() -> None:
    async with serving() as ground:
        other = await ground.connected()
        await until(lambda: bool(ground.server.server_state.connections))
        (connection,) = ground.server.server_state.connections
        assert isinstance(connection, Connection)
        made = connection.since
        other.say(POST % b"")
        await until(lambda: connection.since > made)
        other.say(bytes(99_999))  # which gives it 24 s
        await until(lambda: connection.waited > QUICK.body)
        other.say(b"\0")
        assert await asyncio.wait_for(other.reader.readuntil(b"\r\n\r\n100000"), 10)


async def test_who_does_not_take_the_answer_is_ended() -> None:
    async with serving() as ground:
        other = await ground.connected()
        other.say(b"GET /long HTTP/1.1\r\nHost: x\r\n\r\n")
        await asyncio.wait_for(other.reader.readexactly(10), 10)
        other.writer.transport.pause_reading()  # type: ignore[attr-defined]  # a socket's has it
        await until(lambda: not ground.server.server_state.connections)


async def test_who_takes_neither_the_answer_nor_the_refusal_counts_until_it_is_ended() -> None:
    async with serving(replace(QUICK, head=0.1, answer=3.0)) as ground:
        connection = await ground.unread(b"GET /large HTTP/1.1\r\nHost: x\r\n\r\n")
        answered = connection.loop.time()
        await until(lambda: connection.since > answered)
        ground.others[-1].say(b"GET / HT")
        await until(connection.transport.is_closing)  # the half request was refused
        assert connection in ground.server.server_state.connections
        file = connection.transport.get_extra_info("socket")
        await until(lambda: file.fileno() == -1, 10)
        assert connection not in ground.server.server_state.connections


@pytest.mark.parametrize("after", [b"\r\n", b"Connection: close\r\n\r\n", b"\r\nGET / HT", b"\r\nnonsense\r\n\r\n"])
async def test_who_takes_no_answer_makes_room(after: bytes) -> None:
    async with serving(Limits(connections=40, per_address=3, head=0.6)) as ground:
        for _ in range(3):
            connection = await ground.unread(b"GET /large HTTP/1.1\r\nHost: x\r\n" + after)
            await until(lambda: connection.idle)  # noqa: B023  # it is waited for before the next
        await ground.lives()
        assert len(ground.server.server_state.connections) <= 3


async def test_who_waits_longest_for_nothing_makes_room_and_who_is_answered_stays() -> None:
    async with serving(Limits(connections=40, per_address=30)) as ground:
        busy = await ground.connected()
        busy.say(POST % b"" + bytes(99_999))
        for _ in range(200):
            (await ground.connected()).say(b"GET / HT")
        await ground.lives()
        assert len(ground.server.server_state.connections) <= 30
        busy.say(b"\0")
        assert await asyncio.wait_for(busy.reader.readuntil(b"\r\n\r\n"), 10)


async def test_half_requests_make_room_before_connections_that_are_kept_alive() -> None:
    async with serving(Limits(connections=40, per_address=30)) as ground:
        kept = [await ground.connected() for _ in range(5)]
        for one in kept:
            one.say(GET)
            await asyncio.wait_for(one.reader.readuntil(b"\r\n\r\n0"), 10)
        halves = [await ground.connected() for _ in range(25)]
        for half in halves:
            half.say(b"GET / HT")
        connections = ground.server.server_state.connections
        now = asyncio.get_running_loop().time
        await until(lambda: sum(isinstance(one, Connection) and one.half(now()) for one in connections) == 25)
        for _ in range(10):  # newcomers that have said nothing yet
            await ground.connected()
        await until(lambda: len(connections) <= 30 and sum(half.reader.at_eof() for half in halves) >= 10)
        for one in kept:
            one.say(GET)
            assert await asyncio.wait_for(one.reader.readuntil(b"\r\n\r\n0"), 10)


async def test_when_all_are_busy_a_newcomer_is_told_so() -> None:
    async with serving(Limits(connections=40, per_address=3)) as ground:
        others = [await ground.connected() for _ in range(3)]
        for other in others:
            other.say(POST % b"" + b"half")
        connections = ground.server.server_state.connections
        await until(lambda: sum(isinstance(one, Connection) and not one.idle for one in connections) == 3)
        answer = await ground.asked(b"")
        assert (answer[9:12], rule_of(answer)) == (b"503", "no_room")
        for other in others:
            other.say(bytes(100_000 - 4))
            assert (await other.reader.readline()).startswith(b"HTTP/1.1 200")
        others[0].writer.close()


async def test_tiny_chunks_cost_no_more_than_their_bytes() -> None:
    async with serving() as ground:
        head = b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
        assert (await ground.asked(head + b"1\r\na\r\n" * 5_000)).startswith(b"HTTP/1.1 400 ")


@pytest.mark.parametrize("data", [b"\x89\x80abcd" * 12_000, b"\x01\x80abcd" + b"\x00\x80abcd" * 200])
async def test_a_listener_that_says_too_much_is_ended(data: bytes) -> None:
    async with serving() as ground:
        other = await ground.connected()
        other.say(UPGRADE)
        assert (await other.reader.readline()).startswith(b"HTTP/1.1 101 ")
        other.say(data)
        await other.rest()
