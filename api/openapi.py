"""What the OpenAPI document says beyond the signatures: bodies from the catalog, problems, examples."""

from collections.abc import Mapping, Sequence
from typing import Any

from fastapi import Depends, FastAPI
from fastapi.openapi.utils import get_openapi
from fastapi.routing import APIRoute, iter_route_contexts

from adapters.wire import model
from api.answers import CommandAnswer
from api.auth import Giver
from api.errors import MEDIA_TYPE, ApiError, Problem

COMMAND_ID = "0b8f5a52-6c3c-5d0e-9f57-5a1d3a0f6c11"
COMMAND = "x-command"  # on an operation: the permanent name of what it gives
REFERENCE = "#/components/schemas/{model}"

SAYS = {
    401: ("No key, or one that is not valid.", ApiError(401, "unauthenticated", "Authorization")),
    403: ("The key's roles do not allow it.", ApiError(403, "role_required", "actor", params={"role": "moderator"})),
    404: ("There is no such thing in the key's workspace.", ApiError(404, "unknown_job", "job_id")),
    409: (
        "Refused: it does not fit how things stand.",
        ApiError(409, "not_awaiting_review", "job_id", params={"status": "running"}, command_id=COMMAND_ID),
    ),
    412: ("Another version of tus is spoken here.", ApiError(412, "tus_version", "Tus-Resumable")),
    413: ("The body is too large.", ApiError(413, "too_large", "body")),
    415: (
        "The body is of another type.",
        ApiError(415, "unsupported_media_type", "Content-Type", params={"media_type": "application/json"}),
    ),
    422: ("Refused: a field breaks a rule.", ApiError(422, "too_many", "parts", params={"maximum": 10})),
    429: (
        "Too much at once: try again after `Retry-After` seconds.",
        ApiError(429, "too_many_requests", "Authorization", params={"maximum": 100}),
    ),
    507: ("The disk is nearly full.", ApiError(507, "disk_full", "server")),
    503: ("Something is away for the moment.", ApiError(503, "unavailable", "server")),
}
READING = (401, 422, 503)
COMMANDING = (401, 403, 409, 413, 415, 422, 429, 503, 507)


def problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The problems a route may answer with."""
    if 401 in statuses:  # whoever is known by a key may ask for too much
        statuses = (*statuses, 429)
    return {
        status: {
            "description": SAYS[status][0],
            "content": {
                MEDIA_TYPE: {
                    "schema": {"$ref": REFERENCE.format(model="Problem")},
                    "example": SAYS[status][1].document.model_dump(mode="json"),
                }
            },
        }
        for status in sorted(set(statuses))
    }


def answers(status: int, description: str, example: Any) -> dict[int | str, dict[str, Any]]:
    """An answer's description and example."""
    return {status: {"description": description, "content": {"application/json": {"example": example}}}}


def reads(example: Any, *, of_one: bool = False) -> dict[str, Any]:
    """What a route that reads declares: its answer's example, and its problems."""
    statuses = sorted({*READING, 404}) if of_one else READING
    return {"responses": answers(200, "As asked.", example) | problems(*statuses)}


def pages(example: Mapping[str, Any], *, missing: bool = False, more: Sequence[int] = ()) -> dict[str, Any]:
    """The same for a list; `missing`: the address names what may not exist; `more`: statuses of its own."""
    statuses = sorted({*READING, *more, *((404,) if missing else ())})
    page = {"items": [example], "next": "7qNoVvHsZVhbNDEyMF0"}
    return {"responses": answers(200, "A page.", page) | problems(*statuses)}


def gives(name: str, *, path: str | None = None, made: str | None = None, example: Any = None) -> dict[str, Any]:
    """What a route that takes a command declares: who may give it, its body (without the field that its `path` gives,
    or that is `made` by us), its answers."""
    without = frozenset(field for field in (path, made) if field)
    body = model(name, without)
    content = {"schema": {"$ref": REFERENCE.format(model=body.__name__)}, "example": example or {}}
    required = any(field.is_required() for field in body.model_fields.values())
    told: dict[str, Any] = {"command_id": COMMAND_ID, "name": name}
    if without:
        told[f"{name.partition('.')[0]}_id"] = "5f0c8a3e-9a44-5b0e-8a55-0d6b1c1f2a77"
    responses = answers(202, "Accepted: look at `Location`, or ask with `Prefer: wait=N`.", pending(told))
    responses |= answers(200, "Applied (with `Prefer: wait=N`, or asked again under the same key).", applied(told))
    responses |= problems(*COMMANDING, *([404] if path else []))
    for status in (200, 202):
        responses[status]["model"] = CommandAnswer
    return {
        "status_code": 202,
        "dependencies": [Depends(Giver(name))],
        "responses": dict(sorted(responses.items(), key=lambda item: int(item[0]))),
        "openapi_extra": {
            COMMAND: {"name": name, "without": sorted(without)},
            "requestBody": {"required": required, "content": {"application/json": content}},
        },
    }


def pending(told: dict[str, Any]) -> dict[str, Any]:
    """An example of a command on its way."""
    return example_of({**told, "state": "pending", "received_at": "2026-11-21T09:30:00Z"})


def applied(told: dict[str, Any]) -> dict[str, Any]:
    """An example of a command that was applied."""
    times = {"received_at": "2026-11-21T09:30:00Z", "answered_at": "2026-11-21T09:30:00.012Z"}
    return example_of({**told, "state": "applied", "version": 1, "position": 4120, **times})


def example_of(values: dict[str, Any]) -> dict[str, Any]:
    return CommandAnswer.model_validate(values).model_dump(mode="json", exclude_none=True)


def install(app: FastAPI, description: str) -> None:
    """Make the application's document ours: with the bodies of its commands, and the problems."""

    def document() -> dict[str, Any]:
        if app.openapi_schema is None:
            made = get_openapi(
                title=app.title,
                version=app.version,
                description=description,
                routes=app.routes,
                tags=app.openapi_tags,
            )
            made["components"]["schemas"] |= schemas(made["paths"])
            restore_examples(app, made["paths"])
            app.openapi_schema = made
        return app.openapi_schema

    app.openapi = document  # type: ignore[method-assign]  # FastAPI's documented way to extend the document


def schemas(paths: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """The schemas that our own references name."""
    found: dict[str, Any] = {"Problem": Problem.model_json_schema(ref_template=REFERENCE)}
    for operation in (operation for path in paths.values() for operation in path.values()):
        if COMMAND in operation:
            command = operation[COMMAND]
            schema = model(command["name"], frozenset(command["without"])).model_json_schema(ref_template=REFERENCE)
            found |= schema.pop("$defs", {})
            found[schema["title"]] = schema
            operation[COMMAND] = command["name"]
    return found


def restore_examples(app: FastAPI, paths: dict[str, Any]) -> None:
    """Put our examples in again as they are: the framework takes every null out of them."""
    contexts: list[Any] = [c for c in iter_route_contexts(app.routes) if isinstance(c.original_route, APIRoute)]
    for route in contexts:
        for method in route.methods if route.include_in_schema else ():
            told = paths[route.path_format][method.lower()]["responses"]
            for status, answer in route.responses.items():
                for kind, content in answer.get("content", {}).items():
                    told[str(status)]["content"][kind] |= content
