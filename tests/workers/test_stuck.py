"""A message whose handling never begins, whatever the reason, is put aside by another way than the queue."""

from uuid import uuid4

import pytest
from nats.aio.msg import Msg
from nats.errors import ProtocolError
from psycopg import OperationalError

from adapters import heartbeats, lean_parser, streams, undelivered
from adapters.bus import stored_as
from adapters.bus_messages import delivery
from adapters.cloudevents import command_headers
from adapters.contents import Contents
from adapters.inbox import Inbox
from adapters.lean_client import head_of
from domain.message import Role
from tests.raw_bus import raw_bus
from tests.workers.core import HERE, Client, Core, campaign, clock, drained, until
from workers.intake.stuck import LOOKS, Stuck

SICK = b"sick"


@pytest.fixture
def fragile(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """A fault in reading what comes: one subject ends the connection each time; counts how often."""
    struck: list[int] = []
    read = lean_parser.read_line

    def faulty(data: bytes, start: int, end: int) -> tuple[bytes, bytes, bytes, int, int, int]:
        if SICK in data[start:end]:
            struck.append(1)
            raise ProtocolError
        return read(data, start, end)

    monkeypatch.setattr(lean_parser, "read_line", faulty)
    return struck


async def test_what_ends_the_connection_each_time_is_put_aside_and_the_others_are_answered(
    house: Core, author: Client, nats_url: str, fragile: list[int]
) -> None:
    prefix = f"cmd.{HERE}.{author.actor.id}.".encode()
    other = await Client(house, await house.principal(Role.AUTHOR)).listen()
    told = command_headers(author.actor_address("sick.one"), uuid4(), clock(), reply_to=author.inbox)
    async with raw_bus(nats_url) as raw, house.running(house.intake(stuck=3.0).run):
        for number in range(3):
            raw.publish(prefix + b"%b.n%d" % (SICK, number), b"{}")
        raw.publish(prefix + b"%b.one" % SICK, b"{}", head_of(told))
        await raw.flush()
        await until(lambda: came(fragile))
        await until(lambda: connected(house))
        await other.give("campaign.create", campaign())
        assert (await author.outcome())["rule"] == "unknown_command"
        assert (await other.outcome())["state"] == "applied"
        await until(lambda: drained(house))
    letters = await house.dead.page(None)
    assert [letter.reason for letter in letters] == ["no_command_id"] * 3


async def test_a_message_read_through_the_api_is_the_one_that_the_queue_brings(house: Core, author: Client) -> None:
    command_id = await author.give("campaign.create", campaign())
    found = await undelivered.read(house.bus, streams.COMMANDS, 1, 3)
    subscription = await house.bus.js.pull_subscribe_bind(streams.INTAKE, streams.COMMANDS)
    (brought,) = await subscription.fetch(1, timeout=5)
    assert found is not None
    assert stored_as(found.message) == stored_as(brought)
    assert (found.message.subject, found.message.data, found.message.headers) == (
        brought.subject,
        brought.data,
        brought.headers,
    )
    assert found.message.headers is not None
    assert found.message.headers["ce-id"] == str(command_id)
    assert await undelivered.span(house.bus, streams.COMMANDS) == (0, 1)
    await house.bus.ack([found.message])
    assert await undelivered.settled(house.bus, streams.COMMANDS, found)
    assert await undelivered.span(house.bus, streams.COMMANDS) == (1, 1)
    assert await undelivered.read(house.bus, streams.COMMANDS, 2, 3) is None


async def test_what_is_stuck_is_handled_in_order_but_what_was_acknowledged_or_is_being_refused(
    house: Core, author: Client
) -> None:
    for _ in range(5):
        await author.give("campaign.create", campaign())
    subscription = await house.bus.js.pull_subscribe_bind(streams.INTAKE, streams.COMMANDS)
    brought = await subscription.fetch(5, timeout=5)
    await house.bus.ack(brought[1:2])  # above the floor: nobody may see it again
    fails, seen = [3], list[int]()

    async def handle(message: Msg, _loop: str) -> None:
        sequence = delivery(message.reply).sequence
        seen.append(sequence)
        if sequence not in fails:
            await house.bus.ack([message])

    def refusing(message: Msg) -> bool:
        return delivery(message.reply).sequence == 5

    stuck = Stuck(house.bus, handle, refusing, clock, 0.0)
    await stuck.look()
    assert seen == [1, 3]
    fails.clear()
    for _ in range(LOOKS + 1):
        await stuck.look()
    assert seen == [1, 3, 3, 4]


@pytest.mark.parametrize("of", [(Inbox, "trying"), (Contents, "put_many"), (Inbox, "tried")])
@pytest.mark.parametrize("loop", ["intake", "intake-stuck"])
async def test_the_loop_that_handles_what_is_stuck_goes_round_while_the_database_is_away(
    house: Core, author: Client, monkeypatch: pytest.MonkeyPatch, of: tuple[type, str], loop: str
) -> None:
    ask, beats = getattr(*of), list[float]()

    async def away(*given: object) -> object:
        beats.append(heartbeats._last.get(loop, 0.0))
        if len(beats) < 4:
            raise OperationalError
        return await ask(*given)

    await author.give("campaign.create", campaign())
    await house.deliver_in_vain(1, tried=False)
    intake = house.intake(stuck=0.0)
    monkeypatch.setattr(*of, away)
    await intake._stuck.look(loop)
    assert (await author.outcome())["state"] == "applied"
    assert len(set(beats[1:])) == 3
    assert beats == sorted(beats)


async def came(struck: list[int]) -> bool:
    return bool(struck)


async def connected(house: Core) -> bool:
    return house.bus.nc.is_connected
