"""Direct messages: to one person, without a campaign."""

from typing import Any

from fastapi import APIRouter, Response

from api import part_views
from api.accept import Accepting
from api.openapi import gives

router = APIRouter(prefix="/v1/messages", tags=["messages"])

NEW: dict[str, Any] = {
    "recipient_id": "e7e9a1f0-55f0-5b5a-8a0c-2b1c0d9e8f33",
    "accounts": ["0f6d7a52-1b1c-5d0e-8f57-1a1d3a0f6c22"],
    "title": "Your appointment",
    "parts": [{"kind": "text", "text": part_views.TEXT["text"]}],
}


@router.post("", **gives("job.submit-message", made="job_id", example=NEW))
async def send_message(accept: Accepting) -> Response:
    """Write to one person who agreed. It is a job of one recipient: reviewed like any other, unless the workspace's
    policy wants no review of direct messages; the job's id is in the answer."""
    return await accept("job.submit-message", new="job_id")
