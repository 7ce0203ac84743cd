"""What is done to every request before, and to every answer after, the application."""

import asyncio
import time
from collections.abc import Mapping
from contextlib import suppress

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from adapters import cloudevents, metrics, tracing
from api.errors import RETRY_AFTER, ApiError

HEADERS = ((b"x-content-type-options", b"nosniff"), (b"referrer-policy", b"no-referrer"))

MOST_DISCARDED = 32 << 20  # bytes
PATIENCE = 5.0  # seconds
LONGEST_ANSWER = 180.0  # seconds without a piece of the body until the answer begins: more than any statement may take


class Observed:
    """Times every request until its answer begins, and traces it, under the route's template: an address may hold
    anything."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        began = time.monotonic()

        def answered(status: int) -> None:
            route = getattr(scope.get("route"), "path", None)
            metrics.requested(scope["method"], route, status, time.monotonic() - began)
            tracing.answered(scope["method"], route, status)

        deadline = asyncio.timeout(LONGEST_ANSWER)

        async def send_counted(message: Message) -> None:
            if message["type"] == "http.response.start":
                if not deadline.expired():
                    deadline.reschedule(None)  # whoever takes it slowly is the connection's business
                answered(message["status"])
            await send(message)

        async def receive_waited_for() -> Message:
            message = await receive()
            if message["type"] == "http.request" and deadline.when() is not None and not deadline.expired():
                deadline.reschedule(asyncio.get_running_loop().time() + LONGEST_ANSWER)
            return message

        async def served() -> None:
            try:
                async with deadline:
                    await self._app(scope, receive_waited_for, send_counted)
            except TimeoutError:  # a server that hangs: whoever waits for it is not to wait for ever
                if not deadline.expired():
                    raise
                problem = ApiError(503, "unavailable", "server", headers={"Retry-After": RETRY_AFTER})
                await problem.response()(scope, receive, send_counted)
            except Exception:  # the framework answers it, outside of all that is added here
                answered(500)
                raise
            finally:
                if (given_back := scope.get("state", {}).pop("answered", None)) is not None:
                    given_back()

        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        if not scope["path"].startswith("/v1/"):  # who looks after us is not traced
            await served()
            return
        given = Headers(scope=scope).get(cloudevents.TRACEPARENT, "")
        follows = cloudevents.traceparent({cloudevents.TRACEPARENT: given})
        with tracing.span("HTTP", tracing.SERVER, {"url.scheme": scope["scheme"]}, follows):
            await served()


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

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = dict(scope.get("headers", ()))
        declared = headers.get(b"content-length", b"0")
        limit = self._limit(scope["path"]) if scope["type"] == "http" else self._usual
        if not declared.isdigit() or int(declared) <= limit:
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
