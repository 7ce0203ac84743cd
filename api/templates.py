"""Templates: messages kept to be used again."""

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
from projections import templates

router = APIRouter(prefix="/v1/templates", tags=["templates"])

EXAMPLE: dict[str, Any] = {
    "id": "2b7e1c64-0f3d-5c1a-9a52-6e1d3b0c8f44",
    "title": "Opening hours",
    "parts": [part_views.TEXT],
    "version": 1,
    "archived": False,
    "created_by": "Zk3Pq81x",
    "created_at": "2026-11-21T09:30:00Z",
    "changed_at": "2026-11-21T09:30:00Z",
}
NEW = {"title": EXAMPLE["title"], "parts": [{"kind": "text", "text": part_views.TEXT["text"]}]}


class Template(BaseModel):
    """A template's current version."""

    id: UUID
    title: str | None
    parts: list[part_views.Part] = Field(description="One message each, in order; variables stand in double braces.")
    version: int
    archived: bool
    created_by: str
    created_at: datetime
    changed_at: datetime

    @classmethod
    def of(cls, row: templates.Row, texts: Texts) -> Self:
        return cls(
            id=row.id,
            title=texts.of(row.title),
            parts=part_views.shown(row.parts, texts),
            version=row.version,
            archived=row.archived,
            created_by=row.created_by,
            created_at=row.created_at,
            changed_at=row.changed_at,
        )


@router.get("", **pages(EXAMPLE))
async def list_templates(
    actor: Asking, read: Reading, services: Given, ask: Annotated[Ask, Depends(query(templates.LIST.filters))]
) -> Page[Template]:
    """The workspace's templates, the newest first."""
    found = await ask.find(templates.LIST, read)
    texts = await opened(services, read, actor.workspace, [ref for row in found.rows for ref in row.texts])
    return ask.page([Template.of(row, texts) for row in found.rows], found.next)


@router.get("/{template_id}", **reads(EXAMPLE, of_one=True))
async def get_template(template_id: UUID, actor: Asking, read: Reading, services: Given, as_of: AsOf) -> Template:
    """One template."""
    if as_of:
        row = await as_of.row("template", templates.PROJECTION, template_id)
    else:
        row = await templates.TABLE.one(read, actor.workspace, template_id)
    if row is None:
        raise not_found("template")
    return Template.of(row, await opened(services, read, actor.workspace, row.texts))


@router.post("", **gives("template.create", made="template_id", example=NEW))
async def create_template(accept: Accepting) -> Response:
    """Keep 1 to 10 messages to be used again; the template's id is in the answer."""
    return await accept("template.create", new="template_id")


@router.post("/{template_id}/revise", **gives("template.revise", path="template_id", example=NEW))
async def revise_template(template_id: UUID, accept: Accepting) -> Response:
    """Replace what a template says; campaigns made from it before keep what they had."""
    return await accept("template.revise", template_id=template_id)


@router.post("/{template_id}/archive", **gives("template.archive", path="template_id"))
async def archive_template(template_id: UUID, accept: Accepting) -> Response:
    """Make no more campaigns from this template."""
    return await accept("template.archive", template_id=template_id)
