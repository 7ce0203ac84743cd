"""A file is fetched from the very address that was checked, and from nowhere else."""

import asyncio
import socketserver
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from itertools import takewhile

import pytest

from adapters.media_fetch import Fetcher
from domain.message import Refused, WorkspaceId

HERE = WorkspaceId("here")
LARGEST = 1_000
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\nHello"


class Server(socketserver.ThreadingTCPServer):
    """Says one answer to everybody, and remembers what was asked."""

    daemon_threads = False  # so that closing waits for those that still talk

    def __init__(self, answer: bytes, *, ends: bool) -> None:
        self.answer, self.ends = answer, ends
        self.asked: list[bytes] = []
        super().__init__(("127.0.0.1", 0), Talk)

    @property
    def port(self) -> int:
        return int(self.server_address[1])


class Talk(socketserver.StreamRequestHandler):
    server: Server

    def handle(self) -> None:
        with suppress(ConnectionError):
            lines = iter(self.rfile.readline, b"\r\n")
            self.server.asked.append(b"".join(takewhile(bool, lines)))
            self.wfile.write(self.server.answer)
            self.wfile.flush()
            if not self.server.ends:
                self.rfile.read()  # until the other side has enough


@contextmanager
def serving(answer: bytes, *, ends: bool = True) -> Iterator[Server]:
    with Server(answer, ends=ends) as server, ThreadPoolExecutor(1) as thread:
        thread.submit(server.serve_forever, 0.01)
        try:
            yield server
        finally:
            server.shutdown()


def resolver(*addresses: str) -> tuple[Callable[[str, int], Awaitable[Sequence[str]]], list[str]]:
    """A resolver that knows one answer, and the names it was asked for."""
    asked: list[str] = []

    async def resolve(name: str, port: int) -> Sequence[str]:
        asked.append(name)
        return addresses

    return resolve, asked


def fetcher(port: int, *addresses: str, seconds: float = 20.0) -> tuple[Fetcher, list[str]]:
    resolve, asked = resolver(*(addresses or ("127.0.0.1",)))
    return Fetcher(resolve=resolve, allowed=lambda _: True, ports=[port], seconds=seconds), asked


async def fetched(fetcher: Fetcher, url: str) -> bytes:
    async with fetcher.fetch(HERE, url, LARGEST) as found:
        return b"".join([chunk async for chunk in found.chunks])


async def refusal(fetcher: Fetcher, url: str) -> str:
    with pytest.raises(Refused) as refused:
        await fetched(fetcher, url)
    assert refused.value.field == "url"
    return refused.value.rule


async def test_a_name_is_resolved_once_and_the_server_is_asked_by_it() -> None:
    with serving(OK) as server:
        getting, asked = fetcher(server.port)
        assert await fetched(getting, f"http://pictures.example:{server.port}/a.jpg?size=2") == b"Hello"
    assert asked == ["pictures.example"]
    assert server.asked[0].startswith(b"GET /a.jpg?size=2 HTTP/1.1\r\n")
    assert f"\r\nHost: pictures.example:{server.port}\r\n".encode() in server.asked[0]


@pytest.mark.parametrize(
    "addresses", [["127.0.0.1"], ["::1"], ["1.1.1.1", "10.0.0.1"], ["::ffff:127.0.0.1"], ["64:ff9b::7f00:1"], []]
)
async def test_a_name_that_leads_inside_is_refused_before_anything_is_connected_to(addresses: list[str]) -> None:
    with serving(OK) as server:
        resolve, _ = resolver(*addresses)
        strict = Fetcher(resolve=resolve, ports=[server.port])
        assert await refusal(strict, f"http://pictures.example:{server.port}/") == "address_not_global"
    assert server.asked == []


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::1]", "2130706433", "0x7f.1", "[::ffff:127.0.0.1]"])
async def test_inside_is_refused_however_it_is_written(host: str) -> None:
    assert await refusal(Fetcher(), f"http://{host}/") in ("address_not_global", "not_fetched")


@pytest.mark.parametrize(
    "url",
    [
        *("", "x", "ftp://example.com/", "file:///etc/passwd", "gopher://example.com:80/", "//example.com/", "http://"),
        *("http://user:word@example.com/", "http://example.com:22/", "http://example.com:0/", "http://[::1/"),
        *("https://" + "a" * 2_000, "http://exa mple.com/", "data:text/plain,Hello", "http://example.com:99999/"),
    ],
)
async def test_only_plain_urls_of_the_web_are_taken(url: str) -> None:
    assert await refusal(Fetcher(), url) == "bad_url", url


async def test_no_redirect_is_followed() -> None:
    answer = b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1/\r\nContent-Length: 0\r\n\r\n"
    with serving(answer) as server:
        getting, asked = fetcher(server.port)
        assert await refusal(getting, f"http://pictures.example:{server.port}/") == "redirected"
    assert asked == ["pictures.example"]


@pytest.mark.parametrize(
    ("answer", "rule"),
    [
        (b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n", "not_fetched"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 1001\r\n\r\n", "file_too_large"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\nHello", "not_fetched"),
        (b"SSH-2.0-OpenSSH\r\n", "not_fetched"),
        (b"", "not_fetched"),
    ],
)
async def test_what_is_no_whole_file_is_refused(answer: bytes, rule: str) -> None:
    with serving(answer) as server:
        getting, _ = fetcher(server.port)
        assert await refusal(getting, f"http://pictures.example:{server.port}/") == rule


async def test_slow_servers_keep_others_waiting_no_longer_than_a_fetch_may_take() -> None:
    asked: list[str] = []

    async def resolve(name: str, port: int) -> Sequence[str]:
        asked.append(name)
        await asyncio.sleep(60)
        return []

    slow, began = Fetcher(resolve=resolve, seconds=1.0), time.monotonic()
    refused = await asyncio.gather(*(refusal(slow, f"http://{n}.example/") for n in range(40)))
    assert set(refused) == {"not_fetched"}
    assert asked
    assert time.monotonic() - began < 6.0  # were each to begin its time with its turn, it would be 10


async def test_a_server_that_takes_its_time_is_left() -> None:
    with serving(b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\nHello", ends=False) as server:
        getting, _ = fetcher(server.port, seconds=0.2)
        assert await refusal(getting, f"http://pictures.example:{server.port}/") == "not_fetched"
