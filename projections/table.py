"""A read model's table: its columns are the fields of a row class, read and written many rows at a time."""

import types
from collections.abc import Collection, Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from enum import StrEnum
from operator import attrgetter
from typing import Any, Generic, NewType, TypeVar, Union, get_args, get_origin, get_type_hints
from uuid import UUID

import orjson
from psycopg import AsyncConnection, sql

from domain.message import Recorded, WorkspaceId

COMMA = sql.SQL(", ")
ONE = sql.SQL(" WHERE workspace = %s AND id = %s")
NEWEST = sql.SQL(" WHERE workspace = %s AND born < %s ORDER BY born DESC LIMIT %s")
NEVER = 2**63 - 1  # later than any log position
COLUMN_TYPES: dict[Any, str] = {UUID: "uuid", str: "text", int: "int8", bool: "bool", datetime: "timestamptz"}


@dataclass(slots=True)
class Shown:
    """What every row has: whose it is, the log positions of its first and last event, and the time of the last."""

    workspace: WorkspaceId
    born: int
    position: int
    changed_at: datetime


@dataclass(slots=True)
class Keyed(Shown):
    """A row with an id of its own."""

    id: UUID


def stamp(recorded: Recorded) -> tuple[WorkspaceId, int, int, datetime]:
    """The first fields of a row that begins with this event."""
    return recorded.envelope.workspace, recorded.position, recorded.position, recorded.envelope.time


def stamp_keyed(recorded: Recorded) -> tuple[WorkspaceId, int, int, datetime, UUID]:
    """The same for a row with an id."""
    return *stamp(recorded), UUID(stream_key(recorded))


def stream_key(recorded: Recorded) -> str:
    """The id in a stream's name, which is the key of its row in every table."""
    return recorded.stream.partition("-")[2]


R = TypeVar("R", bound=Shown)


class Table(Generic[R]):
    """Rows of one class in one table; the columns themselves come from the migrations."""

    def __init__(self, name: str, row: type[R], key: str = "id") -> None:
        hints = {column: column_type(hint) for column, hint in get_type_hints(row).items()}
        self.name, self.row, self.key = name, row, key
        self.columns = [field.name for field in fields(row)]
        self.kinds = [hints[column] for column in self.columns]
        self._values = attrgetter(*self.columns)
        names = [sql.Identifier(column) for column in self.columns]
        table = sql.Identifier(name)
        self.select = sql.SQL("SELECT {} FROM {}").format(COMMA.join(names), table)
        matching = sql.SQL(f" WHERE {{}} = ANY(%b::{hints[key]}[])").format(sql.Identifier(key))
        self._load = (self.select + matching).as_bytes()
        self._delete = (sql.SQL("DELETE FROM {}").format(table) + matching).as_bytes()
        self._one = (self.select + ONE).as_bytes()
        self._newest = (self.select + NEWEST).as_bytes()
        self._save = self._upsert(table, names).as_bytes()
        self._key = UUID if hints[key] == "uuid" else str

    def _upsert(self, table: sql.Identifier, names: Sequence[sql.Identifier]) -> sql.Composed:
        """One statement for any number of rows: an array a column."""
        arrays = [sql.SQL(f"%b::{'text' if kind == 'jsonb' else kind}[]") for kind in self.kinds]
        values = [sql.SQL(f"{{}}::{kind}").format(name) for name, kind in zip(names, self.kinds, strict=True)]
        changes = [sql.SQL("{0} = excluded.{0}").format(name) for name in names]
        return sql.SQL(
            "INSERT INTO {} ({columns}) SELECT {} FROM unnest({}) AS rows ({columns}) ON CONFLICT ({}) DO UPDATE SET {}"
        ).format(
            table,
            COMMA.join(values),
            COMMA.join(arrays),
            sql.Identifier(self.key),
            COMMA.join(changes),
            columns=COMMA.join(names),
        )

    async def load(self, connection: AsyncConnection, keys: Collection[str]) -> "Loading[R]":
        """Ask for the rows of these keys; in a pipeline they are on their way until fetched."""
        return Loading(self, await connection.execute(self._load, [self._keys(keys)], binary=True))

    async def save(self, connection: AsyncConnection, rows: Sequence[R]) -> None:
        """Write whole rows, new or known, each key once."""
        columns = zip(self.kinds, zip(*map(self._values, rows), strict=True), strict=True)
        await connection.execute(self._save, [array(kind, values) for kind, values in columns])

    async def delete(self, connection: AsyncConnection, keys: Collection[str]) -> None:
        """Remove the rows of these keys."""
        await connection.execute(self._delete, [self._keys(keys)])

    def _keys(self, keys: Collection[str]) -> list[Any]:
        return [self._key(key) for key in keys]

    async def one(self, connection: AsyncConnection, workspace: WorkspaceId, id_: UUID) -> R | None:
        """A row of this workspace by its id."""
        found = await (await connection.execute(self._one, [workspace, id_])).fetchone()
        return self.row(*found) if found else None

    async def newest(
        self, connection: AsyncConnection, workspace: WorkspaceId, before: int | None, limit: int
    ) -> list[R]:
        """Rows of this workspace, newest first, of those born before a position."""
        cursor = await connection.execute(self._newest, [workspace, before or NEVER, limit])
        return [self.row(*found) for found in await cursor.fetchall()]


class Loading(Generic[R]):
    """Rows that were asked for."""

    def __init__(self, table: Table[R], cursor: Any) -> None:
        self._table = table
        self._cursor = cursor

    async def rows(self) -> dict[str, R]:
        """The rows by their keys, once they are here."""
        key = attrgetter(self._table.key)
        rows = [self._table.row(*found) for found in await self._cursor.fetchall()]
        return {str(key(row)): row for row in rows}


def array(kind: str, values: Sequence[Any]) -> list[Any]:
    """A column's values as an array to be sent."""
    return [orjson.dumps(value).decode() for value in values] if kind == "jsonb" else list(values)


def column_type(hint: Any) -> str:
    """The column type of a field: `UUID | None` -> uuid, lists -> jsonb, enums and named strings -> text."""
    if isinstance(hint, NewType):
        return column_type(hint.__supertype__)
    if get_origin(hint) in (Union, types.UnionType):  # `Ref | None` is the former, `int | None` the latter
        (inner,) = (part for part in get_args(hint) if part is not type(None))
        return column_type(inner)
    if get_origin(hint) is list:
        return "jsonb"
    return "text" if issubclass(hint, StrEnum) else COLUMN_TYPES[hint]
