"""The form by which a list is uploaded: its file goes where it is kept as it comes, never to a disk in plain words."""

from collections.abc import Collection
from dataclasses import dataclass
from io import BytesIO
from typing import Any, Protocol
from uuid import UUID

import orjson
from fastapi import Depends, Request
from pydantic import BaseModel
from python_multipart.multipart import parse_options_header
from starlette.datastructures import FormData, UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser

from adapters import wire
from adapters.audience_columns import LONGEST_NAME, MOST_COLUMNS
from adapters.audience_csv import check_country
from adapters.imports import Asked
from adapters.wire import LONGEST_TITLE
from api.auth import Giver
from api.bodies import UPLOADING
from api.errors import ApiError
from api.openapi import problems
from api.uploads import COMMAND, CONSENT, FILE, body_of
from domain.audience import LARGEST_LIST
from domain.message import Refused

LARGEST_IMPORT = LARGEST_LIST + 10_000  # bytes: the file, and the rest of the form
LARGEST_FIELD = 16_000  # bytes of a field but the file: what 50 columns hold, by their longest names
FORM = "multipart/form-data"
UTF_8 = ("utf-8", "utf8")
BRIEFLY = ("title", "file", "country")
FIELDS = (*BRIEFLY, "columns", "dry_run")
COLUMNS = 'JSON: what columns hold, by their names or places, as {"Handy": "number", "3": "city", "Notes": ""}.'


@dataclass(frozen=True, slots=True)
class ImportForm:
    """What a form says beside the file."""

    title: str
    asked: Asked
    dry_run: bool


class Kept(Protocol):
    """Where a file goes as it comes."""

    async def write(self, data: bytes) -> None: ...


class Held:
    """A file that is kept in memory."""

    def __init__(self) -> None:
        self.data = bytearray()

    async def write(self, data: bytes) -> None:
        self.data += data


class Unwanted:
    """Where a file goes that no field asks for."""

    async def write(self, data: bytes) -> None:
        pass


class Arriving(UploadFile):
    """A file of the form that goes where it is kept, and nowhere else."""

    def __init__(self, kept: Kept) -> None:
        super().__init__(BytesIO())  # stays empty
        self._kept = kept

    async def write(self, data: bytes) -> None:
        await self._kept.write(data)

    async def seek(self, offset: int) -> None:
        pass


class Streamed(MultiPartParser):
    """The framework's parser, with a file that is kept as it comes, and short fields, in UTF-8 and nothing else.

    The framework would decode them by any codec that the client names, and some take minutes for a megabyte.
    """

    def __init__(self, request: Request, kept: Kept, fields: Collection[str]) -> None:
        most = len(fields)
        super().__init__(request.headers, request.stream(), max_files=1, max_fields=most, max_part_size=LARGEST_FIELD)
        self._kept = kept
        self._arrived = False

    def on_headers_finished(self) -> None:
        super().on_headers_finished()
        part = self._current_part
        if part.file is not None:
            part.file.file.close()
        if part.field_name != "file":
            if part.file is not None:
                part.file = Arriving(Unwanted())  # `read` says what is wrong with it
            return
        if self._arrived:
            raise Refused("repeated", field="file")
        self._arrived = True
        part.file = Arriving(self._kept)

    def on_part_data(self, data: bytes, start: int, end: int) -> None:
        part = self._current_part
        if part.file is None and len(part.data) + end - start > LARGEST_FIELD:
            raise Refused("string_too_long", field=named(part.field_name), maximum=LARGEST_FIELD)
        super().on_part_data(data, start, end)

    def on_part_end(self) -> None:
        part = self._current_part
        try:
            part.data.decode()
        except UnicodeDecodeError:
            raise Refused("not_utf8", field=named(part.field_name)) from None
        super().on_part_end()


def named(field: str) -> str:
    """A field of the form as a refusal names it; another may be called anything."""
    return field if field in FIELDS else "body"


def check_form(content_type: str) -> None:
    """Raise ApiError for a body that is no form, Refused for one in another encoding than UTF-8."""
    kind, said = parse_options_header(content_type)
    if kind != FORM.encode():
        raise ApiError(415, "unsupported_media_type", "Content-Type", params={"media_type": FORM})
    if said.get(b"charset", b"utf-8").decode("latin-1").lower() not in UTF_8:
        raise Refused("not_utf8", field="Content-Type")


async def brief(request: Request) -> tuple[ImportForm, bytes]:
    """The form of a list that is imported while somebody waits, and the list; see `receive`."""
    held = Held()
    return await receive(request, held, BRIEFLY), bytes(held.data)


async def receive(request: Request, kept: Kept, fields: Collection[str] = FIELDS) -> ImportForm:
    """Take in a request's form, the file where it is kept; Refused or ApiError name what is wrong with it."""
    check_form(request.headers.get("content-type", ""))
    try:
        form = await Streamed(request, kept, fields).parse()
    except (MultiPartException, KeyError):
        raise Refused("malformed", field="body") from None
    return read(form, fields)


def read(form: FormData, fields: Collection[str]) -> ImportForm:
    """What a form holds; Refused names the field that is missing or wrong."""
    if not form.keys() <= set(fields):
        raise Refused("unknown_field", field="body")
    if not isinstance(form.get("title"), str):
        raise Refused("missing", field="title")
    if "file" not in form:
        raise Refused("missing", field="file")
    said = {name: form[name] for name in fields if name != "file" and name in form}
    for name, value in said.items():
        if not isinstance(value, str):
            raise Refused("malformed", field=name)
    title = str(said["title"])
    wire.parse(COMMAND, orjson.dumps(body_of(title, UUID(int=0))))
    country = str(said.get("country", "")).strip().upper() or None
    check_country(country)
    if (dry := said.get("dry_run", "false")) not in ("true", "false"):
        raise Refused("bool_parsing", field="dry_run")
    return ImportForm(title, Asked(country, columns_in(str(said.get("columns", "")))), dry == "true")


def columns_in(said: str) -> dict[str, str]:
    """What a form says of columns."""
    if not said.strip():
        return {}
    try:
        columns = orjson.loads(said)
    except orjson.JSONDecodeError:
        raise Refused("not_json", field="columns") from None
    if not isinstance(columns, dict):
        raise Refused("not_an_object", field="columns")
    if len(columns) > MOST_COLUMNS:
        raise Refused("too_many", field="columns", maximum=MOST_COLUMNS)
    for name, holds in columns.items():
        if not isinstance(holds, str):
            raise Refused("string_type", field="columns")
        if max(len(name), len(holds)) > LONGEST_NAME:
            raise Refused("string_too_long", field="columns", maximum=LONGEST_NAME)
    return columns


def declared(example: dict[str, Any], model: type[BaseModel]) -> dict[str, Any]:
    """What the route declares: who may use it, its form, its answers."""
    text = {"type": "string"}
    form = {
        "type": "object",
        "required": ["title", "file"],
        "additionalProperties": False,
        "properties": {
            "title": {**text, "minLength": 1, "maxLength": LONGEST_TITLE},
            "file": {**text, "contentMediaType": "text/csv", "description": FILE},
            "country": {**text, "description": "ISO 3166-1: assumed for numbers that do not begin with +."},
            "columns": {**text, "contentMediaType": "application/json", "description": COLUMNS},
            "dry_run": {"type": "boolean", "default": False, "description": "Read it, and write nothing."},
        },
    }
    example_form = {
        "title": "Customers, autumn",
        "file": "Handy;Name;Ort\n+12025550101;Ada;Rome\n",
        "columns": '{"Ort": "city"}',
        "dry_run": True,
    }
    accepted = {
        "model": model,
        "description": "The list is kept, and waits for its turn: follow `Location`.",
        "content": {"application/json": {"example": example | {"state": "waiting"}}},
    }
    return {
        "status_code": 202,
        "response_model": model,
        "dependencies": [Depends(Giver(COMMAND)), Depends(Giver(CONSENT)), UPLOADING],
        "max_body_size": LARGEST_IMPORT,
        "responses": {202: accepted, **problems(401, 403, 409, 413, 415, 422, 503, 507)},
        "openapi_extra": {
            "requestBody": {
                "required": True,
                "content": {"multipart/form-data": {"schema": form, "example": example_form}},
            }
        },
    }
