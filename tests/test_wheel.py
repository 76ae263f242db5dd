"""The wheel: it holds the page, which works without Node, network or source tree."""

import gzip
import os
import re
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

import hatch_build

ROOT = Path(__file__).parents[1]

NAMED = {
    "www.w3.org": "names of XML namespaces; nothing is loaded from them",
}
"""Hosts that the built files may name, and why."""

FETCH = """
import re, sys
from pathlib import Path
from fastapi.testclient import TestClient
import backend
from backend.app import detached

assert Path(backend.__file__).is_relative_to(sys.argv[1]), backend.__file__
browser = TestClient(detached(Path(sys.argv[2])))
page = browser.get("/projects/liver", headers={"Accept": "text/html"})
assert page.status_code == 200, page.text
assert "default-src 'none'" in page.headers["content-security-policy"]
named = re.findall(r'(?:src|href)="([^"]+)"', page.text)
assert any(name.endswith(".js") for name in named), page.text
for name in {*named, *sys.argv[3:]}:
    assert name.startswith("/"), name
    answer = browser.get(name)
    assert answer.status_code == 200, name
    assert answer.headers["x-content-type-options"] == "nosniff"
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel of this tree."""
    directory = tmp_path_factory.mktemp("dist")
    run("-m", "hatchling", "build", "-t", "wheel", "-d", str(directory))
    (built,) = directory.iterdir()
    return built


def run(*arguments: str, **environment: str) -> None:
    done = subprocess.run(
        [sys.executable, *arguments],
        cwd=ROOT,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def files(wheel: Path) -> Iterator[tuple[str, bytes]]:
    """Name below backend/ui and content of every file of the page."""
    with zipfile.ZipFile(wheel) as archive:
        for name in archive.namelist():
            if name.startswith("backend/ui/"):
                yield name.removeprefix("backend/ui/"), archive.read(name)


def test_it_holds_the_page_and_not_its_tools(wheel: Path) -> None:
    page = dict(files(wheel))
    assert b'id="app"' in page["index.html"]
    assets = [name for name in page if name.startswith("assets/")]
    assert all(re.search(r"-[\w-]{8}\.", name) for name in assets), assets
    for name in assets:
        if name.endswith((".js", ".css")):
            assert f"{name}.gz" in page
    with zipfile.ZipFile(wheel) as archive:
        rooms = {name.split("/")[0] for name in archive.namelist()}
    assert {room for room in rooms if not room.endswith(".dist-info")} == {
        "backend",
        "worker",
        "migrations",
    }


def test_installed_it_serves_every_file_without_node(
    wheel: Path, tmp_path: Path
) -> None:
    site, data, programs = (tmp_path / name for name in ("site", "data", "bin"))
    programs.mkdir()
    run("-m", "pip", "install", "-q", "--no-deps", "-t", str(site), str(wheel))
    served = [
        f"/{name}"
        for name, _ in files(wheel)
        if name.startswith("assets/") and not name.endswith(".gz")
    ]
    run(
        *("-P", "-c", FETCH, str(site), str(data), *served),
        PYTHONPATH=str(site),
        PATH=str(programs),
    )


def test_its_page_names_no_foreign_host(wheel: Path) -> None:
    named = {
        (name, urlsplit(address).hostname)
        for name, content in files(wheel)
        if not name.endswith(".gz")
        for address in re.findall(
            r"(?:https?|wss?)://\w[^\s\"'`<>)]*", content.decode("utf-8", "replace")
        )
    }
    assert {(name, host) for name, host in named if host not in NAMED} == set()
    markup = dict(files(wheel))["index.html"].decode()
    assert not re.search(r"<script(?![^>]*\bsrc=)|<style|\sstyle=|\son\w+=", markup)


@pytest.fixture
def built(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """A tiny source tree whose `npm` only notes its calls and writes a page."""
    ui, frontend = tmp_path / "ui", tmp_path / "frontend"
    (frontend / "src").mkdir(parents=True)
    (frontend / "src" / "main.tsx").write_text("1")
    (frontend / "package-lock.json").write_text("{}")
    monkeypatch.setattr(hatch_build, "FRONTEND", frontend)
    monkeypatch.setattr(hatch_build, "UI", ui)
    monkeypatch.setattr(hatch_build, "BUILT_FROM", ui / "sources.sha256")
    monkeypatch.setattr(hatch_build, "install", lambda: None)
    calls: list[str] = []

    def npm(*arguments: str) -> None:
        calls.append(" ".join(arguments))
        (ui / "assets").mkdir(parents=True, exist_ok=True)
        (ui / "assets" / "index.js").write_text("1")
        (ui / "index.html").write_text("page")

    monkeypatch.setattr(hatch_build, "npm", npm)
    return calls


def test_it_builds_again_exactly_when_sources_change(
    built: list[str], tmp_path: Path
) -> None:
    sources = tmp_path / "frontend" / "src"
    changes = [
        (lambda: None, True),
        (lambda: (sources / "main.tsx").touch(), False),
        (lambda: (sources / "schema.d.ts").write_text("made by the build"), False),
        (lambda: (sources / "main.test.ts").write_text("not built"), False),
        (lambda: (sources / "main.tsx").write_text("2"), True),
        (lambda: (sources / "main.tsx").rename(sources / "other.tsx"), True),
        (lambda: (sources / "new.css").write_text(""), True),
        (lambda: (sources / "new.css").unlink(), True),
        (lambda: (tmp_path / "frontend" / "package.json").write_text("{}"), True),
    ]
    for number, (change, again) in enumerate(changes):
        built.clear()
        change()
        hatch_build.build()
        assert built == ["run build"] * again, f"change {number}"
    packed = (tmp_path / "ui" / "assets" / "index.js.gz").read_bytes()
    assert gzip.decompress(packed) == b"1"


def test_a_build_without_a_page_fails(
    built: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hatch_build, "npm", lambda *_: None)
    with pytest.raises(SystemExit, match="left no"):
        hatch_build.build()
    assert not hatch_build.is_fresh()
