"""Connections of the HTTP server that end when their other end takes too long, and of which there are only so many."""

import asyncio
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

import h11
import orjson
from uvicorn._types import ASGISendEvent
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.protocols.utils import ClientDisconnected
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

from adapters import metrics
from adapters.runtime.quotas import REFUSAL
from api.rules import sentence  # the problem's model would bring the whole framework into every worker

MEDIA_TYPE = "application/problem+json"
MOST_HEAD = 16_384  # bytes of a request's head
COMING = 1.0  # second that a new connection's head may take before it is half a request
RATE = 4_096  # bytes of a body for which it gets a second more
PROGRESS = 32_768  # bytes that have to be taken of an answer within its seconds
FEW_CHUNKS, SMALL_CHUNK = 1_000, 100  # so many chunks may be smaller, on the average, than so many bytes
# Of a listener: frames a message, bytes a look, bytes not taken.
MOST_FRAMES, MOST_SAID, MOST_OWED = 64, 65_536, 1 << 20


@dataclass(frozen=True, slots=True)
class Limits:
    """How many connections there may be, and seconds that the other end may take."""

    connections: int = 1_000
    per_address: int = 600
    head: float = 10.0  # also of a WebSocket's handshake
    body: float = 20.0  # that do not bring RATE bytes each
    whole: float = 3_600.0  # a body, however fast
    unread: float = 5.0  # what follows an answer that needed no more of the body
    answer: float = 30.0  # that do not take PROGRESS bytes


class Taking:
    """Whether the other end takes what is written to it."""

    def __init__(self) -> None:
        self._mark: tuple[float, int] | None = None

    def moved(self) -> None:
        """It has just taken nearly all of it: what is written next is more, and has all its seconds."""
        self._mark = None

    def stuck(self, left: int, now: float, seconds: float) -> bool:
        """Whether of `left` bytes, to which nothing is added, too few were taken for so many seconds."""
        if not left:
            self._mark = None
        elif self._mark is None or left <= self._mark[1] - PROGRESS:
            self._mark = (now, left)
        return self._mark is not None and now - self._mark[0] > seconds


class Framing(h11.Connection):
    """HTTP/1.1, in which a body of many tiny chunks is a mistake: each costs as much as a large one."""

    _chunks = _size = 0

    def next_event(self) -> h11.Event | type[h11.NEED_DATA] | type[h11.PAUSED]:
        event = super().next_event()
        if type(event) is h11.Data:
            self._chunks += event.chunk_start
            self._size += len(event.data)
            if self._chunks > FEW_CHUNKS and self._size < self._chunks * SMALL_CHUNK:
                raise h11.RemoteProtocolError("chunks that are too small")
        elif type(event) is h11.Request:
            self._chunks = self._size = 0
        return event


class Connection(H11Protocol):
    """A connection by HTTP/1.1."""

    def __init__(self, *arguments: Any, limits: Limits, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self.conn = Framing(h11.SERVER, MOST_HEAD)
        self.limits = limits
        self.received = 0  # bytes
        self._taking = Taking()
        self._refused = False
        self._phase: tuple[Any, Any] = (h11.IDLE, None)
        self._before = 0  # bytes received before this phase
        self.waited = 0.0  # seconds of this phase in which we were ready to read
        self.since = self._looked = self.loop.time()

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn has it
        super().connection_made(transport)
        self._admit()

    def data_received(self, data: bytes) -> None:
        self.received += len(data)
        super().data_received(data)

    def resume_writing(self) -> None:
        self._taking.moved()
        super().resume_writing()

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        wake_refusal(self)

    def send_400_response(self, msg: str) -> None:  # noqa: ARG002  # its words are for logs
        self.refuse("malformed", 400, "bad_request", "request")

    @property
    def _answered(self) -> bool:
        return bool(getattr(self.cycle, "response_complete", True))  # before the first request there is no cycle

    @property
    def idle(self) -> bool:
        """Whether nobody works for it: it has sent no whole head, was answered, or is refused."""
        return self._answered or self.transport.is_closing() or refusal_of(self) is not None

    def half(self, now: float) -> bool:
        """Whether it is refused, or has sent a part of a head; or nothing, and is not just being made."""
        begun = self.conn.their_state is h11.IDLE and bool(self.conn.trailing_data[0])
        cycle: Any = self.cycle  # None before the first request
        refused = self._refused or (refusal_of(self) is not None and not self._answered)
        return refused or begun or (cycle is None and now - self.since > COMING)

    def look(self, now: float) -> None:
        """End it if its other end takes too long."""
        elapsed, self._looked = now - self._looked, now
        blocked = self.flow.write_paused or self.transport.is_closing()
        if self._taking.stuck(self.transport.get_write_buffer_size() if blocked else 0, now, self.limits.answer):
            self.end("answer")
        elif not self.transport.is_closing():
            self._wait(now, elapsed)

    def _wait(self, now: float, elapsed: float) -> None:
        theirs, limits = self.conn.their_state, self.limits
        if (theirs, self.cycle) != self._phase:
            self._phase, self.since, self._before, self.waited = (theirs, self.cycle), now, self.received, 0.0
        elif theirs is h11.IDLE and now - self.since > limits.head:
            if self.received == self._before:
                self.end("idle")
            else:
                self.refuse("head", 408, "too_slow", "request")
        elif theirs is h11.SEND_BODY:
            self.waited += 0.0 if self.flow.read_paused else elapsed
            allowed = limits.body + (self.received - self._before) / RATE
            if self._answered and now - self.since > limits.unread:
                self.end("unread")
            elif self.waited > allowed or now - self.since > limits.whole:
                self.refuse("body", 408, "too_slow", "body")

    def _admit(self) -> None:
        """Make room: whoever sent half a request or is refused has to go, else who was answered, first who let us wait
        longest.

        Of these halves several go at once: looking at all connections for each that comes would cost everybody.
        """
        crowd = self.connections
        if len(crowd) <= self.limits.connections:
            if len(crowd) <= self.limits.per_address:
                return
            crowd = {one for one in crowd if address(one) == address(self)}
            if len(crowd) <= self.limits.per_address:
                return
        waiting = [one for one in crowd if isinstance(one, Connection | Listener) and one is not self and one.idle]
        now = self.loop.time()
        halves = sorted((one for one in waiting if one.half(now)), key=lambda one: one.since)
        if halves:
            for one in halves[: max(len(crowd) // 4, 1)]:
                one.end("crowded")
        elif waiting:
            min(waiting, key=lambda one: one.since).end("crowded")
        else:
            self.refuse("crowded", 503, "no_room", "server", maximum=self.limits.connections)
            self.connections.discard(self)  # a new connection takes so few bytes

    def end(self, why: str) -> None:
        """Close it at once, whatever it was about."""
        self._leave(why)
        self.connections.discard(self)
        self.transport.abort()

    def refuse(self, why: str, status: int, rule: str, field: str, **params: int) -> None:
        """Answer with a problem, and close it; without one when another answer has begun.

        It counts, and is looked at, until all that was written to it is taken: that may be an answer of before, too.
        """
        if self.conn.our_state not in (h11.IDLE, h11.SEND_RESPONSE):
            self.end(why)
            return
        self._leave(why)
        self._refused = True
        title = HTTPStatus(status).phrase
        document = {"type": f"urn:drumline:rule:{rule}", "title": title, "status": status, "rule": rule, "field": field}
        body = orjson.dumps({**document, "detail": sentence(rule, params, field), "params": params})
        head = f"HTTP/1.1 {status} {title}\r\ncontent-type: {MEDIA_TYPE}\r\n"
        head += f"content-length: {len(body)}\r\nconnection: close\r\n\r\n"
        self.transport.write(head.encode() + body)
        self.transport.close()

    def _leave(self, why: str) -> None:
        """Whoever works for it is to notice."""
        metrics.connection_ended(why)
        if not self._answered:
            self.cycle.disconnected = True
            self.cycle.message_event.set()


def address(connection: object) -> object:
    """Where a connection comes from, without the port."""
    return (getattr(connection, "client", None) or (None,))[0]


def refusal_of(connection: object) -> asyncio.Event | None:
    """What ends the wait for a refusal, if the request is one that is refused."""
    scope = getattr(connection, "scope", None)  # there is none before the first request
    found: asyncio.Event | None = scope["state"].get(REFUSAL) if scope else None
    return found


def wake_refusal(connection: object) -> None:
    """A connection is lost: nobody is to wait to refuse it."""
    if (refusal := refusal_of(connection)) is not None:
        refusal.set()


class Listener(WebSocketsSansIOProtocol):
    """A connection by WebSocket: its other end has nothing to say, and has to take what it is told."""

    def __init__(self, *arguments: Any, limits: Limits, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self.limits = limits
        self.since = self.loop.time()
        self._said = 0  # bytes since the last look
        self._taking = Taking()

    def data_received(self, data: bytes) -> None:
        self._said += len(data)
        super().data_received(data)
        owed = self.transport.get_write_buffer_size()  # answers to its pings are not held back
        if self._said > MOST_SAID or len(self.frames) > MOST_FRAMES or owed > MOST_OWED:
            self.end("chatty")

    def send_receive_event_to_app(self) -> None:
        self.frames = []  # nobody reads what it says: it is not kept, and need not be text

    def handle_parser_exception(self) -> None:
        if self.conn.close_sent is None:  # it spoke before it was let in: uvicorn would take that for a mistake of ours
            self.end("malformed")
        else:
            super().handle_parser_exception()

    def resume_writing(self) -> None:
        self._taking.moved()
        super().resume_writing()

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        wake_refusal(self)

    @property
    def idle(self) -> bool:
        """Whether it is refused; nobody else's place is free for others."""
        return refusal_of(self) is not None and not self.transport.is_closing()

    def half(self, now: float) -> bool:  # noqa: ARG002  # as of any connection
        """Whether it is refused: it goes with the half requests."""
        return self.idle

    async def send(self, message: ASGISendEvent) -> None:
        if self.transport.is_closing() and not self.handshake_complete:  # it left in the middle: that is no error
            self.handshake_complete = self.disconnected = True
            raise ClientDisconnected
        await super().send(message)
        if message["type"] == "websocket.http.response.body" and not message.get("more_body"):
            self.handshake_complete = True  # by a refusal, which uvicorn would log as a mistake of ours

    def look(self, now: float) -> None:
        """End it if its other end takes too long."""
        self._said = 0
        blocked = not self.writable.is_set() or self.transport.is_closing()
        if self._taking.stuck(self.transport.get_write_buffer_size() if blocked else 0, now, self.limits.answer):
            self.end("answer")
        elif not self.handshake_complete and now - self.since > self.limits.head:
            self.end("head")

    def end(self, why: str) -> None:
        """Close it at once."""
        metrics.connection_ended(why)
        self.transport.abort()
