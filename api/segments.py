"""Segments: whom a filter finds; what one can filter by; filters that are kept; audiences chosen by one."""

from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends, Path, Query, Response
from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from adapters.wire import LONGEST_TITLE
from api.accept import Accepting
from api.answers import CommandAnswer
from api.auth import Giver
from api.deps import Given
from api.errors import ApiError, not_found
from api.lookups import Body, body
from api.openapi import COMMAND_ID, COMMANDING, answers, example_of, problems
from api.people import MOST_ITEMS, Cursor, Seeing, Writing, takes
from api.room import KEEPING
from domain.attributes import AttributeKind
from domain.filter_language import LONGEST_FILTER
from domain.message import Refused, derive

router = APIRouter()
kept = APIRouter(prefix="/v1/segments", tags=["people"])
attributes = APIRouter(prefix="/v1/attributes", tags=["people"])
choosing = APIRouter(prefix="/v1/audiences", tags=["audiences"])

CHOOSE = "audience.choose"
FILTER = 'country = US and consent = given and not tag = "vip"'
ID = "b1f5a4de-53e5-4b0c-9f57-1a1d3a0f6c44"
AUDIENCE = "7c1f0f0e-3d0b-5c39-8a5e-5f2f3f1f9d10"
EXAMPLE: dict[str, Any] = {
    "id": ID,
    "title": "Americans who agreed",
    "filter": FILTER,
    "changed_at": "2026-11-21T09:30:00Z",
}
SPENT: dict[str, Any] = {"name": "spent", "kind": "number", "ready": True}
OF_ONE = problems(401, 403, 404, 422, 503)

Written = Annotated[str, StringConstraints(min_length=1, max_length=LONGEST_FILTER)]
Title = Annotated[str, StringConstraints(min_length=1, max_length=LONGEST_TITLE)]


class Counted(Body):
    """A filter as far as it is typed; an empty one is everybody."""

    filter: str = Field(max_length=LONGEST_FILTER)


class Count(BaseModel):
    """How many people fit now."""

    model_config = ConfigDict(from_attributes=True)

    count: int
    exact: bool = Field(description="Whether all were looked at; else it is a guess from one in 64.")
    margin: int = Field(description="How far a guess may be off, 19 times of 20.")


class Kept(Body):
    """A filter under a title."""

    title: Title
    filter: Written


class Segment(BaseModel):
    """A filter that somebody keeps."""

    model_config = ConfigDict(from_attributes=True)

    id: UUID
    title: str
    filter: str
    changed_at: datetime


class Segments(BaseModel):
    """A page, the newest first."""

    items: list[Segment]
    next: str | None = Field(description="The cursor of the following page; null on the last one.", examples=["4120"])


class Choice(Body):
    """An audience of those who fit now: a filter (`everybody` is one, too), or a kept one."""

    title: Title
    filter: Written | None = None
    segment_id: UUID | None = None


class ChoiceAnswer(CommandAnswer):
    """What became of the command, and how many people were chosen."""

    recipients: int


class Declaration(Body):
    """What the values of an attribute are."""

    kind: AttributeKind


class Attribute(BaseModel):
    """A variable that people can be filtered by."""

    model_config = ConfigDict(from_attributes=True)

    name: str
    kind: AttributeKind
    ready: bool = Field(description="Whether everybody has been gone through since it was declared.")


class Attributes(BaseModel):
    """All of the workspace."""

    items: list[Attribute]


@attributes.get("", responses=answers(200, "All.", {"items": [SPENT]}) | problems(401, 403, 503))
async def list_attributes(actor: Seeing, services: Given) -> Attributes:
    """The variables that people can be filtered by."""
    declared = await services.segments.attributes(actor.workspace)
    return Attributes(items=[Attribute.model_validate(one) for one in declared])


Name = Annotated[str, Path(description="The variable's name.", examples=["spent"], max_length=100)]


@attributes.put("/{name}", dependencies=[KEEPING], **takes(Declaration, {"kind": "number"}, {"items": [SPENT]}, 507))
async def declare_attribute(
    name: Name, actor: Writing, services: Given, said: Annotated[Declaration, Depends(body(Declaration))]
) -> Attributes:
    """Let people be filtered by a variable. Its values lie in the database unsealed from now on, until their person is
    erased; those who are here already are gone through in the background."""
    await services.segments.declare(actor.workspace, name, said.kind)
    return await list_attributes(actor, services)


@attributes.delete("/{name}", responses=answers(200, "What is left.", {"items": []}) | OF_ONE)
async def withdraw_attribute(name: Name, actor: Writing, services: Given) -> Attributes:
    """Let nobody be filtered by a variable any more."""
    if not await services.segments.withdraw(actor.workspace, name):
        raise ApiError(404, "unknown_attribute", "name")
    return await list_attributes(actor, services)


@kept.post("/count", **takes(Counted, {"filter": FILTER}, {"count": 3812, "exact": True, "margin": 0}))
async def count_people(actor: Seeing, services: Given, asked: Annotated[Counted, Depends(body(Counted))]) -> Count:
    """How many people a filter finds, within 200 ms: asked at each key. A filter that cannot be read is refused with
    the place, from 1, and what was expected there."""
    return Count.model_validate(await services.segments.count(actor.workspace, asked.filter))


@kept.get("", responses=answers(200, "A page.", {"items": [EXAMPLE], "next": "4120"}) | problems(401, 403, 422, 503))
async def list_segments(
    actor: Seeing,
    services: Given,
    limit: Annotated[int, Query(ge=1, le=MOST_ITEMS, description="Items on a page.")] = 50,
    cursor: Annotated[Cursor | None, Query(description="The `next` of the page before.")] = None,
) -> Segments:
    """The filters that are kept, the newest first."""
    behind = None if cursor is None else int(cursor)
    found = await services.segments.page(actor.workspace, behind, limit + 1)
    items = [Segment.model_validate(one) for one in found[:limit]]
    return Segments(items=items, next=str(found[limit - 1].number) if len(found) > limit else None)


@kept.get("/{segment_id}", responses=answers(200, "As asked.", EXAMPLE) | OF_ONE)
async def get_segment(segment_id: UUID, actor: Seeing, services: Given) -> Segment:
    """A kept filter."""
    found = await services.segments.one(actor.workspace, segment_id)
    if found is None:
        raise not_found("segment")
    return Segment.model_validate(found)


@kept.put(
    "/{segment_id}",
    dependencies=[KEEPING],
    **takes(Kept, {"title": EXAMPLE["title"], "filter": FILTER}, EXAMPLE, 409, 507),
)
async def keep_segment(
    segment_id: UUID, actor: Writing, services: Given, said: Annotated[Kept, Depends(body(Kept))]
) -> Segment:
    """Keep a filter under an id of your choice, or another one in its place."""
    if not await services.segments.keep(actor.workspace, segment_id, said.title, said.filter):
        raise Refused("id_taken", field="segment_id")
    return await get_segment(segment_id, actor, services)


@kept.delete("/{segment_id}", responses=answers(200, "It was this.", EXAMPLE) | OF_ONE)
async def drop_segment(segment_id: UUID, actor: Writing, services: Given) -> Segment:
    """Keep a filter no longer. Audiences that were chosen by it stay."""
    found = await get_segment(segment_id, actor, services)
    await services.segments.drop(actor.workspace, segment_id)
    return found


def chosen() -> dict[str, Any]:
    """What the choosing route declares."""
    known = {"command_id": COMMAND_ID, "name": CHOOSE, "audience_id": AUDIENCE, "state": "applied"}
    content = {"application/json": {"example": example_of(known) | {"recipients": 3812}}}
    asked = {"schema": Choice.model_json_schema(), "example": {"title": "Autumn", "filter": FILTER}}
    return {
        "status_code": 202,
        "dependencies": [Depends(Giver(CHOOSE)), KEEPING],
        "responses": {
            200: {"model": ChoiceAnswer, "description": "Applied (with `Prefer: wait=N`).", "content": content},
            202: {"model": ChoiceAnswer, "description": "Chosen; its command is accepted.", "content": content},
            **problems(*COMMANDING, 404),
        },
        "openapi_extra": {"requestBody": {"required": True, "content": {"application/json": asked}}},
    }


@choosing.post("/choose", **chosen())
async def choose_audience(
    accept: Accepting, services: Given, choice: Annotated[Choice, Depends(body(Choice))]
) -> Response:
    """Make an audience of those who fit a filter now; a campaign names it as any other. Who fits later is not in it."""
    workspace, command_id = accept.actor.workspace, accept.command_id()
    if (choice.filter is None) is (choice.segment_id is None):
        raise Refused("filter_or_segment", field="filter")
    text = choice.filter
    if text is None:
        assert choice.segment_id is not None
        segment = await services.segments.one(workspace, choice.segment_id)
        if segment is None:
            raise not_found("segment")
        text = segment.filter
    audience_id = derive("audience_id", workspace, command_id)
    try:
        found = await services.segments.choose(workspace, audience_id, text)
    except Refused as refused:
        if refused.rule == "id_taken":  # ids are ours: only a repeated key can name one that was chosen otherwise
            raise ApiError(422, "idempotency_key_reused", "Idempotency-Key") from None
        raise
    said = {"audience_id": str(audience_id), "title": choice.title, "filter": text, "digest": found.digest}
    told: dict[str, Any] = {**said, "count": found.count}
    return await accept.command(CHOOSE, command_id, told, audience_id, recipients=found.count)


for part in (kept, attributes, choosing):
    router.include_router(part)
