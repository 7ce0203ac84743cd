"""What a key may have waiting is bounded by the server, and all keys' together by which keys are made."""

import logging
from collections.abc import AsyncIterator
from dataclasses import replace
from uuid import uuid4

import pytest
from psycopg_pool import AsyncConnectionPool

from adapters import streams
from adapters.bus import BatchRefused, Bus, CommandsFull, CommandTooLarge, Message
from adapters.bus_messages import STORE_REFUSED
from adapters.cloudevents import Address
from adapters.command_limits import MAX_BODY, MAX_MESSAGE, CommandLimits
from adapters.keys import BadKey, Keys
from adapters.outages import OUTAGES
from domain.message import PrincipalId, Role, WorkspaceId
from tests.workers.core import clock

MINE = Address(WorkspaceId("shop"), PrincipalId("mine0000"), "campaign.create")
OTHER = Address(WorkspaceId("other"), PrincipalId("other000"), "campaign.create")
FEW = streams.Limits(duplicate_window=0.1, commands_waiting=5)


@pytest.fixture
async def bus(nats_url: str) -> AsyncIterator[Bus]:
    made = await Bus.connect(nats_url, "test")
    yield made
    await made.close()


async def give(bus: Bus, address: Address, body: bytes = b"{}") -> None:
    await bus.command(address, uuid4(), body, clock())


async def waiting(bus: Bus) -> int:
    return (await bus.js.stream_info(streams.COMMANDS)).state.messages


async def test_a_key_has_so_many_of_a_command_waiting_and_no_more_and_another_is_not_held_up(bus: Bus) -> None:
    await streams.declare(bus.js, FEW)
    for _ in range(5):
        await give(bus, MINE)
    with pytest.raises(CommandsFull) as refused:
        await give(bus, MINE)
    assert isinstance(refused.value, OUTAGES)  # room will come: who accepted it waits
    with pytest.raises(BatchRefused) as batch:
        await bus.batch(streams.COMMANDS, [Message(MINE.subject, b"{}"), Message(OTHER.subject, b"{}")])
    assert batch.value.code == STORE_REFUSED
    await give(bus, OTHER)
    await give(bus, Address(MINE.workspace, MINE.principal, "recipient.opt-out"))
    assert await waiting(bus) == 7


@pytest.mark.parametrize(("most", "messages"), [(1_000, -1), (-1, streams.CLOSED)])
async def test_a_stream_that_is_full_or_closed_is_an_outage_and_no_keys_own_doing(
    bus: Bus, most: int, messages: int
) -> None:
    await streams.declare(bus.js, FEW)
    config = next(one for one in streams.streams(FEW) if one.name == streams.COMMANDS)
    await bus.js.update_stream(replace(config, max_bytes=most, max_msgs=messages))
    await give(bus, OTHER, b"x" * 500)
    with pytest.raises(OUTAGES) as refused:
        await give(bus, MINE, b"x" * 500)
    assert not isinstance(refused.value, CommandsFull)


async def test_a_command_of_64_kb_is_taken_and_nothing_much_larger(bus: Bus) -> None:
    await streams.declare(bus.js, FEW)
    await give(bus, MINE, b"x" * MAX_BODY)
    with pytest.raises(CommandTooLarge):
        await give(bus, MINE, b"x" * MAX_MESSAGE)
    assert await waiting(bus) == 1


async def test_what_waits_in_an_older_stream_is_kept_though_it_is_more_than_is_allowed(
    bus: Bus, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "adapters.streams")
    await streams.declare(bus.js, FEW)
    old = next(one for one in streams.streams(FEW) if one.name == streams.COMMANDS)
    old.max_msgs_per_subject, old.discard_new_per_subject, old.max_msg_size = -1, False, -1
    await bus.js.update_stream(old)
    for _ in range(12):
        await give(bus, MINE)
    await streams.declare(bus.js, FEW)
    assert await waiting(bus) == 12
    with pytest.raises(CommandsFull):
        await give(bus, MINE)
    await give(bus, OTHER)
    await bus.js.purge_stream(streams.COMMANDS)
    await streams.declare(bus.js, FEW)
    config = (await bus.js.stream_info(streams.COMMANDS)).config
    assert (config.max_msgs, config.max_msgs_per_subject, config.discard_new_per_subject) == (-1, 5, True)
    assert [record.message for record in caplog.records][:2] == [
        "a stream is closed while what waits is counted",
        "a stream takes messages again",
    ]


def test_ordinary_installations_have_room() -> None:
    limits = CommandLimits()
    team = [{Role.ADMIN}, {Role.AUTHOR, Role.MODERATOR}, {Role.MODERATOR}, {Role.OPERATOR}, {Role.AUDITOR}]
    assert limits.fits([{Role.SERVICE}] * 80)
    assert limits.fits(team * 15)
    assert limits.bytes_of({Role.AUDITOR}) == 0
    assert limits.waiting >= limits.rate


@pytest.mark.parametrize("rate", [1, 100, 101, 20_000])
def test_who_keeps_to_the_rate_is_not_refused_for_what_is_not_trimmed_yet(rate: int) -> None:
    assert CommandLimits(rate).waiting >= rate


async def test_a_key_that_could_take_others_room_is_not_made(database_url: str) -> None:
    limits = CommandLimits(stream_bytes=2 * CommandLimits().bytes_of({Role.SERVICE}))
    async with AsyncConnectionPool(database_url, min_size=1, max_size=2, open=False) as pool:
        keys = Keys(pool, bytes(32), limits=limits)
        first, _ = [await keys.create("shop", [Role.SERVICE]) for _ in range(2)]
        with pytest.raises(BadKey, match=r"the bus could be filled: 2 keys .* DRUMLINE_COMMANDS_BYTES"):
            await keys.create("other", [Role.MODERATOR])
        await keys.create("other", [Role.AUDITOR])
        await keys.revoke(WorkspaceId("shop"), first.id)
        await keys.create("other", [Role.MODERATOR])
