"""The bus: the one place that publishes. Every publish to a stream is acknowledged, or in a batch that is."""

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from uuid import UUID, uuid4

import nats
import orjson
from nats.aio.msg import Msg
from nats.errors import ConnectionReconnectingError, NoRespondersError
from nats.js import JetStreamContext
from nats.js.errors import APIError, NotFoundError

from adapters import cloudevents, metrics, streams
from adapters.bus_messages import (
    BatchRefused,
    CommandsFull,
    CommandTooLarge,
    Message,
    Notice,
    Stored,
    Told,
    refusal,
    sequence_of,
    stored_as,
)
from adapters.cloudevents import Address, Headers
from adapters.consuming import Consuming
from adapters.heartbeats import beat
from adapters.lean_client import LeanClient, frame
from adapters.outages import OUTAGES
from adapters.pulls import Pulls

__all__ = [
    "BatchRefused",
    "Bus",
    "BusLost",
    "CommandTooLarge",
    "CommandsFull",
    "Message",
    "Notice",
    "Stored",
    "Told",
    "stored_as",
]

log = logging.getLogger(__name__)

MOST_IN_BATCH = 1_000  # the server's limit for an atomic batch
EXPECTED = "Nats-Expected-Last-Sequence"
PENDING_BYTES = 32 << 20
PATIENCE = 10.0  # seconds for an answer from the server
UNTOLD: tuple[type[Exception], ...] = (*OUTAGES, APIError)  # the server is away, or refuses
LOOK_AGAIN = 5.0  # seconds
RECONNECT = 0.5  # seconds between two tries to connect anew
PING = 5  # seconds; a server that left two of these unanswered is connected to anew
REFUSED = ("authorization violation", "authentication")  # the server's words for credentials that it does not know
REFUSALS = 3  # in a row: one may come while the server reads its users anew


class BusLost(Exception):
    """The connection to the bus was closed for good, or the bus refuses our credentials."""


class Bus(Consuming):
    """A connected client and what drumline does with it."""

    def __init__(self, nc: LeanClient) -> None:
        self.nc = nc
        self.js: JetStreamContext = nc.jetstream(timeout=PATIENCE)
        self._closed = asyncio.Event()
        self._why = "The connection to the bus was closed."
        self._refusals = 0
        self._pulls: list[Pulls] = []

    @classmethod
    async def connect(cls, url: str, name: str, inbox_prefix: str = "_INBOX") -> "Bus":
        """Connect and stay connected: a lost connection is tried again without end. Raises BusLost when refused.

        A principal may listen only under `_INBOX.<its id>`; drumline itself everywhere.
        """
        nc = LeanClient()
        bus = cls(nc)
        connecting = asyncio.ensure_future(
            nc.connect(
                url,
                name=name,
                max_reconnect_attempts=-1,
                reconnect_time_wait=RECONNECT,  # type: ignore[arg-type]  # it is slept for, so it may be a float
                ping_interval=PING,
                max_outstanding_pings=2,
                pending_size=PENDING_BYTES,
                inbox_prefix=inbox_prefix,
                closed_cb=bus._on_closed,
                reconnected_cb=bus._on_reconnected,
                error_cb=bus._on_error,
            )
        )
        refused = asyncio.ensure_future(bus._closed.wait())
        try:
            await asyncio.wait([connecting, refused], return_when=asyncio.FIRST_COMPLETED)
            if not connecting.done():
                connecting.cancel()
                await asyncio.wait([connecting])
                await nc.close()
                raise BusLost(bus._why)
            await connecting
        finally:
            refused.cancel()
            connecting.cancel()
        return bus

    async def close(self) -> None:
        """Send what is waiting and close; a server that is away hears of neither."""
        if not self.nc.is_closed:
            with contextlib.suppress(*OUTAGES):
                await self.nc.drain() if self.nc.is_connected else await self.nc.close()

    async def answers(self) -> None:
        """Return once the server has answered; raises an outage. Bound it by a time-out of your own."""
        if not self.nc.is_connected:  # a flush would return at once, and a request wait for the next connection
            raise ConnectionReconnectingError
        await self.js.account_info()

    async def watch(self, *names: str) -> None:
        """Return never; raises BusLost when the connection is closed for good, refused or no longer looked after, and
        NotDeclared when one of these streams, or its consumer, is gone: for the process to end."""
        tended = True
        while not self._closed.is_set():
            beat("bus")
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(LOOK_AGAIN):
                    await self._closed.wait()
            before, tended = tended, self.nc.tended
            if not (before or tended or self._closed.is_set()):  # twice: between two connections nobody does, either
                raise BusLost("Nobody looks after the connection to the bus any more.")
            with contextlib.suppress(*OUTAGES):
                await streams.require(self.js, *names)
        raise BusLost(self._why)

    async def command(
        self,
        address: Address,
        command_id: UUID,
        body: bytes,
        now: datetime,
        traceparent: str = "",
        *,
        msg_id: str = "",
    ) -> None:
        """Publish a command that is not published yet, or not for sure; one that is replayed has a new `msg_id`.

        Raises CommandsFull (an outage to who only waits) and CommandTooLarge.
        """
        headers = cloudevents.command_headers(address, command_id, now, traceparent)
        if msg_id:
            headers[cloudevents.MSG_ID] = msg_id
        try:
            await self.js.publish(address.subject, body, stream=streams.COMMANDS, headers=headers)
        except APIError as error:
            raise refusal(error) from None

    async def send(self, account: UUID, body: bytes, msg_id: str, traceparent: str = "") -> None:
        """Hand an account's session worker something to send; a repeated id is dropped within the window."""
        headers = {cloudevents.MSG_ID: msg_id} | ({cloudevents.TRACEPARENT: traceparent} if traceparent else {})
        await self.js.publish(f"send.{account}", body, stream=streams.SENDS, headers=headers)

    async def outcomes(self, told: Sequence[Told], now: datetime) -> None:
        """Tell principals what came of their commands: each on its own subject, and at the inbox it named."""
        frames = []
        for one in told:
            headers, body = cloudevents.outcome_message(one.answer, one.sender.workspace, now, one.traceparent)
            frames.append(frame(f"out.{one.sender.workspace}.{one.sender.principal}", body, headers))
            if one.to:
                frames.append(frame(one.to, body, headers))
        await self.nc.put(frames)

    async def mourn(self, dead: Notice) -> None:
        """Tell that something could not be handled. It lies in its table: a DEAD that is full or away costs nothing."""
        headers = dead.headers | {
            cloudevents.MSG_ID: dead.msg_id,
            "Drl-Key": str(dead.key),
            "Drl-Reason": dead.reason,
            "Drl-Workspace": dead.workspace,
            "Drl-Subject": dead.subject,
        }
        try:
            await self.js.publish("dead.commands", b"", stream=streams.DEAD, headers=headers)
        except UNTOLD as error:
            log.warning("bus: a dead letter is not told of on %s: %s", streams.DEAD, type(error).__name__)
        metrics.buried(dead.reason)

    async def batch(self, stream: str, messages: Sequence[Message], *, expected: int | None = None) -> int:
        """Publish up to MOST_IN_BATCH messages, all or none; the sequence of the last one.

        `expected` is the sequence the stream's last message must have. Raises BatchRefused.
        """
        batch_id = uuid4().hex
        *others, last = messages
        await self.nc.put(
            [
                frame(message.subject, message.body, in_batch(message, batch_id, number, expected))
                for number, message in enumerate(others, 1)
            ]
        )
        headers = in_batch(last, batch_id, len(messages), expected) | {"Nats-Batch-Commit": "1"}
        try:
            reply = await self.nc.request(last.subject, last.body, timeout=PATIENCE, headers=headers)
        except NoRespondersError:
            raise streams.NotDeclared([stream]) from None
        return sequence_of(reply)

    async def single(self, message: Message, *, expected: int | None = None) -> tuple[int, bool]:
        """Publish one message: its sequence, and whether the server dropped it as a repeated one."""
        headers = dict(message.headers)
        if expected is not None:
            headers[EXPECTED] = str(expected)
        reply = await self.nc.request(message.subject, message.body, timeout=PATIENCE, headers=headers)
        sequence = sequence_of(reply)
        return sequence, bool(orjson.loads(reply.data).get("duplicate"))

    async def last(self, stream: str, header: str = "") -> tuple[int, Stored | None]:
        """A stream's last sequence, and its last message that is still kept, or that has a certain header."""
        with streams.declared(stream):
            state = (await self.js.stream_info(stream)).state
        for sequence in range(state.last_seq, state.first_seq - 1, -1) if state.messages else ():
            with contextlib.suppress(NotFoundError):
                raw = await self.js.get_msg(stream, sequence)
                if not header or header in (raw.headers or {}):
                    found = Stored(sequence, raw.subject or "", dict(raw.headers or {}), raw.data or b"")
                    return state.last_seq, found
        return state.last_seq, None

    def pulls(self, stream: str, batch: int = 500) -> Pulls:
        """A reader of a queue; asks again by itself when the connection was lost."""
        pulls = Pulls(self.nc, self.js, stream, streams.CONSUMERS[stream], batch, broken=self._broke)
        self._pulls.append(pulls)
        return pulls

    async def serve(self, subject: str, answer: Callable[[bytes], Awaitable[bytes]]) -> Callable[[], Awaitable[None]]:
        """Answer requests on a subject; call what is returned to stop."""

        async def respond(message: Msg) -> None:
            if message.reply:
                await self.nc.publish(message.reply, await answer(message.data))

        return (await self.nc.subscribe(subject, cb=respond)).unsubscribe

    async def ask(self, subject: str, body: bytes = b"", seconds: float = 2.0) -> bytes | None:
        """Ask whoever serves a subject; None when nobody does, or not in time."""
        try:
            return (await self.nc.request(subject, body, timeout=seconds)).data
        except (NoRespondersError, TimeoutError, nats.errors.TimeoutError):
            return None

    async def _on_closed(self) -> None:
        self._closed.set()

    async def _on_error(self, error: Exception) -> None:
        await on_error(error)
        if any(word in str(error).lower() for word in REFUSED):
            self._refusals += 1
            if self._refusals >= REFUSALS:
                self._why = "The bus refuses our credentials: were they changed?"
                self._closed.set()

    async def _on_reconnected(self) -> None:
        self._refusals = 0
        self._broke()
        for pulls in self._pulls:
            pulls.renew()

    def _broke(self) -> None:
        self.breaks += 1


async def on_error(error: Exception) -> None:
    """Permission violations and slow consumers show only here; a violation has no class of its own."""
    forbidden = "permissions violation" in str(error).lower()
    log.warning("bus: %s", "permissions violation" if forbidden else type(error).__name__)


def in_batch(message: Message, batch_id: str, number: int, expected: int | None) -> Headers:
    """A message's headers as a member of an atomic batch; the first one says what it follows."""
    headers = message.headers | {"Nats-Batch-Id": batch_id, "Nats-Batch-Sequence": str(number)}
    if number == 1 and expected is not None:
        headers[EXPECTED] = str(expected)
    return headers
