"""The walls between the rooms, and the habits no linter knows."""

import ast
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
SOURCES = sorted(
    path for room in ("backend", "worker") for path in (ROOT / room).rglob("*.py")
)
UNPICKLERS = {"pickle", "cPickle", "dill", "cloudpickle", "joblib", "shelve", "marshal"}


def calls(path: Path) -> Iterator[ast.Call]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Call):
            yield node


def test_imports_keep_to_the_contracts() -> None:
    result = subprocess.run(
        [Path(sys.executable).with_name("lint-imports"), "--no-cache"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert result.returncode == 0, result.stdout + result.stderr


def test_only_one_file_commits() -> None:
    found = {
        str(path.relative_to(ROOT))
        for path in SOURCES
        for call in calls(path)
        if isinstance(call.func, ast.Attribute) and call.func.attr == "commit"
    }
    assert found == {"backend/db.py"}


def test_celery_is_asked_for_nothing_that_lives_in_its_memory() -> None:
    """No delay, retry, revoke: times, attempts and cancels stand in the ledger."""
    forbidden_names = {"retry", "revoke", "apply_async"}
    forbidden_arguments = {"countdown", "eta", "task_always_eager"}
    for path in SOURCES:
        for call in calls(path):
            if isinstance(call.func, ast.Attribute):
                assert call.func.attr not in forbidden_names, (path, call.lineno)
            for keyword in call.keywords:
                assert keyword.arg not in forbidden_arguments, (path, call.lineno)
    for path in [*SOURCES, *(ROOT / "tests").rglob("*.py")]:
        if path != Path(__file__):
            assert "always_eager" not in path.read_text(), path


@pytest.mark.parametrize("module", ["backend.app", "worker.app"])
def test_servers_and_workers_start_without_torch(module: str, tmp_path: Path) -> None:
    code = (
        f"import sys, {module}\n"
        "print([m for m in ('torch', 'nnunetv2') if m in sys.modules])"
    )
    environment = {
        **os.environ,
        "CISTERNA_DATA_DIR": str(tmp_path),
        "CISTERNA_DATABASE_URL": "postgresql+psycopg://nobody@localhost:1/none",
        "CISTERNA_BROKER_URL": "redis://localhost:1/0",
    }
    shown = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    assert shown.stdout.strip() == "[]"


def test_nothing_is_unpickled() -> None:
    """torch.load reads our own checkpoints only, and their plain values only.

    The forest's trees have no other form than joblib's; none is taken from outside.
    """
    loads, unpicklers = [], []
    for path in SOURCES:
        tree = ast.parse(path.read_text())
        for node in ast.walk(tree):
            names: list[str] = []
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and not node.level:
                names = [f"{node.module}.{alias.name}" for alias in node.names]
            for name in names:
                root = name.partition(".")[0]
                assert name != "torch.load", (path, node.lineno)
                if root in UNPICKLERS:
                    unpicklers.append((path.relative_to(ROOT).as_posix(), root))
        for call in calls(path):
            keywords = {k.arg: ast.unparse(k.value) for k in call.keywords}
            assert keywords.get("allow_pickle", "False") == "False", (path, call.lineno)
            if ast.unparse(call.func) == "torch.load":
                loads.append((path.name, keywords.get("weights_only")))
    assert loads == [("checkpoints.py", "True")]
    assert unpicklers == [("worker/forest/ensemble.py", "joblib")]


def test_no_room_for_odds_and_ends() -> None:
    odd = re.compile(r"util|helper|common|manager")
    assert [path for path in SOURCES if odd.search(path.stem)] == []
