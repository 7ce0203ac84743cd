"""The workspace of the caller's key: its rules."""

from datetime import datetime
from typing import Any

from fastapi import APIRouter, Response
from pydantic import BaseModel, Field

from api.accept import Accepting
from api.auth import Asking
from api.deps import Reading
from api.errors import not_found
from api.openapi import gives, reads
from projections import workspaces

router = APIRouter(prefix="/v1/workspace", tags=["workspace"])

MODERATION = {
    "approvals": 1,
    "own_approval": False,
    "flag_above": 1000,
    "flag_links": True,
    "flagged_approvals": 2,
    "review_messages": True,
}
SENDING = {"messages": 1, "seconds": 30, "per_minute": None, "per_hour": 60, "per_day": 500}
EXAMPLE: dict[str, Any] = {
    "workspace": "main",
    "moderation_policy": MODERATION,
    "sending_policy": SENDING,
    "changed_at": "2026-11-21T08:00:00Z",
}


class ModerationPolicy(BaseModel):
    """How many approvals a job needs, whether its submitter's own counts, and what is flagged for a closer look."""

    approvals: int
    own_approval: bool
    flag_above: int | None = Field(description="Jobs with more recipients are flagged.")
    flag_links: bool = Field(description="Jobs with a link in a text are flagged.")
    review_messages: bool = Field(description="Whether direct messages are reviewed that are not flagged.")
    flagged_approvals: int = Field(description="How many approvals a flagged job needs, never its submitter's own.")


class SendingPolicy(BaseModel):
    """How many messages one account may send in how many seconds, and at most in any minute, hour and day."""

    messages: int
    seconds: int
    per_minute: int | None
    per_hour: int | None
    per_day: int | None


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
        moderation_policy=ModerationPolicy.model_validate(row, from_attributes=True),
        sending_policy=SendingPolicy.model_validate(row, from_attributes=True),
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
