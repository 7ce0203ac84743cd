"""Deliveries: what became of each recipient of a job."""

from datetime import datetime
from typing import Annotated, Any, Self
from uuid import UUID

from fastapi import APIRouter, Depends, Response
from pydantic import BaseModel, Field

from api.accept import Accepting
from api.auth import Asking
from api.deps import Reading
from api.errors import ApiError, not_found
from api.lists import Ask, Page, query
from api.openapi import gives, pages, reads
from api.past import AsOf
from api.standing import to_do
from projections import jobs, outcomes
from projections.outcomes import Outcome

router = APIRouter(prefix="/v1", tags=["deliveries"])

EXAMPLE: dict[str, Any] = {
    "id": "a4b0d6a1-7a0d-5f4e-9a8f-3d0f1c2b3a44",
    "job_id": "d0a3b7f4-2f2f-5a0c-9a43-6f0c6f3b8e21",
    "recipient_id": "e7e9a1f0-55f0-5b5a-8a0c-2b1c0d9e8f33",
    "account_id": "0f6d7a52-1b1c-5d0e-8f57-1a1d3a0f6c22",
    "ordinal": 7,
    "state": "read",
    "reason": None,
    "do": "Nothing.",
    "part": 1,
    "parts": 1,
    "attempt": 1,
    "wa_id": "3EB05C1F0A9B8C7D6E5F4A",
    "intended_at": "2026-11-21T09:40:00Z",
    "sent_at": "2026-11-21T09:40:01Z",
    "delivered_at": "2026-11-21T09:40:03Z",
    "read_at": "2026-11-21T09:41:10Z",
    "position": 4711,
}
RESOLVED = {"outcome": "sent", "note": "It is on the phone."}


class Delivery(BaseModel):
    """A recipient of a job. A pending or stopped one was never begun: it has no times, and no position in the log."""

    id: UUID
    job_id: UUID
    recipient_id: UUID
    account_id: UUID
    ordinal: int = Field(description="The recipient's place in the frozen audience, from 1.")
    state: Outcome
    reason: str | None = Field(None, description="Why it was skipped, failed, or is unknown.")
    do: str = Field(description="What there is to be done about it, in a sentence or two.")
    part: int | None = Field(None, description="The part that was begun last, from 1.")
    parts: int | None = None
    attempt: int | None = None
    wa_id: str | None = Field(None, description="WhatsApp's id of that part.")
    intended_at: datetime | None = None
    sent_at: datetime | None = None
    delivered_at: datetime | None = None
    read_at: datetime | None = None
    position: int | None = None

    @classmethod
    def of(cls, told: outcomes.Delivery) -> Self:
        whom = {name: getattr(told, name) for name in ("id", "job_id", "recipient_id", "account_id", "ordinal")}
        row = told.row
        if row is None:
            return cls(**whom, state=told.outcome, do=to_do(told.outcome, None))
        return cls(
            **whom,
            state=told.outcome,
            reason=row.reason,
            do=to_do(told.outcome, row.reason),
            part=row.part + 1,
            parts=row.parts,
            attempt=row.attempt,
            wa_id=row.wa_id,
            intended_at=row.intended_at,
            sent_at=row.sent_at,
            delivered_at=row.delivered_at,
            read_at=row.read_at,
            position=row.position,
        )


@router.get("/jobs/{job_id}/deliveries", **pages(EXAMPLE, missing=True))
async def list_deliveries(
    job_id: UUID, actor: Asking, read: Reading, ask: Annotated[Ask, Depends(query(outcomes.OF_JOB))], as_of: AsOf
) -> Page[Delivery]:
    """Every recipient of a job in the audience's order, reached or not."""
    (after,) = ask.after or [0]
    if as_of:
        for name in ask.values:
            raise ApiError(422, "not_with_at", name)
        found, edge = await as_of.deliveries(read, job_id, after, ask.limit)
    else:
        job = await jobs.one(read, actor.workspace, job_id)
        if job is None:
            raise not_found("job")
        found, edge = await outcomes.of_job(read, job, ask.values, after, ask.limit)
    return ask.page([Delivery.of(one) for one in found], None if edge is None else [edge])


@router.get("/recipients/{recipient_id}/deliveries", **pages(EXAMPLE))
async def list_deliveries_of_recipient(
    recipient_id: UUID, ask: Annotated[Ask, Depends(query(outcomes.OF_PERSON))], read: Reading
) -> Page[Delivery]:
    """What became of one recipient in every job that began a delivery to them, the newest first."""
    found = await ask.find(outcomes.OF_RECIPIENT, read, recipient=recipient_id)
    return ask.page([Delivery.of(one) for one in await outcomes.told_all(read, found.rows)], found.next)


@router.get("/deliveries/{delivery_id}", **reads(EXAMPLE, of_one=True))
async def get_delivery(delivery_id: UUID, actor: Asking, read: Reading, as_of: AsOf) -> Delivery:
    """One delivery that was begun."""
    found = await (as_of.delivery(delivery_id) if as_of else outcomes.one(read, actor.workspace, delivery_id))
    if found is None:
        raise not_found("delivery")
    return Delivery.of(found)


@router.post(
    "/deliveries/{delivery_id}/resolve",
    **gives("delivery.resolve-unknown", path="delivery_id", example=RESOLVED),
)
async def resolve_delivery(delivery_id: UUID, accept: Accepting) -> Response:
    """Say what became of an unknown send, or of one that was given up. That part is never sent again."""
    return await accept("delivery.resolve-unknown", delivery_id=delivery_id)
