"""What became of commands, whichever way they came."""

from collections.abc import Mapping
from typing import Annotated, Any, Self
from uuid import UUID

from fastapi import APIRouter, Depends
from pydantic import Field

from api.answers import CommandAnswer, told_of
from api.auth import Asking
from api.deps import Given, Reading
from api.errors import ApiError
from api.lists import Ask, Page, query
from api.openapi import COMMAND_ID, applied, pages, reads
from domain.message import Actor, Refused, Role
from projections import commands

router = APIRouter(prefix="/v1/commands", tags=["commands"])

EXAMPLE = applied({"command_id": COMMAND_ID, "name": "job.approve", "job_id": "d0a3b7f4-2f2f-5a0c-9a43-6f0c6f3b8e21"})
SEE_ALL = (Role.ADMIN, Role.AUDITOR)


class GivenCommand(CommandAnswer):
    """A command, with the key that gave it."""

    principal: str = Field(description="The key's id.", examples=["Zk3Pq81x"])

    @classmethod
    def of(cls, row: commands.Row) -> Self:
        return cls(**told_of(row).model_dump(), principal=row.principal)


LISTED = GivenCommand.model_validate(EXAMPLE | {"principal": "Zk3Pq81x"}).model_dump(mode="json")


@router.get("", **pages(LISTED, more=(403,)))
async def list_commands(
    actor: Asking, read: Reading, ask: Annotated[Ask, Depends(query(commands.LIST.filters))]
) -> Page[GivenCommand]:
    """Commands, the latest first: those of the asking key; for admins and auditors everybody's. What drumline decides
    for itself is not among them."""
    found = await ask.find(commands.LIST, read, **whose(actor, ask.values))
    return ask.page([GivenCommand.of(row) for row in found.rows], found.next)


def whose(actor: Actor, asked: Mapping[str, Any]) -> dict[str, Any]:
    """The filter that keeps a key to its own commands. Raises Refused when it asks for another's."""
    if not actor.roles.isdisjoint(SEE_ALL):
        return {}
    if asked.get("principal", actor.id) != actor.id:
        raise Refused("role_required", field="actor", role=" or ".join(SEE_ALL))
    return {"principal": actor.id}


@router.get("/{command_id}", response_model_exclude_none=True, **reads(EXAMPLE, of_one=True))
async def get_command(command_id: UUID, actor: Asking, services: Given) -> CommandAnswer:
    """What became of a command of this workspace: pending, applied, refused (by which rule), or crashed.

    Should two keys have given one id, the asking key's own command is told.
    """
    row = await services.inbox.by_command(actor.workspace, command_id, actor.id)
    if row is None:
        raise ApiError(404, "unknown_command_id", "command_id")
    return told_of(row)
