"""Whether the API lives, and whether drumline can do its work: each part by itself."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from datetime import datetime, timedelta
from importlib.metadata import version
from time import monotonic
from typing import Annotated, Literal

import orjson
from fastapi import APIRouter, Depends, Request, Response
from nats.js.errors import NotFoundError
from pydantic import BaseModel, Field

from adapters.cloudevents import POSITION
from adapters.heartbeats import ASK, STALE
from adapters.outages import OUTAGES
from adapters.streams import COMMANDS, EVENTS, Limits, closed, missing
from api.auth import ANYBODY
from api.deps import Services
from api.openapi import answers

router = APIRouter(tags=["health"], dependencies=[ANYBODY])

PATIENCE = 2.0  # seconds for each answer
GOOD_FOR = 1.0  # seconds: anybody may ask, so that asking more often must not cost more
LAG_ALLOWED = 30.0  # seconds that commands, the read models and EVENTS may be behind
PROCESSES = ("core", "sessions", "imports")
WINDOW = timedelta(seconds=Limits().events_age)

Word = Literal["ok", "away", "missing", "closed", "behind", "stalled", "silent", "full"]


class Check(BaseModel):
    """One part."""

    status: Word
    seconds: float | None = Field(None, description="How far behind it is, or how long a loop has stood still.")
    names: list[str] = Field([], description="What is missing, or stands still.")


OK = Check(status="ok")


class Health(BaseModel):
    """The process answers."""

    status: Literal["ok"] = "ok"


class Readiness(BaseModel):
    """What drumline stands on. A process that nobody hears is `silent`, which tells, but does not count: what it
    leaves undone does."""

    status: Literal["ok", "unready"]
    checks: dict[str, Check]


NAMED = ("database", "bus", "streams", "commands", "projections", "relay", "disk", *PROCESSES)
FINE = dict.fromkeys(NAMED, OK)
READY = Readiness(status="ok", checks=FINE).model_dump()
LATE = Check(status="behind", seconds=41.7)
BEHIND = Readiness(status="unready", checks=FINE | {"projections": LATE}).model_dump()


class SharedLook:
    """One look at all parts for everybody who asks while it is taken, and for a while after."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._look: asyncio.Task[Readiness] | None = None
        self._good_until = 0.0

    async def readiness(self) -> Readiness:
        """What is found, at most GOOD_FOR seconds ago."""
        if self._look is None or (self._look.done() and monotonic() >= self._good_until):
            self._look = asyncio.create_task(self._taken())
        return await asyncio.shield(self._look)  # who goes away takes it from nobody else

    async def _taken(self) -> Readiness:
        try:
            return await looked(self._services)
        finally:
            self._good_until = monotonic() + GOOD_FOR


async def shared_look(request: Request) -> SharedLook:
    """That of this application."""
    look: SharedLook = request.app.state.look
    return look


class Root(BaseModel):
    """Where to look."""

    name: str = "drumline"
    version: str = version("drumline")
    docs: str = "/docs"
    openapi: str = "/openapi.json"
    ready: str = "/readyz"


@router.get("/", include_in_schema=False)
async def root() -> Root:
    """What this is, and where its documentation is."""
    return Root()


@router.get("/healthz", responses=answers(200, "Alive.", {"status": "ok"}))
async def healthz() -> Health:
    """Whether the process answers at all."""
    return Health()


@router.get("/readyz", responses=answers(200, "Ready.", READY) | answers(503, "Not ready.", BEHIND))
async def readyz(look: Annotated[SharedLook, Depends(shared_look)], response: Response) -> Readiness:
    """Whether database, bus and streams are there, nothing is left undone, and every loop goes round."""
    found = await look.readiness()
    response.status_code = 200 if found.status == "ok" else 503
    return found


for path, answer in (("/", root), ("/healthz", healthz), ("/readyz", readyz)):
    router.head(path, include_in_schema=False)(answer)


async def looked(services: Services) -> Readiness:
    """Each part, as it is now."""
    asked: Mapping[str, Callable[[Services], Awaitable[Check]]] = {
        "database": database,
        "bus": bus,
        "streams": streams,
        "commands": commands,
        "projections": projections,
        "relay": relay,
        "disk": disk,
    }
    found = await asyncio.gather(
        *(patiently(check, services) for check in asked.values()), *(process(services, role) for role in PROCESSES)
    )
    checks = dict(zip([*asked, *PROCESSES], found, strict=True))
    ready = all(check.status in ("ok", "silent") for check in checks.values())
    return Readiness(status="ok" if ready else "unready", checks=checks)


async def patiently(check: Callable[[Services], Awaitable[Check]], services: Services) -> Check:
    """A check's result; `away` when what it asks does not answer in time."""
    try:
        async with asyncio.timeout(PATIENCE):
            return await check(services)
    except OUTAGES:
        return Check(status="away")


async def database(services: Services) -> Check:
    await services.store.head()
    return OK


async def bus(services: Services) -> Check:
    await services.bus.answers()
    return OK


async def streams(services: Services) -> Check:
    if gone := await missing(services.bus.js):
        return Check(status="missing", names=gone)
    return Check(status="closed", names=[COMMANDS]) if await closed(services.bus.js) else OK


async def commands(services: Services) -> Check:
    """The oldest command that nobody has answered. One that its own key keeps from the bus does not count, as long as
    what is on the bus is taken."""
    waiting, without_room = await services.inbox.oldest_pending()
    queued = None
    if without_room is not None:
        with suppress(NotFoundError):  # that the queue is missing is told by `streams`
            queued = await services.bus.oldest(COMMANDS)
    return behind(services, min(filter(None, (waiting, queued)), default=None))


async def projections(services: Services) -> Check:
    """The oldest event that the read models do not show."""
    return await since(services, await services.models.position())


async def relay(services: Services) -> Check:
    """The oldest event that EVENTS does not hold; of an empty one, the newest: it may have forgotten the others."""
    if await missing(services.bus.js, EVENTS):
        return Check(status="missing", names=[EVENTS])
    _, last = await services.bus.last(EVENTS, POSITION)
    if last is not None:
        return await since(services, int(last.headers[POSITION]))
    newest = await services.store.page(await services.store.head() - 1, 1)
    time = newest[0].envelope.time if newest else None
    return OK if time is None or services.clock() - time > WINDOW else behind(services, time)


async def disk(services: Services) -> Check:
    """Whether there is room for new work."""
    return Check(status="full") if services.disk.full else OK


async def since(services: Services, position: int) -> Check:
    """How far behind the log a reader is that has come to a position."""
    rest = await services.store.page(position, 1)
    return behind(services, rest[0].envelope.time if rest else None)


def behind(services: Services, oldest: datetime | None) -> Check:
    """What it means that this is the time of the oldest thing not done."""
    seconds = max((services.clock() - oldest).total_seconds(), 0.0) if oldest else 0.0
    return Check(status="behind" if seconds > LAG_ALLOWED else "ok", seconds=round(seconds, 3))


async def process(services: Services, role: str) -> Check:
    """The loops of another process, as it tells them itself."""
    try:
        told = await services.bus.ask(ASK.format(role=role), seconds=PATIENCE / 2)
    except OUTAGES:
        told = None
    if told is None:
        return Check(status="silent")
    ages: dict[str, float] = orjson.loads(told)
    stalled = sorted(loop for loop, age in ages.items() if age > STALE)
    return Check(
        status="stalled" if stalled else "ok", seconds=round(max(ages.values(), default=0.0), 3), names=stalled
    )
