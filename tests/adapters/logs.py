"""A log on a test's own database, and items to append to it."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any
from uuid import uuid4

import psycopg
from psycopg.rows import dict_row

from adapters.event_store import EventStore, Item
from domain.message import Event, StreamId
from tests.builders import AUTHOR, HERE, NOW


def an_item(stream: StreamId, *events: Event, expected: int | None = 0, **given: Any) -> Item:
    """A decision about a stream, under an id of its own unless one is given."""
    command_id = given.pop("command_id", None) or uuid4()
    values: dict[str, Any] = {
        "key": command_id,
        "workspace": HERE,
        "principal": AUTHOR.id,
        "name": "test.decide",
        "digest": b"\1" * 32,
        "conditions": {},
        "now": NOW,
        "correlation": command_id,
        **given,
    }
    return Item(command_id=command_id, stream=stream, expected=expected, events=events, **values)


@asynccontextmanager
async def opened(database_url: str, **options: Any) -> AsyncIterator[EventStore]:
    """An event store that is closed at the end."""
    store = EventStore(database_url, **options)
    store.start()
    try:
        yield store
    finally:
        await store.stop()


async def codes(store: EventStore, items: Sequence[Item]) -> list[str]:
    """What the log says of each item."""
    return [verdict.code for verdict in await store.append(items)]


def rows(database_url: str, query: str, *values: Any) -> list[dict[str, Any]]:
    """What the database really holds."""
    with psycopg.connect(database_url, autocommit=True, row_factory=dict_row) as connection:
        return connection.execute(query.encode(), values).fetchall()
