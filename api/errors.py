"""Every error as a problem document (RFC 9457) that names the field and the rule."""

import logging
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from fastapi.routing import iter_route_contexts
from pydantic import BaseModel, ConfigDict, Field
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from adapters.audience_csv import ImportRefused
from adapters.outages import OUTAGES
from adapters.runtime.quotas import OverQuota, wait_to_refuse
from adapters.wire import limits_in
from api.rules import sentence, status_of
from domain.message import Refused

log = logging.getLogger(__name__)

MEDIA_TYPE = "application/problem+json"
RETRY_AFTER, FULL = "2", "5"  # seconds
# What the framework itself refuses: status -> rule, field.
PARAMETER_RULES = {"timezone_aware": "no_time_zone", "string_pattern_mismatch": "malformed", "literal_error": "enum"}
FRAMEWORK = {404: ("no_such_route", "path"), 405: ("method_not_allowed", "method"), 413: ("too_large", "body")}


class Problem(BaseModel):
    """What went wrong (RFC 9457): `rule` is for programs, `field` says what in the request it is about."""

    model_config = ConfigDict(extra="allow")

    type: str = Field(description="Names the rule: urn:drumline:rule:<rule>.")
    title: str = Field(description="The status in words.")
    status: int
    detail: str = Field(description="A sentence for people.")
    rule: str
    field: str
    params: dict[str, Any] = Field(default_factory=dict, description="Limits and numbers the rule speaks of.")


class ApiError(Exception):
    """A request that is answered by a problem document."""

    def __init__(
        self,
        status: int,
        rule: str,
        field: str,
        *,
        params: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
        detail: str | None = None,
        **members: Any,
    ) -> None:
        super().__init__(f"{field}: {rule}")
        self.status = status
        self.headers = dict(headers or {})
        self.document = Problem(
            type=f"urn:drumline:rule:{rule}",
            title=HTTPStatus(status).phrase,
            status=status,
            detail=detail or sentence(rule, params or {}, field),
            rule=rule,
            field=field,
            params=dict(params or {}),
            **members,
        )

    def become(self, status: int) -> None:
        """Be answered under another status."""
        self.status = self.document.status = status
        self.document.title = HTTPStatus(status).phrase

    def response(self) -> JSONResponse:
        content = self.document.model_dump(mode="json")
        return JSONResponse(content, self.status, self.headers, media_type=MEDIA_TYPE)


def not_found(what: str) -> ApiError:
    """There is no such thing in the caller's workspace (of another one's nothing is told)."""
    return ApiError(404, f"unknown_{what}", f"{what}_id")


def refused(refusal: Refused, **members: Any) -> ApiError:
    """The problem that a refusal is."""
    detail = str(refusal) if isinstance(refusal, ImportRefused) else None
    return ApiError(
        status_of(refusal.rule), refusal.rule, refusal.field, params=refusal.detail, detail=detail, **members
    )


def over_quota(error: OverQuota) -> ApiError:
    """The problem that a full house is: this key's or workspace's fault, or nobody's."""
    status, rule, field = 429, f"too_many_{error.quota}", "Authorization"
    if error.of == "all":
        status, rule, field = 503, "no_room", "server"
    return ApiError(status, rule, field, params={"maximum": error.most}, headers={"Retry-After": FULL})


def invalid(error: RequestValidationError) -> ApiError:
    """The first thing wrong with a path, query or header parameter; never the value itself."""
    first = error.errors()[0]
    place, *names = (str(part) for part in first["loc"])
    limits = limits_in(first.get("ctx", {}))
    rule = PARAMETER_RULES.get(first["type"], first["type"])
    return ApiError(422, rule, ".".join(names) or place, params=limits)


def from_framework(error: HTTPException, request: Request) -> ApiError:
    """A refusal of the framework, in our words; `Allow` names all methods of the address, not of one route."""
    rule, field = FRAMEWORK.get(error.status_code, ("bad_request", "request"))
    headers = dict(error.headers or {})
    if error.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
        headers["Allow"] = ", ".join(sorted(methods(request)))
    return ApiError(error.status_code, rule, field, headers=headers)


def methods(request: Request) -> set[str]:
    """The methods that some route takes at the address of a request."""
    found: set[str] = set()
    for route in iter_route_contexts(request.app.routes):
        if route.path_regex and route.path_regex.match(request.url.path):
            found |= route.methods or set()
    return found


def install(app: FastAPI) -> None:
    """Answer every error of this application by a problem document."""

    @app.exception_handler(ApiError)
    async def api_error(_request: Request, error: ApiError) -> JSONResponse:
        return error.response()

    @app.exception_handler(Refused)
    async def refusal(_request: Request, error: Refused) -> JSONResponse:
        return refused(error).response()

    @app.exception_handler(RequestValidationError)
    async def validation(_request: Request, error: RequestValidationError) -> JSONResponse:
        return invalid(error).response()

    @app.exception_handler(HTTPException)
    async def framework(request: Request, error: HTTPException) -> JSONResponse:
        return from_framework(error, request).response()

    @app.exception_handler(OverQuota)
    async def full(request: Request, error: OverQuota) -> JSONResponse:
        if error.after:
            await wait_to_refuse(request.scope["state"], error.after)
        return over_quota(error).response()

    @app.exception_handler(ClientDisconnect)
    async def left(_request: Request, _error: ClientDisconnect) -> JSONResponse:
        return ApiError(400, "bad_request", "body").response()  # which nobody reads

    async def outage(_request: Request, error: Exception) -> JSONResponse:
        log.warning("api: %s", type(error).__name__)
        return ApiError(503, "unavailable", "server", headers={"Retry-After": RETRY_AFTER}).response()

    for kind in OUTAGES:
        app.add_exception_handler(kind, outage)

    @app.exception_handler(Exception)
    async def unexpected(_request: Request, _error: Exception) -> JSONResponse:
        return ApiError(500, "internal_error", "server").response()
