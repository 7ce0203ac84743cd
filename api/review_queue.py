"""The review queue: jobs that await a moderator's answer."""

from typing import Annotated

from fastapi import APIRouter, Depends

from api.auth import Asking
from api.deps import Given, Reading, opened
from api.job_views import SUBMITTED, Submitted, submitted
from api.lists import Ask, Page, query
from api.openapi import pages
from projections import review_queue

router = APIRouter(prefix="/v1/review-queue", tags=["review"])


@router.get("", **pages(SUBMITTED | {"approved_by": []}))
async def list_review_queue(
    actor: Asking, read: Reading, services: Given, ask: Annotated[Ask, Depends(query(review_queue.LIST.filters))]
) -> Page[Submitted]:
    """Jobs that await review, the longest waiting first; approve or reject the `review_hash` of what you saw."""
    found = await ask.find(review_queue.LIST, read)
    refs = [ref for row in found.rows for ref in row.texts]
    texts = await opened(services, read, actor.workspace, refs)
    return ask.page([Submitted(**submitted(row, texts)) for row in found.rows], found.next)
