"""Workspace B of `drumline bench fairness`, in a process of its own: as much harm as its keys allow.

Reads one JSON line (Order), writes one (Report) when its time is over. It speaks to 127.0.0.1 only, at `nice 10`, and
waits for nobody: it publishes without acknowledgements and abandons requests half said.
"""

import asyncio
import contextlib
import os
import random
import socket
import sys
import time
import zlib
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from struct import pack
from typing import Any
from uuid import uuid4

import httpx
import orjson
import uvloop
from nats.aio.msg import Msg

from adapters.bus import Bus
from adapters.cloudevents import Address, command_headers
from adapters.lean_client import frame
from adapters.outages import OUTAGES
from domain import catalog
from domain.message import PrincipalId, Role, WorkspaceId
from infra.bootstrap import clock

HOST = "127.0.0.1"
NICE = 10
CHUNK = 100  # commands put on the wire at once
LARGE = 60_000  # bytes of the largest command sent
HALF, STOPPED, IMAGES, IMPORTS, REQUESTS = 700, 120, 12, 45, 16  # at once, of each
SIDE = 7_071  # pixels; squared, just below the 50 million that an image may have
PATIENCE = 20.0  # seconds for an answer that does not matter
LOST: tuple[type[Exception], ...] = (*OUTAGES, httpx.HTTPError, asyncio.IncompleteReadError, OSError)
KINDS = ("create", "refused", "garbage", "deep", "large")
EACH = {*KINDS, "half_request", "stopped_upload", "image_50_megapixels", "import"}  # goes out at least once


@dataclass(frozen=True, slots=True)
class Order:
    """Where to attack, as whom (a key of these roles), and for how long."""

    bus: str
    port: int
    workspace: str
    principal: str
    key: str
    roles: list[str]
    seconds: float


@dataclass(slots=True)
class Report:
    """How many of each kind went out in how many seconds, and how the bus and HTTP answered."""

    sent: dict[str, int] = field(default_factory=dict)
    answers: dict[str, int] = field(default_factory=dict)
    seconds: float = 0.0
    cpu_s: float = 0.0


class Attacker:
    """Everything at once, each kind in a task of its own that goes on whatever becomes of it."""

    def __init__(self, order: Order) -> None:
        self._order = order
        self._sent: Counter[str] = Counter()
        self._answers: Counter[str] = Counter()
        self._picture = picture()
        self._names = sorted(catalog.given_by(frozenset(map(Role, order.roles))))
        headers = {"Authorization": f"Bearer {order.key}"}
        url, all_at_once = f"http://{HOST}:{order.port}", httpx.Limits(max_connections=None)
        self._http = httpx.AsyncClient(
            base_url=url, headers=headers, timeout=PATIENCE, trust_env=False, limits=all_at_once
        )
        self._list = b"number,name\n" + b"".join(b"+1202555%04d,Somebody\n" % n for n in range(100, 200))

    async def run(self) -> Report:
        began = time.monotonic()
        ways: list[Callable[[], Awaitable[None]]] = [self._flood]
        ways += [self._half] * HALF + [self._stopped] * STOPPED + [self._requests] * REQUESTS
        ways += [self._image] * IMAGES + [self._import] * IMPORTS
        async with asyncio.TaskGroup() as tasks:
            going = [tasks.create_task(self._for_ever(way)) for way in ways]
            await asyncio.sleep(self._order.seconds)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(PATIENCE):  # a busy machine lets a process at this `nice` wait
                    while not self._sent.keys() >= EACH:  # noqa: ASYNC110  # many tasks' doing
                        await asyncio.sleep(0.05)
            for task in going:
                task.cancel()
        return Report(dict(self._sent), dict(self._answers), time.monotonic() - began, time.process_time())

    async def _for_ever(self, way: Callable[[], Awaitable[None]]) -> None:
        while True:
            try:
                await way()
            except LOST as error:
                self._answers[type(error).__name__] += 1
            await asyncio.sleep(0.01)

    async def _flood(self) -> None:
        order = self._order
        bus = await Bus.connect(order.bus, "attacker", f"_INBOX.{order.principal}")
        try:
            await bus.nc.subscribe(f"out.{order.workspace}.{order.principal}", cb=self._hear)
            while True:
                await bus.nc.put([self._command(random.choice(KINDS)) for _ in range(CHUNK)])  # noqa: S311  # any will do
                await bus.nc.flush()
        finally:
            await bus.close()

    def _command(self, kind: str) -> bytes:
        order = self._order
        # Any of its subjects is as good for what is refused unread: they are as many queues to fill.
        names = {"create": "campaign.create", "refused": "campaign.archive"}
        name = names.get(kind) or random.choice(self._names)  # noqa: S311  # any will do
        address = Address(WorkspaceId(order.workspace), PrincipalId(order.principal), name)
        self._sent[kind] += 1
        return frame(address.subject, body(kind), command_headers(address, uuid4(), clock()))

    async def _hear(self, message: Msg) -> None:
        outcome = orjson.loads(message.data)
        self._answers[f"bus {outcome.get('rule') or outcome['state']}"] += 1

    async def _half(self) -> None:
        """A request whose head never ends, for as long as the other side bears it."""
        await self._abandoned("half_request", b"GET /v1/campaigns HTTP/1.1\r\nHost: b\r\nX-")

    async def _stopped(self) -> None:
        """An upload that stops after its first bytes."""
        head = f"POST /v1/media HTTP/1.1\r\nHost: b\r\nAuthorization: Bearer {self._order.key}\r\n"
        head += "Content-Type: application/octet-stream\r\nContent-Length: 15000000\r\n\r\n"
        await self._abandoned("stopped_upload", head.encode() + bytes(100_000))

    async def _abandoned(self, kind: str, said: bytes) -> None:
        reader, writer = await asyncio.open_connection(HOST, self._order.port)
        try:
            self._sent[kind] += 1
            writer.write(said)
            await writer.drain()
            answer = await reader.read(64)
            self._answers[f"{kind} {answer[9:12].decode(errors='replace') or 'closed'}"] += 1
        finally:
            writer.close()

    async def _requests(self) -> None:
        """Requests that are refused for one reason or another."""
        form = {"Content-Type": "multipart/form-data; boundary=b; charset=punycode"}
        some = uuid4()
        choices: list[tuple[str, str, dict[str, Any]]] = [
            ("refused_request", f"/v1/campaigns/{some}/archive", {"json": {}}),
            ("deep_request", "/v1/campaigns", {"content": body("deep"), "headers": JSON}),
            ("large_request", "/v1/campaigns", {"json": {"title": "Large", "parts": [{"text": "x" * LARGE}]}}),
            ("form", "/v1/audiences", {"content": FIELD, "headers": form}),
        ]
        await self._ask(*random.choice(choices))  # noqa: S311  # any will do

    async def _image(self) -> None:
        await self._ask("image_50_megapixels", "/v1/media", {"content": self._picture})

    async def _import(self) -> None:
        form = {"data": {"title": "Flood"}, "files": {"file": ("flood.csv", self._list, "text/csv")}}
        await self._ask("import", "/v1/audiences/import", form)

    async def _ask(self, kind: str, path: str, how: dict[str, Any]) -> None:
        self._sent[kind] += 1
        answer = await self._http.post(path, **how)
        self._answers[f"{kind} {answer.status_code}"] += 1


JSON = {"Content-Type": "application/json"}
FIELD = b'--b\r\nContent-Disposition: form-data; name="title"\r\n\r\n' + b"x" * 900_000 + b"\r\n--b--\r\n"


def body(kind: str) -> bytes:
    """A command's body of a kind."""
    some = str(uuid4()).encode()
    match kind:
        case "garbage":
            return random.randbytes(random.randrange(1, 4_000))  # noqa: S311  # any will do
        case "deep":
            depth = random.randrange(200, 1_100)  # noqa: S311  # any will do
            return b'{"campaign_id":' + b"[" * depth + b"]" * depth + b"}"
        case "large":
            return b'{"campaign_id":"%b","title":"Large","parts":[{"text":"%b"}]}' % (some, b"x" * LARGE)
        case "refused":
            return b'{"campaign_id":"%b"}' % some
        case _:
            return b'{"campaign_id":"%b","title":"Flood","parts":[{"text":"Hello"}]}' % some


def picture() -> bytes:
    """A PNG of 50 megapixels that is a few KB long."""
    packed = zlib.compressobj(1)
    rows = b"".join([packed.compress(bytes(1 + SIDE * 3)) for _ in range(SIDE)]) + packed.flush()
    header = pack(">IIBBBBB", SIDE, SIDE, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks((b"IHDR", header), (b"IDAT", rows), (b"IEND", b"")))


def chunks(*named: tuple[bytes, bytes]) -> Iterator[bytes]:
    for name, data in named:
        yield pack(">I", len(data)) + name + data + pack(">I", zlib.crc32(name + data))


def main() -> None:
    """One order, one report."""
    os.nice(NICE)
    order = Order(**orjson.loads(sys.stdin.readline()))
    socket.setdefaulttimeout(PATIENCE)
    report = uvloop.run(Attacker(order).run())
    sys.stdout.buffer.write(orjson.dumps(report) + b"\n")


if __name__ == "__main__":
    main()
