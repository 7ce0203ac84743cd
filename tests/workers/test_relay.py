"""The relay: the whole log on EVENTS, in order, each event once, whoever dies."""

import asyncio
from datetime import timedelta
from typing import Any
from uuid import uuid4

import orjson
import pytest

from adapters import streams
from adapters.bus import BatchRefused, Bus, Message, Stored
from adapters.leader import Leader
from domain.campaign import CreateCampaign
from domain.content import TextPart
from domain.message import Ref
from tests.workers.core import HERE, Core, clock, until
from tests.workers.test_decisions import AUTHOR, asked
from workers.relay import FEW, BusAhead, Relay

TITLE = Ref("a" * 64)


async def campaigns(house: Core, count: int) -> None:
    made = [asked(CreateCampaign(uuid4(), TITLE, (TextPart(TITLE),)), AUTHOR) for _ in range(count)]
    await house.decisions.make(made)


async def relayed(house: Core) -> list[Stored]:
    """What EVENTS holds."""
    state = (await house.bus.js.stream_info(streams.EVENTS)).state
    found = []
    for sequence in range(state.first_seq, state.last_seq + 1) if state.messages else ():
        raw = await house.bus.js.get_msg(streams.EVENTS, sequence)
        found.append(Stored(sequence, raw.subject or "", dict(raw.headers or {}), raw.data or b""))
    return found


async def complete(house: Core) -> bool:
    """Whether EVENTS ends where the log ends."""
    _, last = await house.bus.last(streams.EVENTS)
    return last is not None and int(last.headers.get("Drl-Position", 0)) == await house.store.head()


async def check_whole(house: Core, after: int = 0) -> list[Stored]:
    """EVENTS has each event of the log once, in order, each naming the position before it."""
    log = [recorded for recorded in await house.store.page(0, 10_000) if recorded.position > after]
    told = await relayed(house)
    assert [message.headers["ce-id"] for message in told] == [str(one.envelope.event_id) for one in log]
    previous = after
    for message in told:
        assert int(message.headers["Drl-Prev"]) == previous
        previous = int(message.headers["Drl-Position"])
    return told


async def test_events_come_as_cloudevents_without_a_word_of_anybodys(house: Core) -> None:
    async with house.running(house.relay().run):
        await campaigns(house, 1)
        await until(lambda: complete(house))
    _, made = await check_whole(house)
    assert made.subject == f"evt.{HERE}.campaign.created"
    headers = made.headers
    assert headers["ce-specversion"] == "1.0"
    assert headers["ce-type"] == "drumline.campaign.created"
    assert headers["ce-source"] == f"/drumline/{HERE}"
    assert headers["ce-subject"].startswith("campaign-")
    assert headers["ce-time"].endswith("Z")
    assert headers["Nats-Msg-Id"] == headers["ce-id"]
    part = {"text": TITLE, "delay": 0, "reply_to": None}
    assert orjson.loads(made.body) == {"title": TITLE, "parts": [part], "audience_id": None, "template": None}


async def test_a_long_log_is_relayed_in_order(house: Core) -> None:
    await campaigns(house, 2_500)
    async with house.running(house.relay().run):
        await until(lambda: complete(house), 30)
    state = (await house.bus.js.stream_info(streams.EVENTS)).state
    assert state.messages == 2_501


async def test_a_relay_that_was_killed_goes_on_where_the_stream_ends(house: Core) -> None:
    for _ in range(4):
        async with house.running(house.relay().run):  # cancelled somewhere between page and acknowledgement
            await campaigns(house, 30)
            await until(lambda: begun(house))
    async with house.running(house.relay().run):
        await until(lambda: complete(house))
    await check_whole(house)


@pytest.mark.parametrize(("publish", "together"), [("single", FEW), ("batch", FEW + 1)])
async def test_an_acknowledgement_that_was_lost_repeats_nothing(
    house: Core, monkeypatch: pytest.MonkeyPatch, publish: str, together: int
) -> None:
    published, lost = getattr(Bus, publish), list[object]()

    async def loses(*order: Any, **how: Any) -> Any:
        answer = await published(*order, **how)
        if len(lost) < 3:
            lost.append(answer)
            raise TimeoutError
        return answer

    await campaigns(house, 1)
    async with house.running(house.relay().run):
        await until(lambda: complete(house))
        monkeypatch.setattr(Bus, publish, loses)
        for _ in range(3):
            await campaigns(house, together)
            await until(lambda: complete(house))
    assert len(lost) == 3
    await check_whole(house)


async def test_of_two_relays_one_works_and_the_other_takes_over(house: Core) -> None:
    first, second = asyncio.ensure_future(house.relay().run()), asyncio.ensure_future(house.relay().run())
    try:
        await campaigns(house, 3)
        await until(lambda: complete(house))
        for relay in (first, second):
            relay.cancel()
            await asyncio.wait([relay])
            if relay is first:
                await campaigns(house, 3)
                await until(lambda: complete(house))
    finally:
        first.cancel()
        second.cancel()
    await check_whole(house)


async def test_a_relay_without_its_lock_cannot_write(house: Core) -> None:
    """As after a long stop: it believes to lead, and another has written meanwhile."""
    await campaigns(house, 2)
    async with house.running(house.relay().run):
        await until(lambda: complete(house))
    before = await relayed(house)
    stale = Message(f"evt.{HERE}.campaign.created", b"{}", {"Nats-Msg-Id": "another"})
    with pytest.raises(BatchRefused):
        await house.bus.batch(streams.EVENTS, [stale, stale], expected=1)
    with pytest.raises(BatchRefused):
        await house.bus.single(stale, expected=1)
    assert await relayed(house) == before


async def test_two_who_both_believe_to_lead_write_each_event_once(house: Core) -> None:
    both = [
        Relay(house.bus, house.store, house.signal, Leader(house.database_url, f"relay-{uuid4()}", 0.05), clock=clock)
        for _ in range(2)
    ]
    async with house.running(*(relay.run for relay in both)):
        for _ in range(10):
            await campaigns(house, 20)
        await until(lambda: complete(house), 20)
    await check_whole(house)


@pytest.mark.parametrize("how", ["wiped", "purged"])
async def test_an_emptied_stream_is_filled_again_from_the_log(house: Core, how: str) -> None:
    await campaigns(house, 40)
    async with house.running(house.relay().run):
        await until(lambda: complete(house))
    if how == "wiped":
        await house.bus.js.delete_stream(streams.EVENTS)
        await streams.declare(house.bus.js)
    else:
        await house.bus.js.purge_stream(streams.EVENTS)
    async with house.running(house.relay().run):
        await until(lambda: complete(house))
    assert len(await check_whole(house)) == 41


async def test_a_strangers_message_is_passed_over(house: Core) -> None:
    await campaigns(house, 2)
    async with house.running(house.relay().run):
        await until(lambda: complete(house))
    await house.bus.single(Message("evt.elsewhere", b"{}"))
    async with house.running(house.relay().run):
        await campaigns(house, 2)
        await until(lambda: complete(house))
        await house.bus.single(Message("evt.elsewhere", b"{}"))
        await campaigns(house, 2)
        await until(lambda: complete(house))
    told = [message.headers["ce-id"] for message in await relayed(house) if message.subject != "evt.elsewhere"]
    assert told == [str(one.envelope.event_id) for one in await house.store.page(0, 100)]


async def test_an_empty_stream_is_filled_only_as_far_back_as_its_window(house: Core) -> None:
    await campaigns(house, 10)
    old = await house.store.head()
    moment = clock()
    await campaigns(house, 5)
    relay = house.relay(window=timedelta(seconds=100))
    relay._clock = lambda: moment + timedelta(seconds=100)  # the window begins between the two
    async with house.running(relay.run):
        await until(lambda: complete(house))
    assert len(await check_whole(house, after=old)) == 5


async def test_a_missing_stream_ends_the_worker_with_the_reason(house: Core) -> None:
    await house.bus.js.delete_stream(streams.EVENTS)
    with pytest.raises(streams.NotDeclared, match="drumline migrate"):
        await house.relay().run()


async def begun(house: Core) -> bool:
    return (await house.bus.js.stream_info(streams.EVENTS)).state.messages > 0


async def test_a_log_restored_from_an_older_copy_is_not_relayed_with_a_hole(house: Core) -> None:
    await campaigns(house, 3)
    async with house.running(house.relay().run):
        await until(lambda: complete(house))
    async with house.pool.connection() as connection:
        await connection.execute("DELETE FROM stored_events WHERE originator_id LIKE 'campaign-%'")
    with pytest.raises(BusAhead):
        await asyncio.wait_for(house.relay().run(), 20)
