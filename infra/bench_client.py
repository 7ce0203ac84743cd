"""A client of the benchmark, in a process of its own: publishes campaigns as one principal, and says when.

Reads one JSON line (Order), writes one (Report). Times are of the monotonic clock, which all processes share.
"""

import asyncio
import resource
import sys
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Literal
from uuid import UUID, uuid4

import orjson
import uvloop

from adapters.bus import Bus, Message
from adapters.cloudevents import Address, command_headers
from adapters.streams import COMMANDS
from domain.message import PrincipalId, WorkspaceId

IN_FLIGHT = 500  # plain publishes without their acknowledgement yet
TEXT = "Hello {{name}}, our spring sale begins on Monday. Reply STOP to hear no more."


@dataclass(frozen=True, slots=True)
class Order:
    """What to publish and how: atomic batches, plain publishes as fast as acknowledged, or plain ones at a rate."""

    url: str
    workspace: str
    principal: str
    how: Literal["batches", "singly", "paced"]
    commands: int
    batch: int = 500
    rate: float = 500.0  # a second, when paced


@dataclass(slots=True)
class Report:
    """When it began, when the server had acknowledged all, and (paced) when each command was published."""

    began: float = 0.0
    acknowledged: float = 0.0
    peak_mb: float = 0.0
    sent: dict[str, float] = field(default_factory=dict)


def campaign(address: Address) -> tuple[UUID, Message]:
    """A command to create a campaign, with its id."""
    command_id = uuid4()
    body = {"campaign_id": uuid4(), "title": "Spring sale", "parts": [{"text": TEXT}]}
    return command_id, Message(
        address.subject, orjson.dumps(body), command_headers(address, command_id, datetime.now(UTC))
    )


async def publish(order: Order) -> Report:
    """Carry out an order."""
    address = Address(WorkspaceId(order.workspace), PrincipalId(order.principal), "campaign.create")
    bus = await Bus.connect(order.url, "bench", f"_INBOX.{order.principal}")
    report = Report(began=time.monotonic())
    if order.how == "batches":
        await in_batches(bus, address, order)
    elif order.how == "singly":
        await singly(bus, address, order)
    else:
        report.sent = await paced(bus, address, order)
    report.acknowledged = time.monotonic()
    await bus.close()
    report.peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return report


async def in_batches(bus: Bus, address: Address, order: Order) -> None:
    left = order.commands
    while left:
        size = min(order.batch, left)
        await bus.batch(COMMANDS, [campaign(address)[1] for _ in range(size)])
        left -= size


async def singly(bus: Bus, address: Address, order: Order) -> None:
    room = asyncio.Semaphore(IN_FLIGHT)

    async def one() -> None:
        try:
            await bus.single(campaign(address)[1])
        finally:
            room.release()

    async with asyncio.TaskGroup() as group:
        for _ in range(order.commands):
            await room.acquire()
            group.create_task(one())


async def paced(bus: Bus, address: Address, order: Order) -> dict[str, float]:
    sent: dict[str, float] = {}
    start = time.monotonic()
    async with asyncio.TaskGroup() as group:
        for number in range(order.commands):
            await asyncio.sleep(max(0.0, start + number / order.rate - time.monotonic()))
            command_id, message = campaign(address)
            sent[str(command_id)] = time.monotonic()
            group.create_task(bus.single(message))
    return sent


def main() -> None:
    """One order, one report."""
    order = Order(**orjson.loads(sys.stdin.readline()))
    sys.stdout.buffer.write(orjson.dumps(uvloop.run(publish(order))) + b"\n")


if __name__ == "__main__":
    main()
