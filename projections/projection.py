"""What a read model is: a table, and what each event does to the row of its stream."""

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from operator import attrgetter
from typing import Any, Generic, TypeVar

from psycopg import AsyncConnection

from domain.message import Event, Recorded
from projections.table import Loading, Shown, Table

R = TypeVar("R", bound=Shown)
E = TypeVar("E", bound=Event)

Handler = Callable[[Any, Any, Recorded], Any]
"""(row or None, event, recorded) -> the row afterwards, or None for no row; a row may be changed in place."""

Tally = Callable[[AsyncConnection, Sequence[tuple[Any, Any]]], Awaitable[None]]
"""Writes what follows from the rows (before or None, afterwards or None) that a page changed."""


@dataclass(frozen=True, slots=True)
class Projection(Generic[R]):
    """One read model. A row's key is the id of the stream whose events make it.

    A table that `tally` writes is named in `kept`: it is rebuilt with the read model, in the same search path.
    """

    table: Table[R]
    on: Mapping[type[Event], Handler]
    tally: Tally | None = None
    kept: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """What people call it: `deliveries`."""
        return self.table.name.removeprefix("read_")

    @property
    def tables(self) -> tuple[str, ...]:
        """All its tables."""
        return (self.table.name, *self.kept)


def begins(make: Callable[[E, Recorded], R]) -> Handler:
    """A handler that makes a new row."""
    return lambda _row, event, recorded: make(event, recorded)


def known(change: Callable[[R, E, Recorded], None]) -> Handler:
    """A handler that changes a row which must be there; without one nothing happens."""

    def handler(row: R | None, event: E, recorded: Recorded) -> R | None:
        if row is not None:
            change(row, event, recorded)
        return row

    return handler


def sets(**columns: Any) -> Handler:
    """The same by a list of columns: each a constant, or a function of (event, recorded), such as `time` and `of`."""
    given = {name: value for name, value in columns.items() if not callable(value)}
    made = {name: value for name, value in columns.items() if callable(value)}

    def change(row: Any, event: Event, recorded: Recorded) -> None:
        for name, value in given.items():
            setattr(row, name, value)
        for name, value in made.items():
            setattr(row, name, value(event, recorded))

    return known(change)


def of(field: str) -> Callable[[Event, Recorded], Any]:
    """A field of the event."""
    take = attrgetter(field)
    return lambda event, _recorded: take(event)


def time(_event: Event, recorded: Recorded) -> datetime:
    """The time of the event."""
    return recorded.envelope.time


def gone(_row: object, _event: Event, _recorded: Recorded) -> None:
    """A handler that removes the row."""


def stepped(projection: Projection[R], row: R | None, recorded: Recorded) -> R | None:
    """A row after an event that the projection knows."""
    row = projection.on[type(recorded.event)](row, recorded.event, recorded)
    if row is not None:
        row.position = recorded.position
        row.changed_at = recorded.envelope.time
    return row


class Fold(Generic[R]):
    """One projection's share of a page: its rows are asked for, folded, and written back."""

    def __init__(self, projection: Projection[R], events: Sequence[tuple[str, Recorded]]) -> None:
        self._projection = projection
        self._events = [(key, recorded) for key, recorded in events if type(recorded.event) in projection.on]
        self._rows: dict[str, R | None] = {}
        self._before: dict[str, R] = {}

    async def load(self, connection: AsyncConnection) -> Loading[R] | None:
        """Ask for the rows there may be: a stream that begins in this page has none yet."""
        begun = {key for key, recorded in self._events if recorded.version == 1}
        keys = {key for key, _ in self._events} - begun
        return await self._projection.table.load(connection, keys) if keys else None

    def fold(self, found: Mapping[str, R]) -> None:
        """Take the events in, one after the other."""
        if self._projection.tally is not None:
            self._before = {key: replace(row) for key, row in found.items()}
        rows = self._rows
        for key, recorded in self._events:
            rows[key] = stepped(self._projection, rows[key] if key in rows else found.get(key), recorded)

    async def write(self, connection: AsyncConnection) -> None:
        """Write each row once, and remove those that are no more."""
        rows = {key: row for key, row in self._rows.items() if row is not None}
        if rows:
            await self._projection.table.save(connection, list(rows.values()))
        if gone := self._rows.keys() - rows.keys():
            await self._projection.table.delete(connection, gone)
        if self._projection.tally is not None:
            changed = [(self._before.get(key), row) for key, row in self._rows.items()]
            await self._projection.tally(connection, [pair for pair in changed if any(pair)])


def share(projections: Iterable[Projection[Any]], events: Sequence[tuple[str, Recorded]]) -> list[Fold[Any]]:
    """The folds a page needs."""
    kinds = {type(recorded.event) for _, recorded in events}
    return [Fold(projection, events) for projection in projections if not kinds.isdisjoint(projection.on)]
