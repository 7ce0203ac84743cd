"""The sandbox over HTTP: its pages, the wire that browsers speak, and the control that people and tests speak."""

import socket
from pathlib import Path

import uvicorn
from fastapi import FastAPI, Request
from fastapi.responses import FileResponse, JSONResponse
from fastapi.staticfiles import StaticFiles
from starlette.middleware.trustedhost import TrustedHostMiddleware

from adapters.sandbox.control_api import control
from adapters.sandbox.media import Media
from adapters.sandbox.nouns import Refused
from adapters.sandbox.phones_api import one_phone
from adapters.sandbox.post import Timings
from adapters.sandbox.wire_api import wire
from adapters.sandbox.world import World

PAGE = Path(__file__).with_name("page")
FILES = "media"  # in the sandbox's directory
CONTENT_POLICY = (
    "default-src 'self'; img-src 'self' data: blob:; media-src 'self' blob:; connect-src 'self' blob:;"
    " object-src 'none'; base-uri 'none'; frame-ancestors 'none'"
)
STATUS = {"unknown_companion": 401, "unknown_phone": 404}


def create_app(world: World, media: Media) -> FastAPI:
    """The ASGI application around one world and its files."""
    app = FastAPI(title="drumline sandbox", docs_url=None, redoc_url=None)
    # Another site in the same browser could reach a port on localhost by a name of its own.
    app.add_middleware(TrustedHostMiddleware, allowed_hosts=["127.0.0.1", "localhost"])

    @app.exception_handler(Refused)
    async def refused(_request: Request, error: Refused) -> JSONResponse:
        return JSONResponse({"reason": error.reason}, STATUS.get(error.reason, 422))

    app.include_router(wire(world, media))
    app.include_router(control(world))
    app.include_router(one_phone(world, media))

    @app.get("/phone")
    async def phones() -> FileResponse:
        return _page("phones.html")

    @app.get("/phone/{phone_id}")
    async def phone(phone_id: str) -> FileResponse:
        world.post.known(phone_id)
        return _page("phone.html")

    @app.get("/")
    async def index() -> FileResponse:
        return _page("index.html")

    app.mount("/", StaticFiles(directory=PAGE))
    return app


def _page(name: str) -> FileResponse:
    return FileResponse(PAGE / name, headers={"Content-Security-Policy": CONTENT_POLICY, "Cache-Control": "no-cache"})


class _Server(uvicorn.Server):
    """A server that ends its open streams when it is told to stop, instead of waiting for them."""

    def __init__(self, config: uvicorn.Config, world: World) -> None:
        super().__init__(config)
        self._world = world

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._world.post.resume()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._world.hang_up()
        await super().shutdown(sockets)


async def serve(port: int, data_dir: Path, timings: Timings | None = None) -> None:
    """Run the sandbox on 127.0.0.1 until cancelled or told to stop (SIGINT, SIGTERM)."""
    world = World(data_dir, timings)
    app = create_app(world, Media(data_dir / FILES))
    config = uvicorn.Config(app, "127.0.0.1", port, log_level="warning", access_log=False, timeout_graceful_shutdown=1)
    try:
        await _Server(config, world).serve()
    finally:
        world.close()
