"""Whatever bytes come to the HTTP port, whenever they stop: the API lives, and answers everybody else."""

import asyncio
import contextlib
import logging
import os
import random
import time
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from domain.message import Role
from tests.api.house import ROLES, House, Tenant

SHORT, LONG = 150, 60.0  # conversations; seconds
TOGETHER = 8
PATIENCE = 0.15  # seconds that a conversation waits for an answer
MOST_MEMORY = 250 << 20  # bytes that the process may grow by: the tests' own, and 24 files on their way
SOME = b"5f0c8a3e-9a44-5b0e-8a55-0d6b1c1f2a77"

FORM = (
    b'--x\r\nContent-Disposition: form-data; name="title"\r\n\r\nA\r\n'
    b'--x\r\nContent-Disposition: form-data; name="file"; filename="a.csv"\r\n\r\nnumber\n+12025550101\n\r\n--x--\r\n'
)
JSON = b'{"title":"Spring","parts":[{"text":"Hello {{name}}"}]}'
REQUESTS: list[tuple[bytes, bytes, list[bytes]]] = [
    (b"GET /v1/jobs?limit=5&cursor=abc", b"", []),
    (b"GET /v1/commands?principal=Zk3Pq81x", b"", [b"Range: bytes=0-1,2-", b"Cookie: a=b; a"]),
    (b"GET /v1/events?topics=job,job.approved&after=0", b"", [b"Last-Event-ID: 1"]),
    (b"GET /v1/media/" + b"0" * 64 + b"/content", b"", []),
    (b"HEAD /v1/media/uploads/" + SOME, b"", [b"Tus-Resumable: 1.0.0"]),
    (b"POST /v1/campaigns", JSON, [b"Content-Type: application/json", b"Prefer: wait=1", b"Idempotency-Key: a"]),
    (b"POST /v1/people/search", b'{"filter":"country = US","name":"a"}', [b"Content-Type: application/json"]),
    (b"PUT /v1/segments/" + SOME, b'{"title":"a","filter":"everybody"}', [b"Content-Type: application/json"]),
    (b"POST /v1/segments/count", b'{"filter":"tag = \\"vip\\""}', [b"Content-Type: application/json"]),
    (b"POST /v1/audiences", FORM, [b"Content-Type: multipart/form-data; boundary=x; charset=utf-8"]),
    (b"POST /v1/audiences/import", FORM, [b"Content-Type: multipart/form-data; boundary=x"]),
    (b"POST /v1/media", b"%PDF-1.4 %%EOF", [b"Content-Type: application/pdf"]),
    (b"POST /v1/media/uploads", b"", [b"Upload-Length: 10", b"Tus-Resumable: 1.0.0", b"Upload-Metadata: a YQ=="]),
    (
        b"PATCH /v1/media/uploads/" + SOME,
        b"abc",
        [b"Upload-Offset: 0", b"Content-Type: application/offset+octet-stream"],
    ),
    (
        b"GET /v1/events",
        b"",
        [
            b"Upgrade: websocket",
            b"Connection: Upgrade",
            b"Sec-WebSocket-Version: 13",
            b"Sec-WebSocket-Key: " + b"A" * 22 + b"==",
        ],
    ),
]
HOSTILE = [
    *(
        b"\0",
        b"\r",
        b"\n",
        b"\r\n",
        b"\r\n\r\n",
        b"\xff\xfe",
        b"\xc3\x28",
        b"%00",
        b"%",
        b" ",
        b"\t",
        b":",
        b";" * 40,
        b'"',
    ),
    *(b"\r\nTransfer-Encoding: chunked", b"\r\nContent-Length: 5", b"\r\nContent-Length: 99999999999999999999999"),
    *(
        b"\r\nExpect: 100-continue",
        b"\r\nUpgrade: websocket",
        b"\r\nUpgrade: h2c\r\nConnection: Upgrade",
        b"; charset=punycode",
    ),
    *(b"\r\nConnection: close", b"\r\nPrefer: wait=" + b"9" * 30, b"\r\ntraceparent: 00-" + b"0" * 60, b"boundary="),
    *(
        b"0\r\n\r\n",
        b"ffffffffffffffffff\r\n",
        b"-1\r\n",
        b"5;" + b"a" * 50 + b"\r\nhello\r\n",
        b"\x89\x80abcd",
        b"\x81\xfeabcd",
    ),
    *(
        b"[" * 300,
        b"{" * 300,
        b"\xf0\x9f\x92\xa5",
        b"\\ud800",
        b"9" * 5_000,
        b"a\xcc\x80\xcc\x96" * 100,
        b"../" * 20,
        b"x" * 20_000,
    ),
]


@dataclass
class Watched:
    """What the server said, and what went wrong in it."""

    wrong: list[str] = field(default_factory=list)
    answers: int = 0

    def read(self, said: bytes, answer: bytes) -> None:
        """Take an answer in."""
        self.answers += answer.startswith(b"HTTP/1.1 ")
        if b"HTTP/1.1 500" in answer:
            self.wrong.append(f"500 to {said[:300]!r}")


class Ear(logging.Handler):
    """Hears of errors that nobody handled."""

    def __init__(self, watched: Watched) -> None:
        super().__init__(logging.ERROR)
        self._watched = watched

    def emit(self, record: logging.LogRecord) -> None:
        error = record.exc_info[1] if record.exc_info else None
        self._watched.wrong.append(f"{record.getMessage()} {error!r}")


@pytest.fixture
def watched(house: House) -> Iterator[Watched]:
    """Looks on while the house is spoken to."""
    made = Watched()
    ear, logger = Ear(made), logging.getLogger("uvicorn.error")
    level = logger.level
    logger.setLevel(logging.ERROR)
    logger.addHandler(ear)

    def untended(_loop: Any, context: dict[str, Any]) -> None:
        error = context.get("exception")
        made.wrong.append(f"{context.get('message')} {''.join(traceback.format_exception(error)) if error else error}")

    async def handle(handler: Callable[..., None] | None) -> None:
        asyncio.get_running_loop().set_exception_handler(handler)

    house.run(handle(untended))
    try:
        yield made
    finally:
        house.run(handle(None))
        logger.removeHandler(ear)
        logger.setLevel(level)


def conversation(chance: random.Random, keys: list[bytes]) -> list[bytes]:
    """What one connection says, in pieces."""
    said = b"".join(request(chance, keys) for _ in range(chance.choice([1, 1, 1, 2, 5])))
    for _ in range(chance.choice([0, 1, 1, 2, 4, 8])):
        said = mutated(chance, said)
    if chance.random() < 0.2:
        said += bytes(chance.randrange(256) for _ in range(chance.randrange(400)))
    if chance.random() < 0.3:
        said = said[: chance.randrange(len(said) + 1)]
    cuts = sorted(chance.randrange(len(said) + 1) for _ in range(chance.choice([0, 0, 1, 3])))
    return [said[start:end] for start, end in zip([0, *cuts], [*cuts, len(said)], strict=True)]


def request(chance: random.Random, keys: list[bytes]) -> bytes:
    line, body, heads = chance.choice(REQUESTS)
    lines = [line + b" HTTP/1.1", b"Host: x", b"Authorization: Bearer " + chance.choice(keys), *heads]
    if chance.random() < 0.3 and body:
        pieces = [body[start : start + 20] for start in range(0, len(body), 20)]
        body = b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n\r\n"
        lines.append(b"Transfer-Encoding: chunked")
    elif body:
        lines.append(b"Content-Length: %d" % len(body))
    return b"\r\n".join(lines) + b"\r\n\r\n" + body


def mutated(chance: random.Random, said: bytes) -> bytes:
    place = chance.randrange(len(said) + 1)
    until = min(place + chance.randrange(40), len(said))
    match chance.randrange(5):
        case 0:
            return said[:place] + chance.choice(HOSTILE) + said[place:]
        case 1:
            return said[:place] + said[until:]
        case 2:
            return said[:until] + said[place:]
        case 3:
            return said[:place] + bytes([chance.randrange(256)]) + said[place + 1 :]
    return said[:place] + chance.choice(HOSTILE) + said[until:]


async def hold(house: House, pieces: list[bytes], watched: Watched, *, abort: bool) -> None:
    """Say it, listen for a moment, and leave."""
    address = urlsplit(house.url)
    reader, writer = await asyncio.open_connection(address.hostname, address.port)
    answer = b""
    try:
        with contextlib.suppress(ConnectionError, TimeoutError):
            for piece in pieces:
                writer.write(piece)
                await asyncio.wait_for(writer.drain(), PATIENCE)
            while data := await asyncio.wait_for(reader.read(65_536), PATIENCE):
                answer += data
    finally:
        writer.transport.abort() if abort else writer.close()
    watched.read(b"".join(pieces), answer)


async def speak(house: House, tenant: Tenant, watched: Watched, seed: int, goes_on: Callable[[int], bool]) -> None:
    """Hold conversations, several at once, as long as it goes on."""
    chance = random.Random(seed)
    keys = [tenant.keys[role].encode() for role in ROLES] * 2 + [b"drl_live_" + b"0" * 46, b""]
    numbers = iter(range(1 << 30))

    async def one_after_another() -> None:
        while goes_on(next(numbers)):
            pieces = conversation(chance, keys)
            await hold(house, pieces, watched, abort=chance.random() < 0.5)

    async with asyncio.TaskGroup() as group:
        for _ in range(TOGETHER):
            group.create_task(one_after_another())


def lives(house: House) -> None:
    assert house.http.get(f"{house.url}/healthz").status_code == 200
    checks = house.readyz().json()["checks"]
    assert {checks[name]["status"] for name in ("database", "bus", "streams", "commands", "projections")} == {"ok"}


def memory() -> int:
    """Bytes of this process."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def test_any_bytes_in_any_pieces_are_answered_or_shown_out(house: House, tenant: Tenant, watched: Watched) -> None:
    asyncio.run(speak(house, tenant, watched, 20_261_201, lambda number: number < SHORT))
    assert watched.wrong == []
    assert watched.answers > SHORT / 3
    lives(house)
    house.tenant().campaign()


FRAMES = {  # of a listener that answers no frame: none of them is what it may say
    "reserved opcode": b"\x83\x80abcd",
    "not masked": b"\x81\x02hi",
    "not UTF-8": b"\x81\x82\0\0\0\0\xff\xfe",
    "a text": b"\x81\x82\0\0\0\0hi",
    "a continuation of nothing": b"\x80\x82\0\0\0\0hi",
    "a close that is one byte": b"\x88\x81\0\0\0\0a",
}


@pytest.mark.parametrize("at_once", [True, False], ids=["before it is accepted", "afterwards"])
@pytest.mark.parametrize("frame", FRAMES.values(), ids=FRAMES)
async def test_whatever_a_listener_says_is_no_error_of_ours(
    house: House, tenant: Tenant, watched: Watched, frame: bytes, at_once: bool
) -> None:
    key = tenant.keys[Role.AUDITOR]
    shake = {"Host": "here", "Authorization": f"Bearer {key}", "Upgrade": "websocket", "Connection": "Upgrade"}
    shake |= {"Sec-WebSocket-Version": "13", "Sec-WebSocket-Key": "A" * 22 + "=="}
    head = "".join(f"{name}: {value}\r\n" for name, value in shake.items())
    reader, writer = await asyncio.open_connection("127.0.0.1", httpx.URL(house.url).port)
    try:
        writer.write(f"GET /v1/events HTTP/1.1\r\n{head}\r\n".encode())
        async with asyncio.timeout(10):
            if not at_once:
                assert (await reader.readuntil(b"\r\n")).startswith(b"HTTP/1.1 101")
            writer.write(frame)  # a packet of its own: what comes with the head is not read
            writer.write_eof()
            with contextlib.suppress(ConnectionError):
                while await reader.read(65_536):
                    pass
    finally:
        writer.close()
    assert watched.wrong == []


@pytest.mark.security
@pytest.mark.timeout(600)
def test_for_a_minute_any_bytes_hold_up_nobody_else(house: House, watched: Watched) -> None:
    theirs, ours, seed = house.tenant(), house.tenant(), random.SystemRandom().randrange(1 << 32)
    before, end, took = memory(), time.monotonic() + LONG, list[float]()

    async def work() -> None:
        headers = {"Authorization": f"Bearer {ours.keys[Role.AUTHOR]}", "Prefer": "wait=10"}
        body = {"title": "Spring", "parts": [{"text": "Hello"}]}
        async with httpx.AsyncClient(trust_env=False, timeout=20, headers=headers) as client:
            while time.monotonic() < end:
                began = time.monotonic()
                answer = await client.post(f"{house.url}/v1/campaigns", json=body)
                assert answer.status_code == 200, answer.text
                took.append(time.monotonic() - began)
                await asyncio.sleep(max(0.0, 0.2 - took[-1]))

    async def both() -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(work())
            group.create_task(speak(house, theirs, watched, seed, lambda _: time.monotonic() < end))

    asyncio.run(both())
    took.sort()
    p99, most = took[int(len(took) * 0.99)], took[-1]
    print(f"seed {seed}: {watched.answers} answers; commands {len(took)}, p99 {p99:.3f} s, most {most:.3f} s")  # noqa: T201  # the figures
    assert watched.wrong == [], seed
    assert (p99 <= 1.0, most <= 2.0) == (True, True)
    assert memory() - before < MOST_MEMORY
    lives(house)
