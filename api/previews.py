"""What one person would get: as chat bubbles show it. Nothing of it is stored, and nothing of it is logged."""

from collections.abc import Iterable, Mapping
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends
from pydantic import BaseModel, Field

from adapters import versions
from adapters.media import MediaRecord
from api import part_views
from api.auth import Only
from api.deps import Given, Reading, Services, Texts, opened
from api.errors import not_found
from api.lookups import Body, body
from api.openapi import answers, problems
from domain.content import MediaPart, Part, words
from domain.message import Actor, Digest, Role, WorkspaceId
from domain.rendering import Said, Unsendable, mentions, said
from domain.send import Rejection
from domain.wording import lacking
from projections import campaigns, jobs, recipients, templates
from projections.apply import Connection
from projections.parts import parts_of, refs, told

router = APIRouter(prefix="/v1", tags=["previews"])

SEEING = Depends(Only(Role.AUTHOR, Role.MODERATOR, Role.OPERATOR, Role.SERVICE, Role.ADMIN))
Seeing = Annotated[Actor, SEEING]

ASKED = {"recipient_id": "e7e9a1f0-55f0-5b5a-8a0c-2b1c0d9e8f33"}
EXAMPLE: dict[str, Any] = {
    "consented": True,
    "bubbles": [
        {
            "part": part_views.TEXT | {"text": "Hello Ada, we open on Saturday."},
            "mentions": [],
            "media": None,
            "rejected": None,
            "lacking": [],
        }
    ],
}


class Whom(Body):
    """Whose preview."""

    recipient_id: UUID


class File(BaseModel):
    """What is known of a file; width and height of images, in pixels."""

    id: str
    mimetype: str
    size: int
    width: int | None
    height: int | None


class Rejected(BaseModel):
    """Why this person could not be sent the part, and which field of it is to blame."""

    reason: Rejection
    field: str


class Bubble(BaseModel):
    """One message: the part in this person's words, or, when they could not be sent it, as it was written."""

    part: part_views.Part
    mentions: list[str] = Field(description="Numbers that the text or caption calls by `@`.")
    media: File | None
    rejected: Rejected | None
    lacking: list[str] = Field(description="Variables without a default that they lack, or have in no readable form.")


class Preview(BaseModel):
    """What one person would get, and whether they may be written to now."""

    consented: bool
    bubbles: list[Bubble]


def previews() -> dict[str, Any]:
    """What a route that shows a preview declares."""
    content = {"application/json": {"schema": Whom.model_json_schema(), "example": ASKED}}
    return {
        "responses": answers(200, "As asked.", EXAMPLE) | problems(401, 403, 404, 413, 415, 422, 503),
        "openapi_extra": {"requestBody": {"required": True, "content": content}},
    }


Asked = Annotated[Whom, Depends(body(Whom))]


@router.post("/campaigns/{campaign_id}/preview", **previews())
async def preview_campaign(campaign_id: UUID, actor: Seeing, read: Reading, services: Given, whom: Asked) -> Preview:
    """What a person would get of a campaign as it is now, with what is known of them now."""
    row = await campaigns.TABLE.one(read, actor.workspace, campaign_id)
    if row is None:
        raise not_found("campaign")
    version = await versions.newest(read, actor.workspace, whom.recipient_id)
    return await preview(services, read, actor.workspace, row.parts, whom.recipient_id, version)


@router.post("/templates/{template_id}/preview", **previews())
async def preview_template(template_id: UUID, actor: Seeing, read: Reading, services: Given, whom: Asked) -> Preview:
    """What a person would get of a template as it is now, with what is known of them now."""
    row = await templates.TABLE.one(read, actor.workspace, template_id)
    if row is None:
        raise not_found("template")
    version = await versions.newest(read, actor.workspace, whom.recipient_id)
    return await preview(services, read, actor.workspace, row.parts, whom.recipient_id, version)


@router.post("/jobs/{job_id}/preview", **previews())
async def preview_job(job_id: UUID, actor: Seeing, read: Reading, services: Given, whom: Asked) -> Preview:
    """What a person of a job's audience gets: exactly what is reviewed, with what was known of them when it was."""
    row = await jobs.TABLE.one(read, actor.workspace, job_id)
    if row is None:
        raise not_found("job")
    version = await versions.frozen(read, row.audience, whom.recipient_id)
    return await preview(services, read, actor.workspace, row.parts, whom.recipient_id, version)


async def preview(
    services: Services,
    read: Connection,
    workspace: WorkspaceId,
    kept: Iterable[Mapping[str, Any]],
    recipient_id: UUID,
    version: int | None,
) -> Preview:
    """Parts, as read models keep them, for one version of a person. Raises ApiError when nobody is there."""
    person = (recipient_id, version or 0)
    found = (await services.vault.opened(read, [person])).get(person) if version else None
    if found is None:
        raise not_found("recipient")
    parts = parts_of(kept)
    texts = await opened(services, read, workspace, refs(told(parts)))
    media = await services.media.known(workspace, {part.media for part in parts if isinstance(part, MediaPart)})
    row = await recipients.TABLE.one(read, workspace, recipient_id)
    return Preview(
        consented=row is not None and row.consented,
        bubbles=[bubble(part, texts, found.variables, media) for part in parts],
    )


def bubble(part: Part, texts: Texts, values: Mapping[str, str], media: Mapping[Digest, MediaRecord]) -> Bubble:
    """One part for one person."""
    [shown] = part_views.shown(told([part]), texts)
    file = media.get(part.media) if isinstance(part, MediaPart) else None
    filled, called, rejected = dict[str, Any](), list[str](), None
    if isinstance(part, MediaPart) and file is None:
        rejected = Rejected(reason=Rejection.MEDIA_GONE, field="media")
    else:
        try:
            filled, called = worded(said(part, texts, values))
        except Unsendable as unsendable:
            rejected = Rejected(reason=unsendable.reason, field=unsendable.field)
    return Bubble(
        part=shown.model_copy(update=filled),
        mentions=called,
        media=File.model_validate(file, from_attributes=True) if file else None,
        rejected=rejected,
        lacking=sorted({name for ref in words(part) for name in lacking(texts.get(ref, ""), values)}),
    )


def worded(one: Said) -> tuple[dict[str, Any], list[str]]:
    """The words of a part by field, and the numbers that its text or caption calls."""
    filled: dict[str, Any] = {name: text or None for name, text in one.words.items()}
    called: tuple[str, ...] = ()
    for name in ("text", "caption"):
        if filled.get(name):
            filled[name], called = mentions(filled[name])
    return filled | ({"choices": list(one.choices)} if one.choices else {}), list(called)
