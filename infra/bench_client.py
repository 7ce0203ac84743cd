"""A client of the benchmark, in a process of its own: publishes campaigns as one principal, and says when.

Reads one JSON line (Order), writes one (Report). Times are of the monotonic clock, which all processes share.
"""

import asyncio
import resource
import sys
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Literal
from uuid import UUID, uuid4

import orjson
import uvloop

from adapters.bus import BatchRefused, Bus, Message
from adapters.bus_messages import STORE_REFUSED
from adapters.cloudevents import MSG_ID, Address, command_headers
from adapters.streams import COMMANDS
from domain.message import PrincipalId, WorkspaceId

ROOM_PAUSE = 0.05  # seconds
IN_FLIGHT = 500  # plain publishes without their acknowledgement yet
TEXT = b"Hello {{name}}, our spring sale begins on Monday. Reply STOP to hear no more."
REVISION = b'{"campaign_id":"%b","title":"Spring sale, day %d","parts":[{"text":"' + TEXT + b'"}]}'
BODY = b'{"campaign_id":"%b","title":"Spring sale","parts":[{"text":"' + TEXT + b'"}]}'
BACK = 255  # commands between one and its repetition: often in the same batch, often in the one before
MIX = (
    *("unknown_field", "create", "revise", "create", "no_parts"),
    *("repeat", "create", "unknown_campaign", "revise", "create"),
)


@dataclass(frozen=True, slots=True)
class Order:
    """What to publish and how: atomic batches (of the second mix, too), or plainly, at once or at a rate."""

    url: str
    workspace: str
    principal: str
    how: Literal["batches", "mixed", "singly", "paced"]
    commands: int
    batch: int = 500
    rate: float = 500.0  # a second, when paced
    traced: bool = False  # each command in a trace of its own


@dataclass(slots=True)
class Report:
    """When it began, when the server had acknowledged all, and (paced) when each command was published."""

    began: float = 0.0
    acknowledged: float = 0.0
    peak_mb: float = 0.0
    cpu_s: float = 0.0
    sent: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Made:
    """A command of the benchmark, made before the clock runs."""

    name: str
    command_id: UUID
    body: bytes
    again: bool = False  # sent before, and under another message id, so that the bus does not notice
    trace: str = ""

    def message(self, address: Address) -> Message:
        to = replace(address, name=self.name)
        headers = command_headers(to, self.command_id, datetime.now(UTC), self.trace)
        return Message(to.subject, self.body, headers | {MSG_ID: str(uuid4())} if self.again else headers)


def create() -> Made:
    """A command to create a campaign."""
    return Made("campaign.create", uuid4(), BODY % str(uuid4()).encode())


def kind_of(number: int) -> str:
    """What the second mix's command of this number is."""
    kind = MIX[number % len(MIX)]
    return "create" if number == 0 or (kind == "repeat" and number < BACK) else kind


def mixed(commands: int) -> list[Made]:
    """The second mix: 30 % are refused, 20 % all revise one campaign, 10 % repeat an earlier command."""
    made: list[Made] = []
    hot = str(uuid4()).encode()
    for number in range(commands):
        some, new = str(uuid4()).encode(), uuid4()
        match kind_of(number):
            case "create":
                made.append(Made("campaign.create", new, BODY % (some if number else hot)))
            case "repeat":
                made.append(replace(made[number - BACK], again=True))
            case "revise":
                made.append(Made("campaign.revise", new, REVISION % (hot, number)))
            case "no_parts":
                made.append(Made("campaign.create", new, b'{"campaign_id":"%b","title":"Empty","parts":[]}' % some))
            case "unknown_field":
                made.append(Made("campaign.create", new, b'{"campaign_id":"%b","titel":"Spring sale"}' % some))
            case "unknown_campaign":
                made.append(Made("campaign.archive", new, b'{"campaign_id":"%b"}' % some))
    return made


async def publish(order: Order) -> Report:
    """Carry out an order."""
    address = Address(WorkspaceId(order.workspace), PrincipalId(order.principal), "campaign.create")
    bus = await Bus.connect(order.url, "bench", f"_INBOX.{order.principal}")
    made = mixed(order.commands) if order.how == "mixed" else [create() for _ in range(order.commands)]
    if order.traced:
        made = [replace(one, trace=f"00-{uuid4().hex}-{uuid4().hex[:16]}-01") for one in made]
    report, used = Report(began=time.monotonic()), time.process_time()
    if order.how == "singly":
        await singly(bus, address, made)
    elif order.how == "paced":
        report.sent = await paced(bus, address, made, order.rate)
    else:
        await in_batches(bus, address, made, order.batch)
    report.acknowledged = time.monotonic()
    await bus.close()
    report.cpu_s = time.process_time() - used
    report.peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return report


async def when_there_is_room(publish: Callable[[], Awaitable[object]]) -> None:
    """Publish, and again while the server says that too many of ours wait: the time this takes is the run's."""
    while True:
        try:
            await publish()
        except BatchRefused as refused:
            if refused.code != STORE_REFUSED:
                raise
            await asyncio.sleep(ROOM_PAUSE)
        else:
            return


async def in_batches(bus: Bus, address: Address, made: Sequence[Made], size: int) -> None:
    for start in range(0, len(made), size):
        messages = [one.message(address) for one in made[start : start + size]]
        await when_there_is_room(lambda: bus.batch(COMMANDS, messages))  # noqa: B023  # done before the next round


async def singly(bus: Bus, address: Address, made: Sequence[Made]) -> None:
    room = asyncio.Semaphore(IN_FLIGHT)

    async def publish_one(message: Message) -> None:
        try:
            await when_there_is_room(lambda: bus.single(message))
        finally:
            room.release()

    async with asyncio.TaskGroup() as group:
        for one in made:
            await room.acquire()
            group.create_task(publish_one(one.message(address)))


async def paced(bus: Bus, address: Address, made: Sequence[Made], rate: float) -> dict[str, float]:
    sent: dict[str, float] = {}
    start = time.monotonic()
    async with asyncio.TaskGroup() as group:
        for number, one in enumerate(made):
            await asyncio.sleep(max(0.0, start + number / rate - time.monotonic()))
            sent[str(one.command_id)] = time.monotonic()
            group.create_task(bus.single(one.message(address)))
    return sent


def main() -> None:
    """One order, one report."""
    order = Order(**orjson.loads(sys.stdin.readline()))
    sys.stdout.buffer.write(orjson.dumps(uvloop.run(publish(order))) + b"\n")


if __name__ == "__main__":
    main()
