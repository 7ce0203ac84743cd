"""What became of a command, as an answer or as a problem."""

from datetime import datetime
from typing import Any
from uuid import UUID

from pydantic import BaseModel, Field

from adapters.inbox import CommandRow
from api.errors import ApiError, refused
from domain.message import Refused
from projections import commands


class CommandAnswer(BaseModel):
    """What became of a command so far."""

    command_id: UUID
    name: str = Field(description="The command's permanent name.", examples=["campaign.create"])
    state: str = Field(description="pending, applied, refused or crashed.", examples=["applied"])
    campaign_id: UUID | None = Field(None, description="The campaign it made or changed; so are the following.")
    template_id: UUID | None = None
    job_id: UUID | None = None
    account_id: UUID | None = None
    audience_id: UUID | None = None
    recipient_id: UUID | None = None
    rule: str | None = Field(None, description="Why it was refused, for programs.")
    field: str | None = Field(None, description="What in the command the rule is about.")
    detail: str | None = Field(None, description="Why it was refused, for people.")
    params: dict[str, Any] = Field(default_factory=dict, description="Limits and numbers the rule speaks of.")
    version: int | None = Field(None, description="Of the aggregate, after the command.")
    position: int | None = Field(None, description="Of its last event in the log; null when nothing new happened.")
    received_at: datetime | None = None
    answered_at: datetime | None = None


def refusal_of(row: CommandRow, about: UUID | None, headers: dict[str, str]) -> ApiError:
    """The problem of a command that was not applied; 404 when the address itself names what does not exist."""
    rule, field = row.rule or "crashed", row.field or "command_id"
    problem = refused(Refused(rule, field=field, **(row.detail or {})), command_id=str(row.command_id))
    aggregate = row.name.partition(".")[0]
    if about is not None and (rule, field) == (f"unknown_{aggregate}", f"{aggregate}_id"):
        problem.become(404)
    elif row.state == "crashed":
        problem.become(500)
    problem.headers |= headers
    return problem


def told_of(row: CommandRow | commands.Row, about: UUID | None = None) -> CommandAnswer:
    """A row of the commands table as it is shown."""
    aggregate = row.name.partition(".")[0]
    found = about or (row.stream or "").partition("-")[2]
    told = CommandAnswer(
        command_id=row.command_id,
        name=row.name,
        state=row.state,
        rule=row.rule,
        field=row.field,
        detail=refused(Refused(row.rule, field="", **(row.detail or {}))).document.detail if row.rule else None,
        params=dict(row.detail or {}),
        version=row.version,
        position=row.position,
        received_at=row.received_at,
        answered_at=row.answered_at,
    )
    if found and f"{aggregate}_id" in CommandAnswer.model_fields:
        setattr(told, f"{aggregate}_id", UUID(str(found)))
    return told
