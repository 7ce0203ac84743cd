"""Recipients: whether a person wants to be written to."""

from datetime import datetime
from typing import Any
from uuid import UUID

from fastapi import APIRouter, Response
from pydantic import BaseModel, ConfigDict, Field

from api.accept import Accepting
from api.auth import Asking
from api.deps import Reading
from api.errors import not_found
from api.openapi import gives, reads
from domain.recipient import ConsentSource
from projections import recipients

router = APIRouter(prefix="/v1/recipients", tags=["recipients"])

EXAMPLE: dict[str, Any] = {
    "id": "e7e9a1f0-55f0-5b5a-8a0c-2b1c0d9e8f33",
    "consented": True,
    "source": "web_form",
    "given_at": "2026-10-02T16:20:00Z",
    "opted_out_at": None,
    "changed_at": "2026-11-21T09:30:00Z",
}
CONSENT = {"source": "web_form", "given_at": "2026-10-02T16:20:00Z", "proof": "Form 12, page 3"}


class Recipient(BaseModel):
    """A person, by id alone."""

    model_config = ConfigDict(from_attributes=True)

    id: UUID
    consented: bool = Field(description="Whether they may be written to now.")
    source: ConsentSource | None = Field(description="Where their last consent was given.")
    given_at: datetime | None
    opted_out_at: datetime | None
    changed_at: datetime


@router.get("/{recipient_id}", **reads(EXAMPLE, of_one=True))
async def get_recipient(recipient_id: UUID, actor: Asking, read: Reading) -> Recipient:
    """What is recorded of a person's consent."""
    row = await recipients.TABLE.one(read, actor.workspace, recipient_id)
    if row is None:
        raise not_found("recipient")
    return Recipient.model_validate(row)


@router.post("/{recipient_id}/consent", **gives("recipient.record-consent", path="recipient_id", example=CONSENT))
async def record_consent(recipient_id: UUID, accept: Accepting) -> Response:
    """Record that a person agreed to be written to."""
    return await accept("recipient.record-consent", recipient_id=recipient_id)


@router.post("/{recipient_id}/opt-out", **gives("recipient.opt-out", path="recipient_id"))
async def opt_out(recipient_id: UUID, accept: Accepting) -> Response:
    """Record that a person does not want to be written to any more; it acts at once, in running jobs too."""
    return await accept("recipient.opt-out", recipient_id=recipient_id)
