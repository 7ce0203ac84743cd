"""The REST API as the demo uses it: the way any other client would, with a key and over HTTP."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar
from uuid import uuid4

import httpx

NOT_YET = (202, 502, 503, 504)  # no outcome yet; or the API, or what it needs, is not there now
TRY_AGAIN = 0.25  # seconds
Found = TypeVar("Found")


async def until(ask: Callable[[], Awaitable[Found | None]], every: float = 0.1) -> Found:
    """Ask a server again and again until its answer says something; bound it by a time-out of your own."""
    while True:
        found = await ask()
        if found:
            return found
        await asyncio.sleep(every)


class Problem(Exception):
    """The API's answer was a problem document."""

    def __init__(self, document: dict[str, Any]) -> None:
        super().__init__(document.get("title", ""))
        self.document = document

    @property
    def rule(self) -> str:
        return str(self.document.get("rule", ""))

    @property
    def field(self) -> str:
        return str(self.document.get("field", ""))


class Api:
    """One person's view of the API: `async with Api(url, key) as author: await author.post("/v1/campaigns", body)`.

    For `patience` seconds a request that has no answer yet is sent again; a command goes under one Idempotency-Key, so
    it is given once however often it is sent.
    """

    def __init__(self, url: str, key: str, wait: int = 15, patience: float = 0.0) -> None:
        headers = {"Authorization": f"Bearer {key}", "Prefer": f"wait={wait}"}
        self._patience = patience
        # Proxies of the environment are for the outside, never for this machine.
        self._http = httpx.AsyncClient(base_url=url, headers=headers, timeout=wait + 15.0, trust_env=False)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._http.aclose()

    async def get(self, path: str, **query: Any) -> Any:
        """The JSON that a question is answered with. Raises Problem."""
        return read(await self._ask("GET", path, params=query))

    async def text(self, path: str) -> str | None:
        """A plain text answer, or None while there is none."""
        response = await self._ask("GET", path, headers={"Accept": "text/plain"})
        return response.text if response.status_code == httpx.codes.OK else None

    async def post(self, path: str, body: Any = None, key: str | None = None) -> Any:
        """Give a command and wait for its outcome; the same `key` is the same command. Raises Problem."""
        return read(await self._ask("POST", path, key, json=body if body is not None else {}))

    async def put(self, path: str, body: Any, key: str | None = None) -> Any:
        """Set a policy and wait for the outcome. Raises Problem when it is refused."""
        return read(await self._ask("PUT", path, key, json=body))

    async def upload(self, path: str, file: Path, key: str | None = None, **form: str) -> Any:
        """Send a file as a form. Raises Problem."""
        files = {"file": (file.name, file.read_bytes(), "text/csv")}  # noqa: ASYNC240  # read whole: it is small
        return read(await self._ask("POST", path, key, files=files, data=form))

    async def send(self, path: str, file: Path, kind: str, key: str | None = None) -> Any:
        """Send a file as it is; `kind` is its media type. Raises Problem."""
        content = file.read_bytes()  # noqa: ASYNC240  # read whole: it is small
        return read(await self._ask("POST", path, key, content=content, headers={"Content-Type": kind}))

    async def _ask(self, method: str, path: str, key: str | None = None, **how: Any) -> httpx.Response:
        if method != "GET":
            how["headers"] = {"Idempotency-Key": key or uuid4().hex} | how.get("headers", {})
        clock = asyncio.get_running_loop().time
        deadline = clock() + self._patience
        while True:
            try:
                response = await self._http.request(method, path, **how)
                if response.status_code not in NOT_YET or clock() >= deadline:
                    return response
            except httpx.TransportError:
                if clock() >= deadline:
                    raise
            await asyncio.sleep(TRY_AGAIN)


def read(response: httpx.Response) -> Any:
    """The JSON of an answer. Raises Problem."""
    document = response.json()
    if response.is_error:
        raise Problem(document)
    return document
