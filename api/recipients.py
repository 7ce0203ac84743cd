"""Recipients: whether a person wants to be written to."""

from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends, Response
from pydantic import BaseModel, ConfigDict, Field

from adapters import audience_rows
from api.accept import Accepting
from api.auth import Asking
from api.deps import Given, Reading
from api.errors import not_found
from api.lists import Ask, Page, query
from api.lookups import Body, asks, body
from api.openapi import gives, pages, reads
from domain.message import Refused
from domain.recipient import ConsentSource
from projections import recipients

router = APIRouter(prefix="/v1/recipients", tags=["recipients"])

EXAMPLE: dict[str, Any] = {
    "id": "e7e9a1f0-55f0-5b5a-8a0c-2b1c0d9e8f33",
    "consented": True,
    "source": "web_form",
    "given_at": "2026-10-02T16:20:00Z",
    "opted_out_at": None,
    "erased_at": None,
    "changed_at": "2026-11-21T09:30:00Z",
}
NUMBER = {"number": "+12025550101"}
CONSENT = {"source": "web_form", "given_at": "2026-10-02T16:20:00Z", "proof": "Form 12, page 3"}


class Recipient(BaseModel):
    """A person, by id alone."""

    model_config = ConfigDict(from_attributes=True)

    id: UUID
    consented: bool = Field(description="Whether they may be written to now.")
    source: ConsentSource | None = Field(description="Where their last consent was given.")
    given_at: datetime | None
    opted_out_at: datetime | None
    erased_at: datetime | None = Field(description="When they were forgotten: they are never written to again.")
    changed_at: datetime


class Number(Body):
    """A telephone number, written with its country: `+…`."""

    number: str = Field(min_length=3, max_length=40)


class LookedUp(BaseModel):
    """Who has a number, and what is recorded of them: nothing, for those who were imported without a consent."""

    id: UUID
    recorded: Recipient | None


def read_number(text: str, country: str | None = None) -> tuple[str, str | None]:
    """A number in E.164, read as one of this country if it names none, and its country. Raises Refused."""
    try:
        return audience_rows.read_number(text, country)
    except audience_rows.RowRefused:
        raise Refused("malformed", field="number") from None


@router.get("", **pages(EXAMPLE))
async def list_recipients(
    ask: Annotated[Ask, Depends(query(recipients.LIST.filters))], read: Reading
) -> Page[Recipient]:
    """People of whom a consent or an opt-out is recorded, by id alone, the newest first."""
    found = await ask.find(recipients.LIST, read)
    return ask.page([Recipient.model_validate(row) for row in found.rows], found.next)


@router.post("/look-up", **asks(Number, NUMBER, {"id": EXAMPLE["id"], "recorded": EXAMPLE}, who="recipient.opt-out"))
async def look_up_recipient(
    actor: Asking, read: Reading, services: Given, asked: Annotated[Number, Depends(body(Number))]
) -> LookedUp:
    """The recipient who has a number, for those who may record an opt-out. The number stays out of every log: it is in
    the body, and only its HMAC is looked for."""
    recipient_id = await services.vault.whose(read, actor.workspace, read_number(asked.number)[0])
    if recipient_id is None:
        raise not_found("recipient")
    row = await recipients.TABLE.one(read, actor.workspace, recipient_id)
    return LookedUp(id=recipient_id, recorded=None if row is None else Recipient.model_validate(row))


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


@router.post("/{recipient_id}/erase", **gives("recipient.erase", path="recipient_id"))
async def erase(recipient_id: UUID, accept: Accepting) -> Response:
    """Forget a person for good. Nothing is sent to them from this answer on; within seconds what the vault holds of
    them is destroyed (after an import into the workspace, if one is under way)."""
    return await accept("recipient.erase", recipient_id=recipient_id)
