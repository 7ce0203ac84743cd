"""The bus on a real server: streams declared, batches whole or not at all, queues read in order and to the end."""

import asyncio
import time
from collections.abc import AsyncIterator
from uuid import UUID, uuid4

import pytest
from nats.aio.msg import Msg
from nats.js.api import DiscardPolicy, RetentionPolicy, StorageType

from adapters import streams
from adapters.bus import BatchRefused, Bus, BusLost, Message
from adapters.bus_messages import delivery, stored_as
from adapters.pulls import Pulls
from infra.child import write_private
from infra.embedded import EmbeddedNats
from tests.waiting import until


@pytest.fixture
async def bus(nats_url: str) -> AsyncIterator[Bus]:
    made = await Bus.connect(nats_url, "test")
    await streams.declare(made.js, streams.Limits(duplicate_window=60, ack_wait=1.0))
    yield made
    await made.close()


def command(number: int) -> Message:
    return Message(f"cmd.here.me.campaign.n{number}", str(number).encode(), {"Nats-Msg-Id": str(uuid4())})


async def test_the_streams_are_as_the_house_wants_them_and_declaring_them_again_changes_nothing(bus: Bus) -> None:
    async def told() -> list[object]:
        infos = [await bus.js.stream_info(name) for name in ("COMMANDS", "SENDS", "EVENTS", "DEAD")]
        return [info.config for info in infos] + [
            (await bus.js.consumer_info(stream, name)).config for stream, name in streams.CONSUMERS.items()
        ]

    before = await told()
    await streams.declare(bus.js, streams.Limits(duplicate_window=60, ack_wait=1.0))
    assert await told() == before
    for name, retention, discard in (
        ("COMMANDS", RetentionPolicy.LIMITS, DiscardPolicy.NEW),
        ("SENDS", RetentionPolicy.WORK_QUEUE, DiscardPolicy.NEW),
        ("EVENTS", RetentionPolicy.LIMITS, DiscardPolicy.OLD),
        ("DEAD", RetentionPolicy.LIMITS, DiscardPolicy.NEW),
    ):
        config = (await bus.js.stream_info(name)).config
        assert (config.retention, config.discard, config.storage) == (retention, discard, StorageType.FILE)
        assert config.max_bytes is not None
        assert config.max_bytes > 0
    assert (await bus.js.stream_info("EVENTS")).config.max_age == 7 * 86_400


async def test_other_limits_are_taken_over_by_streams_and_consumers_that_exist(bus: Bus) -> None:
    await streams.declare(bus.js, streams.Limits(duplicate_window=2, ack_wait=7, commands_bytes=64 << 20))
    config = (await bus.js.stream_info("COMMANDS")).config
    assert (config.duplicate_window, config.max_bytes) == (2, 64 << 20)
    assert (await bus.js.consumer_info("COMMANDS", "intake")).config.ack_wait == 7


async def test_who_needs_a_stream_that_is_missing_is_told_what_to_do(bus: Bus) -> None:
    await bus.js.delete_consumer("COMMANDS", "intake")
    with pytest.raises(streams.NotDeclared, match="drumline migrate"):
        await bus.pulls("COMMANDS").start()
    await bus.js.delete_stream("SENDS")
    with pytest.raises(streams.NotDeclared):
        await streams.require(bus.js, "SENDS")


async def test_what_was_acknowledged_is_trimmed_and_nothing_else(bus: Bus) -> None:
    await bus.batch("COMMANDS", [command(number) for number in range(10)])
    pulls = bus.pulls("COMMANDS")
    await pulls.start()
    messages = await taken(pulls, 10)
    await bus.ack([message for message in messages if message.data not in (b"4", b"7")])

    async def trimmed_to(*left: bytes) -> bool:
        await bus.trim("COMMANDS")
        state = (await bus.js.stream_info("COMMANDS")).state
        kept = [await bus.js.get_msg("COMMANDS", seq) for seq in range(state.first_seq, state.last_seq + 1)]
        return state.messages == len(left) and {message.data for message in kept} == set(left)

    await until(lambda: trimmed_to(b"4", b"5", b"6", b"7", b"8", b"9"))
    assert await bus.length("COMMANDS") == 2
    await bus.ack([messages[4]])
    await until(lambda: trimmed_to(b"7", b"8", b"9"))
    assert not (await bus.trim("COMMANDS"))[1]  # there is more to come
    await bus.ack([messages[7]])
    await until(lambda: trimmed_to())
    assert (await bus.trim("COMMANDS"))[1]
    assert await bus.length("COMMANDS") == 0
    await pulls.stop()


async def test_what_was_read_and_not_taken_is_bounded_by_its_bytes(bus: Bus, monkeypatch: pytest.MonkeyPatch) -> None:
    most, body = 100_000, b"x" * 20_000
    monkeypatch.setattr("adapters.pulls.MOST_BYTES", most)
    for number in range(60):
        await bus.single(Message(f"cmd.here.me.campaign.n{number % 3}", body, {"Nats-Msg-Id": uuid4().hex}))
    pulls = bus.pulls("COMMANDS", batch=10)
    await pulls.start()
    seen = 0

    def settled() -> bool:
        return pulls._coming <= 0 or seen + len(pulls._arrived) == 60

    while seen < 60:
        some = await pulls.next()
        seen += len(some)
        await until(settled)
        assert len(body) * (len(some) + len(pulls._arrived)) <= 3 * most
    await pulls.stop()


async def test_a_full_queue_refuses_and_loses_nothing_it_took(bus: Bus) -> None:
    await streams.declare(bus.js, streams.Limits(commands_bytes=4_096))
    stored = 0

    async def fill() -> None:
        nonlocal stored
        for number in range(100):
            await bus.single(command(number))
            stored += 1

    with pytest.raises(BatchRefused, match="maximum bytes"):
        await fill()
    assert 0 < stored == (await bus.js.stream_info("COMMANDS")).state.messages


async def test_a_batch_is_stored_whole_and_in_order(bus: Bus) -> None:
    assert await bus.batch("COMMANDS", [command(number) for number in range(1_000)]) == 1_000
    pulls = bus.pulls("COMMANDS")
    await pulls.start()
    assert [int(message.data) for message in await taken(pulls, 1_000)] == list(range(1_000))
    await pulls.stop()


async def test_a_batch_with_one_repeated_id_is_not_stored_at_all(bus: Bus) -> None:
    known = command(0)
    await bus.single(known)
    with pytest.raises(BatchRefused):
        await bus.batch("COMMANDS", [command(1), known, command(2)])
    assert (await bus.js.stream_info("COMMANDS")).state.messages == 1


async def test_a_batch_that_expects_another_end_is_not_stored(bus: Bus) -> None:
    await bus.single(command(0))
    with pytest.raises(BatchRefused):
        await bus.batch("COMMANDS", [command(1), command(2)], expected=0)
    assert await bus.batch("COMMANDS", [command(1), command(2)], expected=1) == 3


async def test_a_batch_to_no_stream_says_so(bus: Bus) -> None:
    with pytest.raises(streams.NotDeclared):
        await bus.batch("NONE", [Message("none.at.all", b"")])


async def test_a_queue_is_read_in_its_order_by_two_overlapped_pulls(bus: Bus) -> None:
    for start in range(0, 3_000, 500):
        await bus.batch("COMMANDS", [command(number) for number in range(start, start + 500)])
    pulls = bus.pulls("COMMANDS", 100)
    await pulls.start()
    messages = await taken(pulls, 3_000)
    assert [int(message.data) for message in messages] == list(range(3_000))
    assert {delivery(message.reply).times for message in messages} == {1}
    assert len({stored_as(message) for message in messages}) == 3_000
    await pulls.stop()


async def test_what_was_pulled_and_not_taken_is_there_for_the_next_reader_at_once(bus: Bus) -> None:
    await bus.batch("COMMANDS", [command(number) for number in range(300)])
    first = bus.pulls("COMMANDS", 100)
    await first.start()
    done = await first.next()
    await bus.ack(done)
    await first.stop()
    began = time.monotonic()
    second = bus.pulls("COMMANDS", 100)
    await second.start()
    rest = await taken(second, 300 - len(done))
    assert time.monotonic() - began < 0.9  # sooner than ack_wait
    assert {message.data for message in [*done, *rest]} == {b"%d" % number for number in range(300)}
    await second.stop()


async def test_a_pull_outlives_the_server(bus: Bus, nats_server: EmbeddedNats) -> None:
    pulls = bus.pulls("COMMANDS")
    await pulls.start()
    waiting = asyncio.ensure_future(pulls.next())
    nats_server.kill()
    await asyncio.to_thread(nats_server.start)
    async with asyncio.timeout(20):
        await connected(bus)
        await bus.single(command(1))
        (message,) = await waiting
    assert message.data == b"1"
    await pulls.stop()


async def test_a_reader_whose_consumer_was_deleted_ends_with_the_reason(bus: Bus) -> None:
    pulls = bus.pulls("COMMANDS")
    await pulls.start()
    waiting = asyncio.ensure_future(pulls.next())
    await bus.single(command(0))
    await waiting
    waiting = asyncio.ensure_future(pulls.next())
    await asyncio.sleep(0)
    await bus.js.delete_consumer("COMMANDS", "intake")
    with pytest.raises(streams.NotDeclared):
        async with asyncio.timeout(30):
            await waiting
    await pulls.stop()


async def test_a_question_nobody_answers_is_answered_by_none(bus: Bus) -> None:
    assert await bus.ask("ctl.session.none.qr", seconds=0.2) is None

    async def answer(body: bytes) -> bytes:
        return body.upper()

    stop = await bus.serve("ctl.session.one.qr", answer)
    assert await bus.ask("ctl.session.one.qr", b"qr") == b"QR"
    await stop()
    assert await bus.ask("ctl.session.one.qr", b"qr", seconds=0.2) is None


async def test_an_accounts_sends_are_repeated_only_under_another_id(bus: Bus) -> None:
    for name in ("a", "a", "b"):
        await bus.send(UUID(int=1), b"{}", name)
    assert (await bus.js.stream_info("SENDS")).state.messages == 2


async def connected(bus: Bus) -> None:
    while True:
        if bus.nc.is_connected:
            return
        await asyncio.sleep(0.02)


async def taken(pulls: Pulls, count: int) -> list[Msg]:
    """So many messages from a queue."""
    messages: list[Msg] = []
    async with asyncio.timeout(20):
        while len(messages) < count:
            messages += await pulls.next()
    return messages


async def test_a_password_that_is_changed_meanwhile_is_the_end_and_so_is_a_wrong_one(
    bus: Bus, nats_server: EmbeddedNats
) -> None:
    watching = asyncio.create_task(bus.watch())
    given = nats_server.url
    nats_server.kill()
    write_private(nats_server.home / "password", "another")
    (nats_server.home / "users.conf").unlink()
    await asyncio.to_thread(nats_server.start)
    connecting = asyncio.create_task(Bus.connect(given, "test"))
    for refused in (watching, connecting):
        with pytest.raises(BusLost, match="refuses our credentials"):
            await asyncio.wait_for(refused, 30)


async def test_a_connection_that_is_closed_for_good_is_the_end(bus: Bus) -> None:
    watching = asyncio.create_task(bus.watch())
    await bus.nc.close()
    async with asyncio.timeout(30):
        with pytest.raises(BusLost, match="connection to the bus was closed"):
            await watching
