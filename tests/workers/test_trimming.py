"""What was answered is removed from COMMANDS, and nothing else is: whatever becomes of the server meanwhile."""

import asyncio
import shutil
from collections.abc import Sequence
from functools import partial

import pytest
from nats.aio.msg import Msg

from adapters import streams
from adapters.bus_messages import delivery
from adapters.pulls import Pulls
from domain.message import Role
from infra.embedded import EmbeddedNats
from tests.workers.core import Client, Core, campaign, core, until
from workers.intake.trimming import Trimming

PATIENT = streams.Limits(duplicate_window=0.5, ack_wait=60.0)


async def handed_out(client: Client, pulls: Pulls, count: int) -> list[Msg]:
    """Commands that were read, and that nobody has answered."""
    for _ in range(count):
        await client.give("campaign.create", campaign())
    messages: list[Msg] = []
    while len(messages) < count:
        messages += await pulls.next()
    return messages


async def lies_there(house: Core, messages: int) -> bool:
    return (await house.bus.js.stream_info(streams.COMMANDS)).state.messages == messages


async def unanswered(house: Core) -> int:
    return await house.bus.length(streams.COMMANDS)


@pytest.mark.parametrize("lost", ["deleted", pytest.param("wiped", marks=pytest.mark.long)])
async def test_what_was_in_hand_when_the_bus_lost_its_data_acknowledges_and_removes_nothing_of_the_queue_made_anew(
    database_url: str, nats_server: EmbeddedNats, lost: str
) -> None:
    async with core(database_url, nats_server.url, PATIENT) as house:
        author = await Client(house, await house.principal(Role.AUTHOR)).listen()
        pulls, trimming = house.bus.pulls(streams.COMMANDS), Trimming(house.bus, waiting=4)
        await trimming.begin()
        await pulls.start()
        former = await handed_out(author, pulls, 4)
        breaks = house.bus.breaks
        if lost == "deleted":
            await house.bus.js.delete_stream(streams.COMMANDS)
        else:
            await asyncio.to_thread(nats_server.kill)
            await asyncio.to_thread(shutil.rmtree, nats_server.home / "jetstream")
            await asyncio.to_thread(nats_server.start)
        await until(lambda: house.bus.breaks > breaks)
        await streams.declare(house.bus.js, PATIENT)
        pulls = house.bus.pulls(streams.COMMANDS)
        await pulls.start()
        messages = await handed_out(author, pulls, 4)
        await trimming.acknowledge(former)
        await house.bus.nc.flush()
        assert await unanswered(house) == 4
        async with house.running(trimming.run):
            await trimming.acknowledge([*former, *messages[1:3]])  # the first holds up what is behind it
            await until(lambda: lies_there(house, 2))
            assert await unanswered(house) == 2
            await trimming.acknowledge([messages[0], messages[3]])
            await until(lambda: lies_there(house, 0))


async def test_what_the_server_did_not_remove_is_removed_at_the_next_look(
    database_url: str, nats_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with core(database_url, nats_url, PATIENT) as house:
        author = await Client(house, await house.principal(Role.AUTHOR)).listen()
        pulls, trimming = house.bus.pulls(streams.COMMANDS), Trimming(house.bus, waiting=4)
        await pulls.start()
        messages = await handed_out(author, pulls, 4)
        remove, asked = house.bus.remove, list[Sequence[int]]()

        async def moody(stream: str, sequences: Sequence[int]) -> int:
            asked.append(sequences)
            if len(asked) == 1:
                raise TimeoutError
            return 1 if len(asked) == 2 else await remove(stream, sequences)

        monkeypatch.setattr(house.bus, "remove", moody)
        async with house.running(trimming.run):
            await trimming.acknowledge(messages[1:])
            await until(lambda: lies_there(house, 1))
        assert asked == [[2, 3, 4]] * 3


async def test_what_was_answered_behind_those_that_are_answered_slowly_is_removed(
    database_url: str, nats_url: str
) -> None:
    async with core(database_url, nats_url, PATIENT) as house:
        author = await Client(house, await house.principal(Role.AUTHOR)).listen()
        pulls, trimming = house.bus.pulls(streams.COMMANDS), Trimming(house.bus, waiting=4)
        await pulls.start()
        messages = await handed_out(author, pulls, 12)

        async def first() -> int:
            return (await house.bus.js.stream_info(streams.COMMANDS)).state.first_seq

        async def removed(message: Msg) -> bool:
            return await first() > delivery(message.reply).sequence

        async with house.running(trimming.run):
            await trimming.acknowledge(messages[8:])
            for message in messages[:7]:  # the floor moves at each look
                await trimming.acknowledge([message])
                await until(partial(removed, message))
            assert await lies_there(house, 1)


async def test_the_server_says_what_it_keeps_of_what_is_to_be_removed(house: Core, author: Client) -> None:
    await author.give("campaign.create", campaign())
    assert await house.bus.remove(streams.COMMANDS, [1, 1, 50]) == 0  # gone, gone before, never there
    config = (await house.bus.js.stream_info(streams.COMMANDS)).config
    config.deny_delete = True
    await house.bus.js.delete_stream(streams.COMMANDS)
    await house.bus.js.add_stream(config)
    await author.give("campaign.create", campaign())
    assert await house.bus.remove(streams.COMMANDS, [1]) == 1
    assert await lies_there(house, 1)
