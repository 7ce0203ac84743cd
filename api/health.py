"""Whether the API lives, and whether it can do its work."""

import asyncio
from typing import Literal

from fastapi import APIRouter, Response
from pydantic import BaseModel, Field

from adapters.outages import OUTAGES
from api.auth import ANYBODY
from api.deps import Given, Services
from api.openapi import answers

router = APIRouter(tags=["health"], dependencies=[ANYBODY])

PATIENCE = 2.0  # seconds for each answer
LAG_ALLOWED = 30.0  # seconds that the read models may be behind the log

Word = Literal["ok", "away", "behind"]
READY = {"status": "ok", "database": "ok", "bus": "ok", "projections": "ok", "lag_seconds": 0.0}
BEHIND = READY | {"status": "unready", "projections": "behind", "lag_seconds": 41.7}


class Health(BaseModel):
    """The process answers."""

    status: Literal["ok"] = "ok"


class Readiness(BaseModel):
    """What the API stands on, each by itself."""

    status: Literal["ok", "unready"]
    database: Word
    bus: Word
    projections: Word
    lag_seconds: float | None = Field(description="Age of the oldest event that the read models do not show yet.")


@router.get("/healthz", responses=answers(200, "Alive.", {"status": "ok"}))
async def healthz() -> Health:
    """Whether the process answers at all."""
    return Health()


@router.get("/readyz", responses=answers(200, "Ready.", READY) | answers(503, "Not ready.", BEHIND))
async def readyz(services: Given, response: Response) -> Readiness:
    """Whether database and bus answer, and the read models keep up with the log."""
    bus, lag = await asyncio.gather(bus_answers(services), lag_of(services))
    projections: Word = "away" if lag is None else "ok" if lag <= LAG_ALLOWED else "behind"
    ready = bus and projections == "ok"
    response.status_code = 200 if ready else 503
    return Readiness(
        status="ok" if ready else "unready",
        database="away" if lag is None else "ok",
        bus="ok" if bus else "away",
        projections=projections,
        lag_seconds=lag,
    )


async def bus_answers(services: Services) -> bool:
    """Whether the broker answers."""
    try:
        await services.bus.nc.flush(int(PATIENCE))
    except OUTAGES:
        return False
    return True


async def lag_of(services: Services) -> float | None:
    """How old the oldest event is that is not projected, in seconds; None when the database does not tell."""
    try:
        async with asyncio.timeout(PATIENCE):
            rest = await services.store.page(await services.models.position(), 1)
    except OUTAGES:
        return None
    return max((services.clock() - rest[0].envelope.time).total_seconds(), 0.0) if rest else 0.0
