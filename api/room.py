"""While the disk is nearly full: what would take room is refused before a byte of it is kept."""

from typing import Any

from fastapi import Depends

from api.deps import Given
from api.errors import ApiError

RETRY_AFTER = "30"  # seconds


def disk_full() -> ApiError:
    """What is answered meanwhile."""
    return ApiError(507, "disk_full", "server", headers={"Retry-After": RETRY_AFTER})


async def room(services: Given) -> None:
    """Room on the disk for what a request brings. Raises ApiError."""
    if services.disk.full:
        raise disk_full()


KEEPING: Any = Depends(room)  # declared by every route that keeps what it is sent; of commands, Accept asks
