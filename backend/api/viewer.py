"""The API docs at /docs: Swagger's viewer from a wheel, so it needs no internet."""

from importlib.util import find_spec
from pathlib import Path

from fastapi import APIRouter, Response
from fastapi.responses import FileResponse, HTMLResponse

from backend.domain.errors import NotFound

router = APIRouter(include_in_schema=False)

# the viewer writes style attributes and shows its icons from data: addresses
POLICY = {
    "Content-Security-Policy": "default-src 'self'; img-src 'self' data:; "
    "style-src 'self' 'unsafe-inline'; frame-ancestors 'none'; base-uri 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
}
SCRIPT = "text/javascript; charset=utf-8"
VIEWER = {"swagger-ui-bundle.js": SCRIPT, "swagger-ui.css": "text/css; charset=utf-8"}

DOCS = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>Cisterna: API docs</title>
<meta name="viewport" content="width=device-width">
<link rel="icon" href="/favicon.svg" type="image/svg+xml">
<link rel="stylesheet" href="/docs/swagger-ui.css"></head>
<body><div id="docs"></div><script src="/docs/swagger-ui-bundle.js"></script>
<script src="/docs/start.js"></script></body></html>
"""

START = """"use strict";
SwaggerUIBundle({
  url: "/api/openapi.json", dom_id: "#docs", deepLinking: true, validatorUrl: null,
});
"""


@router.get("/docs")
def docs() -> HTMLResponse:
    """The API docs."""
    return HTMLResponse(DOCS, headers=POLICY)


@router.get("/docs/{file}")
def docs_file(file: str) -> Response:
    """A script or style sheet of the API docs."""
    if file == "start.js":
        return Response(START, headers=POLICY, media_type=SCRIPT)
    found = _viewer() / file
    if file not in VIEWER or not found.is_file():
        raise NotFound(f"There is no file {file!r}.")
    return FileResponse(found, headers=POLICY, media_type=VIEWER[file])


def _viewer() -> Path:
    # located, not imported: the package would import much more than these files
    spec = find_spec("fastapi_offline")
    if spec is None or spec.origin is None:
        raise NotFound("The viewer is not installed; install `fastapi-offline`.")
    return Path(spec.origin).parent / "static"
