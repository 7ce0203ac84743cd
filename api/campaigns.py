"""Campaigns: what to say, and to whom."""

from datetime import datetime
from typing import Annotated, Any, Self
from uuid import UUID

from fastapi import APIRouter, Depends, Response
from pydantic import BaseModel, Field

from api import part_views
from api.accept import Accepting
from api.auth import Asking
from api.deps import Given, Reading, Texts, opened
from api.errors import not_found
from api.lists import Ask, Page, query
from api.openapi import gives, pages, reads
from api.past import AsOf
from projections import campaigns

router = APIRouter(prefix="/v1/campaigns", tags=["campaigns"])

EXAMPLE: dict[str, Any] = {
    "id": "5f0c8a3e-9a44-5b0e-8a55-0d6b1c1f2a77",
    "title": "Spring opening",
    "parts": [part_views.TEXT],
    "audience_id": "7c1f0f0e-3d0b-5c39-8a5e-5f2f3f1f9d10",
    "template": None,
    "version": 1,
    "archived": False,
    "created_by": "Zk3Pq81x",
    "created_at": "2026-11-21T09:30:00Z",
    "changed_at": "2026-11-21T09:30:00Z",
}
NEW = {
    "title": EXAMPLE["title"],
    "parts": [{"kind": "text", "text": part_views.TEXT["text"]}],
    "audience_id": EXAMPLE["audience_id"],
}


class MadeFrom(BaseModel):
    """A template, at the version that was used."""

    template_id: UUID
    version: int


class Campaign(BaseModel):
    """A campaign's current version."""

    id: UUID
    title: str | None
    parts: list[part_views.Part] = Field(description="One message each, in order; variables stand in double braces.")
    audience_id: UUID | None
    template: MadeFrom | None = Field(description="The template that the parts are from, as it was then.")
    version: int
    archived: bool
    created_by: str
    created_at: datetime
    changed_at: datetime

    @classmethod
    def of(cls, row: campaigns.Row, texts: Texts) -> Self:
        return cls(
            id=row.id,
            title=texts.of(row.title),
            parts=part_views.shown(row.parts, texts),
            audience_id=row.audience_id,
            template=MadeFrom(template_id=row.template_id, version=row.template_version)
            if row.template_id and row.template_version
            else None,
            version=row.version,
            archived=row.archived,
            created_by=row.created_by,
            created_at=row.created_at,
            changed_at=row.changed_at,
        )


@router.get("", **pages(EXAMPLE))
async def list_campaigns(
    actor: Asking, read: Reading, services: Given, ask: Annotated[Ask, Depends(query(campaigns.LIST.filters))]
) -> Page[Campaign]:
    """The workspace's campaigns, the newest first."""
    found = await ask.find(campaigns.LIST, read)
    refs = [ref for row in found.rows for ref in row.texts]
    texts = await opened(services, read, actor.workspace, refs)
    return ask.page([Campaign.of(row, texts) for row in found.rows], found.next)


@router.get("/{campaign_id}", **reads(EXAMPLE, of_one=True))
async def get_campaign(campaign_id: UUID, actor: Asking, read: Reading, services: Given, as_of: AsOf) -> Campaign:
    """One campaign."""
    if as_of:
        row = await as_of.row("campaign", campaigns.PROJECTION, campaign_id)
    else:
        row = await campaigns.TABLE.one(read, actor.workspace, campaign_id)
    if row is None:
        raise not_found("campaign")
    return Campaign.of(row, await opened(services, read, actor.workspace, row.texts))


@router.post(
    "",
    **gives("campaign.create", made="campaign_id", example=NEW),
)
async def create_campaign(accept: Accepting) -> Response:
    """Begin a campaign of 1 to 10 messages, or of a template's; its id is in the answer."""
    return await accept("campaign.create", new="campaign_id")


@router.post(
    "/{campaign_id}/revise",
    **gives("campaign.revise", path="campaign_id", example=NEW),
)
async def revise_campaign(campaign_id: UUID, accept: Accepting) -> Response:
    """Replace what a campaign says and to whom; jobs submitted before keep what they had."""
    return await accept("campaign.revise", campaign_id=campaign_id)


@router.post(
    "/{campaign_id}/archive",
    **gives("campaign.archive", path="campaign_id"),
)
async def archive_campaign(campaign_id: UUID, accept: Accepting) -> Response:
    """Close a campaign to new jobs."""
    return await accept("campaign.archive", campaign_id=campaign_id)
