"""Accounts: WhatsApp numbers, how they stand, and what is to be done about it."""

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any, Self
from uuid import UUID

from fastapi import APIRouter, Depends, Response
from pydantic import BaseModel, Field

from adapters.sessions import SessionNow, states
from api.accept import Accepting
from api.auth import Asking
from api.deps import Given, Reading, Services, opened
from api.errors import not_found
from api.lists import Ask, Page, query
from api.openapi import gives, pages, reads
from api.past import AsOf
from api.standing import standing
from domain.account import Status, Trouble
from domain.catalog import COMMANDS
from domain.message import Actor
from domain.ports import SessionState
from domain.quota import Window
from projections import accounts
from projections.apply import Connection

router = APIRouter(prefix="/v1/accounts", tags=["accounts"])

EXAMPLE: dict[str, Any] = {
    "id": "0f6d7a52-1b1c-5d0e-8f57-1a1d3a0f6c22",
    "label": "Front desk",
    "number": "+12025550100",
    "status": "ready",
    "reason": None,
    "says": "It can send and receive.",
    "do": "Nothing.",
    "session": {"state": "ready", "reason": "main", "at": "2026-11-21T09:40:30Z"},
    "linked": True,
    "paused": False,
    "permits": 1,
    "permits_until": "2026-11-21T09:41:00Z",
    "deferred_until": None,
    "deferred_by": None,
    "registered_at": "2026-11-21T08:00:00Z",
    "changed_at": "2026-11-21T09:40:30Z",
}


class Session(BaseModel):
    """What an account's session says of itself now."""

    state: SessionState
    reason: str
    at: datetime = Field(description="Since when.")


class Account(BaseModel):
    """An account: one WhatsApp number."""

    id: UUID
    label: str | None
    number: str | None = Field(description="Of the phone that has linked it; only admin and operator see it.")
    status: Status
    reason: Trouble | None = Field(description="Why it cannot send.")
    says: str = Field(description="What that means, in a sentence.")
    do: str = Field(description="What there is to be done, in a sentence.")
    session: Session | None = Field(description="Null: there was none yet, or the question is about the past.")
    linked: bool
    paused: bool
    permits: int = Field(description="Messages of its last allowance…")
    permits_until: datetime | None = Field(description="…which could be begun until then.")
    deferred_until: datetime | None = Field(description="There is no further allowance until then…")
    deferred_by: Window | None = Field(description="…for a cap of the sending policy is reached.")
    registered_at: datetime
    changed_at: datetime

    @classmethod
    def of(
        cls, row: accounts.Row, label: str | None, number: str | None, session: SessionNow | None, now: datetime
    ) -> Self:
        told = standing(Status(row.status), row.reason, paused=row.paused, session=session, now=now)
        return cls(
            id=row.id,
            label=label,
            number=number,
            status=Status(row.status),
            reason=row.reason,
            says=told.says,
            do=told.do,
            session=Session(state=session.state, reason=session.reason, at=session.at) if session else None,
            linked=row.linked,
            paused=row.paused,
            permits=row.permits,
            permits_until=row.permits_until,
            deferred_until=row.deferred_until,
            deferred_by=row.deferred_by,
            registered_at=row.registered_at,
            changed_at=row.changed_at,
        )


async def told(
    rows: Sequence[accounts.Row], read: Connection, services: Services, actor: Actor, *, now_too: bool = True
) -> list[Account]:
    """Accounts as they are told; `now_too`: with how their sessions stand now, and for who may link them, their
    numbers."""
    texts = await opened(services, read, actor.workspace, [row.label for row in rows])
    ids = [row.id for row in rows] if now_too else []
    sessions, now = await states(read, ids), services.clock()
    trusted = actor.roles & COMMANDS["account.register"].roles
    numbers = await services.inbound.numbers(read, actor.workspace, ids) if trusted else {}
    return [Account.of(row, texts.of(row.label), numbers.get(row.id), sessions.get(row.id), now) for row in rows]


@router.get("", **pages(EXAMPLE))
async def list_accounts(
    actor: Asking, read: Reading, services: Given, ask: Annotated[Ask, Depends(query(accounts.LIST.filters))]
) -> Page[Account]:
    """The workspace's accounts, the newest first."""
    found = await ask.find(accounts.LIST, read)
    return ask.page(await told(found.rows, read, services, actor), found.next)


@router.get("/{account_id}", **reads(EXAMPLE, of_one=True))
async def get_account(account_id: UUID, actor: Asking, read: Reading, services: Given, as_of: AsOf) -> Account:
    """One account."""
    if as_of:
        row = await as_of.row("account", accounts.PROJECTION, account_id)
    else:
        row = await accounts.TABLE.one(read, actor.workspace, account_id)
    if row is None:
        raise not_found("account")
    (account,) = await told([row], read, services, actor, now_too=as_of is None)
    return account


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
