"""What a browser gets beside the API: an index of links, sign-in, the API docs.

Everything comes from this service (the viewer's files from a wheel), so it works
without the internet and under a policy that allows no foreign or inline script.
"""

from importlib.util import find_spec
from pathlib import Path

from fastapi import APIRouter, Response
from fastapi.responses import FileResponse, HTMLResponse

from backend.domain.errors import NotFound

router = APIRouter(include_in_schema=False)

POLICY = {
    "Content-Security-Policy": "default-src 'self'; img-src 'self' data:; "
    "style-src 'self' 'unsafe-inline'; frame-ancestors 'none'; base-uri 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}
SCRIPT = "text/javascript; charset=utf-8"
VIEWER = {"swagger-ui-bundle.js": SCRIPT, "swagger-ui.css": "text/css; charset=utf-8"}

INDEX = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>Cisterna</title>
<meta name="viewport" content="width=device-width"></head>
<body style="font: 16px/1.6 system-ui; max-width: 40em; margin: 3em auto">
<h1>Cisterna</h1>
<p>Human-in-the-loop active learning for organelle segmentation in EM images.</p>
<p id="who">You are not signed in: open a one-time sign-in link, or send a bearer
token with each request.</p>
<form id="join" hidden><label>Your name
<input name="name" required maxlength="200"></label> <button>Join</button></form>
<ul>
<li><a href="/docs">API docs</a></li>
<li><a href="/api/openapi.json">OpenAPI description</a></li>
<li><a href="/api/v1/projects">Projects</a> (signed in)</li>
<li><a href="/readyz">Readiness</a> and <a href="/healthz">health</a></li>
<li><a href="/metrics">Metrics for Prometheus</a></li>
</ul><script src="/docs/join.js"></script></body></html>
"""

JOIN = """"use strict";
const who = document.getElementById("who"), form = document.getElementById("join");
const token = new URLSearchParams(location.hash.slice(1)).get("join");
const greet = (me) => {
  form.hidden = true;
  who.textContent = `Signed in as ${me.name}.`;
};

async function join(name) {
  const answer = await fetch("/api/v1/sessions", {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify(name ? { token, name } : { token }),
  });
  const body = await answer.json();
  if (answer.ok) {
    history.replaceState(null, "", "/");
    greet(body);
  } else {
    who.textContent = body.detail;
    form.hidden = answer.status !== 422;
  }
}

form.addEventListener("submit", (event) => {
  event.preventDefault();
  join(form.elements.name.value);
});
if (token) join();
else fetch("/api/v1/me").then(async (me) => { if (me.ok) greet(await me.json()); });
"""

DOCS = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>Cisterna: API docs</title>
<meta name="viewport" content="width=device-width">
<link rel="stylesheet" href="/docs/swagger-ui.css"></head>
<body><div id="docs"></div><script src="/docs/swagger-ui-bundle.js"></script>
<script src="/docs/start.js"></script></body></html>
"""

START = """"use strict";
SwaggerUIBundle({
  url: "/api/openapi.json", dom_id: "#docs", deepLinking: true, validatorUrl: null,
});
"""
SCRIPTS = {"join.js": JOIN, "start.js": START}


@router.get("/")
def index() -> HTMLResponse:
    """A plain index of links; it also turns a one-time link into a session."""
    return HTMLResponse(INDEX, headers={**POLICY, "Cache-Control": "no-store"})


@router.get("/docs")
def docs() -> HTMLResponse:
    """The API docs."""
    return HTMLResponse(DOCS, headers=POLICY)


@router.get("/docs/{file}")
def docs_file(file: str) -> Response:
    """A script or stylesheet of these pages."""
    if file in SCRIPTS:
        return Response(SCRIPTS[file], headers=POLICY, media_type=SCRIPT)
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
