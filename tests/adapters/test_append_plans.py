"""The log's statements are planned on empty tables and kept: none of their plans may grow with the tables."""

import itertools
import re

import psycopg
import pytest

from adapters.append_sql import APPEND, CONDITION, EVENT, FOLLOWED, ITEM, SESSION
from adapters.binary_arrays import Array, Blobs, Int4s, Int8s, Texts, Uuids
from adapters.read_sql import HISTORIES, PAGE, READING, STREAM, STREAMS

KIND: dict[type[Array], str] = {Uuids: "uuid[]", Texts: "text[]", Blobs: "bytea[]", Int4s: "int4[]", Int8s: "int8[]"}
TABLES = "stored_events|commands|leases|snapshots"


def plan(database_url: str, session: str, query: str, kinds: list[str]) -> str:
    """The plan of a statement whose values are not known."""
    for n in range(1, 1 + query.count("%b")):
        query = query.replace("%b", f"${n}", 1)
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute(session.encode())
        connection.execute(f"PREPARE statement ({', '.join(kinds)}) AS {query}".encode())
        connection.execute("SET plan_cache_mode = force_generic_plan")
        nulls = ", ".join("NULL" for _ in kinds)
        lines = connection.execute(f"EXPLAIN EXECUTE statement ({nulls})".encode()).fetchall()
    return "\n".join(line for (line,) in lines)


def test_an_append_looks_everything_up_and_compares_no_two_items(database_url: str) -> None:
    kinds: list[type[Array]] = [*ITEM, Int8s, Int4s, *CONDITION, Int4s, *FOLLOWED, Uuids, Int4s, *EVENT]
    shown = plan(database_url, SESSION, APPEND, [KIND[kind] for kind in kinds])

    assert len(re.findall(rf"Scan.* (?:using \w+ )?on (?:{TABLES})\b", shown)) == 5  # two keys, two versions, lease
    looks_up(shown)
    assert "Nested Loop" not in shown
    assert "hashed SubPlan" not in shown


@pytest.mark.parametrize(
    ("query", "kinds"),
    [
        (PAGE, ["bigint", "bigint"]),
        (STREAM, ["text", "bigint", "bigint"]),
        (STREAMS, ["text[]", "text[]"]),
        (HISTORIES, ["text[]", "bigint"]),
    ],
    ids=["page", "stream", "streams", "histories"],
)
def test_a_read_looks_everything_up(database_url: str, query: str, kinds: list[str]) -> None:
    assert looks_up(plan(database_url, READING, query, kinds)) >= 1


def looks_up(shown: str) -> int:
    """Each table is reached by an index, with a condition; how many times one is."""
    found = 0
    for line, following in itertools.pairwise(shown.splitlines()):
        if re.search(rf"Scan.* on (?:{TABLES})\b", line):
            assert "Index" in line or "Bitmap" in line, shown
            assert "Index Cond" in following or "Recheck Cond" in following, shown
            found += 1
    return found
