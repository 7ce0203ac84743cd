"""How many of each there are."""

from typing import Any

from fastapi import APIRouter
from pydantic import BaseModel, Field

from api.auth import Asking
from api.deps import Reading
from api.openapi import reads
from projections.counts import counts

router = APIRouter(prefix="/v1/counts", tags=["counts"])

EXAMPLE: dict[str, Any] = {
    "accounts": {"total": 3, "by": {"ready": 2, "degraded": 1}},
    "audiences": {"total": 2, "by": {"imported": 2}},
    "campaigns": {"total": 5, "by": {"open": 4, "archived": 1}},
    "jobs": {"total": 4, "by": {"running": 1, "completed": 3}},
    "templates": {"total": 2, "by": {"open": 2}},
    "recipients": {"total": 3812, "by": {"consented": 3790, "opted_out": 22}},
}


class Count(BaseModel):
    """How many there are, and of those how many by one word: a status, or the like."""

    total: int
    by: dict[str, int] = Field(description="A word that none has is left out.")


class Counts(BaseModel):
    """How many of each there are in the workspace. A job tells the counts of its deliveries itself."""

    accounts: Count
    audiences: Count
    campaigns: Count
    jobs: Count
    templates: Count
    recipients: Count = Field(description="People of whom a consent or opt-out is recorded; others are not counted.")


@router.get("", **reads(EXAMPLE))
async def get_counts(actor: Asking, read: Reading) -> Counts:
    """How many rows each list has: exact as of the last projected event, and kept, not counted."""
    found = await counts(read, actor.workspace)
    return Counts(**{name: Count(total=sum(by.values()), by=by) for name, by in found.items()})
