"""What is asked for in a body, not in an address: numbers and words, which must not lie in anybody's log."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Annotated, Any, TypeVar
from uuid import UUID

from fastapi import APIRouter, Depends, Request
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from adapters.wire import refusal
from api.accept import json_body
from api.auth import Asking, Caller, Giver
from api.deps import Given, Reading, opened
from api.openapi import answers, problems
from projections.titles import TITLED, titles

router = APIRouter(prefix="/v1/search", tags=["search"])

SEARCHED = 500  # the newest of each list
MOST_FOUND = 50  # of each list


class Body(BaseModel):
    """A body with no field that is not known."""

    model_config = ConfigDict(extra="forbid")


B = TypeVar("B", bound=Body)


def body(model: type[B]) -> Callable[..., Awaitable[B]]:
    """The dependency that reads such a body, once its key is known. It raises Refused or ApiError."""

    async def read(request: Request, _actor: Caller) -> B:
        given = await json_body(request, {})
        try:
            return model.model_validate(given)
        except ValidationError as error:
            first = error.errors(include_input=False, include_url=False)[0]
            raise refusal(first, b"") from None

    return read


def asks(
    model: type[Body], example: Mapping[str, Any], answer: Any, *more: int, who: str | None = None
) -> dict[str, Any]:
    """What a route declares that is asked by a body: `who` names a command whose roles may ask, else all may; `more`:
    statuses of its own."""
    content = {"application/json": {"schema": model.model_json_schema(), "example": example}}
    statuses = {401, 413, 415, 422, 503, *more, *((403, 404) if who else ())}
    return {
        "dependencies": [Depends(Giver(who))] if who else [],
        "responses": answers(200, "As asked.", answer) | problems(*sorted(statuses)),
        "openapi_extra": {"requestBody": {"required": True, "content": content}},
    }


class Words(Body):
    """Words of a title (or an account's label), in any case."""

    title: str = Field(min_length=2, max_length=200)


class Match(BaseModel):
    """Something whose title holds the words."""

    id: UUID
    title: str


class Matches(BaseModel):
    """What was found in one list, the newest first; `all`: whether every title was looked at, and every match told."""

    items: list[Match]
    all: bool


class Searched(BaseModel):
    """What was found in each list."""

    campaigns: Matches
    templates: Matches
    audiences: Matches
    jobs: Matches
    accounts: Matches


SPRING = {"items": [{"id": "5f0c8a3e-9a44-5b0e-8a55-0d6b1c1f2a77", "title": "Spring opening"}], "all": True}
EXAMPLE = {name: SPRING if name in ("campaigns", "jobs") else {"items": [], "all": True} for name in TITLED}


@router.post("", **asks(Words, {"title": "spring"}, EXAMPLE))
async def search_titles(
    actor: Asking, read: Reading, services: Given, words: Annotated[Words, Depends(body(Words))]
) -> Searched:
    """Look for words in titles. They lie sealed, so no index leads to them: the newest 500 of each list are opened."""
    found = {}
    for name in TITLED:
        titled = await titles(read, actor.workspace, name, SEARCHED + 1)
        texts = await opened(services, read, actor.workspace, [title for _, title in titled])
        told = [(id_, texts.of(title) or "") for id_, title in titled[:SEARCHED]]
        matches = [Match(id=id_, title=text) for id_, text in told if words.title.casefold() in text.casefold()]
        whole = len(titled) <= SEARCHED and len(matches) <= MOST_FOUND
        found[name] = Matches(items=matches[:MOST_FOUND], all=whole)
    return Searched(**found)
