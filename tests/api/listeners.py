"""Who listens to /v1/events in tests: over server-sent events and over a WebSocket, from a place it remembers."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
from websockets.asyncio.client import connect

Event = dict[str, Any]


async def blocks(answer: httpx.Response) -> AsyncIterator[dict[str, str]]:
    """The blocks of a stream as they are completed, each with its fields."""
    fields: dict[str, str] = {}
    async for line in answer.aiter_lines():
        if line:
            name, _, value = line.partition(": ")
            fields[name] = value
        else:
            yield fields
            fields = {}


class Listener:
    """One that listens over and over, and keeps what it heard in `heard` and how far it is in `place`."""

    def __init__(self, url: str, key: str, *, after: str = "latest", topics: str = "") -> None:
        self.url = url
        self.query = {"after": after} | ({"topics": topics} if topics else {})
        self.headers = {"Authorization": f"Bearer {key}"}
        self.place: str | None = None
        self.heard: list[Event] = []
        self.times = 0

    @property
    def ids(self) -> list[str]:
        return [event["id"] for event in self.heard]

    @asynccontextmanager
    async def answer(self) -> AsyncIterator[httpx.Response]:
        """The answer to a request for the stream."""
        headers = self.headers | ({"Last-Event-ID": self.place} if self.place else {})
        async with (
            httpx.AsyncClient(trust_env=False, timeout=20) as http,
            http.stream("GET", f"{self.url}/v1/events", params=self.query, headers=headers) as answer,
        ):
            yield answer

    async def by_sse(self) -> None:
        """Listen until the stream ends or is cut."""
        async with self.answer() as answer:
            assert answer.status_code == 200, await answer.aread()
            self.times += 1
            async for block in blocks(answer):
                if "data" in block:
                    self.heard.append(json.loads(block["data"]))
                self.place = block.get("id", self.place)

    async def by_websocket(self) -> None:
        """The same over a WebSocket."""
        query = httpx.QueryParams(self.query | ({"after": self.place} if self.place else {}))
        address = f"{self.url.replace('http', 'ws', 1)}/v1/events?{query}"
        async with connect(address, additional_headers=self.headers, proxy=None) as socket:
            self.times += 1
            async for text in socket:
                event = json.loads(text)
                if "id" in event:
                    self.heard.append(event)
                self.place = event["position"]
