"""The page: its shell for every address that is not the API's, and its built files.

Vite builds them into `backend/ui`; the names in `assets` carry a hash of the content,
so a browser may keep those for ever and asks again only for the shell.
"""

from pathlib import Path

from fastapi import APIRouter, FastAPI, Request, Response
from fastapi.responses import FileResponse, PlainTextResponse
from starlette.types import Receive, Scope, Send

from backend.domain.errors import NotFound

router = APIRouter(include_in_schema=False)

UI = Path(__file__).parents[1] / "ui"
"""Where the build puts the page; absent in a source tree that was never built."""

OTHERS = frozenset({"api", "docs", "assets", "healthz", "readyz", "metrics"})
"""First words of addresses that are never the page's."""

POLICY = {
    "Content-Security-Policy": "; ".join(
        [
            "default-src 'none'",
            "script-src 'self'",
            "style-src 'self'",
            "img-src 'self' data: blob:",
            "connect-src 'self'",
            "worker-src 'self'",
            "font-src 'self'",
            "manifest-src 'self'",
            "base-uri 'none'",
            "form-action 'self'",
            "frame-ancestors 'none'",
        ]
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
}
"""Sent with the files too: a worker obeys the policy its own script came with."""

MEDIA_TYPES = {
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".png": "image/png",
    ".svg": "image/svg+xml",
    ".woff2": "font/woff2",
}
FOREVER = "public, max-age=31536000, immutable"

UNBUILT = """\
The page of Cisterna is not built in this source tree.
Run `make page` (it brings its own Node) and load this address again.
The API works without the page; its docs are at /docs.
"""


def install(app: FastAPI) -> None:
    """Answer with the page where no route matches and a browser asks for a document.

    A route for every path would also match what the API refuses, and turn its 405
    into 404.
    """
    app.include_router(router)
    otherwise = app.router.default

    async def page_or(scope: Scope, receive: Receive, send: Send) -> None:
        wanted = scope["type"] == "http" and _is_page(Request(scope))
        await (shell() if wanted else otherwise)(scope, receive, send)

    app.router.default = page_or


def _is_page(request: Request) -> bool:
    return (
        request.method in {"GET", "HEAD"}
        and "text/html" in request.headers.get("accept", "")
        and request.scope["path"].partition("/")[2].partition("/")[0] not in OTHERS
    )


@router.get("/")
def shell() -> Response:
    """The document that loads the page."""
    index = UI / "index.html"
    headers = {**POLICY, "Cache-Control": "no-cache"}
    if not index.is_file():
        return PlainTextResponse(UNBUILT, 503, headers)
    return FileResponse(index, headers=headers, media_type="text/html; charset=utf-8")


@router.get("/favicon.svg")
def favicon(request: Request) -> Response:
    """The page's icon."""
    return _file(request, UI, "favicon.svg", "max-age=86400")


@router.get("/assets/{file}")
def asset(request: Request, file: str) -> Response:
    """A script, style sheet or picture of the page."""
    return _file(request, UI / "assets", file, FOREVER)


def _file(request: Request, directory: Path, name: str, kept: str) -> Response:
    # the name is one segment of a path, so it cannot lead out of the directory
    found = directory / name
    if found.suffix not in MEDIA_TYPES or not found.is_file():
        raise NotFound(f"There is no file {name!r}; load the page again.")
    headers = {**POLICY, "Cache-Control": kept, "Vary": "Accept-Encoding"}
    packed = found.with_name(f"{name}.gz")
    if "gzip" in request.headers.get("accept-encoding", "") and packed.is_file():
        found, headers["Content-Encoding"] = packed, "gzip"
    return FileResponse(
        found, headers=headers, media_type=MEDIA_TYPES[Path(name).suffix]
    )
