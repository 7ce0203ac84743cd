"""The API's pages for people: Swagger UI, ReDoc and AsyncAPI, from files of ours, without any outside address."""

from importlib.resources import files
from typing import Final

import fastapi_offline
from fastapi import APIRouter, FastAPI
from fastapi.openapi.docs import get_redoc_html, get_swagger_ui_html
from fastapi.responses import HTMLResponse, JSONResponse, Response
from fastapi.staticfiles import StaticFiles

from api import asyncapi, asyncapi_page
from api.auth import ANYBODY

STATIC: Final = "/docs/static"
FOLDER = files(fastapi_offline) / "static"
OUTSIDE_LOGO = "https://cdn.redoc.ly/redoc/logo-mini.svg"
EMPTY_PICTURE = "data:image/gif;base64,R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7"
POLICY = (
    "default-src 'none'; script-src 'self' 'unsafe-inline'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
    "font-src 'self' data:; connect-src 'self'; worker-src 'self' blob:; base-uri 'none'; frame-ancestors 'none'"
)


def install(app: FastAPI) -> None:
    """Serve /docs, /redoc and /asyncapi."""
    router = APIRouter(include_in_schema=False, dependencies=[ANYBODY])
    openapi_url = app.openapi_url or ""

    @router.get("/docs")
    async def swagger() -> HTMLResponse:
        page = get_swagger_ui_html(
            openapi_url=openapi_url,
            title=f"{app.title}: Swagger UI",
            swagger_js_url=f"{STATIC}/swagger-ui-bundle.js",
            swagger_css_url=f"{STATIC}/swagger-ui.css",
            swagger_favicon_url=f"{STATIC}/favicon.png",
            swagger_ui_parameters={"persistAuthorization": False, "defaultModelsExpandDepth": 0},
        )
        return guarded(page)

    @router.get("/redoc")
    async def redoc() -> HTMLResponse:
        page = get_redoc_html(
            openapi_url=openapi_url,
            title=f"{app.title}: ReDoc",
            redoc_js_url=f"{STATIC}/redoc.standalone.js",
            redoc_favicon_url=f"{STATIC}/favicon.png",
            with_google_fonts=False,
        )
        return guarded(page)

    @router.get(f"{STATIC}/redoc.standalone.js")
    async def redoc_script() -> Response:
        # Its footer asks for a logo at an outside address: it gets an empty picture instead.
        script = (FOLDER / "redoc.standalone.js").read_text().replace(OUTSIDE_LOGO, EMPTY_PICTURE)
        return Response(script, media_type="text/javascript")

    @router.get("/asyncapi.json")
    async def asyncapi_document() -> Response:
        return JSONResponse(asyncapi.document())

    @router.get("/asyncapi")
    async def asyncapi_html() -> HTMLResponse:
        return HTMLResponse(asyncapi_page.page(), headers={"Content-Security-Policy": asyncapi_page.POLICY})

    app.include_router(router)
    app.mount(STATIC, StaticFiles(directory=str(FOLDER)), name="docs-static")


def guarded(page: HTMLResponse) -> HTMLResponse:
    """A page that may load nothing from elsewhere."""
    page.headers["Content-Security-Policy"] = POLICY
    return page
