"""While the disk is nearly full: what would take room is refused before a byte of it is kept."""

from starlette.types import ASGIApp, Receive, Scope, Send

from adapters.runtime.disk import Disk
from api.errors import ApiError
from api.middleware import discard

RETRY_AFTER = "30"  # seconds
# Besides commands: the requests that keep what they bring.
KEEPING = (
    ("POST", "/v1/media"),
    ("PATCH", "/v1/media"),
    ("POST", "/v1/audiences"),
    ("PUT", "/v1/people"),
    ("PUT", "/v1/attributes"),
)
KEEPING_EXACTLY = (("POST", "/v1/people"),)  # what lies below asks


def disk_full() -> ApiError:
    """What is answered meanwhile."""
    return ApiError(507, "disk_full", "server", headers={"Retry-After": RETRY_AFTER})


class WhenFull:
    """Refuses requests that keep what they bring, while the disk is nearly full."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not (disk_of(scope).full and keeps(scope["method"], scope["path"])):
            await self._app(scope, receive, send)
            return
        await discard(receive)
        await disk_full().response()(scope, receive, send)


def disk_of(scope: Scope) -> Disk:
    """The disk of the application that is asked."""
    disk: Disk = scope["app"].state.services.disk
    return disk


def keeps(method: str, path: str) -> bool:
    """Whether a request is one that keeps what it brings."""
    below = any(method == one and f"{path}/".startswith(f"{prefix}/") for one, prefix in KEEPING)
    return below or (method, path) in KEEPING_EXACTLY
