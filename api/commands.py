"""What became of commands, whichever way they came."""

from uuid import UUID

from fastapi import APIRouter

from api.answers import CommandAnswer, told_of
from api.auth import Asking
from api.deps import Given
from api.errors import ApiError
from api.openapi import COMMAND_ID, applied, reads

router = APIRouter(prefix="/v1/commands", tags=["commands"])

EXAMPLE = applied({"command_id": COMMAND_ID, "name": "job.approve", "job_id": "d0a3b7f4-2f2f-5a0c-9a43-6f0c6f3b8e21"})


@router.get("/{command_id}", response_model_exclude_none=True, **reads(EXAMPLE, of_one=True))
async def get_command(command_id: UUID, actor: Asking, services: Given) -> CommandAnswer:
    """What became of a command of this workspace: pending, applied, refused (by which rule), or crashed."""
    row = await services.inbox.by_command(actor.workspace, command_id)
    if row is None:
        raise ApiError(404, "unknown_command_id", "command_id")
    return told_of(row)
