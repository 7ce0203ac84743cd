"""A client of the benchmark, in a process of its own: publishes campaigns as one principal, and says when.

Reads one JSON line (Order), writes one (Report). Times are of the monotonic clock, which all processes share.
"""

import asyncio
import resource
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Literal, Self
from uuid import UUID, uuid4

import orjson
import uvloop

from adapters.bus import Bus, Message
from adapters.cloudevents import Address, command_headers
from adapters.streams import COMMANDS
from domain.message import PrincipalId, WorkspaceId

IN_FLIGHT = 500  # plain publishes without their acknowledgement yet
TEXT = b"Hello {{name}}, our spring sale begins on Monday. Reply STOP to hear no more."
BODY = b'{"campaign_id":"%b","title":"Spring sale","parts":[{"text":"' + TEXT + b'"}]}'


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
    cpu_s: float = 0.0
    sent: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Campaign:
    """A command to create a campaign: its id and body, made before the clock runs."""

    command_id: UUID
    body: bytes

    @classmethod
    def new(cls) -> Self:
        return cls(uuid4(), BODY % str(uuid4()).encode())

    def message(self, address: Address) -> Message:
        return Message(address.subject, self.body, command_headers(address, self.command_id, datetime.now(UTC)))


def campaign(address: Address) -> tuple[UUID, Message]:
    """A new command to create a campaign, with its id."""
    made = Campaign.new()
    return made.command_id, made.message(address)


async def publish(order: Order) -> Report:
    """Carry out an order."""
    address = Address(WorkspaceId(order.workspace), PrincipalId(order.principal), "campaign.create")
    bus = await Bus.connect(order.url, "bench", f"_INBOX.{order.principal}")
    made = [] if order.how == "paced" else [Campaign.new() for _ in range(order.commands)]
    report, used = Report(began=time.monotonic()), time.process_time()
    if order.how == "batches":
        await in_batches(bus, address, made, order.batch)
    elif order.how == "singly":
        await singly(bus, address, made)
    else:
        report.sent = await paced(bus, address, order)
    report.acknowledged = time.monotonic()
    await bus.close()
    report.cpu_s = time.process_time() - used
    report.peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return report


async def in_batches(bus: Bus, address: Address, made: Sequence[Campaign], size: int) -> None:
    for start in range(0, len(made), size):
        await bus.batch(COMMANDS, [one.message(address) for one in made[start : start + size]])


async def singly(bus: Bus, address: Address, made: Sequence[Campaign]) -> None:
    room = asyncio.Semaphore(IN_FLIGHT)

    async def publish_one(message: Message) -> None:
        try:
            await bus.single(message)
        finally:
            room.release()

    async with asyncio.TaskGroup() as group:
        for one in made:
            await room.acquire()
            group.create_task(publish_one(one.message(address)))


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
