"""What the documents say is true: commands, routes, settings, figures, the script."""

import json
import re
import shlex
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

import pytest
import typer
import yaml
from fastapi import FastAPI
from fastapi.testclient import TestClient
from PIL import Image
from stage import DEPLOY, ROOT, Stage, wait
from stage import document as document
from stage import services as services
from stage import stage as stage

from backend.cli import app as command_line
from backend.domain.states import JobKind, Role
from backend.imaging.phantom import phantom
from backend.ranker import STRATEGIES
from backend.settings import Settings

GUIDE = ROOT / "docs" / "guide"
DOCUMENTS = [
    ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md")
] + [ROOT / "SECURITY.md", *sorted((ROOT / "docs").rglob("*.md"))]
every_document = pytest.mark.parametrize(
    "document_path", DOCUMENTS, ids=lambda path: path.stem
)


def blocks(path: Path, language: str) -> list[str]:
    """The fenced blocks of a language."""
    return re.findall(rf"^```{language}\n(.*?)^```", path.read_text(), re.M | re.S)


def test_every_setting_is_documented_with_its_default() -> None:
    text = (GUIDE / "admins.md").read_text()
    rows = dict(re.findall(r"^\| `CISTERNA_(\w+)` \| (.+?) \|", text, re.MULTILINE))
    fields = {name.upper(): field for name, field in Settings.model_fields.items()}
    assert set(rows) == set(fields)
    for name, field in fields.items():
        if isinstance(field.default, tuple):
            assert json.loads(rows[name].strip("`")) == list(field.default)
        elif isinstance(field.default, int | float):
            assert float(rows[name].strip("`")) == field.default, name
        elif isinstance(field.default, Path):
            home = Path(rows[name].strip("`")).expanduser()
            assert home == field.default


@every_document
def test_links_lead_somewhere(document_path: Path) -> None:
    text = document_path.read_text()
    links = re.findall(r"\]\(([^)#]+)(#[^)]+)?\)", text)
    links += [(source, "") for source in re.findall(r'src="([^"]+)"', text)]
    for link, anchor in links:
        if link.startswith("https://"):
            continue
        target = document_path.parent / link
        assert target.exists(), link
        if anchor:
            heads = re.findall(r"^#+ (.+)$", target.read_text(), re.MULTILINE)
            assert anchor[1:] in {h.lower().replace(" ", "-") for h in heads}, anchor


@every_document
def test_files_that_are_named_exist(document_path: Path) -> None:
    text = document_path.read_text()
    rooms = "backend|worker|tests|docs|deploy|migrations"
    for name in re.findall(rf"`((?:{rooms})/[\w./-]+)`", text):
        assert (ROOT / name).exists(), name


def test_every_decision_is_listed() -> None:
    folder = ROOT / "docs" / "adr"
    listed = re.findall(
        r"^\| \[\d{4}\]\((.+?)\)", (folder / "README.md").read_text(), 8
    )
    assert listed == sorted(path.name for path in folder.glob("0*.md"))


@every_document
def test_commands_and_their_options_exist(document_path: Path) -> None:
    root = typer.main.get_command(command_line)
    text = document_path.read_text()
    lines = [
        line for block in blocks(document_path, "sh") for line in block.split("\n")
    ]
    lines += re.findall(r"`(cisterna [^`]+)`", text)
    for line in lines:
        words = shlex.split(line, comments=True)
        if not words or words[0] != "cisterna":
            continue
        command, rest = root, words[1:]
        while rest and hasattr(command, "commands"):
            name = rest.pop(0)
            assert name in command.commands, line
            command = command.commands[name]
        known = {o for p in command.params for o in (*p.opts, *p.secondary_opts)}
        assert {word for word in rest if word.startswith("--")} <= known, line


def test_make_targets_exist() -> None:
    targets = set(re.findall(r"^(\w[\w-]*):", (ROOT / "Makefile").read_text(), re.M))
    plans = (ROOT / "experiments").glob("*.toml")
    targets |= {f"experiment-{plan.stem}" for plan in plans} | {"experiment-"}
    named = {
        target
        for path in DOCUMENTS
        for target in re.findall(r"(?:^|`)make (\w[\w-]*)", path.read_text(), re.M)
    }
    assert named >= {"demo", "test", "up"}
    assert named <= targets


def test_routes_of_the_guide_exist(app: FastAPI) -> None:
    document = app.openapi()["paths"]
    routes = [
        (method.upper(), re.compile(re.sub(r"\{\w+\}", "[^/]+", path) + "$"))
        for path, methods in document.items()
        for method in methods
    ]

    def assert_known(method: str, path: str) -> None:
        assert any(m == method and p.match(path) for m, p in routes), (method, path)

    (curls,) = blocks(GUIDE / "scripting.md", "sh")[:1]
    calls = [line for line in curls.splitlines() if line.startswith("curl")]
    assert len(calls) > 10
    for call in calls:
        (path,) = re.findall(r'"\$API(/[^"?]+)', call)
        sends = "--json" in call or "--data-binary" in call
        assert_known("POST" if sends else "GET", f"/api/v1{path}")
    for path in (GUIDE / name for name in ("admins.md", "scripting.md")):
        for route in re.findall(r"`GET (/[^`]+)`", path.read_text()):
            if ("GET", re.compile(route + "$")) not in routes:
                assert_known("GET", f"/api/v1{route}")


def test_the_dashboard_shows_figures_that_exist(app: FastAPI, project: str) -> None:
    with TestClient(app, client=("127.0.0.1", 50000)) as local:
        text = local.get("/metrics").text
    served = set()
    for name, kind in re.findall(r"^# TYPE (\S+) (\S+)$", text, re.MULTILINE):
        endings = {
            "histogram": ("_bucket", "_sum", "_count"),
            "summary": ("_sum", "_count"),
        }
        served |= {name + ending for ending in endings.get(kind, ("",))}
    dashboard = json.loads((DEPLOY / "grafana" / "cisterna.json").read_text())
    shown = [t["expr"] for p in dashboard["panels"] for t in p["targets"]]
    assert len(shown) > 10
    for expression in shown:
        for name in re.findall(r"cisterna_\w+", expression):
            assert name in served, expression


def test_prometheus_scrapes_the_backend() -> None:
    (job,) = yaml.safe_load((DEPLOY / "prometheus.yml").read_text())["scrape_configs"]
    assert job["metrics_path"] == "/metrics"
    assert job["static_configs"] == [{"targets": ["backend:8765"]}]
    compose = (ROOT / "docker-compose.yml").read_text()
    assert "  backend:\n" in compose
    assert "8765" in compose


def test_lists_of_names_are_complete() -> None:
    changes = (ROOT / "CHANGELOG.md").read_text()
    assert all(f"`{name}`" in changes for name in STRATEGIES)
    readme = (ROOT / "README.md").read_text()
    aside = (JobKind.EXPORT, JobKind.PACKAGE)  # no part of the loop
    assert all(f"{kind}" in readme for kind in JobKind if kind not in aside)
    admins = (GUIDE / "admins.md").read_text()
    assert ", ".join(Role) in admins


def test_the_backup_of_the_guide_holds_the_tables(
    services_dir: Path,
    postgres_url: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if str(services_dir) not in postgres_url and "cisterna" not in postgres_url:
        pytest.skip("the database under test is not the embedded one")
    monkeypatch.setenv("CISTERNA_DATA_DIR", str(services_dir))
    (script,) = (b for b in blocks(GUIDE / "admins.md", "sh") if "pg_dump" in b)
    assert "PYTHON=.venv/bin/python\n" in script
    script = script.replace(".venv/bin/python", sys.executable)
    script += '"$BIN/pg_restore" --list cisterna.dump\n'
    done = subprocess.run(
        ["bash", "-eu", "-c", script],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "dbname: cisterna" in done.stdout


def test_the_script_of_the_guide_runs(stage: Stage) -> None:
    (script,) = blocks(GUIDE / "scripting.md", "python")
    for folder in ("images", "labels"):
        (stage.at / folder).mkdir()
    for seed, name in enumerate(("annotated", "free", "held-out")):
        made = phantom(seed, 256, 256)
        Image.fromarray(made.image).save(stage.at / "images" / f"{name}.png")
        if name != "free":
            Image.fromarray(made.labels).save(stage.at / "labels" / f"{name}.png")
    done = stage.run_once("migrate", stage.services["migrate"]["command"])
    assert done.returncode == 0, done.stderr
    token = (stage.at / "data" / "admin.token").read_text().strip()
    with ExitStack() as stack:
        for name in ("backend", "worker-cpu"):
            stack.enter_context(stage.running(name))
        wait(lambda: stage.is_healthy("backend"), "the backend does not serve")
        environment = {
            **stage.environment("backend"),
            "CISTERNA_SERVER": f"http://127.0.0.1:{stage.port}",
            "CISTERNA_TOKEN": token,
        }
        done = subprocess.run(
            [sys.executable, "-c", script],
            env=environment,
            cwd=stage.at,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
    assert done.returncode == 0, done.stderr + (stage.at / "worker-cpu.log").read_text()
    lines = done.stdout.splitlines()
    assert [line.split()[0] for line in lines[:4]] == ["1", "2", "3", "4"]
    assert any(line.startswith("nucleus ") for line in lines)
    assert Image.open(stage.at / "overlay.png").size >= (256, 256)
