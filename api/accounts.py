"""Accounts: WhatsApp numbers, how they stand, and the QR that links a phone."""

import io
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any, Self
from uuid import UUID

import orjson
import segno
from fastapi import APIRouter, Depends, Header, Query, Response
from pydantic import BaseModel, Field

from api.accept import Accepting
from api.auth import Asking, Giver
from api.deps import Given, Reading, Texts, opened
from api.errors import ApiError, not_found
from api.lists import Ask, Page, query
from api.openapi import gives, pages, problems, reads
from api.past import AsOf
from domain.account import Status, Trouble
from domain.quota import Window
from projections import accounts

router = APIRouter(prefix="/v1/accounts", tags=["accounts"])

EXAMPLE: dict[str, Any] = {
    "id": "0f6d7a52-1b1c-5d0e-8f57-1a1d3a0f6c22",
    "label": "Front desk",
    "status": "ready",
    "reason": None,
    "linked": True,
    "paused": False,
    "permits": 1,
    "permits_until": "2026-11-21T09:41:00Z",
    "deferred_until": None,
    "deferred_by": None,
    "registered_at": "2026-11-21T08:00:00Z",
    "changed_at": "2026-11-21T09:40:30Z",
}
PAYLOAD = "2@Yx0Ab…"  # WhatsApp's own form, shortened
QR_ANSWERS: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "The QR to scan now. It changes about every 20 seconds: ask again.",
        "content": {
            "text/plain": {"schema": {"type": "string"}, "example": PAYLOAD},
            "image/png": {"schema": {"type": "string", "format": "binary"}},
            "application/json": {"example": {"state": "qr", "qr": PAYLOAD}},
        },
    }
}


class Account(BaseModel):
    """An account: one WhatsApp number."""

    id: UUID
    label: str | None
    status: Status
    reason: Trouble | None = Field(description="Why it cannot send.")
    linked: bool
    paused: bool
    permits: int = Field(description="Messages of its last allowance…")
    permits_until: datetime | None = Field(description="…which could be begun until then.")
    deferred_until: datetime | None = Field(description="There is no further allowance until then…")
    deferred_by: Window | None = Field(description="…for a cap of the sending policy is reached.")
    registered_at: datetime
    changed_at: datetime

    @classmethod
    def of(cls, row: accounts.Row, texts: Texts) -> Self:
        return cls(
            id=row.id,
            label=texts.of(row.label),
            status=Status(row.status),
            reason=row.reason,
            linked=row.linked,
            paused=row.paused,
            permits=row.permits,
            permits_until=row.permits_until,
            deferred_until=row.deferred_until,
            deferred_by=row.deferred_by,
            registered_at=row.registered_at,
            changed_at=row.changed_at,
        )


class Form(StrEnum):
    """How a QR is wanted."""

    TEXT = "text"
    PNG = "png"
    JSON = "json"


@router.get("", **pages(EXAMPLE))
async def list_accounts(
    actor: Asking, read: Reading, services: Given, ask: Annotated[Ask, Depends(query(accounts.LIST.filters))]
) -> Page[Account]:
    """The workspace's accounts, the newest first."""
    found = await ask.find(accounts.LIST, read)
    texts = await opened(services, read, actor.workspace, [row.label for row in found.rows])
    return ask.page([Account.of(row, texts) for row in found.rows], found.next)


@router.get("/{account_id}", **reads(EXAMPLE, of_one=True))
async def get_account(account_id: UUID, actor: Asking, read: Reading, services: Given, as_of: AsOf) -> Account:
    """One account."""
    if as_of:
        row = await as_of.row("account", accounts.PROJECTION, account_id)
    else:
        row = await accounts.TABLE.one(read, actor.workspace, account_id)
    if row is None:
        raise not_found("account")
    return Account.of(row, await opened(services, read, actor.workspace, [row.label]))


@router.get(
    "/{account_id}/qr",
    response_class=Response,
    responses=QR_ANSWERS | problems(401, 403, 404, 409, 422, 503),
    dependencies=[Depends(Giver("account.register"))],  # whoever sees the QR may link a phone
)
async def get_qr(
    account_id: UUID,
    actor: Asking,
    read: Reading,
    services: Given,
    accept: Annotated[str, Header(include_in_schema=False)] = "",
    form: Annotated[Form | None, Query(alias="format", description="Instead of the Accept header.")] = None,
) -> Response:
    """The QR that links a phone, live from the session: its text, or a PNG (`Accept: image/png` or `?format=png`).

    For whoever may register accounts: it is a secret.
    """
    if await accounts.TABLE.one(read, actor.workspace, account_id) is None:
        raise not_found("account")
    answer = await services.bus.ask(f"ctl.session.{account_id}.qr")
    if answer is None:
        raise ApiError(503, "no_session", "account_id", headers={"Retry-After": "2"})
    session = orjson.loads(answer)
    if not session["qr"]:
        raise ApiError(409, "no_qr", "account_id", params={"status": session["state"], "reason": session["reason"]})
    return drawn(session["qr"], form or wanted(accept), session["state"])


def wanted(accept: str) -> Form:
    """The form an Accept header asks for: text, unless it names another."""
    kinds = [kind.partition(";")[0].strip().lower() for kind in accept.split(",")]
    forms = {"image/png": Form.PNG, "image/*": Form.PNG, "application/json": Form.JSON, "text/plain": Form.TEXT}
    return next((forms[kind] for kind in kinds if kind in forms), Form.TEXT)


def drawn(payload: str, form: Form, state: str) -> Response:
    """A QR in the form that was asked for. It is a secret: nobody keeps it."""
    headers = {"Cache-Control": "no-store"}
    if form is Form.JSON:
        return Response(orjson.dumps({"state": state, "qr": payload}), headers=headers, media_type="application/json")
    if form is Form.TEXT:
        return Response(payload, headers=headers, media_type="text/plain")
    image = io.BytesIO()
    segno.make(payload, micro=False).save(image, kind="png", scale=8, border=4)
    return Response(image.getvalue(), headers=headers, media_type="image/png")


@router.post("", **gives("account.register", made="account_id", example={"label": "Front desk"}))
async def register_account(accept: Accepting) -> Response:
    """Announce an account; a session starts, whose QR is to be scanned."""
    return await accept("account.register", new="account_id")


@router.post("/{account_id}/pause", **gives("account.pause", path="account_id"))
async def pause_account(account_id: UUID, accept: Accepting) -> Response:
    """Send nothing from this account until it is resumed."""
    return await accept("account.pause", account_id=account_id)


@router.post("/{account_id}/resume", **gives("account.resume", path="account_id"))
async def resume_account(account_id: UUID, accept: Accepting) -> Response:
    """Let an account send again that was paused, or that WhatsApp had restricted."""
    return await accept("account.resume", account_id=account_id)


@router.post("/{account_id}/log-out", **gives("account.log-out", path="account_id"))
async def log_out_account(account_id: UUID, accept: Accepting) -> Response:
    """Unlink the account's phone and forget its profile; a QR is shown then, to link this phone again, or another."""
    return await accept("account.log-out", account_id=account_id)


@router.post("/{account_id}/remove", **gives("account.remove", path="account_id"))
async def remove_account(account_id: UUID, accept: Accepting) -> Response:
    """Give an account up for good; it must be paused, or unable to send. Its share of a job waits for a revision."""
    return await accept("account.remove", account_id=account_id)
