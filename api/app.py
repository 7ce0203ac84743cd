"""The REST application: its routers, its errors, its pages; it does not start with a route nobody guards."""

from importlib.metadata import version

from fastapi import FastAPI
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api import (
    accounts,
    audiences,
    campaigns,
    commands,
    deliveries,
    docs,
    errors,
    health,
    jobs,
    openapi,
    recipients,
    review_queue,
    workspace,
)
from api.auth import require_access
from api.deps import Services

LARGEST_BODY = 1_000_000  # bytes; the broker takes 1,048,576 with its headers
HEADERS = ((b"x-content-type-options", b"nosniff"), (b"referrer-policy", b"no-referrer"))
DESCRIPTION = """\
Event-sourced, queue-driven WhatsApp campaigns.

* **Commands** (`POST`, `PUT`) are answered `202` with a `command_id` once they are written down; ask
  `/v1/commands/{id}`, or send `Prefer: wait=N` (at most 30 seconds) for the outcome: `200` applied, a problem when
  refused. What was applied can then be read. `Idempotency-Key` makes a request repeatable: the same key and body is
  the same command; another body is refused.
* **Lists** come in pages of `limit` items (at most 200); `next` is the `cursor` of the following one.
* **Errors** are problem documents (RFC 9457): `rule` for programs, `field` for what it is about, `detail` for people.
* **Keys** (`Authorization: Bearer drl_live_…`) belong to one workspace and see only what is in it. Every key may read;
  what it may do follows from its roles.
"""
TAGS = {
    "campaigns": "What to say, and to whom; in versions.",
    "audiences": "Lists of people, imported from CSV. The people lie sealed in a vault and are shown to nobody.",
    "recipients": "Whether a person, known by an id alone, wants to be written to.",
    "jobs": "A submitted campaign with its frozen audience, on its way through review to its recipients.",
    "deliveries": "What became of each recipient of a job.",
    "review": "Jobs that await a moderator's answer.",
    "accounts": "WhatsApp numbers, how they stand, and the QR that links a phone.",
    "workspace": "The rules that jobs are approved and sent under.",
    "commands": "What became of a command, whichever way it came.",
    "health": "For supervisors and load balancers; no key is needed.",
}


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


def create(services: Services) -> FastAPI:
    """The application on these services, which stay the caller's to close. Raises UndeclaredAccess."""
    app = FastAPI(
        title="drumline",
        openapi_tags=[{"name": name, "description": text} for name, text in TAGS.items()],
        version=version("drumline"),
        docs_url=None,
        redoc_url=None,
        openapi_url="/openapi.json",
        max_body_size=LARGEST_BODY,
    )
    app.state.services = services
    for module in (
        campaigns,
        audiences,
        recipients,
        jobs,
        deliveries,
        review_queue,
        accounts,
        workspace,
        commands,
        health,
    ):
        app.include_router(module.router)
    errors.install(app)
    docs.install(app)
    openapi.install(app, DESCRIPTION)
    app.add_middleware(SafeHeaders)
    require_access(app)
    return app
