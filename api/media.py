"""Media: files that messages carry, whole, by URL, or as a list; what they are, their content says."""

from collections.abc import AsyncIterator
from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Header, Path, Request, Response
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, ConfigDict, Field
from starlette.requests import ClientDisconnect

from adapters.media import MediaGone, MediaRecord
from adapters.media_kinds import kinds_of
from api.auth import Asking, Giver
from api.bodies import UPLOADING
from api.deps import Given, Reading
from api.errors import ApiError, not_found
from api.lists import Ask, Page, query
from api.lookups import Body, body
from api.openapi import answers, pages, problems, reads
from domain.content import MediaKind
from domain.message import Actor, Digest, Refused
from projections import media

router = APIRouter(prefix="/v1/media", tags=["media"])

LARGEST = 2_000_000_000  # bytes of a body, whatever the settings say
ANY = "application/octet-stream"
PUTTING = (401, 403, 409, 413, 415, 422, 503, 507)
Putting = Annotated[Actor, Depends(Giver("campaign.create"))]
MediaId = Annotated[Digest, Path(pattern=r"^[0-9a-f]{64}$", description="The media's id.")]

ID = "9f2c1e7ab04d5c38e6f1a2b3c4d5e6f708192a3b4c5d6e7f8091a2b3c4d5e6f7"
EXAMPLE: dict[str, Any] = {
    "id": ID,
    "kind": "image",
    "kinds": ["document", "image"],
    "mimetype": "image/jpeg",
    "size": 48213,
    "width": 1280,
    "height": 720,
    "put_at": "2026-11-21T09:30:00Z",
}
GIVEN: dict[int | str, dict[str, Any]] = {200: {"description": "The file.", "content": {ANY: {"example": "(bytes)"}}}}
DELETED: dict[int | str, dict[str, Any]] = {204: {"description": "Shown no more; its bytes follow within minutes."}}
FILE = {
    "requestBody": {
        "required": True,
        "description": "The file itself, not a form; of any type, which is told by its content.",
        "content": {ANY: {"schema": {"type": "string", "format": "binary"}}},
    }
}


class File(BaseModel):
    """A file, as its content says it is."""

    model_config = ConfigDict(from_attributes=True)

    id: Digest
    kind: MediaKind
    kinds: list[MediaKind] = Field(description="What a message may send it as.")
    mimetype: str
    size: int = Field(description="Bytes.")
    width: int | None = Field(description="Pixels across, of an image.")
    height: int | None
    put_at: datetime

    @classmethod
    def of(cls, found: MediaRecord | media.Row) -> "File":
        plain = {name: getattr(found, name) for name in cls.model_fields if name != "kinds"}
        return cls(**plain, kinds=sorted(kinds_of(found.mimetype)))


class Where(Body):
    """Where a file is to be fetched from."""

    url: str = Field(min_length=1, max_length=2_000)


async def stream_of(request: Request) -> AsyncIterator[bytes]:
    """A request's body as it comes."""
    try:
        async for chunk in request.stream():
            yield chunk
    except ClientDisconnect:
        raise ApiError(400, "bad_request", "body") from None


def created(response: Response, found: MediaRecord) -> File:
    """The answer that a file was put in."""
    response.headers["Location"] = f"{router.prefix}/{found.id}"
    return File.of(found)


@router.get("", **pages(EXAMPLE))
async def list_media(ask: Annotated[Ask, Depends(query(media.LIST.filters))], read: Reading) -> Page[File]:
    """The workspace's media, the newest first."""
    found = await ask.find(media.LIST, read)
    return ask.page([File.of(row) for row in found.rows], found.next)


@router.post(
    "",
    status_code=201,
    dependencies=[Depends(Giver("campaign.create")), UPLOADING],
    max_body_size=LARGEST,
    responses=answers(201, "Kept; the same content is the same media.", EXAMPLE) | problems(*PUTTING),
    openapi_extra=FILE,
)
async def put_media(
    actor: Putting,
    services: Given,
    request: Request,
    response: Response,
    declared: Annotated[int | None, Header(alias="Content-Length", ge=0, include_in_schema=False)] = None,
) -> File:
    """Keep a file: the request's body. It may be sent again; large ones better come as an upload, in chunks."""
    if request.headers.get("content-type", "").startswith("multipart/"):
        raise ApiError(415, "unsupported_media_type", "Content-Type", params={"media_type": f"the file itself ({ANY})"})
    if declared is not None and declared > services.media_uploads.largest:
        maximum = services.media_uploads.largest
        raise Refused("file_too_large", field="content", kind="file", maximum=maximum)
    return created(response, await services.media_uploads.take(actor.workspace, stream_of(request), declared))


@router.post(
    "/fetch",
    status_code=201,
    dependencies=[Depends(Giver("campaign.create")), UPLOADING],
    responses=answers(201, "Fetched and kept.", EXAMPLE) | problems(*PUTTING),
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {
                "application/json": {
                    "schema": Where.model_json_schema(),
                    "example": {"url": "https://www.example.com/spring.jpg"},
                }
            },
        }
    },
)
async def fetch_media(
    actor: Putting, services: Given, where: Annotated[Where, Depends(body(Where))], response: Response
) -> File:
    """Fetch a file from a public address of the Internet and keep it. No redirect is followed."""
    uploads = services.media_uploads
    async with services.fetcher.fetch(actor.workspace, where.url, uploads.largest) as found:
        return created(response, await uploads.take(actor.workspace, found.chunks, found.size))


@router.get("/{media_id}", **reads(EXAMPLE, of_one=True))
async def get_media(media_id: MediaId, actor: Asking, services: Given) -> File:
    """What is known of a file; its bytes are apart."""
    try:
        return File.of(await services.media.one(actor.workspace, media_id))
    except MediaGone:
        raise not_found("media") from None


@router.get(
    "/{media_id}/content",
    response_class=StreamingResponse,
    responses=GIVEN | problems(401, 404, 422, 503),
)
async def get_content(media_id: MediaId, actor: Asking, services: Given) -> StreamingResponse:
    """The file itself, to be saved: no browser shows it as a page of ours."""
    try:
        found = await services.media.one(actor.workspace, media_id)
    except MediaGone:
        raise not_found("media") from None
    headers = {
        "Content-Length": str(found.size),
        "Content-Disposition": f'attachment; filename="{found.id[:16]}{found.suffix}"',
        "Content-Security-Policy": "default-src 'none'; sandbox",
    }
    return StreamingResponse(services.media.content(actor.workspace, found), 200, headers, found.mimetype)


@router.delete(
    "/{media_id}",
    status_code=204,
    responses=DELETED | problems(401, 403, 404, 409, 422, 503),
)
async def delete_media(media_id: MediaId, actor: Putting, services: Given, read: Reading) -> None:
    """Delete a file that no campaign and no unfinished job has."""
    if await media.is_in_use(read, actor.workspace, media_id):
        raise Refused("media_in_use", field="media_id")
    try:
        await services.media.delete(actor.workspace, media_id)
    except MediaGone:
        raise not_found("media") from None
