"""Audiences: lists of people, imported from CSV."""

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any, Self
from uuid import UUID

from fastapi import APIRouter, Depends, Response
from pydantic import BaseModel, Field

from adapters.audience_csv import ImportRefused
from api.accept import Accepting
from api.auth import Asking
from api.deps import Given, Reading, Texts, opened
from api.errors import ApiError, not_found
from api.import_forms import ImportForm, brief
from api.lists import Ask, Page, query
from api.openapi import pages, reads
from api.uploads import COMMAND, body_of, declared, state_consents, told
from domain.message import Ref, derive
from projections import audiences

router = APIRouter(prefix="/v1/audiences", tags=["audiences"])

EXAMPLE: dict[str, Any] = {
    "id": "7c1f0f0e-3d0b-5c39-8a5e-5f2f3f1f9d10",
    "title": "Customers, autumn",
    "recipients": 34,
    "bad": 4,
    "merged": 2,
    "imported_at": "2026-11-21T09:20:00Z",
    "filter": None,
}


class Audience(BaseModel):
    """A list, imported or chosen: so many people, bad rows, and rows merged into another by number."""

    id: UUID
    title: str | None
    recipients: int = Field(description="When it was made; who was erased is counted all the same, and skipped.")
    bad: int
    merged: int
    imported_at: datetime
    filter: str | None = Field(description="Of an audience that was chosen: by this filter.")

    @classmethod
    def of(cls, row: audiences.Row, texts: Texts) -> Self:
        return cls(
            id=row.id,
            title=texts.of(row.title),
            recipients=row.count,
            bad=row.rejected,
            merged=row.merged,
            imported_at=row.imported_at,
            filter=texts.of(row.filter),
        )


def words(rows: Sequence[audiences.Row]) -> list[Ref | None]:
    """All that people said of these."""
    return [ref for row in rows for ref in (row.title, row.filter)]


@router.get("", **pages(EXAMPLE))
async def list_audiences(
    actor: Asking, read: Reading, services: Given, ask: Annotated[Ask, Depends(query(audiences.LIST.filters))]
) -> Page[Audience]:
    """The workspace's audiences, the newest first."""
    found = await ask.find(audiences.LIST, read)
    texts = await opened(services, read, actor.workspace, words(found.rows))
    return ask.page([Audience.of(row, texts) for row in found.rows], found.next)


@router.get("/{audience_id}", **reads(EXAMPLE, of_one=True))
async def get_audience(audience_id: UUID, actor: Asking, read: Reading, services: Given) -> Audience:
    """One audience; the people in it are told to nobody."""
    row = await audiences.TABLE.one(read, actor.workspace, audience_id)
    if row is None:
        raise not_found("audience")
    return Audience.of(row, await opened(services, read, actor.workspace, words([row])))


@router.post("", **declared())
async def import_audience(
    accept: Accepting, services: Given, given: Annotated[tuple[ImportForm, bytes], Depends(brief)]
) -> Response:
    """Import a list of people: they are sealed in the vault, the consents it states recorded, bad rows reported."""
    workspace, command_id = accept.actor.workspace, accept.command_id()
    audience_id = derive("audience_id", workspace, command_id)
    form, data = given
    try:
        report = await services.imports.run(workspace, audience_id, data, form.asked.country)
    except ImportRefused as refused:
        if refused.rule == "id_taken":  # ids are ours: only a repeated key can name one that another list has
            raise ApiError(422, "idempotency_key_reused", "Idempotency-Key") from None
        raise
    await state_consents(services, accept.actor, report)
    body = body_of(form.title, audience_id, report)
    return await accept.command(COMMAND, command_id, body, audience_id, **told(report))
