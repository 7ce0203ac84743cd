"""An account's session, watched: how it stands whenever that changes, and each QR as long as it shows one."""

import asyncio
from collections.abc import AsyncIterator
from typing import Annotated, Any
from uuid import UUID

import orjson
from fastapi import APIRouter, Depends, Response
from fastapi.sse import EventSourceResponse

from adapters.outages import OUTAGES
from adapters.sends import QR, live
from adapters.sessions import states
from api.auth import Asking, Giver
from api.deps import Given, Services
from api.events import CHECK, KEEP_ALIVE
from api.imports import seated
from api.openapi import problems
from api.sessions import PAYLOAD, SECRET, Known
from api.standing import standing
from domain.account import Status
from domain.message import Actor
from domain.ports import SessionState
from projections import accounts

router = APIRouter(prefix="/v1/accounts", tags=["accounts"])

LOOK = 0.5  # seconds between two looks
NOW: dict[str, Any] = {
    "status": "registered",
    "reason": None,
    "session": {"state": "qr", "reason": "scan", "at": "2026-11-21T09:40:30Z"},
    "says": "It waits for a phone.",
    "do": "Scan the QR with the phone (WhatsApp, Linked devices), or ask for a link code and type it there.",
    "qr": PAYLOAD,
}


@router.get(
    "/{account_id}/live",
    response_class=Response,
    responses={
        200: {
            "description": "A stream without end.",
            "content": {"text/event-stream": {"example": f"data: {orjson.dumps(NOW).decode()}\n\n"}},
        },
        **problems(401, 403, 404, 409, 422, 429, 503),
    },
    dependencies=[Depends(Giver("account.register"))],
)
async def watch_session(
    account: Known, actor: Asking, services: Given, _seat: Annotated[None, Depends(seated)]
) -> EventSourceResponse:
    """How the session stands, whenever that changes, as server-sent events, with each new QR while it shows one."""
    return EventSourceResponse(watching(account.id, actor, services), headers={"X-Accel-Buffering": "no", **SECRET})


async def watching(account_id: UUID, actor: Actor, services: Services) -> AsyncIterator[bytes]:
    """What one watcher is sent; ends with the account, the key or this process."""
    loop, before = asyncio.get_running_loop(), b""
    said = checked = loop.time()
    while not services.feed.closed:
        try:
            if loop.time() - checked >= CHECK:
                checked = loop.time()
                if await services.keys.actor(actor.id) is None:
                    return
            told = await shown(account_id, actor, services)
            if told is None:
                return
        except OUTAGES:
            told = before
        if told != before:
            yield b"data: " + told + b"\n\n"
            before, said = told, loop.time()
        elif loop.time() - said >= KEEP_ALIVE:
            yield b": still here\n\n"
            said = loop.time()
        await asyncio.sleep(LOOK)


async def shown(account_id: UUID, actor: Actor, services: Services) -> bytes | None:
    """How an account and its session stand, as JSON; None once there is no such account."""
    async with services.models.connection() as read:
        row = await accounts.TABLE.one(read, actor.workspace, account_id)
        session = (await states(read, [account_id])).get(account_id)
    if row is None:
        return None
    told = standing(Status(row.status), row.reason, paused=row.paused, session=session, now=services.clock())
    answer = await services.bus.ask(live(account_id, QR)) if session and session.state is SessionState.QR else None
    stands = {"state": session.state, "reason": session.reason, "at": session.at} if session else None
    code = orjson.loads(answer)["qr"] if answer else None
    both = {"status": row.status, "reason": row.reason, "session": stands}
    return orjson.dumps({**both, "says": told.says, "do": told.do, "qr": code})
