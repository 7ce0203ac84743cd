"""The sandbox over HTTP: the page, the wire that the page speaks, and the control that people and tests speak."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Annotated, Any

import uvicorn
from fastapi import Body, FastAPI, Header, HTTPException, Request
from fastapi.responses import FileResponse, JSONResponse, StreamingResponse
from fastapi.staticfiles import StaticFiles
from pydantic import BaseModel, Field
from starlette.middleware.trustedhost import TrustedHostMiddleware

from adapters.sandbox.faults import FAULTS, UnknownFault
from adapters.sandbox.ledger import recount
from adapters.sandbox.nouns import Device, Hello, Refused, Sink, Stanza, lid_of
from adapters.sandbox.world import Timings, World

PAGE = Path(__file__).with_name("page")
CONTENT_POLICY = "default-src 'self'; img-src 'self' data:; object-src 'none'; base-uri 'none'; frame-ancestors 'none'"
Number = Annotated[str, Field(pattern=r"^\+[1-9]\d{6,14}$")]
Credential = Annotated[str, Header(alias="x-device")]


class Greeting(BaseModel):
    device: str
    secret: str
    keys: str
    linked: bool = False
    unacked: list[str] = []


class Outgoing(BaseModel):
    id: str
    lid: str
    body: str = Field(max_length=65_536)


class Scan(BaseModel):
    payload: str
    phone: Number
    name: str = ""


class Unlink(BaseModel):
    phone: Number
    device: str | None = None


class Inbound(BaseModel):
    phone: Number
    sender: Number
    text: str


class Arm(BaseModel):
    name: str
    number: Number | None = None
    times: int | None = Field(default=None, ge=1)


def create_app(world: World) -> FastAPI:
    """The ASGI application around one world."""
    app = FastAPI(title="drumline sandbox", docs_url=None, redoc_url=None)
    # Another site in the same browser could reach a port on localhost by a name of its own.
    app.add_middleware(TrustedHostMiddleware, allowed_hosts=["127.0.0.1", "localhost"])

    @app.exception_handler(Refused)
    async def refused(_request: Request, error: Refused) -> JSONResponse:
        status = 401 if error.reason == "unknown_companion" else 422
        return JSONResponse({"reason": error.reason}, status)

    _wire(app, world)
    _control(app, world)

    @app.get("/phone")
    async def phone() -> FileResponse:
        return _page("phone.html")

    @app.get("/")
    async def index() -> FileResponse:
        return _page("index.html")

    app.mount("/", StaticFiles(directory=PAGE))
    return app


def _page(name: str) -> FileResponse:
    return FileResponse(PAGE / name, headers={"Content-Security-Policy": CONTENT_POLICY, "Cache-Control": "no-cache"})


def _wire(app: FastAPI, world: World) -> None:
    def caller(credential: str) -> Device:
        device_id, _, secret = credential.partition(".")
        return world.known(device_id, secret)

    @app.post("/wire/stream")
    async def stream(greeting: Greeting) -> StreamingResponse:
        """Everything for this browser, a JSON line each, for as long as it is online."""
        lines: asyncio.Queue[Stanza] = asyncio.Queue()
        hello = Hello(**greeting.model_dump(exclude={"unacked"}), unacked=tuple(greeting.unacked))
        sink = lines.put_nowait
        device = world.connect(hello, sink)
        return StreamingResponse(_lines(world, device, lines, sink), media_type="application/x-ndjson")

    @app.post("/wire/codes")
    async def codes(greeting: Greeting) -> dict[str, bool]:
        device = world.devices.get(greeting.device)
        if device is None or device.secret != greeting.secret or device.phone is not None:
            raise Refused("unknown_companion")
        world.new_codes(device)
        return {"ok": True}

    @app.post("/wire/exists")
    async def exists(number: Annotated[str, Body(embed=True)], x_device: Credential) -> dict[str, Any]:
        caller(x_device)
        return {"contact": world.exists(number)}

    @app.post("/wire/send")
    async def send(message: Outgoing, x_device: Credential) -> Stanza:
        return world.send(caller(x_device), message.id, message.lid, message.body)

    @app.post("/wire/logout")
    async def logout(x_device: Credential) -> dict[str, int]:
        device = caller(x_device)
        assert device.phone is not None
        return {"gone": world.unlink(device.phone, device.id)}


async def _lines(world: World, device: Device, queue: asyncio.Queue[Stanza], sink: Sink) -> AsyncIterator[str]:
    try:
        while True:
            try:
                stanza = await asyncio.wait_for(queue.get(), 15)
            except TimeoutError:
                stanza = {"type": "ping"}
            yield json.dumps(stanza) + "\n"
            if stanza["type"] in ("logout", "bye"):
                return
    finally:
        world.disconnect(device, sink)


def _control(app: FastAPI, world: World) -> None:
    @app.get("/control/phones")
    async def phones() -> dict[str, Any]:
        devices = sorted(world.devices.values(), key=lambda d: d.since)
        return {
            "phones": [
                {
                    "phone": phone,
                    "name": world.names.get(phone, ""),
                    "devices": [
                        {"device": d.id, "since": d.since, "online": d.sink is not None}
                        for d in devices
                        if d.phone == phone
                    ],
                }
                for phone in world.phones
            ],
            "waiting": [
                {"device": d.id, "since": d.since, "payload": world.payload(d)}
                for d in devices
                if d.phone is None and d.sink is not None
            ],
        }

    @app.post("/control/scan")
    async def scan(body: Scan) -> dict[str, str]:
        return {"device": world.scan(body.payload.strip(), body.phone, body.name).id}

    @app.post("/control/unlink")
    async def unlink(body: Unlink) -> dict[str, int]:
        return {"gone": world.unlink(body.phone, body.device)}

    @app.post("/control/inbound")
    async def inbound(body: Inbound) -> dict[str, int]:
        return {"devices": world.receive(body.phone, body.sender, body.text)}

    @app.post("/control/names")
    async def names(body: dict[Number, str]) -> dict[str, int]:
        world.name(body)
        return {"names": len(body)}

    @app.get("/control/faults")
    async def faults() -> dict[str, Any]:
        return {"known": FAULTS, "armed": world.faults.armed}

    @app.post("/control/faults")
    async def arm(body: Arm) -> dict[str, str]:
        try:
            world.faults.arm(body.name, body.number, body.times)
        except UnknownFault:
            raise HTTPException(422, {"reason": "unknown_fault", "known": list(FAULTS)}) from None
        return {"armed": body.name}

    @app.delete("/control/faults")
    async def disarm() -> dict[str, str]:
        world.faults.clear()
        return {"armed": ""}

    @app.get("/control/ledger")
    async def ledger() -> dict[str, Any]:
        count = recount(world.ledger.path)
        return {"path": str(world.ledger.path), "entries": count.entries, "distinct": count.distinct}

    @app.get("/control/messages")
    async def messages() -> dict[str, Any]:
        sent = [
            {
                "account": m.account,
                "chat": m.chat,
                "name": world.names.get(m.chat, ""),
                "lid": lid_of(m.chat),
                "id": m.wa_id,
                "body": m.body,
                "at": m.at,
                "ack": m.ack,
            }
            for m in reversed(world.recent)
        ]
        return {"messages": sent}


class _Server(uvicorn.Server):
    """A server that ends its open streams when it is told to stop, instead of waiting for them."""

    def __init__(self, config: uvicorn.Config, world: World) -> None:
        super().__init__(config)
        self._world = world

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._world.hang_up()
        await super().shutdown(sockets)


async def serve(port: int, data_dir: Path, timings: Timings | None = None) -> None:
    """Run the sandbox on 127.0.0.1 until cancelled or told to stop (SIGINT, SIGTERM)."""
    data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)  # noqa: ASYNC240 - once, before anything is served
    world = World(data_dir, timings)
    config = uvicorn.Config(
        create_app(world), "127.0.0.1", port, log_level="warning", access_log=False, timeout_graceful_shutdown=1
    )
    try:
        await _Server(config, world).serve()
    finally:
        world.close()
