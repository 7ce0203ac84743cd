"""Every page of every list costs what it holds, or the bound of a search: by the plans, on tables with rows in them.

What is rare in the tables below (a state, an account, a source) is what an index must lead to, or the bound must stop.
"""

import itertools
import json
import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any
from uuid import UUID

import psycopg
import pytest

from domain.message import WorkspaceId
from infra.embedded import EmbeddedPostgres
from projections import accounts, audiences, campaigns, commands, jobs, outcomes, recipients, review_queue, timers
from projections.jobs import Job
from projections.listing import SCAN, Listing, Prefix
from tests.conftest import TEMPLATE

ROWS = 12_000
WORKSPACE = WorkspaceId("main")
JOB, AUDIENCE = UUID(int=1), "a" * 64
LIMIT = 50
LISTS: Mapping[str, Listing[Any]] = {
    "accounts": accounts.LIST,
    "audiences": audiences.LIST,
    "campaigns": campaigns.LIST,
    "commands": commands.LIST,
    "jobs": jobs.LIST,
    "recipients": recipients.LIST,
    "review-queue": review_queue.LIST,
    "timers": timers.LIST,
    "deliveries of a job": outcomes.BEGUN,
    "deliveries of a recipient": outcomes.OF_RECIPIENT,
}
ALWAYS = {"deliveries of a job": "job", "deliveries of a recipient": "recipient"}
SAMPLES: Mapping[Any, Any] = {
    Prefix: "5f0c",
    bool: False,
    UUID: UUID(int=7),
    int: 1,
    datetime: datetime(2026, 1, 1, tzinfo=UTC),
}

# What a column holds that is not simply of its type: {g} counts the rows.
COLUMNS = {
    "workspace": f"'{WORKSPACE}'",
    "born": "g",
    "ordinal": "g",
    "id": "md5('id' || g)::uuid",
    "key": "md5('key' || g)::uuid",
    "command_id": "md5('command' || g)::uuid",
    "recipient_id": "md5('recipient' || g)::uuid",
    "job_id": f"'{JOB}'::uuid",
    "root": f"'{AUDIENCE}'",
    "principal": "CASE WHEN g % 3000 = 0 THEN 'Rare0001' ELSE 'Zk3Pq81x' END",
    "state": "CASE WHEN g % 3000 = 0 THEN {rare} ELSE {usual} END",
    "status": "CASE WHEN g % 3000 = 0 THEN 'paused' ELSE 'completed' END",
    "reason": "CASE WHEN g % 3000 = 0 THEN 'opted_out' END",
    "source": "CASE WHEN g % 3000 = 0 THEN 'paper' ELSE 'web_form' END",
    "stream": "'job-' || md5('stream' || g)",
    "consented": "g % 3000 <> 0",
    "parts": "{parts}",
    "body": "NULL",
    "account_id": "CASE WHEN g % 3000 = 0 THEN md5('a')::uuid ELSE md5('b')::uuid END",
    "vault_version": "1",
}
KINDS = {
    "uuid": "md5('x' || g)::uuid",
    "text": "'x'",
    "bigint": "0",
    "integer": "0",
    "boolean": "g % 3000 = 0",
    "jsonb": "'[]'::jsonb",
    "timestamp with time zone": "timestamptz '2026-11-01' + g * interval '1 second'",
    "bytea": "'x'::bytea",
}
STATES = {"read_deliveries": ("'failed'", "'read'"), "commands": ("'refused'", "'applied'")}
TABLES = sorted({one.table for one in LISTS.values()} | {"frozen_audience"})
RARE = {
    "state": "failed",
    "status": "paused",
    "reason": "opted_out",
    "source": "paper",
    "principal": "Rare0001",
    "submitted_by": "Rare0001",
    "created_by": "Rare0001",
    "stream": "job-1",
    "name": "job.approve",
    "kind": "start",
    "job": JOB,
}
NEAR = 40  # rows more: some are sorted in groups of 32


@pytest.fixture(scope="module")
def filled(postgres: EmbeddedPostgres) -> Iterator[psycopg.Connection]:
    """A connection to a database where each list is long."""
    with psycopg.connect(postgres.url_of("postgres"), autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE plans TEMPLATE {TEMPLATE}")
    with psycopg.connect(postgres.url_of("plans"), autocommit=True) as connection:
        for table in TABLES:
            fill(connection, table)
        connection.execute("ANALYZE")
        connection.execute("SET plan_cache_mode = force_generic_plan")
        yield connection


def fill(connection: psycopg.Connection, table: str) -> None:
    """Rows in a table, by its columns' types."""
    described = "SELECT column_name, data_type FROM information_schema.columns WHERE table_name = %s"
    columns: dict[str, str] = dict(connection.execute(described, [table]).fetchall())
    rare, usual = STATES.get(table, ("'x'", "'x'"))
    parts = "1" if columns.get("parts") == "bigint" else "'[]'::jsonb"
    values = [
        COLUMNS.get(name, KINDS[kind]).format(rare=rare, usual=usual, parts=parts) for name, kind in columns.items()
    ]
    names = ", ".join(f'"{name}"' for name in columns)
    connection.execute(
        f"INSERT INTO {table} ({names}) SELECT {', '.join(values)} FROM generate_series(1, {ROWS}) g".encode()
    )


def looked_at(connection: psycopg.Connection, statement: bytes, values: Mapping[str, Any]) -> float:
    """How many rows a statement looks at, by a plan that does not know its values; it scans no whole table."""
    names: list[str] = []

    def place(found: re.Match[str]) -> str:
        if found[1] not in names:
            names.append(found[1])
        return f"${names.index(found[1]) + 1}"

    query = re.sub(r"%\((\w+)\)s", place, statement.decode()).replace("%%", "%")
    connection.execute(f"PREPARE page AS {query}".encode())
    given = psycopg.sql.SQL(", ").join(psycopg.sql.Literal(literal(values[name])) for name in names)
    try:
        explain = psycopg.sql.SQL("EXPLAIN (ANALYZE, TIMING OFF, FORMAT JSON) EXECUTE page ({})").format(given)
        row = connection.execute(explain).fetchone()
        assert row is not None
        (plan,) = row[0]
        return sum(rows_in(plan["Plan"]))
    finally:
        connection.execute("DEALLOCATE page")


def literal(value: Any) -> Any:
    return str(value) if isinstance(value, UUID) else [str(one) for one in value] if isinstance(value, list) else value


def rows_in(node: dict[str, Any]) -> Iterator[float]:
    """The rows that each scan of a table looks at."""
    if "Relation Name" in node or node["Node Type"] == "Bitmap Index Scan":
        assert node["Node Type"] != "Seq Scan" or node["Relation Name"] not in TABLES, json.dumps(node)
        removed = sum(value for name, value in node.items() if name.startswith("Rows Removed"))
        yield (node["Actual Rows"] + removed) * node["Actual Loops"]
    for inner in node.get("Plans", ()):
        yield from rows_in(inner)


def choices(listing: Listing[Any], always: str | None) -> Iterator[dict[str, Any]]:
    """Each filter and each two together, asked for what is rare."""
    free = [name for name in listing.filters if name != always]
    for count in range(3):
        for names in itertools.combinations(free, count):
            names = (always, *names) if always else names
            yield {name: RARE.get(name, SAMPLES.get(listing.filters[name].kind)) for name in names}


@pytest.mark.parametrize("name", LISTS)
def test_a_page_looks_at_no_more_rows_than_it_may(filled: psycopg.Connection, name: str) -> None:
    listing = LISTS[name]
    for asked in choices(listing, ALWAYS.get(name)):
        for after in (None, place(filled, listing)):
            statement, values = listing.question(WORKSPACE, asked, after, LIMIT)
            seen = looked_at(filled, statement, values)
            few = listing.led(listing.way(asked)) >= asked.keys()
            assert seen <= (LIMIT if few else SCAN) + NEAR, (asked, after, seen)


def place(connection: psycopg.Connection, listing: Listing[Any]) -> list[Any]:
    """A place in the middle of a list."""
    row = connection.execute(
        f"SELECT {', '.join(listing.order)} FROM {listing.table} ORDER BY 1 OFFSET {ROWS // 2} LIMIT 1".encode()
    ).fetchone()
    assert row is not None
    return list(row)


@pytest.mark.parametrize("asked", [{}, {"account": UUID(int=7)}, {"recipient": UUID(int=7)}], ids=str)
@pytest.mark.parametrize("after", [0, ROWS // 2])
def test_so_does_a_page_of_an_audience(filled: psycopg.Connection, asked: dict[str, Any], after: int) -> None:
    seen = looked_at(filled, *outcomes.question(job(filled), asked, after, LIMIT))
    assert seen <= 2 * (LIMIT + 1)  # each member, and what was begun of it


def test_so_does_a_page_of_those_still_to_come(filled: psycopg.Connection) -> None:
    """All but the last hundred were begun, and every account's cursor says so."""
    whole, last = job(filled), ROWS - 100
    with filled.transaction(force_rollback=True):
        filled.execute("DELETE FROM read_deliveries WHERE ordinal > %s", [last])
        filled.execute(
            "INSERT INTO send_cursors (job_id, audience, account_id, ordinal) SELECT %s, %s, unnest(%s::uuid[]), %s",
            [whole.row.id, whole.row.audience, whole.row.accounts, last],
        )
        seen = looked_at(filled, *outcomes.question(whole, {"state": "pending"}, 0, LIMIT))
        assert LIMIT < seen <= 3 * len(whole.row.accounts) * (LIMIT + 1)


def job(connection: psycopg.Connection) -> Job:
    """The job whose deliveries these are."""
    accounts = [one for (one,) in connection.execute("SELECT DISTINCT account_id FROM frozen_audience").fetchall()]
    row: Any = SimpleNamespace(id=JOB, audience=AUDIENCE, accounts=accounts, recipients=ROWS)
    none: Any = None
    return Job(row, none)
