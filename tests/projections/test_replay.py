"""Replay equals live: however the log is cut into pages, the read models come to the same, and to what they must."""

import random
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import psycopg
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from psycopg.rows import dict_row

from domain import catalog
from domain.message import Event, Recorded
from infra.embedded import EmbeddedPostgres
from projections.apply import PROJECTIONS, apply
from projections.projection import Projection
from tests.conftest import TEMPLATE
from tests.projections.histories import Histories, names
from tests.projections.model import TABLES, shown

CASES = [
    pytest.param(projection, kind, id=f"{projection.table.name}-{catalog.EVENT_NAMES[kind]}")
    for projection in PROJECTIONS
    for kind in projection.on
]
HASH = "SELECT md5(coalesce(string_agg(t::text, '|' ORDER BY t::text), '')) FROM {} t"


@asynccontextmanager
async def empty(database: str) -> AsyncIterator[psycopg.AsyncConnection]:
    """A connection to read models without a row."""
    async with await psycopg.AsyncConnection.connect(database, autocommit=True) as connection:
        await connection.execute(f"TRUNCATE {', '.join(TABLES)}".encode())
        await connection.execute("UPDATE projected SET position = 0")
        yield connection


def pages(log: Sequence[Recorded], sizes: Iterator[int]) -> Iterator[Sequence[Recorded]]:
    """The log in pages of these sizes."""
    start = 0
    while start < len(log):
        size = next(sizes)
        yield log[start : start + size]
        start += size


async def project(
    connection: psycopg.AsyncConnection,
    log: Sequence[Recorded],
    sizes: Iterator[int],
    projections: Sequence[Projection[Any]] = PROJECTIONS,
) -> None:
    position = 0
    for page in pages(log, sizes):
        position = await apply(connection, position, page, projections)
        assert position == page[-1].position


async def hashes(connection: psycopg.AsyncConnection) -> dict[str, str]:
    """One hash a table, over all its rows."""
    found = {}
    for table in TABLES:
        row = await (await connection.execute(HASH.format(table).encode())).fetchone()
        assert row is not None
        found[table] = row[0]
    return found


async def rows(
    connection: psycopg.AsyncConnection, tables: Iterable[str] = TABLES
) -> dict[str, dict[Any, dict[str, Any]]]:
    """The tables' rows, by key."""
    found = {}
    for table in tables:
        cursor = connection.cursor(row_factory=dict_row)
        await cursor.execute(f"SELECT * FROM {table}".encode())
        found[table] = {key_of(table, row): row for row in await cursor.fetchall()}
    return found


def key_of(table: str, row: dict[str, Any]) -> Any:
    if table.endswith("_sums"):
        return row["workspace"], row["word"]
    return row["workspace" if table == "read_workspaces" else "id"]


def forever(size: int) -> Iterator[int]:
    while True:
        yield size


def between(rng: random.Random, low: int, high: int) -> Iterator[int]:
    while True:
        yield rng.randint(low, high)


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 2**64))
@example(seed=446015)  # a restriction after a removal
async def test_replay_equals_live_and_both_are_right(database: str, seed: int) -> None:
    rng = random.Random(seed)
    log = Histories(rng).every_step().at_random(30).log()
    assert names(log) == set(catalog.EVENTS)
    async with empty(database) as connection:
        await project(connection, log, between(rng, 1, 40))
        live = await hashes(connection)
        assert await rows(connection) == shown(log)
    async with empty(database) as connection:
        await project(connection, log, forever(500))
        assert await hashes(connection) == live


@pytest.fixture(scope="module")
def database(postgres: EmbeddedPostgres) -> str:
    """One database for all these tests: each empties the read models first."""
    with psycopg.connect(postgres.url_of("postgres"), autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE projections TEMPLATE {TEMPLATE}")
    return postgres.url_of("projections")


@pytest.fixture(scope="module")
def everything() -> list[Recorded]:
    """A log in which each event is the last one of some stream."""
    return Histories(random.Random(20261121)).every_step().log()


@pytest.fixture(scope="module")
def expected(everything: list[Recorded]) -> dict[str, Any]:
    return shown(everything)


@pytest.mark.parametrize(("projection", "kind"), CASES)
async def test_without_any_one_handler_the_read_models_are_wrong(
    database: str,
    everything: list[Recorded],
    expected: dict[str, Any],
    projection: Projection[Any],
    kind: type[Event],
) -> None:
    rest = {event: handler for event, handler in projection.on.items() if event is not kind}
    assert await alone(database, everything, replace(projection, on=rest)) != of(projection, expected)


@pytest.mark.parametrize("projection", PROJECTIONS, ids=lambda projection: projection.table.name)
async def test_with_all_its_handlers_a_read_model_is_right_by_itself(
    database: str, everything: list[Recorded], expected: dict[str, Any], projection: Projection[Any]
) -> None:
    """Or the test above would show nothing."""
    assert await alone(database, everything, projection) == of(projection, expected)


async def alone(database: str, log: list[Recorded], projection: Projection[Any]) -> dict[str, Any]:
    """What a projection makes of the log without the others."""
    async with empty(database) as connection:
        await project(connection, log, forever(500), [projection])
        return await rows(connection, projection.tables)


def of(projection: Projection[Any], everything: dict[str, Any]) -> dict[str, Any]:
    """The tables of one projection."""
    return {table: everything[table] for table in projection.tables}


async def test_with_all_handlers_they_are_right(database: str, everything: list[Recorded]) -> None:
    async with empty(database) as connection:
        await project(connection, everything, forever(500))
        assert await rows(connection) == shown(everything)


def test_every_event_is_shown_somewhere() -> None:
    consumed = {kind for projection in PROJECTIONS for kind in projection.on}
    assert {catalog.EVENT_NAMES[kind] for kind in consumed} == set(catalog.EVENTS)


async def test_what_was_projected_is_passed_over(database: str, everything: list[Recorded]) -> None:
    async with empty(database) as connection:
        first, second = everything[:200], everything[150:]
        await apply(connection, 0, first)
        assert await apply(connection, 0, first) == first[-1].position
        assert await apply(connection, first[149].position, second) == second[-1].position
        assert await rows(connection) == shown(everything)


async def test_a_page_behind_a_hole_is_not_projected(database: str, everything: list[Recorded]) -> None:
    """As after a rebuild began: who read on from the old position is told the new one."""
    async with empty(database) as connection:
        await apply(connection, 0, everything[:10])
        reached = everything[9].position
        assert await apply(connection, everything[49].position, everything[50:]) == reached
        assert await rows(connection) == shown(everything[:10])


async def test_a_page_is_projected_whole_or_not_at_all(database: str, everything: list[Recorded]) -> None:
    def broken(row: object, event: Event, recorded: Recorded) -> None:
        raise RuntimeError("a handler failed")

    last = PROJECTIONS[-1]
    failing = [*PROJECTIONS[:-1], replace(last, on=dict(last.on) | dict.fromkeys(last.on, broken))]
    async with empty(database) as connection:
        with pytest.raises(RuntimeError):
            await apply(connection, 0, everything, failing)
        assert await rows(connection) == {table: {} for table in TABLES}
        await apply(connection, 0, everything)
        assert await rows(connection) == shown(everything)


@pytest.mark.parametrize("projection", PROJECTIONS, ids=lambda projection: projection.table.name)
async def test_columns_are_those_of_the_migrations(database: str, projection: Projection[Any]) -> None:
    async with await psycopg.AsyncConnection.connect(database) as connection:
        cursor = await connection.execute(f"SELECT * FROM {projection.table.name}".encode())
        assert [column.name for column in cursor.description or ()] == unordered(projection, cursor.description or ())


def unordered(projection: Projection[Any], found: Sequence[Any]) -> list[str]:
    """The projection's columns in the table's order; a column that only one of them has shows as a difference."""
    ours = list(projection.table.columns)
    return sorted(ours, key=lambda name: next((i for i, column in enumerate(found) if column.name == name), 99))
