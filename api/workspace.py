"""The workspace of the caller's key: its rules."""

from datetime import datetime
from typing import Any

from fastapi import APIRouter, Response
from pydantic import BaseModel

from api.accept import Accepting
from api.auth import Asking
from api.deps import Reading
from api.errors import not_found
from api.openapi import gives, reads
from projections import workspaces

router = APIRouter(prefix="/v1/workspace", tags=["workspace"])

MODERATION = {"approvals": 1, "own_approval": False}
SENDING = {"messages": 1, "seconds": 30}
EXAMPLE: dict[str, Any] = {
    "workspace": "main",
    "moderation_policy": MODERATION,
    "sending_policy": SENDING,
    "changed_at": "2026-11-21T08:00:00Z",
}


class ModerationPolicy(BaseModel):
    """How many approvals a job needs, and whether its submitter's own counts."""

    approvals: int
    own_approval: bool


class SendingPolicy(BaseModel):
    """How many messages one account may send in how many seconds."""

    messages: int
    seconds: int


class Workspace(BaseModel):
    """A tenant and the rules in force."""

    workspace: str
    moderation_policy: ModerationPolicy
    sending_policy: SendingPolicy
    changed_at: datetime


@router.get("", **reads(EXAMPLE, of_one=True))
async def get_workspace(actor: Asking, read: Reading) -> Workspace:
    """The workspace's rules."""
    row = await workspaces.one(read, actor.workspace)
    if row is None:
        raise not_found("workspace")
    return Workspace(
        workspace=row.workspace,
        moderation_policy=ModerationPolicy(approvals=row.approvals, own_approval=row.own_approval),
        sending_policy=SendingPolicy(messages=row.messages, seconds=row.seconds),
        changed_at=row.changed_at,
    )


@router.post("", **gives("workspace.create"))
async def create_workspace(accept: Accepting) -> Response:
    """Begin the workspace that your key belongs to, with the cautious default rules."""
    return await accept("workspace.create")


@router.put("/moderation-policy", **gives("workspace.set-moderation-policy", example=MODERATION))
async def set_moderation_policy(accept: Accepting) -> Response:
    """Say how many approvals jobs need that are submitted from now on."""
    return await accept("workspace.set-moderation-policy")


@router.put("/sending-policy", **gives("workspace.set-sending-policy", example=SENDING))
async def set_sending_policy(accept: Accepting) -> Response:
    """Say how fast each account may send."""
    return await accept("workspace.set-sending-policy")
