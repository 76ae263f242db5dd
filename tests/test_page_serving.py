"""Which addresses are the page's, and what every answer of it forbids the browser."""

import gzip
from pathlib import Path
from urllib.parse import unquote

import pytest
from fastapi.testclient import TestClient

from backend.api import page
from backend.app import detached

HTML = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}
SHELL = '<!doctype html><script type="module" src="/assets/index-1a2b.js"></script>'
SCRIPT = b"document.title = 'Cisterna';"


@pytest.fixture
def ui(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A built page, small; beside it a file that nobody may read."""
    built = tmp_path / "ui"
    (built / "assets").mkdir(parents=True)
    (built / "index.html").write_text(SHELL)
    (built / "favicon.svg").write_text("<svg/>")
    (built / "sources.sha256").write_text("secret")
    (built / "secret.js").write_text("secret")
    (built / "assets" / "index-1a2b.js").write_bytes(SCRIPT)
    (built / "assets" / "index-1a2b.js.gz").write_bytes(gzip.compress(SCRIPT))
    (built / "assets" / "index-3c4d.css").write_text("body { margin: 0; }")
    (built / "assets" / "notes.txt").write_text("secret")
    monkeypatch.setattr(page, "UI", built)
    return built


@pytest.fixture
def browser(tmp_path: Path) -> TestClient:
    """A visitor without credentials of a service without servers."""
    return TestClient(detached(tmp_path), raise_server_exceptions=False)


@pytest.mark.parametrize(
    "path", ["/", "/projects/liver", "/projects/liver/tasks/7?view=raw", "/settings"]
)
def test_every_address_of_the_page_answers_its_shell(
    browser: TestClient, ui: Path, path: str
) -> None:
    answer = browser.get(path, headers=HTML)
    assert answer.status_code == 200
    assert answer.text == SHELL
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert answer.headers["cache-control"] == "no-cache"


def test_the_policy_allows_nothing_foreign_and_nothing_inline(
    browser: TestClient, ui: Path
) -> None:
    answers = [
        browser.get(path, headers=HTML)
        for path in ("/", "/settings", "/favicon.svg", "/assets/index-1a2b.js")
    ]
    for answer in answers:
        policy = dict(
            rule.split(" ", 1)
            for rule in answer.headers["content-security-policy"].split("; ")
        )
        assert policy["default-src"] == "'none'"
        assert policy["script-src"] == policy["style-src"] == "'self'"
        assert policy["connect-src"] == policy["worker-src"] == "'self'"
        assert policy["frame-ancestors"] == policy["base-uri"] == "'none'"
        assert not any("unsafe" in rule or ":/" in rule for rule in policy.values())
        assert answer.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize(
    "path",
    [
        "/api",
        "/api/v2/projects",
        "/api/v1/nothing",
        "/docs/a/b",
        "/healthz/x",
        "/metrics/x",
        "/assets/none.js",
        "/assets/a/b.js",
        "/assets",
    ],
)
def test_what_is_not_the_page_is_a_problem_not_the_page(
    browser: TestClient, ui: Path, path: str
) -> None:
    answer = browser.get(path, headers=HTML)
    assert answer.status_code == 404
    assert answer.headers["content-type"] == "application/problem+json"


def test_programs_and_other_methods_do_not_get_the_page(
    browser: TestClient, ui: Path
) -> None:
    assert browser.get("/projects/liver").status_code == 404
    assert browser.post("/projects/liver", headers=HTML).status_code == 404
    # a route that exists keeps refusing the wrong method
    assert browser.get("/api/v1/sessions", headers=HTML).status_code == 405
    assert browser.head("/projects/liver", headers=HTML).status_code == 200


def test_assets_are_kept_for_ever_and_travel_packed(
    browser: TestClient, ui: Path
) -> None:
    packed = browser.get("/assets/index-1a2b.js", headers={"Accept-Encoding": "gzip"})
    plain = browser.get("/assets/index-1a2b.js", headers={"Accept-Encoding": "br"})
    assert packed.content == plain.content == SCRIPT
    assert packed.headers["content-encoding"] == "gzip"
    assert "content-encoding" not in plain.headers
    style = browser.get("/assets/index-3c4d.css", headers={"Accept-Encoding": "gzip"})
    assert "content-encoding" not in style.headers
    for answer, kind in ((packed, "javascript"), (plain, "javascript"), (style, "css")):
        assert answer.status_code == 200
        assert answer.headers["content-type"] == f"text/{kind}; charset=utf-8"
        assert answer.headers["cache-control"] == "public, max-age=31536000, immutable"
        assert answer.headers["vary"] == "Accept-Encoding"


def test_the_icon_is_served_and_may_change(browser: TestClient, ui: Path) -> None:
    answer = browser.get("/favicon.svg")
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "image/svg+xml"
    assert answer.headers["cache-control"] == "max-age=86400"


@pytest.mark.parametrize(
    "file",
    [
        "..",
        "../secret.js",
        "../assets/../secret.js",
        "..\\secret.js",
        "/etc/passwd",
        "index-1a2b.js\0",
        "notes.txt",
        "index-1a2b.js.gz",
    ],
)
def test_nothing_but_the_built_files_can_be_read(
    browser: TestClient, ui: Path, file: str
) -> None:
    # encoded, because a client would resolve plain dots itself
    encoded = "".join(f"%{byte:02x}" for byte in file.encode())
    answer = browser.get(f"/assets/{encoded}", headers=HTML)
    assert answer.status_code == 404
    assert unquote(answer.json()["instance"]) == f"/assets/{file}"


def test_without_a_build_it_says_how_to_build(
    browser: TestClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(page, "UI", tmp_path / "none")
    for path in ("/", "/projects/liver"):
        answer = browser.get(path, headers=HTML)
        assert answer.status_code == 503
        assert "make page" in answer.text
    assert browser.get("/favicon.svg").status_code == 404


def test_the_api_docs_need_no_internet_and_no_inline_script(
    browser: TestClient,
) -> None:
    docs = browser.get("/docs")
    assert docs.status_code == 200
    assert "//" not in docs.text.replace("<!doctype", "")
    assert "<script>" not in docs.text
    policy = docs.headers["content-security-policy"]
    assert "default-src 'self'" in policy
    assert "script-src" not in policy
    for file in ("swagger-ui-bundle.js", "swagger-ui.css", "start.js"):
        assert browser.get(f"/docs/{file}").status_code == 200, file
    for file in ("redoc.standalone.js", "..%2f__init__.py"):
        assert browser.get(f"/docs/{file}").status_code == 404, file
