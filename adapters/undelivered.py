"""Messages that a queue's consumer was given and has not acknowledged, read one by one through the server's API.

There they come as base64 in JSON: no byte of theirs meets what reads the queue. Of one alone the server says that it is
not acknowledged, of the next above the floor: those behind it lie in the stream whether they are or not.
"""

import asyncio
import base64
from dataclasses import dataclass
from datetime import datetime

import orjson
from nats.aio.msg import Msg

from adapters import streams
from adapters.bus import Bus
from adapters.lean_parser import message_of

SECONDS = 10.0  # for an answer from the server
LOOKS, PAUSE = 20, 0.05  # for an acknowledgement that is under way; the pause in seconds


@dataclass(frozen=True, slots=True)
class Undelivered:
    """One of them; `stored` is when, in seconds since 1970."""

    sequence: int
    stored: float
    message: Msg


async def span(bus: Bus, stream: str) -> tuple[int, int]:
    """Up to which message all are acknowledged, and which was the last that the consumer was given."""
    with streams.declared(stream):
        info = await bus.js.consumer_info(stream, streams.CONSUMERS[stream])
    floor, given = info.ack_floor, info.delivered
    return (floor.stream_seq if floor else 0), (given.stream_seq if given else 0)


async def read(bus: Bus, stream: str, sequence: int, deliveries: int) -> Undelivered | None:
    """The message of a sequence, as if the queue had brought it so often; it is acknowledged as there."""
    asked = orjson.dumps({"seq": sequence})
    answer = orjson.loads((await bus.nc.request(f"$JS.API.STREAM.MSG.GET.{stream}", asked, timeout=SECONDS)).data)
    found = answer.get("message")
    if found is None:
        return None
    stored = nanoseconds(found["time"])
    reply = f"$JS.ACK.{stream}.{streams.CONSUMERS[stream]}.{deliveries}.{found['seq']}.0.{stored}.0"
    head, body = (base64.b64decode(found.get(name, "")) for name in ("hdrs", "data"))
    message = message_of(bus.nc, found["subject"].encode(), reply.encode(), head, body)
    return Undelivered(found["seq"], stored / 1e9, message)


async def settled(bus: Bus, stream: str, found: Undelivered) -> bool:
    """Whether a message is acknowledged by now, as far as the floor tells."""
    for _ in range(LOOKS):
        if (await span(bus, stream))[0] >= found.sequence:
            return True
        await asyncio.sleep(PAUSE)
    return False


def nanoseconds(time: str) -> int:
    """A time as the server writes it, in UTC."""
    whole, _, part = time.removesuffix("Z").partition(".")
    return int(datetime.fromisoformat(f"{whole}+00:00").timestamp()) * 10**9 + int(part.ljust(9, "0") or 0)
