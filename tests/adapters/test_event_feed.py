"""What listeners of one process share: the log is read and written once for all of them."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any
from uuid import uuid4

import pytest

from adapters import event_feed
from adapters.cloudevents import structured
from adapters.event_feed import PAGE, Feed
from adapters.event_store import EventStore
from adapters.log_signal import LogSignal
from adapters.runtime.quotas import Bounds, OverQuota, Quota
from domain.message import Actor, PrincipalId, StreamId, WorkspaceId
from infra.quotas import quotas_of
from infra.settings import Settings
from tests.adapters.logs import an_item, opened
from tests.builders import CAMPAIGN_CREATED, HERE


def somebody(name: str, workspace: str = "here") -> Actor:
    return Actor(PrincipalId(name), WorkspaceId(workspace), frozenset())


SOMEBODY = somebody("somebody")


@asynccontextmanager
async def feeding(database_url: str) -> AsyncIterator[tuple[EventStore, Feed]]:
    """A log and its feed."""
    signal = LogSignal(database_url)
    await signal.start()
    async with opened(database_url) as store:
        feed = Feed(store, signal, quotas_of(Settings()).streams)
        task = asyncio.create_task(feed.run())
        try:
            yield store, feed
        finally:
            task.cancel()
            await asyncio.wait([task])
            await signal.stop()


async def campaigns(store: EventStore, count: int) -> None:
    items = [an_item(StreamId(f"campaign-{uuid4()}"), CAMPAIGN_CREATED) for _ in range(count)]
    assert {verdict.code for verdict in await store.append(items)} == {"ok"}


async def follow(feed: Feed, count: int) -> list[int]:
    """Listen from the begin until so many events are heard."""
    heard: list[int] = []
    after = 0
    with feed.seat(somebody(uuid4().hex)):
        while len(heard) < count:
            if await feed.grown(after, 5):
                stretch = await feed.stretch(after)
                heard += [told.position for told in stretch.of(HERE, after)]
                after = stretch.upto
    return heard


async def test_an_event_is_read_and_written_once_for_all_listeners(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    written, read = [0], [0]

    def counting(recorded: Any) -> str:
        written[0] += 1
        return structured(recorded)

    monkeypatch.setattr(event_feed, "structured", counting)
    async with feeding(database_url) as (store, feed):
        tail = store.tail

        async def counted(after: int, limit: int) -> Any:
            read[0] += 1
            return await tail(after, limit)

        monkeypatch.setattr(store, "tail", counted)
        everybody = [asyncio.create_task(follow(feed, 200)) for _ in range(60)]
        for _ in range(20):
            await campaigns(store, 10)
        heard = await asyncio.gather(*everybody)
    assert written == [200]
    assert read[0] < 60  # not sixty times as often as there was something new
    assert all(one == heard[0] == sorted(set(one)) for one in heard)


async def test_listeners_at_different_places_each_hear_the_rest(database_url: str) -> None:
    async with feeding(database_url) as (store, feed):
        await campaigns(store, 3 * PAGE)
        head = await feed.head()
        whole = await follow(feed, 3 * PAGE)
        for after in (0, 1, PAGE - 1, PAGE, PAGE + 7, head - 1):
            heard: list[int] = []
            place = after
            while place < head:
                stretch = await feed.stretch(place)
                assert stretch.upto > place
                heard += [told.position for told in stretch.of(HERE, place)]
                place = stretch.upto
            assert heard == [position for position in whole if position > after]
        assert (await feed.stretch(head)).upto == head


async def test_nothing_new_is_waited_for_and_the_end_wakes_everybody(database_url: str) -> None:
    async with feeding(database_url) as (store, feed):
        with feed.seat(SOMEBODY):
            assert not await feed.grown(0, 0.05)
            waiting = asyncio.create_task(feed.grown(0, 30))
            await campaigns(store, 1)
            assert await asyncio.wait_for(waiting, 30)
            waiting = asyncio.create_task(feed.grown(await feed.head(), 30))
            await asyncio.sleep(0)
    assert not await asyncio.wait_for(waiting, 30)
    assert feed.closed


async def test_a_seat_is_given_back_however_its_listener_leaves(database_url: str) -> None:
    async with opened(database_url) as store:
        feed = Feed(store, LogSignal(database_url), Quota("streams", Bounds(key=1, workspace=2, all=2)))
        with feed.seat(SOMEBODY):
            with pytest.raises(OverQuota) as own, feed.seat(SOMEBODY):
                pass
            with (
                feed.seat(somebody("another")),
                pytest.raises(OverQuota) as full,
                feed.seat(somebody("third", "elsewhere")),
            ):
                pass
        with suppress(ZeroDivisionError), feed.seat(SOMEBODY):
            raise ZeroDivisionError
        assert feed.listeners == 0
    assert (own.value.most, own.value.of) == (1, "key")
    assert (full.value.most, full.value.of) == (2, "all")
