"""What the API's process counts, for Prometheus; the core worker tells of the whole house on a port of its own."""

from fastapi import APIRouter, Response

from adapters import metrics
from api.auth import ANYBODY

router = APIRouter(include_in_schema=False, dependencies=[ANYBODY])


@router.get("/metrics")
async def show() -> Response:
    """Counts and times of this process; no workspace, nobody's name and nobody's words are among them."""
    return Response(metrics.exposition(), media_type=metrics.MEDIA_TYPE)
