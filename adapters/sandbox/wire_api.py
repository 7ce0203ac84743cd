"""The wire: what a linked browser and one that wants to be linked say to the server."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Annotated, Any

from fastapi import APIRouter, Body, Header, Query, Request
from fastapi.responses import FileResponse, StreamingResponse
from pydantic import BaseModel, Field

from adapters.sandbox import browsers
from adapters.sandbox.contents import LONGEST, Content, File, FileDigest, Number, Text
from adapters.sandbox.media import Media
from adapters.sandbox.nouns import Device, Hello, Refused, Sink, Stanza, number_of
from adapters.sandbox.world import World

Credential = Annotated[str, Header(alias="x-device")]
Lid = Annotated[str, Field(pattern=r"^\d{15}$")]
LAST = ("logout", "bye", "forgotten")


class Greeting(BaseModel):
    device: str
    secret: str
    keys: str
    linked: bool = False
    unacked: list[str] = []
    started: bool = False


class Outgoing(BaseModel):
    """A message; `body` alone is a text."""

    id: str
    lid: Lid
    body: str = Field("", max_length=LONGEST)
    content: Content | None = None
    quoted: str | None = None


class Struck(BaseModel):
    name: str
    number: Number


class Typing(BaseModel):
    lid: Lid
    seconds: float = Field(ge=0, le=60)


def wire(world: World, media: Media) -> APIRouter:
    """The routes under /wire."""
    router = APIRouter(prefix="/wire")

    def caller(credential: str) -> Device:
        device_id, _, secret = credential.partition(".")
        return world.known(device_id, secret)

    def kill(request: Request, fault: str) -> None:
        assert request.client is not None
        browsers.kill(request.client.port, lock=fault == "profile_locked")

    @router.post("/stream")
    async def stream(greeting: Greeting) -> StreamingResponse:
        """Everything for this browser, a JSON line each, for as long as it is online."""
        lines: asyncio.Queue[Stanza] = asyncio.Queue()
        hello = Hello(**greeting.model_dump(exclude={"unacked"}), unacked=tuple(greeting.unacked))
        sink = lines.put_nowait
        device = world.connect(hello, sink)
        return StreamingResponse(_lines(world, device, lines, sink), media_type="application/x-ndjson")

    @router.post("/codes")
    async def codes(greeting: Greeting) -> dict[str, bool]:
        device = world.devices.get(greeting.device)
        if device is None or device.secret != greeting.secret or device.phone is not None:
            raise Refused("unknown_companion")
        world.new_codes(device)
        return {"ok": True}

    @router.post("/link-code")
    async def link_code(greeting: Greeting, phone: Annotated[Number, Query()]) -> dict[str, str]:
        """The code that the phone of this number is to type."""
        device = world.devices.get(greeting.device)
        if device is None or device.secret != greeting.secret or device.phone is not None:
            raise Refused("unknown_companion")
        return {"code": world.link_code(device, phone)}

    @router.post("/exists")
    async def exists(number: Annotated[str, Body(embed=True)], x_device: Credential) -> dict[str, Any]:
        caller(x_device)
        return {"contact": world.exists(number)}

    @router.post("/chat")
    async def chat(number: Annotated[Number, Body(embed=True)], x_device: Credential) -> dict[str, Any]:
        """The contact to open a chat with, or null when no LID is found."""
        caller(x_device)
        return {"contact": world.chat_of(number)}

    @router.get("/contacts")
    async def contacts(x_device: Credential) -> dict[str, Any]:
        return {"contacts": world.contacts(_account(caller(x_device)))}

    @router.get("/groups")
    async def groups(x_device: Credential) -> dict[str, Any]:
        return {
            "groups": [
                {"id": group.id, "name": group.name, "participants": [world.contact(n) for n in group.participants]}
                for group in world.chats.groups_of(_account(caller(x_device)))
            ]
        }

    @router.post("/send")
    async def send(message: Outgoing, x_device: Credential, request: Request) -> Stanza:
        device = caller(x_device)
        content = message.content or Text(text=message.body)
        if isinstance(content, File) and not media.has(content.media):
            raise Refused("unknown_file")
        if isinstance(content, File) and world.faults.strikes("slow_media", number_of(message.lid)):
            await asyncio.sleep(world.timings.slow_media)
        answer = world.send(device, message.id, message.lid, content, message.quoted)
        if "kill" in answer:
            kill(request, answer["kill"])
            return {"hang": True}
        return answer

    @router.put("/media/{digest}")
    async def upload(digest: FileDigest, x_device: Credential, request: Request) -> dict[str, int]:
        caller(x_device)
        return {"size": await media.put(digest, request.stream())}

    @router.get("/media/{digest}")
    async def download(digest: FileDigest, x_device: Credential) -> FileResponse:
        caller(x_device)
        return media.response(digest, "application/octet-stream")

    @router.post("/got")
    async def got(mail: Annotated[int, Body(embed=True)], x_device: Credential) -> dict[str, bool]:
        """This browser has stored its mail up to this number."""
        world.post.got(caller(x_device), mail)
        return {"ok": True}

    @router.post("/read")
    async def read(lid: Annotated[Lid, Body(embed=True)], x_device: Credential) -> dict[str, bool]:
        """A chat was opened in this browser."""
        world.post.opened(caller(x_device), number_of(lid))
        return {"ok": True}

    @router.post("/typing")
    async def typing(body: Typing, x_device: Credential) -> dict[str, bool]:
        world.typing(caller(x_device), body.lid, body.seconds)
        return {"ok": True}

    @router.post("/heard")
    async def heard(change: Annotated[int, Body(embed=True)], x_device: Credential) -> dict[str, bool]:
        """This page knows what is armed since that change."""
        caller(x_device).heard = change
        return {"ok": True}

    @router.post("/fault")
    async def fault(body: Struck, x_device: Credential, request: Request) -> dict[str, bool]:
        """Whether a fault of the page's own strikes now, in a send to this number; a kill is done at once."""
        caller(x_device)
        strikes = world.faults.strikes(body.name, body.number)
        if strikes and body.name.startswith("killed_"):
            kill(request, body.name)
        return {"strikes": strikes}

    @router.post("/logout")
    async def logout(x_device: Credential) -> dict[str, int]:
        device = caller(x_device)
        return {"gone": world.unlink(_account(device), device.id, "user_initiated")}

    return router


def _account(device: Device) -> str:
    assert device.phone is not None  # only linked devices are known
    return device.phone


async def _lines(world: World, device: Device, queue: asyncio.Queue[Stanza], sink: Sink) -> AsyncIterator[str]:
    try:
        while True:
            try:
                stanza = await asyncio.wait_for(queue.get(), 15)
            except TimeoutError:
                stanza = {"type": "ping"}
            yield json.dumps(stanza) + "\n"
            if stanza["type"] in LAST:
                return
    finally:
        world.disconnect(device, sink)
