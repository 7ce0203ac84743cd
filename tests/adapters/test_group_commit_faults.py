"""The writer when the database goes away, answers too late, or refuses what it was given."""

import asyncio
import threading
from collections.abc import Callable
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest

from adapters import group_commit
from adapters.append_sql import LOCK
from adapters.event_store import EventStore, Lease, LogUnavailable
from domain.account import AccountPaused
from domain.message import Refused, StreamId
from infra.embedded import EmbeddedPostgres
from infra.migrate import migrate
from tests.adapters.cut_wire import Loss, cut_wire
from tests.adapters.logs import an_item, codes, opened, rows
from tests.builders import NORTH, NORTH_STREAM, READY, SOUTH_STREAM

PAUSED = AccountPaused()
END_WRITERS = """
SELECT pg_terminate_backend(pid) FROM pg_stat_activity
WHERE datname = current_database() AND application_name = 'drumline-log'
"""


def a_stream() -> StreamId:
    return StreamId(f"account-{uuid4()}")


@pytest.mark.parametrize("loss", [Loss.REQUEST, Loss.REPLY])
async def test_a_commit_whose_reply_is_lost_is_no_conflict(database_url: str, scratch: Path, loss: Loss) -> None:
    async with cut_wire(scratch, database_url) as wire, opened(wire.url) as store:
        earlier = an_item(NORTH_STREAM, *READY)
        await store.append([earlier])
        twice = an_item(SOUTH_STREAM, *READY, command_id=uuid4())
        refused = an_item(NORTH_STREAM, expected=3, refusal=Refused("because", field="it"))
        wire.lose = loss
        verdicts = await store.append([an_item(NORTH_STREAM, PAUSED, expected=3), earlier, twice, twice, refused])
        await wire.cut()

        # The refusal was decided on a version that the first item left behind.
        assert [verdict.code for verdict in verdicts] == ["ok", "duplicate", "ok", "duplicate", "conflict"]
        assert [verdict.version for verdict in verdicts[:4]] == [4, 4, 3, 3]
        assert verdicts[0].position == (await store.history(NORTH_STREAM))[-1].position
        assert len(await store.history(NORTH_STREAM)) == 4
        assert len(await store.history(SOUTH_STREAM)) == 3


async def test_a_transaction_that_outlives_its_connection_is_found_again(database_url: str, scratch: Path) -> None:
    async with cut_wire(scratch, database_url) as wire, opened(wire.url) as store:
        await store.append([an_item(NORTH_STREAM, *READY)])
        with psycopg.connect(database_url) as slow:
            slow.execute(LOCK)
            wire.lose = Loss.CONNECTION
            answer = asyncio.create_task(store.append([an_item(NORTH_STREAM, PAUSED, expected=3)]))
            await until(lambda: waiting_for_the_lock(database_url, 2))  # the first try's, and the second's
        [verdict] = await answer

    assert (verdict.code, verdict.version) == ("ok", 4)
    assert len(rows(database_url, "SELECT FROM stored_events")) == 4


async def test_the_writer_connects_again_after_its_connection_was_ended(database_url: str) -> None:
    async with opened(database_url) as store:
        await store.append([an_item(NORTH_STREAM, *READY)])
        assert len(rows(database_url, END_WRITERS)) == 1

        assert await codes(store, [an_item(NORTH_STREAM, PAUSED, expected=3)]) == ["ok"]


async def test_appends_wait_for_a_database_that_restarts(scratch: Path) -> None:
    server = EmbeddedPostgres(scratch / "postgres")
    server.start()
    try:
        migrate(server.url)
        async with opened(server.url) as store:
            await store.append([an_item(NORTH_STREAM, *READY)])
            server.kill()
            answer = asyncio.create_task(store.append([an_item(NORTH_STREAM, PAUSED, expected=3)]))
            await asyncio.to_thread(server.start)

            assert [verdict.code for verdict in await answer] == ["ok"]
            assert (await store.load([NORTH_STREAM]))[NORTH_STREAM].version == 4
    finally:
        server.stop()


async def test_a_database_that_stays_away_is_said_so_in_the_end(database_url: str, scratch: Path) -> None:
    async with cut_wire(scratch, database_url) as wire, opened(wire.url, patience=0.3) as store:
        await store.append([an_item(NORTH_STREAM, *READY)])
        (scratch / ".s.PGSQL.5432").unlink()
        rows(database_url, END_WRITERS)

        with pytest.raises(LogUnavailable):
            await store.append([an_item(NORTH_STREAM, PAUSED, expected=3)])


async def test_an_item_that_only_the_database_can_refuse_does_not_take_its_neighbours_along(
    database_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    with psycopg.connect(database_url) as connection:
        connection.execute("ALTER TABLE stored_events ADD CHECK (originator_id NOT LIKE '%secret%')")
    async with opened(database_url) as store:
        items = [an_item(name, *READY) for name in (NORTH_STREAM, StreamId("account-secret"), SOUTH_STREAM)]
        verdicts = await store.append(items)
        again = await store.append(items)

    assert [(verdict.code, verdict.reason) for verdict in verdicts] == [
        ("ok", ""),
        ("failed", "CheckViolation"),
        ("ok", ""),
    ]
    assert [verdict.code for verdict in again] == ["duplicate", "failed", "duplicate"]
    assert "CheckViolation" in caplog.text
    assert "secret" not in caplog.text


async def test_who_follows_a_key_that_stands_twice_in_one_append_is_decided_anew(database_url: str) -> None:
    """Nobody can say which of the two it was decided on."""
    async with opened(database_url) as store:
        first = an_item(NORTH_STREAM, *READY)
        follower = an_item(SOUTH_STREAM, *READY, follows=[first.key])
        assert await codes(store, [first, first, follower]) == ["ok", "duplicate", "condition"]
        assert await codes(store, [follower]) == ["condition"]


async def test_many_callers_share_transactions_and_each_gets_its_own_answer(database_url: str) -> None:
    async with opened(database_url) as store:
        names = [a_stream() for _ in range(300)]
        wrong = set(range(0, 300, 7))
        items = [an_item(name, PAUSED, expected=n in wrong) for n, name in enumerate(names)]
        with psycopg.connect(database_url) as other:
            other.execute(LOCK)
            answers = [asyncio.create_task(store.append([item])) for item in items]
            await until(lambda: waiting_for_the_lock(database_url, 1))
        verdicts = [verdict for [verdict] in await asyncio.gather(*answers)]

    assert [verdict.code for verdict in verdicts] == ["conflict" if n in wrong else "ok" for n in range(300)]
    assert len(rows(database_url, "SELECT DISTINCT xmin::text FROM stored_events")) <= 2


async def test_a_writer_waits_while_another_process_appends(database_url: str) -> None:
    async with opened(database_url) as store:
        with psycopg.connect(database_url) as other:
            other.execute(LOCK)
            answer = asyncio.create_task(store.append([an_item(NORTH_STREAM, *READY)]))
            await until(lambda: waiting_for_the_lock(database_url, 1))
            assert await store.head() == 0
        assert [verdict.code for verdict in await answer] == ["ok"]


async def test_an_append_in_the_midst_of_a_takeover_waits_and_is_refused(database_url: str) -> None:
    rows(database_url, "INSERT INTO leases (account, fence, permits) VALUES (%s, 7, 1) RETURNING 1", NORTH)
    async with opened(database_url) as store:
        with psycopg.connect(database_url) as taking:
            taking.execute("UPDATE leases SET fence = 8 WHERE account = %s", [NORTH])
            items = [an_item(a_stream(), PAUSED, lease=Lease(NORTH, fence=7, spend=spend)) for spend in (0, 1)]
            answer = asyncio.create_task(store.append(items))
            await until(lambda: waiting_for_a_row(database_url))
        assert [verdict.code for verdict in await answer] == ["fence", "fence"]


async def test_who_stops_waiting_does_not_stop_the_others(database_url: str) -> None:
    async with opened(database_url) as store:
        with psycopg.connect(database_url) as other:
            other.execute(LOCK)
            gone = asyncio.create_task(store.append([an_item(NORTH_STREAM, *READY)]))
            stays = asyncio.create_task(store.append([an_item(SOUTH_STREAM, *READY)]))
            await until(lambda: waiting_for_the_lock(database_url, 1))
            gone.cancel()
        assert [verdict.code for verdict in await stays] == ["ok"]
    assert gone.cancelled()


async def test_what_has_queued_is_appended_before_the_writer_stops(database_url: str) -> None:
    store = EventStore(database_url)
    store.start()
    answers = [asyncio.create_task(store.append([an_item(a_stream(), *READY)])) for _ in range(50)]
    await asyncio.sleep(0)
    await store.stop()

    assert {verdict.code for [verdict] in await asyncio.gather(*answers)} == {"ok"}
    with pytest.raises(LogUnavailable):
        await store.append([an_item(NORTH_STREAM, *READY)])


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")  # the writer's end is the test
async def test_nobody_waits_for_a_writer_that_died_of_a_bug(database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    died = threading.Event()

    def bug(*_: object) -> list[list[int]]:
        died.set()
        raise ZeroDivisionError

    monkeypatch.setattr(group_commit, "waves", bug)
    async with opened(database_url) as store:
        with pytest.raises(LogUnavailable):
            await store.append([an_item(NORTH_STREAM, *READY)])
        assert died.is_set()
        with pytest.raises(LogUnavailable):
            await store.append([an_item(NORTH_STREAM, *READY)])


async def until(true: Callable[[], bool], seconds: float = 30.0) -> None:
    """Return when something has become true."""
    async with asyncio.timeout(seconds):
        while not await asyncio.to_thread(true):  # noqa: ASYNC110  # what is waited for is in the database
            await asyncio.sleep(0.01)


def waiting_for_the_lock(database_url: str, writers: int) -> bool:
    query = """
        SELECT FROM pg_locks l JOIN pg_database d ON d.oid = l.database
        WHERE locktype = 'advisory' AND NOT granted AND datname = current_database()
    """
    return len(rows(database_url, query)) >= writers


def waiting_for_a_row(database_url: str) -> bool:
    return bool(rows(database_url, "SELECT FROM pg_locks WHERE locktype = 'transactionid' AND NOT granted"))
