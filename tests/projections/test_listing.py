"""A list by its pages: whatever is asked for, all pages together are the rows that fit, once each and in order."""

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import psycopg
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.message import WorkspaceId
from infra.embedded import EmbeddedPostgres
from projections.listing import Listing
from projections.recipients import LIST, Row
from tests.conftest import TEMPLATE

OURS, THEIRS = WorkspaceId("ours"), WorkspaceId("theirs")
NOW = datetime(2026, 11, 21, tzinfo=UTC)
SOURCES = ("web_form", "paper", "spoken")
MANY = 60


@pytest.fixture(scope="module")
def database(postgres: EmbeddedPostgres) -> str:
    """A database with people in two workspaces."""
    with psycopg.connect(postgres.url_of("postgres"), autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE listing TEMPLATE {TEMPLATE}")
    with psycopg.connect(postgres.url_of("listing"), autocommit=True) as connection:
        for number in range(MANY):
            add(connection, number)
    return postgres.url_of("listing")


def add(connection: psycopg.Connection, number: int) -> None:
    """A recipient; one in three is another workspace's."""
    row = [
        UUID(int=number << 100),
        workspace_of(number),
        number,
        number,
        NOW,
        number % 7 != 0,
        SOURCES[number % 11 % 3],
    ]
    connection.execute(
        "INSERT INTO read_recipients (id, workspace, born, position, changed_at, consented, source) "
        "VALUES (%s, %s, %s, %s, %s, %s, %s)",
        row,
    )


def impatient(scan: int) -> Listing[Row]:
    """The list of recipients, but no more than so many rows are looked at for a page."""
    return Listing(LIST.table, Row, [*LIST.filters.values()], LIST.ways, scan=scan)


def workspace_of(number: int) -> WorkspaceId:
    return THEIRS if number % 3 == 0 else OURS


def fits(number: int, asked: dict[str, Any]) -> bool:
    """Whether a recipient fits what is asked for, said another way."""
    return (
        workspace_of(number) == OURS
        and asked.get("consented", number % 7 != 0) == (number % 7 != 0)
        and asked.get("source", SOURCES[number % 11 % 3]) == SOURCES[number % 11 % 3]
        and str(UUID(int=number << 100)).replace("-", "").startswith(asked.get("id", ""))
    )


choices = st.fixed_dictionaries(
    {},
    optional={
        "consented": st.booleans(),
        "source": st.sampled_from(SOURCES),
        "id": st.integers(0, MANY).map(lambda number: str(UUID(int=number << 100)).replace("-", "")[:7]),
    },
)


@settings(max_examples=40, deadline=None)
@given(asked=choices, limit=st.integers(1, 9), scan=st.integers(10, 30))
async def test_all_pages_together_are_what_fits(database: str, asked: dict[str, Any], limit: int, scan: int) -> None:
    async with await psycopg.AsyncConnection.connect(database, autocommit=True) as connection:
        found, after = list[int](), None
        while True:
            page = await impatient(scan).page(connection, OURS, asked, after, limit)
            assert len(page.rows) <= limit
            found += [row.born for row in page.rows]
            if page.next is None:
                break
            after = page.next
    assert found == [number for number in reversed(range(MANY)) if fits(number, asked)]


async def test_a_rare_thing_is_looked_for_a_stretch_at_a_time(database: str) -> None:
    async with await psycopg.AsyncConnection.connect(database, autocommit=True) as connection:
        page = await impatient(10).page(connection, OURS, {"source": "paper", "consented": False}, None, 5)
    assert len(page.rows) < 5
    assert page.next is not None


async def test_rows_that_are_added_meanwhile_move_no_page(database: str) -> None:
    async with await psycopg.AsyncConnection.connect(database, autocommit=True) as connection:
        first = await LIST.page(connection, OURS, {}, None, 5)
        with psycopg.connect(database, autocommit=True) as other:
            add(other, MANY + 1)
            second = await LIST.page(connection, OURS, {}, first.next, 5)
            other.execute("DELETE FROM read_recipients WHERE born >= %s", [MANY])
    expected = [number for number in reversed(range(MANY)) if fits(number, {})][:10]
    assert [row.born for row in (*first.rows, *second.rows)] == expected
