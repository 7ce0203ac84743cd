"""Media in chunks, by tus 1.0 (creation, expiration, termination): begun, sent, gone on with, given up."""

from datetime import datetime
from email.utils import format_datetime
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends, Header, Request, Response
from pydantic import BaseModel, Field

from adapters.media import MediaRecord
from adapters.media_uploads import Upload, UploadGone
from api.auth import Giver
from api.bodies import UPLOADING
from api.deps import Given
from api.errors import ApiError, not_found
from api.media import EXAMPLE as FILE
from api.media import ID, LARGEST, PUTTING, File, Putting, stream_of
from api.openapi import answers, problems
from api.room import KEEPING

CHUNK = "application/offset+octet-stream"
VERSION = "1.0.0"


async def version(
    response: Response,
    tus: Annotated[
        str | None, Header(alias="Tus-Resumable", description="The version of tus: 1.0.0.", examples=[VERSION])
    ] = None,
) -> None:
    """Say which version of tus this is, and refuse another."""
    response.headers["Tus-Resumable"] = VERSION
    if tus not in (None, VERSION):
        raise ApiError(412, "tus_version", "Tus-Resumable", headers={"Tus-Version": VERSION})


router = APIRouter(prefix="/v1/media/uploads", tags=["media"], dependencies=[Depends(version)])

TAKEN: dict[int | str, dict[str, Any]] = {
    204: {"description": f"Taken: see `Upload-Offset`; of a whole file `Drl-Media` is the id, as {ID[:8]}…"}
}
GIVEN_UP: dict[int | str, dict[str, Any]] = {204: {"description": "Given up."}}
EXAMPLE: dict[str, Any] = {
    "id": "c1d2e3f4-0a1b-4c2d-8e3f-405162738495",
    "size": 48213,
    "offset": 48213,
    "expires_at": "2026-11-22T09:30:00Z",
    "media": FILE,
}
BEGUN = EXAMPLE | {"offset": 0, "media": None}
WITH_ONE = problems(401, 403, 404, 409, 412, 413, 422, 503)


class UploadState(BaseModel):
    """A file on its way: how much of it is here, and what it became."""

    id: UUID
    size: int = Field(description="Bytes of the whole file.")
    offset: int = Field(description="Bytes that are here: the next chunk begins there.")
    expires_at: datetime = Field(description="When it is given up, unless a chunk comes before.")
    media: File | None = Field(description="What it became, once all of it is here.")


def told(services: Given, response: Response, upload: Upload, media: MediaRecord | None) -> UploadState:
    """An upload's state, in the headers that tus names and as JSON."""
    expires = upload.touched_at + services.media_uploads.grace
    response.headers["Upload-Offset"] = str(upload.offset)
    response.headers["Upload-Length"] = str(upload.size)
    response.headers["Upload-Expires"] = format_datetime(expires.astimezone(services.clock().tzinfo), usegmt=True)
    if media is not None:
        response.headers["Drl-Media"] = media.id
    file = None if media is None else File.of(media)
    return UploadState(id=upload.id, size=upload.size, offset=upload.offset, expires_at=expires, media=file)


@router.post(
    "",
    status_code=201,
    dependencies=[KEEPING],
    responses=answers(201, "Begun: its address is in `Location`.", BEGUN) | problems(*PUTTING, 412),
)
async def begin_upload(
    actor: Putting,
    services: Given,
    response: Response,
    size: Annotated[
        int, Header(alias="Upload-Length", ge=1, le=LARGEST, description="Bytes of the file.", examples=[48213])
    ],
) -> UploadState:
    """Begin to send a file in chunks; room for it is kept from now on."""
    upload = await services.media_uploads.begin(actor.workspace, size)
    response.headers["Location"] = f"{router.prefix}/{upload.id}"
    return told(services, response, upload, None)


@router.head("/{upload_id}", include_in_schema=False, dependencies=[Depends(Giver("campaign.create"))])
@router.get("/{upload_id}", responses=answers(200, "As asked.", EXAMPLE) | WITH_ONE)
async def get_upload(upload_id: UUID, actor: Putting, services: Given, response: Response) -> UploadState:
    """How much of a file is here, and what it became; a HEAD tells it in headers."""
    try:
        return told(services, response, *await services.media_uploads.one(actor.workspace, upload_id))
    except UploadGone:
        raise not_found("upload") from None


@router.patch(
    "/{upload_id}",
    status_code=204,
    dependencies=[Depends(Giver("campaign.create")), UPLOADING],
    max_body_size=LARGEST,
    responses=TAKEN | problems(401, 403, 404, 409, 412, 413, 415, 422, 503, 507),
    openapi_extra={
        "requestBody": {"required": True, "content": {CHUNK: {"schema": {"type": "string", "format": "binary"}}}}
    },
)
async def append_chunk(
    upload_id: UUID,
    actor: Putting,
    services: Given,
    request: Request,
    response: Response,
    offset: Annotated[int, Header(alias="Upload-Offset", ge=0, description="Where the chunk begins.", examples=[0])],
) -> None:
    """Send the next chunk, of any length. The last one makes the media, or tells what is wrong with the file."""
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != CHUNK:
        raise ApiError(415, "unsupported_media_type", "Content-Type", params={"media_type": CHUNK})
    try:
        found = await services.media_uploads.append(actor.workspace, upload_id, offset, stream_of(request))
    except UploadGone:
        raise not_found("upload") from None
    told(services, response, *found)


@router.delete("/{upload_id}", status_code=204, responses=GIVEN_UP | WITH_ONE)
async def cancel_upload(upload_id: UUID, actor: Putting, services: Given) -> None:
    """Give an upload up; what it became stays."""
    try:
        await services.media_uploads.cancel(actor.workspace, upload_id)
    except UploadGone:
        raise not_found("upload") from None
