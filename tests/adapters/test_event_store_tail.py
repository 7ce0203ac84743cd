"""Who follows the log misses nothing, whoever writes it; and is woken by each commit."""

import asyncio
import gc
import sys
import warnings
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from uuid import uuid4

import psycopg
import pytest
from eventsourcing.persistence import StoredEvent

from adapters.append_sql import LOCK
from adapters.event_store import Datastore, LogRecorder
from adapters.log_signal import LogSignal
from domain.account import AccountPaused
from domain.message import Refused, StreamId
from tests.adapters.logs import an_item, opened, rows
from tests.adapters.test_group_commit_faults import until, waiting_for_the_lock
from tests.builders import NORTH_STREAM, READY, SOUTH_STREAM

WRITERS, ITEMS = 3, 400
END_SIGNALS = """
SELECT pg_terminate_backend(pid) FROM pg_stat_activity
WHERE datname = current_database() AND application_name = 'drumline-log-signal'
"""


@asynccontextmanager
async def listening(database_url: str) -> AsyncIterator[LogSignal]:
    signal = LogSignal(database_url)
    await signal.start()
    try:
        yield signal
    finally:
        await signal.stop()


async def test_who_stops_listening_at_once_leaves_no_connection_open(database_url: str) -> None:
    """Its task was cancelled before its first step: it could close nothing."""
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        signal = LogSignal(database_url)
        await signal.start()
        await signal.stop()
        del signal
        gc.collect()
    assert [str(one.message) for one in told] == []


async def test_a_tailing_reader_loses_nothing_of_several_writing_processes_nor_of_its_own(database_url: str) -> None:
    async def write() -> None:
        for _ in range(ITEMS):
            await store.append([an_item(StreamId(f"account-{uuid4()}"), *READY)])

    async with opened(database_url) as store, listening(database_url) as signal:
        own = asyncio.create_task(write())
        writers = [
            await asyncio.create_subprocess_exec(
                sys.executable, "-m", "tests.adapters.log_writer", database_url, str(ITEMS)
            )
            for _ in range(WRITERS)
        ]
        tailed, seen = list[int](), 0
        async with asyncio.timeout(60):
            while len(tailed) < (WRITERS + 1) * ITEMS * len(READY):
                page = await store.tail(tailed[-1] if tailed else 0)
                tailed += [recorded.position for recorded in page]
                if not page:
                    ended = own.done() and all(writer.returncode is not None for writer in writers)
                    assert not ended or seen != signal.count, f"only {len(tailed)} events were seen"
                    seen = signal.count
                    await signal.wait(0.2, seen)
        assert [await writer.wait() for writer in writers] == [0] * WRITERS
        await own

    stored = [row["n"] for row in rows(database_url, "SELECT notification_id n FROM stored_events ORDER BY 1")]
    assert tailed == stored


async def test_who_follows_the_log_in_the_process_that_writes_it_reads_nothing_back(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with opened(database_url) as store:
        assert await store.tail(0) == []
        items = [an_item(StreamId(f"account-{uuid4()}"), *READY) for _ in range(5)]
        again = an_item(items[0].stream, AccountPaused(), expected=len(READY), traceparent="00-trace")
        refused = an_item(items[1].stream, expected=0, refusal=Refused("because", field="it"))
        with monkeypatch.context() as patch:
            patch.delattr(LogRecorder, "select_notifications")
            await store.append([*items, again, refused, items[2]])
            tailed = await store.tail(0)
            middle = await store.tail(tailed[6].position, 3)
        assert tailed == await store.page(0)
        assert len(tailed) == 5 * len(READY) + 1
        assert middle == tailed[7:10]


async def test_what_a_neighbour_appended_in_between_is_read_from_the_log(database_url: str) -> None:
    async with opened(database_url) as store, opened(database_url) as other:
        tailed = await store.tail(0)
        for writer in (store, other, store, store, other):
            await writer.append([an_item(StreamId(f"account-{uuid4()}"), *READY)])
        with psycopg.connect(database_url, autocommit=True) as connection:  # a position that stays empty
            connection.execute("SELECT nextval(pg_get_serial_sequence('stored_events', 'notification_id'))")
        await store.append([an_item(StreamId(f"account-{uuid4()}"), *READY)])
        while page := await store.tail(tailed[-1].position if tailed else 0, 4):
            tailed += page
        assert tailed == await store.page(0)
        assert len(tailed) == 6 * len(READY)


async def test_the_librarys_own_insert_keeps_the_order_too(database_url: str) -> None:
    recorder = LogRecorder(Datastore(database_url))
    try:
        with psycopg.connect(database_url) as other:
            other.execute(LOCK)
            insert = asyncio.create_task(
                asyncio.to_thread(recorder.insert_events, [StoredEvent(NORTH_STREAM, 1, "account.linked", b"{}")])
            )
            await until(lambda: waiting_for_the_lock(database_url, 1))
            assert recorder.max_notification_id() is None
        assert await insert == [1]
        [stored] = recorder.select_events(NORTH_STREAM)
        assert stored == recorder.select_notifications(None, 10)[0]
        assert (stored.originator_version, stored.topic, stored.state) == (1, "account.linked", b"{}")
    finally:
        recorder.datastore.close()


async def test_the_recorder_reads_what_the_library_asks_for(database_url: str) -> None:
    recorder = LogRecorder(Datastore(database_url))
    try:
        inserted = [StoredEvent(NORTH_STREAM, n, "a" if n % 2 else "b", b"{}") for n in range(1, 6)]
        recorder.insert_events(inserted)

        def versions(**asked: object) -> list[int]:
            return [event.originator_version for event in recorder.select_events(NORTH_STREAM, **asked)]  # type: ignore[arg-type]  # any of them

        assert versions() == [1, 2, 3, 4, 5]
        assert versions(gt=1, lte=4) == [2, 3, 4]
        assert versions(desc=True, limit=2) == [5, 4]
        assert [n.id for n in recorder.select_notifications(2, 10)] == [2, 3, 4, 5]
        assert [n.id for n in recorder.select_notifications(2, 2, inclusive_of_start=False)] == [3, 4]
        assert [n.id for n in recorder.select_notifications(1, 10, stop=4, topics=["b"])] == [2, 4]
    finally:
        recorder.datastore.close()


async def test_a_commit_wakes_everyone_who_waits(database_url: str) -> None:
    async with opened(database_url) as store, listening(database_url) as signal:
        await until(lambda: signal.count == 1)  # it listens
        waiting = [asyncio.create_task(signal.wait(10)) for _ in range(3)]
        await asyncio.sleep(0)
        await store.append([an_item(NORTH_STREAM, *READY)])

        assert await asyncio.gather(*waiting) == [True, True, True]


async def test_a_commit_between_a_look_and_the_wait_is_not_missed(database_url: str) -> None:
    async with opened(database_url) as store, listening(database_url) as signal:
        await until(lambda: signal.count == 1)
        seen = signal.count
        await store.append([an_item(NORTH_STREAM, *READY)])
        await until(lambda: signal.count > seen)

        assert await signal.wait(0, seen)


async def test_without_a_commit_a_wait_ends_in_time(database_url: str) -> None:
    async with listening(database_url) as signal:
        await until(lambda: signal.count == 1)
        assert not await signal.wait(0.05)


async def test_a_signal_that_lost_its_connection_wakes_again(database_url: str) -> None:
    async with opened(database_url) as store, listening(database_url) as signal:
        await until(lambda: signal.count == 1)
        assert len(rows(database_url, END_SIGNALS)) == 1
        await store.append([an_item(SOUTH_STREAM, *READY)])

        assert await signal.wait(10, 1)  # as soon as it listens again, for something may have been missed
