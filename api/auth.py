"""Who asks, and what they may do: a key is an actor, and each route declares who may use it."""

from collections.abc import Iterable
from functools import partial
from typing import Annotated, Any, cast

from fastapi import Depends, FastAPI, Request
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute, APIWebSocketRoute, iter_route_contexts
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from starlette.requests import HTTPConnection

from adapters.wire import check_role
from api.deps import Given
from api.errors import ApiError
from domain.message import Actor, Role


class Bearer(HTTPBearer):
    """The key in the header, of a request or of a WebSocket's handshake."""

    async def __call__(self, request: HTTPConnection) -> HTTPAuthorizationCredentials | None:
        return await super().__call__(cast("Request", request))  # it reads nothing but headers


bearer = Bearer(auto_error=False, scheme_name="API key", description="A key made by `drumline keys create`.")


async def authenticated(
    connection: HTTPConnection,
    services: Given,
    given: Annotated[HTTPAuthorizationCredentials | None, Depends(bearer)],
) -> Actor:
    """The actor whose key was sent; until it is answered, the request counts as theirs. Raises OverQuota."""
    actor = await services.keys.verify(given.credentials) if given else None
    if actor is None:
        raise ApiError(401, "unauthenticated", "Authorization", headers={"WWW-Authenticate": "Bearer"})
    if connection.scope["type"] == "http":  # a WebSocket counts as a stream
        services.quotas.requests.take(actor)
        connection.state.actor = actor
        connection.state.answered = partial(services.quotas.requests.give_back, actor)
    return actor


Caller = Annotated[Actor, Depends(authenticated)]


class Access:
    """What a route declares; one without it does not start."""


class Public(Access):
    """Anybody may use the route."""

    async def __call__(self) -> None:
        pass


class Reader(Access):
    """Any key of a workspace may read what is the workspace's."""

    async def __call__(self, actor: Caller) -> Actor:
        return actor


class Giver(Access):
    """Keys whose roles may give a command."""

    def __init__(self, name: str) -> None:
        self.name = name

    async def __call__(self, actor: Caller) -> Actor:
        check_role(self.name, actor.roles)
        return actor


class Only(Access):
    """Keys that have one of some roles."""

    def __init__(self, *roles: Role) -> None:
        self.roles = frozenset(roles)

    async def __call__(self, actor: Caller) -> Actor:
        if actor.roles.isdisjoint(self.roles):
            raise ApiError(403, "role_required", "actor", params={"role": " or ".join(sorted(self.roles))})
        return actor


READER = Reader()
Asking = Annotated[Actor, Depends(READER)]
ANYBODY = Depends(Public())


class UndeclaredAccess(Exception):
    """Routes that do not say who may use them."""

    def __init__(self, paths: Iterable[str]) -> None:
        super().__init__(f"No access is declared for {', '.join(paths)}.")


def declared(dependant: Dependant) -> bool:
    """Whether a dependency of a route, or one behind it, is an Access."""
    calls: list[tuple[object, Dependant]] = [(one.call, one) for one in dependant.dependencies]
    return any(isinstance(call, Access) or declared(one) for call, one in calls)


def require_access(app: FastAPI) -> None:
    """Raise UndeclaredAccess unless every route says who may use it."""
    contexts: list[Any] = [
        context
        for context in iter_route_contexts(app.routes)
        if isinstance(context.original_route, APIRoute | APIWebSocketRoute)
    ]
    open_ones = [
        f"{sorted(route.methods or {'WebSocket'})} {route.path}" for route in contexts if not declared(route.dependant)
    ]
    if open_ones:
        raise UndeclaredAccess(open_ones)
