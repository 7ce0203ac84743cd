"""Timers: what drumline will do by itself, and when."""

from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends
from pydantic import BaseModel, ConfigDict, Field

from api.deps import Reading
from api.lists import Ask, Page, query
from api.openapi import pages
from domain.reactors import Kind
from projections import timers

router = APIRouter(prefix="/v1/timers", tags=["timers"])

EXAMPLE: dict[str, Any] = {
    "id": "3a1f7b1c-54f1-5d2e-9c59-3f2f0a7d1b66",
    "kind": "start",
    "subject": "d0a3b7f4-2f2f-5a0c-9a43-6f0c6f3b8e21",
    "due_at": "2026-11-22T08:00:00Z",
    "local_time": "2026-11-22T09:00:00",
    "zone": "Europe/Zurich",
}


class Timer(BaseModel):
    """A decision that drumline will make."""

    model_config = ConfigDict(from_attributes=True)

    id: UUID
    kind: Kind
    subject: UUID = Field(description="The job or the delivery that it is about.")
    due_at: datetime
    local_time: str | None = Field(description="The time as it was asked for…")
    zone: str | None = Field(description="…on the clocks of this zone.")


@router.get("", **pages(EXAMPLE))
async def list_timers(ask: Annotated[Ask, Depends(query(timers.LIST.filters))], read: Reading) -> Page[Timer]:
    """Decisions that are due, now or later, the next one first."""
    found = await ask.find(timers.LIST, read)
    return ask.page([Timer.model_validate(row) for row in found.rows], found.next)
