"""Fetching a file from a URL that somebody chose: only from public addresses, within time, and from nowhere else."""

import asyncio
import re
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from http import HTTPStatus

import httpx

from adapters.addresses import is_global
from adapters.runtime.pools import NAMES
from adapters.runtime.turns import Turns
from domain.message import Refused, WorkspaceId

FIELD = "url"
PORTS = (80, 443)
LONGEST_URL = 2_000
HOST = re.compile(rb"[a-z0-9._:-]{1,253}")
AT_ONCE = 4  # fetches in a process
CONNECTING = 10.0  # seconds, also of silence in between
WHOLE = 60.0  # seconds that a fetch may take, its turn included

Resolve = Callable[[str, int], Awaitable[Sequence[str]]]
"""(name, port) -> its addresses."""


@dataclass(frozen=True, slots=True)
class Fetched:
    """A file that is being fetched, and the size that its server declares."""

    chunks: AsyncIterator[bytes]
    size: int | None


async def resolve(name: str, port: int) -> Sequence[str]:
    """The addresses that the machine's resolver gives for a name."""
    found = await NAMES.run(name, partial(socket.getaddrinfo, name, port, type=socket.SOCK_STREAM))
    return [str(address[0]) for *_, address in found]


class Fetcher:
    """A name is resolved once; every address must be allowed, and the first is connected to: no other look-up comes."""

    def __init__(
        self,
        *,
        resolve: Resolve = resolve,
        allowed: Callable[[str], bool] = is_global,
        ports: Sequence[int] = PORTS,
        seconds: float = WHOLE,
        verify: bool = True,
    ) -> None:
        self._resolve = resolve
        self._allowed = allowed
        self._ports = ports
        self._seconds = seconds
        self._verify = verify
        self._turns = Turns(AT_ONCE, AT_ONCE // 2)

    @asynccontextmanager
    async def fetch(self, workspace: WorkspaceId, text: str, largest: int) -> AsyncIterator[Fetched]:
        """Begin to fetch; what comes is neither unpacked nor believed. Raises Refused, also while it comes."""
        url = self._read(text)
        try:
            async with asyncio.timeout(self._seconds), self._turns.of(workspace):
                address = await self._address(url)
                async with self._client() as client:
                    request = client.build_request(
                        "GET",
                        url.copy_with(host=address),
                        headers={"Host": url.netloc.decode(), "Accept": "*/*", "Accept-Encoding": "identity"},
                        extensions={"sni_hostname": url.raw_host.decode()},
                    )
                    answer = await client.send(request, stream=True)
                    try:
                        yield Fetched(answer.aiter_raw(), checked(answer, largest))
                    finally:
                        await answer.aclose()
        except (httpx.HTTPError, httpx.InvalidURL, TimeoutError):
            raise Refused("not_fetched", field=FIELD) from None  # their words name the address

    def _client(self) -> httpx.AsyncClient:
        return httpx.AsyncClient(trust_env=False, follow_redirects=False, timeout=CONNECTING, verify=self._verify)

    def _read(self, text: str) -> httpx.URL:
        try:
            url = httpx.URL(text if len(text) <= LONGEST_URL else "")
        except httpx.InvalidURL:
            raise Refused("bad_url", field=FIELD) from None
        usual = {"http": 80, "https": 443}.get(url.scheme)
        port = usual if url.port is None else url.port
        if usual is None or not HOST.fullmatch(url.raw_host) or url.userinfo or port not in self._ports:
            raise Refused("bad_url", field=FIELD)
        return url

    async def _address(self, url: httpx.URL) -> str:
        try:
            found = await self._resolve(url.raw_host.decode(), url.port or 443)
        except (OSError, UnicodeError):
            raise Refused("not_fetched", field=FIELD) from None
        if not found or not all(self._allowed(address) for address in found):
            raise Refused("address_not_global", field=FIELD)
        return found[0]


def checked(answer: httpx.Response, largest: int) -> int | None:
    """The size that an answer declares. Raises Refused for one that is no file, or too large."""
    if answer.is_redirect or answer.has_redirect_location:
        raise Refused("redirected", field=FIELD)
    if answer.status_code != HTTPStatus.OK:
        raise Refused("not_fetched", field=FIELD, status=answer.status_code)
    declared = answer.headers.get("content-length", "")
    size = int(declared) if declared.isascii() and declared.isdigit() and len(declared) < 16 else None
    if size is not None and size > largest:
        raise Refused("file_too_large", field=FIELD, kind="file", maximum=largest)
    return size or None
