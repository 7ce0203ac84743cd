"""Imports of lists of any length: uploaded as they are read, carried out by a worker, followed as they go."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from datetime import datetime
from typing import Annotated, Any, Self
from uuid import UUID

import orjson
from fastapi import APIRouter, Depends, Request, Response
from fastapi.responses import JSONResponse, StreamingResponse
from fastapi.sse import EventSourceResponse
from pydantic import BaseModel, Field

from adapters.audience_rows import EXPLAINED
from adapters.imports import ENDED, Import
from adapters.outages import OUTAGES
from api.accept import Accepting
from api.auth import Asking
from api.deps import Given, Services
from api.errors import ApiError, not_found
from api.events import KEEP_ALIVE
from api.import_forms import declared, receive
from api.openapi import problems, reads
from api.rules import sentence
from domain.message import PrincipalId, derive

router = APIRouter(prefix="/v1/audiences", tags=["audiences"])

LOOK = 0.25  # seconds between two looks at how far an import is
HEADER = "line,reason,column,explanation\r\n"
EXAMPLE: dict[str, Any] = {
    "import_id": "7c1f0f0e-3d0b-5c39-8a5e-5f2f3f1f9d10",
    "state": "writing",
    "dry_run": False,
    "audience_id": None,
    "size": 3578596,
    "read": 3578596,
    "rows": 100000,
    "bad": 4,
    "merged": 2,
    "recipients": 99994,
    "written": 46000,
    "added": 45000,
    "changed": 12,
    "consents": 40000,
    "refused_consents": 1,
    "erased": 0,
    "columns": [{"place": 1, "header": "Handy", "holds": "number", "by": "name"}],
    "rule": None,
    "field": None,
    "detail": None,
    "params": {},
    "received_at": "2026-11-21T09:20:00Z",
    "ended_at": None,
}
STATES = "waiting, reading, writing; then done, checked (a dry run), refused or crashed."


class ColumnTold(BaseModel):
    """A column of the file, and what it was taken for."""

    place: int = Field(description="From 1.")
    header: str = Field(description="As the first row has it.")
    holds: str | None = Field(description="`number`, `name`, …, or a variable; null: left out.")
    by: str = Field(description="Who says so: its `name`, the `owner` in the form, or its `look`.")


class ImportTold(BaseModel):
    """How far an import is; rows = bad + merged + recipients once all are read."""

    import_id: UUID
    state: str = Field(description=STATES)
    dry_run: bool
    audience_id: UUID | None = Field(description="Once it is done.")
    size: int = Field(description="Bytes of the file.")
    read: int = Field(description="Bytes read.")
    rows: int
    bad: int
    merged: int
    recipients: int
    written: int = Field(description="People of the list who are in the vault.")
    added: int = Field(description="People who were not there before; in a dry run, who would be new.")
    changed: int = Field(description="People of whom the list says something else than before.")
    consents: int = Field(description="People for whom the list states a consent.")
    refused_consents: int = Field(description="Of these, people who opted out since, or were erased.")
    erased: int = Field(
        description="People of the list who were erased: nothing is kept of them, nothing sent to them."
    )
    columns: list[ColumnTold]
    rule: str | None = Field(description="Why it was refused, for programs.")
    field: str | None
    detail: str | None = Field(description="Why it was refused, for people.")
    params: dict[str, Any]
    received_at: datetime
    ended_at: datetime | None

    @classmethod
    def of(cls, one: Import, services: Services) -> Self:
        columns = services.uploads.columns(one)
        said = one.sentence or (sentence(one.rule, one.detail or {}, one.field or "") if one.rule else None)
        return cls(
            import_id=one.import_id,
            state=one.state,
            dry_run=one.dry_run,
            audience_id=one.import_id if one.state == "done" else None,
            size=one.size,
            **one.counts,
            columns=[ColumnTold(place=at.place, header=at.header, holds=at.name, by=at.by) for at in columns],
            rule=one.rule,
            field=one.field,
            detail=said,
            params=dict(one.detail or {}),
            received_at=one.received_at,
            ended_at=one.ended_at,
        )


async def asked_for(import_id: UUID, actor: Asking, services: Given) -> Import:
    """The import of the address."""
    one = await services.uploads.one(actor.workspace, import_id)
    if one is None:
        raise not_found("import")
    return one


Asked = Annotated[Import, Depends(asked_for)]


async def seated(actor: Asking, services: Given) -> AsyncIterator[PrincipalId]:
    """Who listens, and a place for them as long as they stay."""
    with services.feed.seat(actor):
        yield actor.id


@router.post("/import", **declared(EXAMPLE, ImportTold))
async def begin_import(accept: Accepting, request: Request, services: Given) -> Response:
    """Import a list of any length: it is kept sealed as it comes, and carried out behind this answer."""
    workspace = accept.actor.workspace
    upload = await services.uploads.upload(workspace)
    try:
        form = await receive(request, upload)
        [title] = await services.contents.put_many(workspace, [form.title])
        import_id = derive("audience_id", workspace, accept.command_id())
        one = await services.uploads.add(import_id, accept.actor, upload, title, form.asked, dry_run=form.dry_run)
    except BaseException:
        await asyncio.shield(upload.forget())
        raise
    if one is None:
        raise ApiError(422, "idempotency_key_reused", "Idempotency-Key")
    told = ImportTold.of(one, services).model_dump(mode="json")
    return JSONResponse(told, 202, {"Location": f"{router.prefix}/imports/{one.import_id}"})


@router.get("/imports/{import_id}", **reads(EXAMPLE, of_one=True))
async def get_import(one: Asked, services: Given) -> ImportTold:
    """How far an import is, or what became of it."""
    return ImportTold.of(one, services)


@router.get(
    "/imports/{import_id}/events",
    response_class=Response,
    responses={
        200: {
            "description": "Until the import has ended.",
            "content": {"text/event-stream": {"example": f"data: {orjson.dumps(EXAMPLE).decode()}\n\n"}},
        },
        **problems(401, 404, 422, 429, 503),
    },
)
async def follow_import(
    one: Asked, services: Given, listener: Annotated[PrincipalId, Depends(seated)]
) -> EventSourceResponse:
    """How far an import is, as server-sent events, whenever that changes; the last tells what became of it."""
    return EventSourceResponse(following(one, listener, services), headers={"X-Accel-Buffering": "no"})


@router.get(
    "/imports/{import_id}/bad-rows",
    response_class=Response,
    responses={
        200: {
            "description": "CSV; all of them once the import has ended.",
            "content": {"text/csv": {"example": f"{HEADER}12,number_missing,number,There is no number.\r\n"}},
        },
        **problems(401, 404, 422, 503),
    },
)
async def bad_rows(one: Asked, services: Given) -> StreamingResponse:
    """The rows that were left out, as CSV: line, reason, column, and the reason in words."""
    name = f'attachment; filename="bad-rows-{one.import_id}.csv"'
    return StreamingResponse(csv_of(one, services), media_type="text/csv", headers={"Content-Disposition": name})


async def csv_of(one: Import, services: Services) -> AsyncIterator[str]:
    yield HEADER
    async for page in services.uploads.all_bad_rows(one):
        yield "".join(f'{row.line},{row.reason},{row.column or ""},"{EXPLAINED[row.reason]}"\r\n' for row in page)


async def following(one: Import, listener: PrincipalId, services: Services) -> AsyncIterator[bytes]:
    """An import's states, one after the other; ends with the import, the listener's key, or this process."""
    clock = asyncio.get_running_loop().time
    said, at = "", clock()
    while not services.feed.closed:
        told = ImportTold.of(one, services).model_dump_json()
        if told != said:
            yield f"data: {told}\n\n".encode()
            said, at = told, clock()
        elif clock() - at > KEEP_ALIVE:
            yield b": still\n\n"
            at = clock()
        if one.state in ENDED:
            return
        await asyncio.sleep(LOOK)
        with suppress(*OUTAGES):
            if await services.keys.actor(listener) is None:
                return
            one = await services.uploads.one(one.workspace, one.import_id) or one
