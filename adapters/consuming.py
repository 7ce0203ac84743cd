"""What a queue's consumer tells the server: done, not yet, again; and how its queue is kept short."""

import asyncio
import json
from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime
from typing import NamedTuple

import orjson
from nats.aio.msg import Msg
from nats.js import JetStreamContext
from nats.js.api import StreamInfo
from nats.js.errors import NotFoundError

from adapters import streams
from adapters.lean_client import LeanClient, frame

PATIENCE = 10.0  # seconds for an answer from the server
REMOVED_TOGETHER = 100  # requests under way at once
NOT_THERE = ("no message found", "stream store EOF")  # the server's words: removed before, or never stored


class Trimmed(NamedTuple):
    """Up to which sequence a queue was emptied, whether that was all that was handed out, and when its consumer was
    made: one made anew counts anew."""

    floor: int
    whole: bool
    made: datetime | None


class Consuming:
    """The consumer's half of a bus client."""

    nc: LeanClient
    js: JetStreamContext
    breaks = 0  # how often the connection was lost, or a queue that is read was gone: another may be in its place now

    async def ack(self, messages: Sequence[Msg]) -> None:
        """These messages are done with."""
        await self.nc.put([frame(message.reply, b"+ACK") for message in messages])

    async def trim(self, stream: str) -> "Trimmed":
        """Remove what a queue's consumer has acknowledged without a gap; what it has not can never be removed here."""
        with streams.declared(stream):
            info = await self.js.consumer_info(stream, streams.CONSUMERS[stream])
            floor = (info.ack_floor and info.ack_floor.stream_seq) or 0
            if floor:
                await self.js.purge_stream(stream, seq=floor + 1)
        return Trimmed(floor, not info.num_ack_pending, info.created)

    async def remove(self, stream: str, sequences: Sequence[int]) -> int:
        """Remove single messages that were acknowledged, some at a time; how many the server still keeps."""
        subject, kept = f"$JS.API.STREAM.MSG.DELETE.{stream}", 0
        for start in range(0, len(sequences), REMOVED_TOGETHER):
            some = [orjson.dumps({"seq": one, "no_erase": True}) for one in sequences[start : start + REMOVED_TOGETHER]]
            answers = await asyncio.gather(*(self.nc.request(subject, body, timeout=PATIENCE) for body in some))
            kept += sum(not removed(answer.data) for answer in answers)
        return kept

    async def created(self, stream: str) -> int:
        """When a stream was made, in nanoseconds of the server's clock: what is in it was stored later."""
        with streams.declared(stream):
            info = await self.js.stream_info(stream)
        return made(info)

    async def first(self, stream: str) -> str:
        """Before which messages, as `stored_as` names them, nothing is left of a stream, nor of one of that name."""
        with streams.declared(stream):
            info = await self.js.stream_info(stream)
        return f"{info.state.first_seq}-{made(info)}"

    async def oldest(self, stream: str) -> datetime | None:
        """When the server stored the first message that is left of a stream, if there is one."""
        with suppress(NotFoundError):  # also of one that was removed meanwhile
            state = (await self.js.stream_info(stream)).state
            return (await self.js.get_msg(stream, state.first_seq)).time if state.messages else None
        return None

    async def length(self, stream: str) -> int:
        """How many messages of a queue are not acknowledged."""
        with streams.declared(stream):
            info = await self.js.consumer_info(stream, streams.CONSUMERS[stream])
        return (info.num_pending or 0) + (info.num_ack_pending or 0)

    async def working(self, message: Msg) -> None:
        """This message is being worked on: do not deliver it again yet."""
        await self.nc.publish(message.reply, b"+WPI")

    async def again(self, message: Msg, seconds: float) -> None:
        """Deliver this message again, after some seconds."""
        await self.nc.publish(message.reply, b"-NAK " + json.dumps({"delay": int(seconds * 1e9)}).encode())

    async def all_working(self, messages: Sequence[Msg]) -> None:
        """The same for many."""
        await self.nc.put([frame(message.reply, b"+WPI") for message in messages])

    async def not_taken(self, messages: Sequence[Msg]) -> None:
        """Nobody began on these: deliver them again at once."""
        if self.nc.is_connected:
            await self.nc.put([frame(message.reply, b"-NAK") for message in messages])
            await self.nc.flush()


def made(info: StreamInfo) -> int:
    """When a stream was made, in nanoseconds."""
    return int(info.created.timestamp() * 1e6) * 1_000 if info.created else 0


def removed(answer: bytes) -> bool:
    """Whether a message is gone, now or before, as the server says."""
    error = orjson.loads(answer).get("error")
    return error is None or error.get("description") in NOT_THERE
