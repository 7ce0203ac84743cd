"""The REST API as the demo uses it: the way any other client would, with a key and over HTTP."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

import httpx

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
    """One person's view of the API: `async with Api(url, key) as author: await author.post("/v1/campaigns", body)`."""

    def __init__(self, url: str, key: str, wait: int = 15) -> None:
        headers = {"Authorization": f"Bearer {key}", "Prefer": f"wait={wait}"}
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
        return self._read(await self._http.get(path, params=query))

    async def text(self, path: str) -> str | None:
        """A plain text answer, or None while there is none."""
        response = await self._http.get(path, headers={"Accept": "text/plain"})
        return response.text if response.status_code == httpx.codes.OK else None

    async def post(self, path: str, body: Any = None) -> Any:
        """Give a command and wait for its outcome. Raises Problem when it is refused."""
        return self._read(await self._http.post(path, json=body if body is not None else {}))

    async def put(self, path: str, body: Any) -> Any:
        """Set a policy and wait for the outcome. Raises Problem when it is refused."""
        return self._read(await self._http.put(path, json=body))

    async def upload(self, path: str, file: Path, **form: str) -> Any:
        """Send a file as a form. Raises Problem."""
        files = {"file": (file.name, file.read_bytes(), "text/csv")}  # noqa: ASYNC240  # read whole: it is small
        return self._read(await self._http.post(path, files=files, data=form))

    @staticmethod
    def _read(response: httpx.Response) -> Any:
        document = response.json()
        if response.is_error:
            raise Problem(document)
        return document
