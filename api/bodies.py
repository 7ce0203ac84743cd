"""Bodies on their way in: only so many of a key, of a workspace and in all, for each takes memory meanwhile."""

from collections.abc import AsyncIterator
from typing import Annotated, Any

from fastapi import Depends, Request

from api.auth import Caller
from api.deps import Given, Services
from api.room import KEEPING


async def whole(request: Request) -> bytes:
    """The body of a request whose key is known. Raises OverQuota."""
    services: Services = request.app.state.services
    with services.quotas.bodies.hold(request.state.actor):
        return await request.body()


async def uploading(actor: Caller, services: Given, _room: Annotated[None, KEEPING]) -> AsyncIterator[None]:
    """A place for a file on its way in. Raises OverQuota, ApiError."""
    with services.quotas.uploads.hold(actor):
        yield


UPLOADING: Any = Depends(uploading)
