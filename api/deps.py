"""What endpoints are given: services, a connection to the read models, a page's bounds, opened texts."""

import base64
import binascii
import re
from collections.abc import AsyncIterator, Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Generic, TypeVar

from fastapi import Depends, Query
from pydantic import BaseModel, Field
from starlette.requests import HTTPConnection

from adapters.audience_import import AudienceImport
from adapters.bus import Bus
from adapters.contents import Contents
from adapters.event_feed import Feed
from adapters.event_store import EventStore
from adapters.inbox import Inbox
from adapters.keys import Keys
from adapters.log_signal import LogSignal
from api.errors import ApiError
from domain.message import Ref, WorkspaceId
from projections.apply import Connection, ReadModels

MOST_ITEMS = 200
LAST = 2**63 - 1  # the largest number a cursor can hold

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Services:
    """What the API stands on. `store` is only asked how far the log is."""

    keys: Keys
    models: ReadModels
    contents: Contents
    inbox: Inbox
    bus: Bus
    store: EventStore
    signal: LogSignal
    imports: AudienceImport
    feed: Feed
    clock: Callable[[], datetime]


def services_of(connection: HTTPConnection) -> Services:
    """The services this application was made with."""
    found: Services = connection.app.state.services
    return found


Given = Annotated[Services, Depends(services_of)]


async def reading(services: Given) -> AsyncIterator[Connection]:
    """A connection for the questions of one request."""
    async with services.models.connection() as connection:
        yield connection


Reading = Annotated[Connection, Depends(reading)]


@dataclass(frozen=True, slots=True)
class Bounds:
    """Which page of a list is asked for: so many items behind (in the list's order) a number, None at its begin."""

    behind: int | None
    limit: int


def bounds(
    limit: Annotated[int, Query(ge=1, le=MOST_ITEMS, description="Items on a page.")] = 50,
    cursor: Annotated[str | None, Query(max_length=40, description="The `next` of the page before.")] = None,
) -> Bounds:
    return Bounds(None if cursor is None else unpack(cursor), limit)


PageBounds = Annotated[Bounds, Depends(bounds)]


class Page(BaseModel, Generic[T]):
    """A page of a list."""

    items: list[T]
    next: str | None = Field(
        description="The cursor of the following page; null on the last one.", examples=["cDQxMjA"]
    )


def page_of(items: list[T], bounds: Bounds, last: int | None) -> Page[T]:
    """A page with the cursor of the next one, if this one is full; `last` is the number its last item stands at."""
    full = last is not None and len(items) == bounds.limit
    return Page(items=items, next=pack(last) if full and last is not None else None)


def pack(number: int) -> str:
    """A number as an opaque cursor."""
    return base64.urlsafe_b64encode(f"p{number}".encode()).decode().rstrip("=")


def unpack(cursor: str) -> int:
    """The number in a cursor of ours."""
    try:
        text = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True).decode()
    except (binascii.Error, ValueError):
        text = ""
    number = int(text[1:]) if re.fullmatch(r"p[0-9]{1,19}", text) else -1
    if not 0 <= number <= LAST or pack(number) != cursor:
        raise ApiError(422, "bad_cursor", "cursor")
    return number


class Texts(dict[Ref, str]):
    """Texts by their references."""

    def of(self, ref: Ref | None) -> str | None:
        """The text behind a reference, if there is one."""
        return None if ref is None else self.get(ref)


async def opened(services: Services, workspace: WorkspaceId, refs: Iterable[Ref | None]) -> Texts:
    """The texts behind references; whoever may read a workspace may read its words."""
    return Texts(await services.contents.open_many(workspace, {ref for ref in refs if ref is not None}))
