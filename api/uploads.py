"""A list that is imported while somebody waits: its command, the consents it states, and what is answered."""

import asyncio
from contextlib import suppress
from typing import Any
from uuid import UUID

from fastapi import Depends
from pydantic import BaseModel, Field

from adapters.audience_import import LARGEST, ImportReport
from adapters.wire import LONGEST_TITLE
from api.answers import CommandAnswer
from api.auth import Giver
from api.bodies import UPLOADING
from api.deps import Services
from api.openapi import COMMAND_ID, COMMANDING, example_of, problems
from domain.message import Actor

UPLOAD_LIMIT = LARGEST + 10_000  # bytes: the file, and the rest of the form
PATIENCE = 2.0  # seconds for the consents to be recorded before the audience is made
LOOK = 0.05  # seconds between two looks for it
COMMAND, CONSENT = "audience.import", "recipient.record-consent"
AUDIENCE_ID = "7c1f0f0e-3d0b-5c39-8a5e-5f2f3f1f9d10"
FILE = (
    "CSV in UTF-8 or UTF-16; the first row names the columns. `number` (or `phone`) is needed; `name`, `consent` "
    "(yes or no), `consent_source`, `consent_at` and `consent_proof` are understood; every other column is a variable."
)


class BadLine(BaseModel):
    """A row that was left out."""

    line: int
    reason: str
    column: str | None


def body_of(title: str, audience_id: UUID, report: ImportReport | None = None) -> dict[str, Any]:
    """The body of the command that names an import; without a report, one to check the title by."""
    return {
        "audience_id": str(audience_id),
        "title": title,
        "count": report.recipients if report else 0,
        "rejected": report.bad if report else 0,
        "merged": report.merged if report else 0,
        "digest": report.digest if report else "0" * 64,
    }


def told(report: ImportReport) -> dict[str, Any]:
    """What an import came to, with its bad rows by line."""
    return {
        "rows": report.rows,
        "bad": report.bad,
        "merged": report.merged,
        "recipients": report.recipients,
        "consents": len(report.consents),
        "bad_rows": [{"line": row.line, "reason": row.reason, "column": row.column} for row in report.bad_rows],
    }


async def state_consents(services: Services, actor: Actor, report: ImportReport) -> None:
    """Have the consents recorded that a list states; a repeated import records nothing again.

    Whoever sees the audience is to see its consents, so they are waited for; those of a long list come after it.
    """
    if not report.consents:
        return
    await services.consents.add(actor, report.audience_id, report.consents)
    with suppress(TimeoutError):
        async with asyncio.timeout(PATIENCE):
            while await services.consents.waits(actor.workspace, report.audience_id):  # noqa: ASYNC110  # of a worker
                await asyncio.sleep(LOOK)


class ImportAnswer(CommandAnswer):
    """What became of the import's command, and of the list's rows: rows = bad + merged + recipients."""

    rows: int
    bad: int
    merged: int
    recipients: int
    consents: int = Field(description="People for whom the list states a consent.")
    bad_rows: list[BadLine] = Field(description="Rows left out, by line, with the reason and the column.")


def declared() -> dict[str, Any]:
    """What the route declares: who may use it, its form, its answers."""
    known = example_of({"command_id": COMMAND_ID, "name": COMMAND, "audience_id": AUDIENCE_ID, "state": "applied"})
    counts = {"rows": 40, "bad": 1, "merged": 2, "recipients": 37, "consents": 36}
    bad_rows = [{"line": 12, "reason": "number_invalid", "column": "number"}]
    example = known | counts | {"bad_rows": bad_rows}
    content = {"application/json": {"example": example}}
    answers: dict[int | str, dict[str, Any]] = {
        200: {"model": ImportAnswer, "description": "Applied (with `Prefer: wait=N`).", "content": content},
        202: {"model": ImportAnswer, "description": "The list is kept, its command accepted.", "content": content},
    }
    form = {
        "type": "object",
        "required": ["title", "file"],
        "additionalProperties": False,
        "properties": {
            "title": {"type": "string", "minLength": 1, "maxLength": LONGEST_TITLE},
            "file": {"type": "string", "contentMediaType": "text/csv", "description": FILE},
            "country": {"type": "string", "description": "ISO 3166-1: assumed for numbers that do not begin with +."},
        },
    }
    example_form = {
        "title": "Customers, autumn",
        "file": "number,name,consent\n+12025550101,Ada,yes\n",
        "country": "US",
    }
    return {
        "status_code": 202,
        "dependencies": [Depends(Giver(COMMAND)), Depends(Giver(CONSENT)), UPLOADING],
        "max_body_size": UPLOAD_LIMIT,
        "responses": answers | problems(*COMMANDING),
        "openapi_extra": {
            "requestBody": {
                "required": True,
                "content": {"multipart/form-data": {"schema": form, "example": example_form}},
            }
        },
    }
