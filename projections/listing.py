"""A list that can be asked for: its order, its filters, and the indexes that lead into it.

Filters are declared, never written by whoever asks: a statement is put together from constants here, the values are
its parameters. Those that an index leads to cost what they find. The others are looked for among the next SCAN rows, so
that no page costs more than that, however rare what is asked for: such a page may be short, or empty, and have a next.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from enum import Enum
from typing import Any, Generic, TypeVar, cast
from uuid import UUID

from psycopg import AsyncConnection, sql

from domain.message import WorkspaceId
from projections.table import COMMA

SCAN = 2_000  # rows looked at for one page, where no index leads to what is asked for
SHORTEST_PREFIX = 4  # hexadecimal digits of an id: one row in 65,536

R = TypeVar("R")

AND = sql.SQL(" AND ")
TRUE: sql.Composable = sql.SQL("true")
OWN = sql.SQL("workspace = %(workspace)s")
# OFFSET 0: else the planner may follow the list's order, and look at every row for the few.
FEW = sql.SQL("(SELECT * FROM {} WHERE {} OFFSET 0) few")
# The inner limit is for the planner, who takes an unknown one for a tenth of the table.
SEEN = sql.SQL("""
WITH seen AS MATERIALIZED (
    SELECT * FROM (SELECT {columns} FROM {source} WHERE {here} ORDER BY {order} LIMIT {most}) bounded LIMIT %(scan)s
)
SELECT counted.seen, edge.*, found.*
FROM (SELECT count(*) AS seen FROM seen) counted
LEFT JOIN (SELECT {place} FROM seen ORDER BY {reverse} LIMIT 1) edge ON true
LEFT JOIN (SELECT {columns} FROM seen WHERE {rest} ORDER BY {order} LIMIT %(limit)s) found ON true
ORDER BY {shown}
""")


class Compare(Enum):
    """How a column is compared with what is asked for."""

    EQUALS = "{column} = {value}"
    SINCE = "{column} >= {value}"
    UNTIL = "{column} < {value}"
    HOLDS = "{column} ? {value}::text"  # a list of ids
    BEGINS = "{column} BETWEEN {first} AND {last}"  # an id, by its first hexadecimal digits


@dataclass(frozen=True, slots=True)
class Filter:
    """One thing a list can be asked for: its name, the column, what a value is (a type of `api/lists.py`), and what it
    says to people."""

    name: str
    kind: Any
    column: str
    says: str
    example: Any
    compare: Compare = Compare.EQUALS

    @property
    def condition(self) -> sql.Composed:
        """The condition on a row."""
        places = {"value": self.name, "first": f"{self.name}_first", "last": f"{self.name}_last"}
        return sql.SQL(self.compare.value).format(
            column=sql.Identifier(self.column), **{word: sql.Placeholder(name) for word, name in places.items()}
        )

    def values(self, asked: Any) -> dict[str, Any]:
        """The condition's parameters."""
        if self.compare is Compare.BEGINS:
            first, last = ids_beginning(asked)
            return {f"{self.name}_first": first, f"{self.name}_last": last}
        return {self.name: asked}


def by_id(column: str = "id") -> Filter:
    """The filter by the beginning of an id."""
    says = f"Only those whose id begins so: {SHORTEST_PREFIX} hexadecimal digits or more."
    return Filter("id", Prefix, column, says, "5f0c8a3e", Compare.BEGINS)


def in_time(column: str, done: str) -> tuple[Filter, Filter]:
    """The filters by a time."""
    return (
        Filter("since", datetime, column, f"Only those {done} then or later.", "2026-11-21T00:00:00Z", Compare.SINCE),
        Filter("until", datetime, column, f"Only those {done} before.", "2026-11-22T00:00:00Z", Compare.UNTIL),
    )


class Prefix(str):
    """The beginning of an id."""

    __slots__ = ()


def ids_beginning(prefix: str) -> tuple[UUID, UUID]:
    """The first and the last id that begin so."""
    digits = prefix.replace("-", "")
    return UUID(digits.ljust(32, "0")), UUID(digits.ljust(32, "f"))


@dataclass(frozen=True, slots=True)
class Way:
    """Filters that one index leads to together, in the list's order.

    `few`: to so few rows that they are sorted. `unless`: the value of the first that the index does not hold.
    """

    names: tuple[str, ...] = ()
    few: bool = False
    unless: str | None = None

    def leads(self, asked: Mapping[str, Any]) -> bool:
        """Whether this index holds what is asked for."""
        return all(name in asked for name in self.names) and not (self.unless and asked[self.names[0]] == self.unless)


@dataclass(frozen=True, slots=True)
class Found(Generic[R]):
    """A page's rows, and the place to go on from; None on the last page."""

    rows: list[R]
    next: tuple[Any, ...] | None


class Listing(Generic[R]):
    """Rows of one workspace, in pages. `order`: columns of an index, ascending or (`newest`) descending."""

    def __init__(
        self,
        table: str,
        row: type[R],
        filters: Sequence[Filter] = (),
        ways: Sequence[Way] = (),
        *,
        order: tuple[str, ...] = ("born",),
        newest: bool = True,
        only: str = "true",
        scan: int = SCAN,
    ) -> None:
        self.table, self.order, self.only, self.scan = table, order, only, scan
        self.filters = {one.name: one for one in filters}
        # An id is the surest way; the last one leads to every row.
        self.ways = (*(Way((name,), few=True) for name in ("id",) if name in self.filters), *ways, Way())
        self._row, self._newest = row, newest
        self._columns = [field.name for field in fields(cast("Any", row))]
        self._statements: dict[tuple[Way, frozenset[str], bool], bytes] = {}

    async def page(
        self,
        connection: AsyncConnection,
        workspace: WorkspaceId,
        asked: Mapping[str, Any],
        after: Sequence[Any] | None,
        limit: int,
    ) -> Found[R]:
        """The rows that fit what is asked for, of those behind a place."""
        statement, values = self.question(workspace, asked, after, limit)
        found = await (await connection.execute(statement, values)).fetchall()
        width = len(self.order)
        rows = [self._row(*one[1 + width :]) for one in found if one[1 + width] is not None]
        if len(rows) > limit:
            return Found(rows[:limit], tuple(getattr(rows[limit - 1], column) for column in self.order))
        seen, *edge = found[0][: 1 + width]
        return Found(rows, tuple(edge) if seen == values["scan"] else None)

    def question(
        self, workspace: WorkspaceId, asked: Mapping[str, Any], after: Sequence[Any] | None, limit: int
    ) -> tuple[bytes, dict[str, Any]]:
        """The statement of a page, and its parameters."""
        way = self.way(asked)
        scan = limit + 1 if self.led(way) >= asked.keys() else self.scan
        values: dict[str, Any] = {"workspace": workspace, "scan": scan, "limit": limit + 1}
        for name, value in asked.items():
            values |= self.filters[name].values(value)
        values |= {f"after_{n}": value for n, value in enumerate(after or ())}
        return self.statement(way, frozenset(asked), after is not None), values

    def way(self, asked: Mapping[str, Any]) -> Way:
        """The index to take: the first that leads to what is asked for."""
        return next(way for way in self.ways if way.leads(asked))

    def led(self, way: Way) -> frozenset[str]:
        """The filters that a way leads to: those of the list's order too, which is that of the index."""
        along = [] if way.few else [name for name, one in self.filters.items() if one.column == self.order[0]]
        return frozenset((*way.names, *along))

    def statement(self, way: Way, asked: frozenset[str], further: bool) -> bytes:
        """The statement for a set of filters; it is made once."""
        key = (way, asked, further)
        if key not in self._statements:
            self._statements[key] = self._compose(way, asked, further).as_bytes()
        return self._statements[key]

    def _compose(self, way: Way, asked: frozenset[str], further: bool) -> sql.Composed:
        led = sorted(self.led(way) & asked)
        here: list[sql.Composable] = [OWN, sql.SQL(self.only), *(self.filters[name].condition for name in led)]
        if way.unless is not None:  # said in words of the index
            here.append(sql.SQL("{} <> {}").format(sql.Identifier(way.names[0]), sql.Literal(way.unless)))
        rest: list[sql.Composable] = [self.filters[name].condition for name in sorted(asked) if name not in led]
        source: sql.Composable = sql.Identifier(self.table)
        if way.few:
            source, here = FEW.format(source, AND.join(here)), []
        if further:
            values = COMMA.join(sql.Placeholder(f"after_{n}") for n in range(len(self.order)))
            sign = sql.SQL("<" if self._newest else ">")
            here.append(sql.SQL("({}) {} ({})").format(names(self.order), sign, values))
        return SEEN.format(
            columns=names(self._columns),
            source=source,
            here=AND.join(here or [TRUE]),
            rest=AND.join(rest or [TRUE]),
            place=names(self.order),
            most=sql.Literal(max(SCAN, self.scan)),
            order=self._ordered("{}", self._newest),
            reverse=self._ordered("{}", not self._newest),
            shown=self._ordered("found.{}", self._newest),
        )

    def _ordered(self, column: str, descending: bool) -> sql.Composed:
        each = sql.SQL(f"{column} {'DESC' if descending else 'ASC'}")
        return COMMA.join(each.format(sql.Identifier(name)) for name in self.order)


def names(columns: Sequence[str]) -> sql.Composed:
    """Columns by their names."""
    return COMMA.join(map(sql.Identifier, columns))
