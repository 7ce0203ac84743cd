"""Dead letters: commands that nobody could handle, for people to look at, replay or drop."""

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends, Query
from pydantic import BaseModel, ConfigDict, Field

from adapters import dead_letters
from adapters.dead_letters import State
from adapters.sealing import SealBroken
from api.auth import Asking, Only
from api.deps import Given
from api.errors import ApiError, not_found
from api.openapi import COMMAND_ID, answers, problems
from domain.message import Actor, Role

router = APIRouter(prefix="/v1/dead-letters", tags=["dead letters"])

MOST_ITEMS = 200
Tending = Annotated[Actor, Depends(Only(Role.OPERATOR, Role.ADMIN))]
Opening = Annotated[Actor, Depends(Only(Role.ADMIN))]

ID = "5f0c8a3e-9a44-5b0e-8a55-0d6b1c1f2a77"
TIME = "2026-11-21T09:30:00Z"
EXAMPLE: dict[str, Any] = {
    "id": ID,
    "command_id": COMMAND_ID,
    "name": "campaign.create",
    "principal": "7hJ2kQ9x",
    "reason": "crashed",
    "state": "dead",
    "replays": 0,
    "died_at": TIME,
}
WHOLE = EXAMPLE | {"actions": [{"action": "shown", "principal": "7hJ2kQ9x", "at": TIME}]}
OF_ONE = problems(401, 404, 422, 503)
ACTING = problems(401, 403, 404, 409, 422, 503)


class DeadLetter(BaseModel):
    """A command that nobody could handle; one without an id could not be read."""

    model_config = ConfigDict(from_attributes=True)

    id: UUID
    command_id: UUID | None
    name: str = Field(description="The command's; `unreadable` when it names none.")
    principal: str = Field(description="Who gave it.")
    reason: str
    state: State
    replays: int
    died_at: datetime


class Action(BaseModel):
    """What somebody did to it."""

    model_config = ConfigDict(from_attributes=True)

    action: str
    principal: str
    at: datetime


class WholeLetter(DeadLetter):
    """With what was done to it."""

    actions: list[Action]


class DeadLetters(BaseModel):
    """A page, the newest first."""

    items: list[DeadLetter]
    next: str | None = Field(description="The cursor of the following page; null on the last one.", examples=["4120"])


class Body(BaseModel):
    """What the command said, opened."""

    id: UUID
    body: str = Field(description="As it came; what is not UTF-8 in it is replaced.")


@router.get("", responses=answers(200, "A page.", {"items": [EXAMPLE], "next": "4120"}) | problems(401, 422, 503))
async def list_dead_letters(
    actor: Asking,
    services: Given,
    state: Annotated[State | None, Query(description="Only these.")] = None,
    limit: Annotated[int, Query(ge=1, le=MOST_ITEMS, description="Items on a page.")] = 50,
    cursor: Annotated[str | None, Query(pattern=r"^[0-9]{1,18}$", description="The `next` of the page before.")] = None,
) -> DeadLetters:
    """The dead letters of this workspace, the newest first."""
    behind = None if cursor is None else int(cursor)
    found = await services.dead.page(actor.workspace, state=state, behind=behind, limit=limit + 1)
    items = [DeadLetter.model_validate(letter) for letter in found[:limit]]
    return DeadLetters(items=items, next=str(found[limit - 1].number) if len(found) > limit else None)


@router.get("/{dead_letter_id}", responses=answers(200, "As asked.", WHOLE) | OF_ONE)
async def get_dead_letter(dead_letter_id: UUID, actor: Asking, services: Given) -> WholeLetter:
    """A dead letter, and what was done to it. Its body is apart."""
    letter = await services.dead.one(actor.workspace, dead_letter_id)
    if letter is None:
        raise not_found("dead_letter")
    return whole(letter, await services.dead.actions(dead_letter_id))


@router.get(
    "/{dead_letter_id}/body", responses=answers(200, "Opened.", {"id": ID, "body": '{"title": "Hello"}'}) | ACTING
)
async def get_body(dead_letter_id: UUID, actor: Opening, services: Given) -> Body:
    """The body of a dead letter, opened. That an admin looked at it is written down."""
    try:
        body = await services.dead.show(actor.workspace, dead_letter_id, actor.id)
    except SealBroken:
        raise ApiError(409, "seal_broken", "dead_letter_id") from None
    return Body(id=dead_letter_id, body=body.decode(errors="replace"))


@router.post(
    "/{dead_letter_id}/replay",
    responses=answers(200, "Replayed: its command is pending.", WHOLE | {"state": "replayed", "replays": 1}) | ACTING,
)
async def replay(dead_letter_id: UUID, actor: Tending, services: Given) -> WholeLetter:
    """Let the command be decided again, under its own id and in its giver's name; done twice, it is done once."""
    letter = await services.dead.replay(actor.workspace, dead_letter_id, actor.id)
    return whole(letter, await services.dead.actions(dead_letter_id))


@router.post("/{dead_letter_id}/drop", responses=answers(200, "Dropped.", WHOLE | {"state": "dropped"}) | ACTING)
async def drop(dead_letter_id: UUID, actor: Tending, services: Given) -> WholeLetter:
    """Forget the body for good; the command stays as it is. A replayed one is dropped once its command is answered."""
    letter = await services.dead.drop(actor.workspace, dead_letter_id, actor.id)
    return whole(letter, await services.dead.actions(dead_letter_id))


def whole(letter: dead_letters.DeadLetter, actions: Sequence[dead_letters.Action]) -> WholeLetter:
    """A letter with its actions."""
    told = DeadLetter.model_validate(letter).model_dump()
    return WholeLetter(**told, actions=[Action.model_validate(action) for action in actions])
