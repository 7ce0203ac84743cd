"""What is done to every request before, and to every answer after, the application."""

import asyncio
import time
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, cast

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from adapters import cloudevents, metrics, tracing
from api.errors import RETRY_AFTER, ApiError

HEADERS = ((b"x-content-type-options", b"nosniff"), (b"referrer-policy", b"no-referrer"))

MOST_DISCARDED = 32 << 20  # bytes
PATIENCE = 5.0  # seconds
SWEEP = 1.0  # seconds between two looks for requests that wait too long
LONGEST_ANSWER = 180.0  # seconds without a piece of the body until the answer begins: more than any statement may take


class Waits:
    """Requests whose answer has not begun; one sweep a second ends those that wait too long, for a timer of each would
    cost each."""

    def __init__(self) -> None:
        self._since: dict[asyncio.Task[Any], float] = {}
        self._ended: set[asyncio.Task[Any]] = set()
        self._next: asyncio.TimerHandle | None = None

    def begin(self, task: asyncio.Task[Any], now: float) -> None:
        self._since[task] = now
        if self._next is None:
            self._next = task.get_loop().call_later(SWEEP, self._sweep)

    def moved(self, task: asyncio.Task[Any]) -> None:
        """A piece of the body has come."""
        if task in self._since:
            self._since[task] = time.monotonic()

    def end(self, task: asyncio.Task[Any]) -> None:
        """The answer has begun, or there will be none."""
        self._since.pop(task, None)
        self._ended.discard(task)

    def ended(self, task: asyncio.Task[Any]) -> bool:
        """Whether a cancellation of the task was ours, and nobody else's, too; told once."""
        if task not in self._ended:
            return False
        self._ended.remove(task)
        return not task.uncancel()

    def _sweep(self) -> None:
        latest = time.monotonic() - LONGEST_ANSWER
        for task in [task for task, since in self._since.items() if since < latest]:
            del self._since[task]
            self._ended.add(task)
            task.cancel()
        self._next = asyncio.get_running_loop().call_later(SWEEP, self._sweep) if self._since else None


class Observed:
    """Times every request until its answer begins, and traces it, under the route's template: an address may hold
    anything."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._waits = Waits()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
        elif not scope["path"].startswith("/v1/"):  # who looks after us is not traced
            await self._served(scope, receive, send)
        else:
            given = Headers(scope=scope).get(cloudevents.TRACEPARENT, "")
            follows = cloudevents.traceparent({cloudevents.TRACEPARENT: given})
            with tracing.span("HTTP", tracing.SERVER, {"url.scheme": scope["scheme"]}, follows):
                await self._served(scope, receive, send)

    async def _served(self, scope: Scope, receive: Receive, send: Send) -> None:
        began, waits = time.monotonic(), self._waits
        task = cast("asyncio.Task[Any]", asyncio.current_task())  # every request is answered by one

        def answered(status: int) -> None:
            route = getattr(scope.get("route"), "path", None)
            metrics.requested(scope["method"], route, status, time.monotonic() - began)
            tracing.answered(scope["method"], route, status)

        async def send_counted(message: Message) -> None:
            if message["type"] == "http.response.start":
                waits.end(task)  # whoever takes it slowly is the connection's business
                answered(message["status"])
            await send(message)

        async def receive_waited_for() -> Message:
            message = await receive()
            waits.moved(task)
            return message

        waits.begin(task, began)
        try:
            await self._app(scope, receive_waited_for, send_counted)
        except asyncio.CancelledError:  # by us, if a server hangs: whoever waits for it is not to wait for ever
            if not waits.ended(task):
                raise
            problem = ApiError(503, "unavailable", "server", headers={"Retry-After": RETRY_AFTER})
            await problem.response()(scope, receive, send_counted)
        except Exception:  # the framework answers it, outside of all that is added here
            answered(500)
            raise
        finally:
            waits.end(task)
            if (given_back := scope.get("state", {}).pop("answered", None)) is not None:
                given_back()


class SafeHeaders:
    """Adds the headers every answer has; what the API tells is not kept by anybody on the way."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_with(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = [*message.get("headers", []), *HEADERS]
                if scope["path"].startswith("/v1/") and not any(name == b"cache-control" for name, _ in headers):
                    headers.append((b"cache-control", b"no-store"))
                message = {**message, "headers": headers}
            await send(message)

        await self._app(scope, receive, send_with)


class DeclaredLimits:
    """Refuses a body by the length it declares; not a byte of it is kept.

    One that declares none is stopped by the framework, under the same limits, while it is read.
    """

    def __init__(self, app: ASGIApp, usual: int, special: Mapping[str, int], below: Mapping[str, int]) -> None:
        """`special`: of one address; `below`: of an address and of all that begin with it."""
        self._app = app
        self._below = below
        self._usual = usual
        self._special = special
        self._least = min(usual, *special.values(), *below.values())  # no address refuses what is smaller

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = dict(scope.get("headers", ()))
        declared = headers.get(b"content-length", b"0")
        size = int(declared) if declared.isdigit() else 0
        limit = self._limit(scope["path"]) if size > self._least and scope["type"] == "http" else self._usual
        if size <= limit:
            await self._app(scope, receive, send)
            return
        if b"expect" not in headers:  # who expects a "continue" has sent nothing yet
            await discard(receive)
        problem = ApiError(413, "too_large", "body", params={"maximum": limit}, headers={"Connection": "close"})
        await problem.response()(scope, receive, send)

    def _limit(self, path: str) -> int:
        larger = (limit for prefix, limit in self._below.items() if f"{path}/".startswith(f"{prefix}/"))
        return next(larger, self._special.get(path, self._usual))


async def discard(receive: Receive) -> None:
    """Let a client finish sending, within limits: one that is cut off in the middle never reads the answer."""
    left = MOST_DISCARDED
    with suppress(TimeoutError):
        async with asyncio.timeout(PATIENCE):
            while left > 0:
                message = await receive()
                left -= len(message.get("body", b""))
                if not message.get("more_body"):
                    return
