"""Accepting a command over HTTP: checked, written as pending, published as on the bus, and waited for if asked."""

import asyncio
import logging
import math
import re
import time
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any
from uuid import UUID, uuid4

import orjson
from fastapi import Depends, Header, Request, Response
from fastapi.responses import JSONResponse

from adapters import metrics, tracing, wire
from adapters.bus import CommandsFull
from adapters.cloudevents import Address
from adapters.command_limits import MAX_BODY
from adapters.inbox import CommandRow, Pending
from adapters.outages import OUTAGES
from adapters.streams import COMMANDS
from api.answers import refusal_of, told_of
from api.auth import Caller
from api.bodies import whole
from api.deps import Given, Services
from api.errors import ApiError
from api.room import disk_full
from domain.essential import ESSENTIAL
from domain.message import Actor, Refused, derive
from domain.rates import Rates

log = logging.getLogger(__name__)

LONGEST_KEY = 255
KEY = r"^[!-~]{1,255}$"
LONGEST_WAIT = 30.0  # seconds
PUBLISH_PATIENCE = 2.0  # seconds for the broker to take it; after that the sweeper sees to it
LOOK_AGAIN = 0.25  # seconds after which a waiting request looks without a signal
LOOK_PAUSE = 0.02  # seconds at least between two looks
WAIT = re.compile(r"(?:^|[,;]\s*)wait\s*=\s*\"?(\d{1,6})\"?", re.ASCII | re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Accept:
    """Accepts commands from one request."""

    services: Services
    actor: Actor
    request: Request
    idempotency_key: str | None
    wait: float

    async def __call__(self, name: str, *, new: str | None = None, **ids: UUID) -> Response:
        """Take the request's body as a command. `ids` are fields that the path gives; `new` is one that we make."""
        command_id = self.command_id()
        if new is not None:
            ids[new] = derive(new, self.actor.workspace, command_id)
        body = await json_body(self.request, ids)
        return await self.command(name, command_id, body, ids.get(f"{name.partition('.')[0]}_id"))

    def command_id(self) -> UUID:
        """The command's id: the same for the same Idempotency-Key on the same route."""
        if self.idempotency_key is None:
            return uuid4()
        route = f"{self.request.method} {self.request.url.path}"
        return self.services.keys.command_id(self.actor, route, self.idempotency_key)

    async def command(
        self, name: str, command_id: UUID, body: dict[str, Any], about: UUID | None, **members: Any
    ) -> Response:
        """Accept one command `about` an aggregate; `members` are added to the answer."""
        raw = written(body)
        require_size(raw)
        wire.parse(name, raw)
        row = await self.pending(name, command_id, raw)
        if row.state == "pending" and self.wait:
            row = await self.outcome(row)
        return self.answer(row, about, members)

    async def pending(self, name: str, command_id: UUID, raw: bytes) -> CommandRow:
        """The command's row, made and published now, or as it stands since an earlier request with the same key."""
        services, actor, now = self.services, self.actor, self.services.clock()
        key = derive("command", actor.workspace, actor.id, command_id)
        if services.disk.full and name not in ESSENTIAL and key not in await services.inbox.find([key]):
            raise disk_full()
        sealed = services.contents.seal(actor.workspace, key, raw)
        trace = tracing.traceparent()
        pending = Pending(
            key, command_id, actor.workspace, actor.id, name, wire.digest(name, raw), sealed, traceparent=trace
        )
        if (row := await services.inbox.accept(pending)) is not None:
            if row.digest != pending.digest:
                raise ApiError(422, "idempotency_key_reused", "Idempotency-Key")
            return row
        address = Address(actor.workspace, actor.id, name)
        try:
            async with asyncio.timeout(PUBLISH_PATIENCE):
                with tracing.span("publish COMMANDS", tracing.PRODUCER, tracing.messaging("publish", COMMANDS)):
                    await services.bus.command(address, command_id, raw, now, tracing.traceparent())
        except CommandsFull:  # by this key itself
            metrics.without_room()
            with suppress(*OUTAGES):  # it is accepted in any case
                await services.inbox.no_room(address)
            log.warning("api: a command waits for room on the bus")
        except OUTAGES as error:  # it is accepted: the sweeper publishes it once the bus is back
            log.warning("api: a command waits for the bus: %s", type(error).__name__)
        return fresh(pending, now)

    async def outcome(self, row: CommandRow) -> CommandRow:
        """The row once it is answered and its events can be read, or as it is when the wait is over."""
        services = self.services
        try:
            async with asyncio.timeout(self.wait):
                while True:
                    seen = services.signal.count
                    row = (await services.inbox.find([row.key])).get(row.key, row)
                    if row.state != "pending" and await services.models.position() >= (row.position or 0):
                        return row
                    await asyncio.sleep(LOOK_PAUSE)
                    if row.state == "pending":
                        await services.signal.wait(LOOK_AGAIN, seen)
        except TimeoutError:
            return row

    def answer(self, row: CommandRow, about: UUID | None, members: dict[str, Any]) -> Response:
        """202 while pending, 200 when applied, a problem when refused."""
        headers = {"Location": f"/v1/commands/{row.command_id}"}
        if self.wait:
            headers["Preference-Applied"] = f"wait={self.wait:g}"
        if row.state in ("refused", "crashed"):
            raise refusal_of(row, about, headers)
        told = told_of(row, about).model_dump(mode="json", exclude_none=True) | members
        return JSONResponse(told, 202 if row.state == "pending" else 200, headers)


def fresh(pending: Pending, now: datetime) -> CommandRow:
    """The row that has just been written."""
    return CommandRow(
        key=pending.key,
        command_id=pending.command_id,
        workspace=pending.workspace,
        principal=pending.principal,
        name=pending.name,
        digest=pending.digest,
        state="pending",
        rule=None,
        field=None,
        detail=None,
        stream=None,
        version=None,
        position=None,
        received_at=now,
        answered_at=None,
        traceparent=pending.traceparent,
    )


async def json_body(request: Request, ids: dict[str, UUID]) -> dict[str, Any]:
    """The body's JSON object with the path's ids in it; no body is an empty object. Raises Refused or ApiError."""
    raw = await whole(request)
    require_size(raw)
    if not raw:
        return {name: str(value) for name, value in ids.items()}
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/json":
        raise ApiError(415, "unsupported_media_type", "Content-Type", params={"media_type": "application/json"})
    try:
        body = orjson.loads(raw)
    except orjson.JSONDecodeError:
        raise unreadable(raw) from None
    if not isinstance(body, dict):
        raise Refused("not_an_object", field="body")
    for name in ids:
        if name in body:
            raise Refused("unknown_field", field=name)
    return body | {name: str(value) for name, value in ids.items()}


def require_size(raw: bytes) -> None:
    """Raise ApiError when a body is larger than the bus takes one."""
    if len(raw) > MAX_BODY:
        raise ApiError(413, "too_large", "body", params={"maximum": MAX_BODY})


def written(body: dict[str, Any]) -> bytes:
    """The body as it goes on the bus. Raises Refused for one nested deeper than can be written."""
    try:
        return orjson.dumps(body)
    except orjson.JSONEncodeError:
        raise Refused("not_json", field="body") from None


def unreadable(raw: bytes) -> Refused:
    """Why bytes are no JSON."""
    try:
        raw.decode()
    except UnicodeDecodeError:
        return Refused("not_utf8", field="body")
    return Refused("not_json", field="body")


WAIT_HELP = "`wait=N`: answer when the outcome is known, or after N seconds (at most 30)."
KEY_HELP = "The same key and body on the same route is the same command, however often it is sent."


async def waiting(
    prefer: Annotated[str | None, Header(alias="Prefer", description=WAIT_HELP, examples=["wait=5"])] = None,
) -> float:
    """Seconds to wait for the outcome (`Prefer: wait=N`, at most 30); a preference we do not know is passed over."""
    found = WAIT.search(prefer or "")
    return min(float(found[1]), LONGEST_WAIT) if found else 0.0


async def checked_key(
    idempotency_key: Annotated[
        str | None,
        Header(
            alias="Idempotency-Key",
            description=KEY_HELP,
            examples=["campaign-2026-11-21"],
            json_schema_extra={"pattern": KEY},
        ),
    ] = None,
) -> str | None:
    """The Idempotency-Key, if it has one's form."""
    if idempotency_key is not None and not re.fullmatch(KEY, idempotency_key):
        raise ApiError(422, "bad_idempotency_key", "Idempotency-Key", params={"maximum": LONGEST_KEY})
    return idempotency_key


async def accepting(
    request: Request,
    services: Given,
    actor: Caller,
    key: Annotated[str | None, Depends(checked_key)],
    wait: Annotated[float, Depends(waiting)],
) -> Accept:
    require_rate(services.rates, actor)
    return Accept(services, actor, request, key, wait)


def require_rate(rates: Rates, actor: Actor) -> None:
    """Raise ApiError when a key gives more commands than its rate; none of it is looked at then."""
    now = time.monotonic()
    if not rates.take(actor.id, now):
        metrics.OVER_RATE.inc()
        seconds = math.ceil(rates.seconds_until(actor.id, now))
        headers = {"Retry-After": str(max(seconds, 1))}
        raise ApiError(429, "too_many", "actor", params={"maximum": math.floor(rates.rate)}, headers=headers)


Accepting = Annotated[Accept, Depends(accepting)]
