"""How many rows a list has, by one word of each: kept with the rows, so that nobody counts them."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from psycopg import AsyncConnection, sql

from domain.message import WorkspaceId

ADD = sql.SQL("""
INSERT INTO {} AS sums (workspace, word, rows) SELECT * FROM unnest(%b::text[], %b::text[], %b::int8[])
ON CONFLICT (workspace, word) DO UPDATE SET rows = sums.rows + excluded.rows
""")
# A word that none has leaves no row: else it would tell how the log was cut into pages.
CLEAN = sql.SQL("DELETE FROM {} WHERE rows = 0 AND workspace = ANY(%b::text[])")


@dataclass(frozen=True, slots=True)
class Sums:
    """A table of sums, and the word by which a row is counted."""

    table: str
    word: Callable[[Any], str]

    async def __call__(self, connection: AsyncConnection, changed: Sequence[tuple[Any, Any]]) -> None:
        """Add what a page of changes comes to; a row is (before or None, afterwards or None)."""
        moved: Counter[tuple[WorkspaceId, str]] = Counter()
        for before, after in changed:
            if after is not None:
                moved[after.workspace, self.word(after)] += 1
            if before is not None:
                moved[before.workspace, self.word(before)] -= 1
        rows = sorted((*key, rows) for key, rows in moved.items() if rows)
        if rows:
            columns = [list(column) for column in zip(*rows, strict=True)]
            table = sql.Identifier(self.table)
            await connection.execute(ADD.format(table).as_bytes(), columns)
            await connection.execute(CLEAN.format(table).as_bytes(), [columns[0]])
