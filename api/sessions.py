"""An account's session, live: the QR or the code that links a phone, and a new start."""

import io
from enum import StrEnum
from typing import Annotated, Any
from uuid import UUID

import orjson
import segno
from fastapi import APIRouter, Depends, Header, Query, Response
from pydantic import BaseModel, Field

from adapters.audience_rows import RowRefused, read_number
from adapters.sends import LINK_CODE, QR, RESTART, live
from api.auth import Asking, Giver
from api.deps import Given, Reading, Services
from api.errors import ApiError, not_found
from api.lookups import Body, asks, body
from api.openapi import answers, problems
from domain.account import Status
from domain.message import Refused
from projections import accounts

router = APIRouter(prefix="/v1/accounts", tags=["accounts"])

ASKING = 20.0  # seconds for WhatsApp to give a link code
SECRET = {"Cache-Control": "no-store"}
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


class LinkCode(BaseModel):
    """What to type on the phone: WhatsApp, Linked devices, Link with phone number."""

    code: str = Field(description="Eight letters and digits. A secret.")


class PhoneNumber(Body):
    """The number of the phone that is to link the account, written with its country: `+…`."""

    number: str = Field(min_length=3, max_length=40)


async def known(account_id: UUID, actor: Asking, read: Reading) -> accounts.Row:
    """The account that is meant, whose session is to be asked something."""
    row = await accounts.TABLE.one(read, actor.workspace, account_id)
    if row is None:
        raise not_found("account")
    if row.status == Status.REMOVED:  # it has none, and never will
        raise Refused("account_removed", field="account_id")
    return row


Known = Annotated[accounts.Row, Depends(known)]


def no_session() -> ApiError:
    """The problem that nobody answers for an account's session."""
    return ApiError(503, "no_session", "account_id", headers={"Retry-After": "2"})


async def ask(services: Services, account_id: UUID, verb: str) -> dict[str, Any]:
    """What an account's session answers. Raises ApiError when nobody does."""
    answer = await services.bus.ask(live(account_id, verb))
    if answer is None:
        raise no_session()
    found: dict[str, Any] = orjson.loads(answer)
    return found


class Form(StrEnum):
    """How a QR is wanted."""

    TEXT = "text"
    PNG = "png"
    JSON = "json"


@router.get(
    "/{account_id}/qr",
    response_class=Response,
    responses=QR_ANSWERS | problems(401, 403, 404, 409, 422, 503),
    dependencies=[Depends(Giver("account.register"))],  # whoever sees the QR may link a phone
)
async def get_qr(
    account: Known,
    services: Given,
    accept: Annotated[str, Header(include_in_schema=False)] = "",
    form: Annotated[Form | None, Query(alias="format", description="Instead of the Accept header.")] = None,
) -> Response:
    """The QR that links a phone, live from the session: its text, or a PNG (`Accept: image/png` or `?format=png`).

    For whoever may register accounts: it is a secret.
    """
    session = await ask(services, account.id, QR)
    if not session["qr"]:
        raise ApiError(409, "no_qr", "account_id", params={"status": session["state"], "reason": session["reason"]})
    return drawn(session["qr"], form or wanted(accept), session["state"])


def e164(text: str) -> str:
    """A number as WhatsApp knows it. Raises Refused."""
    try:
        return read_number(text, None)[0]
    except RowRefused:
        raise Refused("malformed", field="number") from None


def wanted(accept: str) -> Form:
    """The form an Accept header asks for: text, unless it names another."""
    kinds = [kind.partition(";")[0].strip().lower() for kind in accept.split(",")]
    forms = {"image/png": Form.PNG, "image/*": Form.PNG, "application/json": Form.JSON, "text/plain": Form.TEXT}
    return next((forms[kind] for kind in kinds if kind in forms), Form.TEXT)


def drawn(payload: str, form: Form, state: str) -> Response:
    """A QR in the form that was asked for. It is a secret: nobody keeps it."""
    if form is Form.JSON:
        return Response(orjson.dumps({"state": state, "qr": payload}), headers=SECRET, media_type="application/json")
    if form is Form.TEXT:
        return Response(payload, headers=SECRET, media_type="text/plain")
    image = io.BytesIO()
    segno.make(payload, micro=False).save(image, kind="png", scale=8, border=4)
    return Response(image.getvalue(), headers=SECRET, media_type="image/png")


@router.post(
    "/{account_id}/link-code",
    **asks(PhoneNumber, {"number": "+12025550100"}, {"code": "4XK29PLM"}, 409, who="account.register"),
)
async def link_by_code(
    account: Known, services: Given, asked: Annotated[PhoneNumber, Depends(body(PhoneNumber))], response: Response
) -> LinkCode:
    """A code that links the phone with this number, instead of a scan. The number is passed on, and kept nowhere."""
    number = services.inbound.sealed(account.workspace, account.id, e164(asked.number))
    answer = await services.bus.ask(live(account.id, LINK_CODE), number, ASKING)
    if answer is None:
        raise no_session()
    session = services.inbound.opened(account.workspace, account.id, answer)
    if not session["code"]:
        rule = "no_link_code" if session["refused"] == "not_waiting" else "whatsapp_refused"
        raise ApiError(409, rule, "account_id", params={"status": session["state"], "reason": session["refused"]})
    response.headers.update(SECRET)
    return LinkCode(code=session["code"])


@router.post(
    "/{account_id}/restart",
    status_code=202,
    responses=answers(202, "It is closed, and opened anew.", {"state": "ready", "reason": "main"})
    | problems(401, 403, 404, 409, 422, 503),
    dependencies=[Depends(Giver("account.register"))],
)
async def restart_session(account: Known, services: Given) -> dict[str, Any]:
    """Close the account's browser and open it anew. What is linked stays so: it needs no QR."""
    return await ask(services, account.id, RESTART)
