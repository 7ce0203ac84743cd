"""The review queue: jobs that await a moderator's answer."""

from fastapi import APIRouter

from api.auth import Asking
from api.deps import Given, Page, PageBounds, Reading, opened, page_of
from api.jobs import SUBMITTED, Submitted, submitted
from api.openapi import pages
from projections import review_queue

router = APIRouter(prefix="/v1/review-queue", tags=["review"])


@router.get("", **pages(SUBMITTED | {"approved_by": []}))
async def list_review_queue(actor: Asking, read: Reading, bounds: PageBounds, services: Given) -> Page[Submitted]:
    """Jobs that await review, the longest waiting first; approve or reject the `review_hash` of what you saw."""
    rows = await review_queue.oldest(read, actor.workspace, bounds.behind, bounds.limit)
    texts = await opened(services, actor.workspace, [ref for row in rows for ref in (row.title, *row.parts)])
    items = [Submitted(**submitted(row, texts)) for row in rows]
    return page_of(items, bounds, rows[-1].born if rows else None)
