"""A list over HTTP: its filters as query parameters, its pages, and the cursors that lead from one to the next."""

import base64
import binascii
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, Generic, TypeVar

import orjson
from fastapi import Depends, Query, Request
from fastapi.dependencies.models import Dependant
from pydantic import AfterValidator, AwareDatetime, BaseModel, Field, StringConstraints, WithJsonSchema, create_model
from pydantic_core import PydanticCustomError
from starlette.requests import HTTPConnection

from adapters.keys import MARK, Keys
from adapters.wire import PLAIN_NAME
from api.auth import Asking
from api.deps import Given
from api.errors import ApiError
from domain.lifecycle import Status
from domain.message import PrincipalId, StreamId, WorkspaceId
from domain.send import Doubt, Rejection, Resolution, SkipReason
from projections.apply import Connection
from projections.commands import Name
from projections.listing import SHORTEST_PREFIX, Filter, Found, Listing, Prefix
from projections.outcomes import Reason

MOST_ITEMS = 200
LONGEST_CURSOR = 200
EXAMPLE_CURSOR = "7qNoVvHsZVhbNDEyMF0"

T = TypeVar("T")
R = TypeVar("R")


def one_of(words: Iterable[str]) -> Any:
    """The form of a word that is one of these."""
    known = sorted(set(words))

    def check(word: str) -> str:
        if word not in known:
            raise PydanticCustomError("enum", "none of the words that are known here")
        return word

    return Annotated[str, AfterValidator(check), WithJsonSchema({"type": "string", "enum": known})]


# The form of each kind of value; any other kind (a word, an id) is pydantic's own.
FORMS: Mapping[Any, Any] = {
    datetime: AwareDatetime,
    Prefix: Annotated[str, StringConstraints(pattern=rf"^(?:-?[0-9a-fA-F]){{{SHORTEST_PREFIX},32}}-?$")],
    PrincipalId: Annotated[str, StringConstraints(pattern=r"^[0-9A-Za-z]{8}$")],
    StreamId: Annotated[str, StringConstraints(pattern=r"^[a-z]{1,20}-[0-9a-z-]{1,40}$")],
    int: Annotated[int, Field(ge=1, le=100)],
    Name: Annotated[str, StringConstraints(pattern=r"^[a-z]{1,20}\.[a-z-]{1,40}$")],
    Reason: one_of([*SkipReason, *Rejection, *Doubt, *Resolution]),
    Status: one_of(status for status in Status if status is not Status.UNKNOWN),
}


class Page(BaseModel, Generic[T]):
    """A page of a list."""

    items: list[T]
    next: str | None = Field(
        description="The cursor of the following page; null on the last one.", examples=[EXAMPLE_CURSOR]
    )


class Bounds(BaseModel):
    """Which page of a list."""

    limit: int = Field(50, ge=1, le=MOST_ITEMS, description="Items on a page, at most.", examples=[50])
    cursor: str | None = Field(
        None,
        max_length=LONGEST_CURSOR,
        description="The `next` of the page before, asked for with the same filters.",
        examples=[EXAMPLE_CURSOR],
    )


@dataclass(frozen=True, slots=True)
class Ask:
    """What a list is asked for: the filters' values, the place it goes on from (None: at its begin), a page's size."""

    workspace: WorkspaceId
    values: Mapping[str, Any]
    after: Sequence[Any] | None
    limit: int
    cursors: "Cursors"

    async def find(self, listing: Listing[R], read: Connection, **more: Any) -> Found[R]:
        """The rows of a page; `more` are filters that are not the asker's to choose."""
        return await listing.page(read, self.workspace, {**self.values, **more}, self.after, self.limit)

    def page(self, items: list[T], following: Sequence[Any] | None) -> Page[T]:
        """The page, with the cursor of the following one."""
        return Page(items=items, next=None if following is None else self.cursors.pack(following))


def query(filters: Mapping[str, Filter]) -> Callable[..., Awaitable[Ask]]:
    """The dependency that reads a list's query parameters."""
    fields: dict[str, Any] = {
        name: (FORMS.get(one.kind, one.kind) | None, Field(None, description=one.says, examples=[one.example]))
        for name, one in filters.items()
    }
    model: Any = create_model("Asked", __base__=Bounds, **fields)

    async def ask(request: Request, services: Given, actor: Asking, asked: Annotated[model, Query()]) -> Ask:
        values = {name: value for name in filters if (value := getattr(asked, name)) is not None}
        cursors = Cursors(services.keys, f"{actor.workspace} {request.url.path} {sorted(values.items())}")
        after = None if asked.cursor is None else cursors.unpack(asked.cursor)
        return Ask(actor.workspace, values, after, asked.limit, cursors)

    return ask


def known_parameters(dependant: Dependant) -> Iterator[str]:
    """The query parameters that a route takes."""
    for one in dependant.query_params:
        model = one.field_info.annotation
        yield from model.model_fields if isinstance(model, type) and issubclass(model, BaseModel) else (one.alias,)
    for inner in dependant.dependencies:
        yield from known_parameters(inner)


KNOWN: dict[tuple[str | None, str], frozenset[str]] = {}


async def only_known(connection: HTTPConnection) -> None:
    """Refuse a query parameter that the address does not take, or that is given twice."""
    if not connection.query_params:
        return
    route = connection.scope["route"]
    key = (connection.scope.get("method"), route.path)
    if key not in KNOWN:
        KNOWN[key] = frozenset(known_parameters(route.dependant))
    given = [name for name, _ in connection.query_params.multi_items()]
    for name in given:
        plain = name if PLAIN_NAME.fullmatch(name) else "query"
        if name not in KNOWN[key]:
            raise ApiError(422, "unknown_parameter", plain)
        if given.count(name) > 1:
            raise ApiError(422, "repeated", plain)


ONLY_KNOWN: Any = Depends(only_known)


class Cursors:
    """Cursors of one list with one choice of filters: marked by us, so nobody else's leads anywhere."""

    def __init__(self, keys: Keys, scope: str) -> None:
        self._keys = keys
        self._scope = scope.encode()

    def pack(self, place: Sequence[Any]) -> str:
        """A place in the list as a cursor."""
        told = orjson.dumps(list(place))
        return base64.urlsafe_b64encode(self._keys.mark(self._scope + told) + told).decode().rstrip("=")

    def unpack(self, cursor: str) -> list[Any]:
        """The place in a cursor of ours. Raises ApiError."""
        try:
            raw = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
        except (binascii.Error, ValueError):
            raw = b""
        told = raw[MARK:]
        if raw[:MARK] != self._keys.mark(self._scope + told) or self.pack(place := orjson.loads(told)) != cursor:
            raise ApiError(422, "bad_cursor", "cursor")
        found: list[Any] = place
        return found
