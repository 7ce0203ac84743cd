"""`?at=`: things as they were at a position of the log."""

import asyncio
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Annotated, TypeVar
from uuid import UUID

from fastapi import Depends, Query

from api.auth import Asking
from api.deps import LAST, Given, Services
from api.errors import ApiError, not_found
from domain.message import Recorded, StreamId, WorkspaceId
from projections import history, jobs, outcomes
from projections.apply import Connection
from projections.history import TooMuchSince
from projections.projection import Projection
from projections.table import Shown

R = TypeVar("R", bound=Shown)

PATIENCE = 2.0  # seconds for the read models to get as far
PAUSE = 0.02


@dataclass(frozen=True, slots=True)
class Past:
    """What a workspace was at a position."""

    services: Services
    workspace: WorkspaceId
    at: int

    async def histories(self, streams: Collection[StreamId]) -> Sequence[Recorded]:
        return await self.services.store.histories(streams, self.at)

    async def history(self, kind: str, id_: UUID) -> Sequence[Recorded]:
        """A stream of this workspace up to the position. Raises ApiError when there is none, or none yet."""
        stream = StreamId(f"{kind}-{id_}")
        found = await self.histories([stream])
        first = found or await self.services.store.history(stream, 1)
        if not first or first[0].envelope.workspace != self.workspace:
            raise not_found(kind)
        if not found:
            raise ApiError(422, "not_yet_begun", "at", params={"position": first[0].position})
        return found

    async def row(self, kind: str, projection: Projection[R], id_: UUID) -> R | None:
        """The row of one thing."""
        return history.row_at(projection, await self.history(kind, id_))

    async def job(self, read: Connection, id_: UUID) -> jobs.Job | None:
        """A job with its counts."""
        try:
            return await history.job_at(read, self.histories, await self.history("job", id_), self.at)
        except TooMuchSince:
            raise ApiError(422, "too_much_since", "at", params={"maximum": history.MOST_FOLDED}) from None

    async def delivery(self, id_: UUID) -> outcomes.Delivery | None:
        """A delivery that was begun."""
        return await history.delivery_at(self.histories, await self.history("delivery", id_))

    async def deliveries(self, read: Connection, job_id: UUID, after: int, limit: int) -> outcomes.Part:
        """A page of a job's recipients."""
        row = await self.row("job", jobs.PROJECTION, job_id)
        if row is None:
            return [], None
        return await history.deliveries_at(read, self.histories, row, self.at, after, limit)


async def past(
    services: Given,
    actor: Asking,
    at: Annotated[
        int | None, Query(ge=1, le=LAST, description="As it was at this position of the log.", examples=[4711])
    ] = None,
) -> Past | None:
    """The past that a request asks about, or None. Raises ApiError for what is still to come."""
    if at is None:
        return None
    head = await services.store.head()
    if at > head:
        raise ApiError(422, "ahead_of_log", "at", params={"position": head})
    async with asyncio.timeout(PATIENCE):
        while True:
            if await services.models.position() >= at:
                return Past(services, actor.workspace, at)
            await asyncio.sleep(PAUSE)


AsOf = Annotated[Past | None, Depends(past)]
