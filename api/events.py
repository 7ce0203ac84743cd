"""Events as they happen, and as they happened: server-sent events and a WebSocket on the log, from any position on."""

import asyncio
import logging
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import aclosing, suppress
from dataclasses import dataclass
from typing import Annotated

import orjson
from fastapi import APIRouter, Depends, Header, Query, Response, WebSocket
from fastapi.sse import EventSourceResponse
from starlette.websockets import WebSocketDisconnect, WebSocketState

from adapters.event_feed import Feed, Told
from adapters.outages import OUTAGES
from api.auth import Asking
from api.deps import LAST, Given, Services
from api.errors import ApiError
from api.openapi import problems
from domain.hearing import Topics, topics
from domain.message import Actor

router = APIRouter(prefix="/v1/events", tags=["events"])
log = logging.getLogger(__name__)

KEEP_ALIVE = 15.0  # seconds of silence after which a listener is told how far the log is
CHECK = 4.0  # seconds after which a key is looked at again
RETRY = 1.0  # seconds: what a browser waits before it comes again, and we when a server is away
GONE, REVOKED = 1012, 1008  # why a WebSocket is closed: this process ends; the key has ended

EVENT = {
    "specversion": "1.0",
    "id": "a4039a0b-1618-5a61-afc0-50607510edf6",
    "type": "drumline.job.approved",
    "source": "/drumline/demo",
    "subject": "job-d0a3b7f4-2f2f-5a0c-9a43-6f0c6f3b8e21",
    "time": "2026-11-21T09:32:00.000000Z",
    "datacontenttype": "application/json",
    "position": "4120",
    "data": {"review_hash": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"},
}
EXAMPLE = f"retry: 1000\nid: 4119\n\ndata: {orjson.dumps(EVENT).decode()}\nid: 4120\n\n"


@dataclass(frozen=True, slots=True)
class Listening:
    """Who listens to what, from which position on; `head` is where the log ended when they came."""

    actor: Actor
    topics: Topics
    after: int
    head: int
    services: Services

    @property
    def feed(self) -> Feed:
        return self.services.feed


async def listening(
    actor: Asking,
    services: Given,
    topics_: Annotated[
        str | None,
        Query(alias="topics", description="Separated by commas: `job`, `job.approved`, `job-<id>`. Else all you hear."),
    ] = None,
    after: Annotated[
        str, Query(description="The position behind which to begin: 0 for all there is, or `latest`.")
    ] = "latest",
    last_event_id: Annotated[str | None, Header(description="The position reached before; outweighs `after`.")] = None,
) -> AsyncIterator[Listening]:
    """What is asked for, and a place for the listener as long as it stays."""
    asked = [] if topics_ is None else [topic.strip() for topic in topics_.split(",")]
    chosen = topics(actor, asked)
    given, name = (last_event_id, "Last-Event-ID") if last_event_id else (after, "after")
    head = await services.feed.head()
    start = position(head, given, name)
    with services.feed.seat(actor):
        yield Listening(actor, chosen, start, head, services)


def position(head: int, given: str, name: str) -> int:
    """The position to begin behind."""
    if given == "latest":
        return head
    if not (given.isascii() and given.isdecimal() and len(given) <= len(str(LAST))):
        raise ApiError(422, "bad_position", name)
    if int(given) > head:
        raise ApiError(422, "ahead_of_log", name)
    return int(given)


Ears = Annotated[Listening, Depends(listening)]


@router.get(
    "",
    response_class=Response,
    responses={
        200: {"description": "A stream without end.", "content": {"text/event-stream": {"example": EXAMPLE}}},
        **problems(401, 403, 422, 429, 503),
    },
)
async def events(ears: Ears) -> EventSourceResponse:
    """The workspace's events from the log as server-sent events, each a CloudEvent in JSON; `id` is its position.

    The same address is a WebSocket, too.
    """
    return EventSourceResponse(sse(ears), headers={"X-Accel-Buffering": "no"})


@router.websocket("")
async def events_by_websocket(websocket: WebSocket, ears: Ears) -> None:
    """The same over a WebSocket: each message a CloudEvent in JSON, or `{"position": …}` when it is quiet."""
    try:
        await websocket.accept()
    except WebSocketDisconnect:
        return
    speaking, leaving = asyncio.create_task(speak(websocket, ears)), asyncio.create_task(gone(websocket))
    try:
        await asyncio.wait([speaking, leaving], return_when=asyncio.FIRST_COMPLETED)
    finally:
        speaking.cancel()
        leaving.cancel()
        await asyncio.wait([speaking, leaving])
    if speaking.done() and not speaking.cancelled():
        speaking.result()
    if websocket.application_state is WebSocketState.CONNECTED and not leaving.done():
        with suppress(WebSocketDisconnect, RuntimeError):
            await websocket.close(GONE)


async def sse(ears: Listening) -> AsyncIterator[bytes]:
    """What one listener is sent. The data come before the id: whoever is cut between the two hears the event again."""
    yield f"retry: {RETRY * 1000:.0f}\n".encode()
    async with aclosing(hear(ears)) as stretches:
        async for upto, told in stretches:
            lines = [f"data: {one.json}\nid: {one.position}\n\n" for one in told] or [f"id: {upto}\n\n"]
            yield "".join(lines).encode()


async def speak(websocket: WebSocket, ears: Listening) -> None:
    """Send a WebSocket's listener all there is to hear, and say goodbye."""
    with suppress(WebSocketDisconnect):
        async with aclosing(hear(ears)) as stretches:
            async for upto, told in stretches:
                for text in [one.json for one in told] or [f'{{"position":"{upto}"}}']:
                    await websocket.send_text(text)
        await websocket.close(GONE if ears.feed.closed else REVOKED)


async def gone(websocket: WebSocket) -> None:
    """Return when the other end has left; what it says is not listened to."""
    while (await websocket.receive())["type"] != "websocket.disconnect":
        pass


async def hear(ears: Listening) -> AsyncGenerator[tuple[int, Sequence[Told]], None]:
    """How far a listener has come and what there was to hear, stretch by stretch; ends with the key or this process.

    At first, when all is told that there was, and when it is quiet, there is nothing to hear but a place to go on from.
    """
    loop, feed, after, behind = asyncio.get_running_loop(), ears.feed, ears.after, ears.after < ears.head
    yield after, ()
    said = checked = loop.time()
    while not feed.closed:
        now = loop.time()
        if now - checked >= CHECK:
            if not await lives(ears):
                return
            checked = now
        told: Sequence[Told] = ()
        if await feed.grown(after, min(CHECK, KEEP_ALIVE)):
            after, told = await listen(ears, after)
        if told:
            yield after, told
            said = loop.time()
        if (behind and after >= ears.head) or loop.time() - said >= KEEP_ALIVE:
            yield after, ()
            behind, said = False, loop.time()


async def listen(ears: Listening, after: int) -> tuple[int, Sequence[Told]]:
    """The next stretch of the log, and what of it is for this listener; the same place again after an outage."""
    try:
        stretch = await ears.feed.stretch(after)
    except OUTAGES as error:
        log.warning("events: waits for a server: %s", type(error).__name__)
        await asyncio.sleep(RETRY)
        return after, ()
    told = stretch.of(ears.actor.workspace, after)
    return stretch.upto, [one for one in told if ears.topics.have(one.name, one.stream)]


async def lives(ears: Listening) -> bool:
    """Whether the listener's key still does; while nobody can tell, yes."""
    try:
        return await ears.services.keys.actor(ears.actor.id) is not None
    except OUTAGES:
        return True
