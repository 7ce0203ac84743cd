"""The REST application: its routers, its errors, its pages; it does not start with a route nobody guards."""

from importlib.metadata import version

from fastapi import FastAPI

from api import (
    accounts,
    audiences,
    campaigns,
    commands,
    counts,
    dead_letters,
    deliveries,
    docs,
    errors,
    events,
    health,
    import_forms,
    imports,
    jobs,
    known,
    lookups,
    media,
    media_uploads,
    messages,
    metrics,
    openapi,
    people,
    previews,
    recipients,
    review_queue,
    segments,
    sessions,
    templates,
    timers,
    watching,
    workspace,
)
from api.auth import require_access
from api.deps import Services
from api.lists import ONLY_KNOWN
from api.middleware import DeclaredLimits, Observed, SafeHeaders
from api.uploads import UPLOAD_LIMIT

LARGEST_BODY = 1_000_000  # bytes; the broker takes 1,048,576 with its headers
LARGER = {audiences.router.prefix: UPLOAD_LIMIT, f"{imports.router.prefix}/import": import_forms.LARGEST_IMPORT}
DESCRIPTION = """\
Event-sourced, queue-driven WhatsApp campaigns.

* **Commands** (`POST`, `PUT`) are answered `202` with a `command_id` once they are written down; ask
  `/v1/commands/{id}`, or send `Prefer: wait=N` (at most 30 seconds) for the outcome: `200` applied, a problem when
  refused. What was applied can then be read. `Idempotency-Key` makes a request repeatable: the same key and body is
  the same command; another body is refused.
* **Lists** come in pages of at most `limit` items (200); `next` is the `cursor` of the following one, for the same
  filters. A page can be short and yet have a `next`: no more than 2,000 rows are looked at for one. A query parameter
  that an address does not know is refused.
* **Errors** are problem documents (RFC 9457): `rule` for programs, `field` for what it is about, `detail` for people.
* **Keys** (`Authorization: Bearer drl_live_…`) belong to one workspace and see only what is in it. Every key may read;
  what it may do follows from its roles.
"""
TAGS = {
    "campaigns": "What to say, and to whom; in versions.",
    "templates": "Messages kept to be used again; in versions.",
    "previews": "What one person would get, as chat bubbles show it. Nothing of it is stored.",
    "audiences": "Lists of people, imported from CSV. The people lie sealed in a vault and are shown to nobody.",
    "recipients": "Whether a person, known by an id alone, wants to be written to.",
    "people": "The phone book, for those who may see names and numbers; segments of it by a filter.",
    "media": "Files that messages carry: sealed, and what their content says they are.",
    "messages": "To one person, without a campaign; each is a job of one recipient.",
    "jobs": "A submitted campaign with its frozen audience, on its way through review to its recipients.",
    "deliveries": "What became of each recipient of a job.",
    "review": "Jobs that await a moderator's answer.",
    "accounts": "WhatsApp numbers, how they stand, and the QR that links a phone.",
    "workspace": "The rules that jobs are approved and sent under.",
    "events": "What happens, as it happens: server-sent events and a WebSocket on the log.",
    "timers": "What drumline will do by itself, and when.",
    "counts": "How many of each there are.",
    "search": "By words of titles.",
    "commands": "What became of a command, whichever way it came.",
    "dead letters": "Commands that nobody could handle: looked at, replayed or dropped.",
    "health": "For supervisors and load balancers; no key is needed.",
}


def create(services: Services) -> FastAPI:
    """The application on these services, which stay the caller's to close. Raises UndeclaredAccess."""
    app = FastAPI(
        title="drumline",
        openapi_tags=[{"name": name, "description": text} for name, text in TAGS.items()],
        version=version("drumline"),
        docs_url=None,
        redoc_url=None,
        openapi_url="/openapi.json",
        redirect_slashes=False,
    )
    app.state.services = services
    app.state.look = health.SharedLook(services)
    for module in (
        campaigns,
        media_uploads,
        media,
        templates,
        previews,
        imports,
        audiences,
        recipients,
        people,
        segments,
        messages,
        jobs,
        deliveries,
        review_queue,
        accounts,
        sessions,
        known,
        watching,
        workspace,
        events,
        commands,
        timers,
        counts,
        lookups,
        dead_letters,
        health,
        metrics,
    ):
        app.include_router(module.router, max_body_size=LARGEST_BODY, dependencies=[ONLY_KNOWN])
    errors.install(app)
    docs.install(app)
    openapi.install(app, DESCRIPTION)
    app.add_middleware(DeclaredLimits, usual=LARGEST_BODY, special=LARGER, below={media.router.prefix: media.LARGEST})
    app.add_middleware(SafeHeaders)
    app.add_middleware(Observed)
    require_access(app)
    return app
