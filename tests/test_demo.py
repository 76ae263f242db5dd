"""`cisterna demo`: from nothing to a tile that can be painted."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from stage import free_port, wait

from backend import cli
from backend.client import Cisterna
from backend.domain.states import JobKind, QueryState
from backend.embedded import EmbeddedPostgres, exclusive

CISTERNA = f"{sys.executable} -m backend.cli"
LABORATORY = {
    "CISTERNA_DATABASE_URL": "postgresql+psycopg://laboratory@localhost:1/liver",
    "CISTERNA_BROKER_URL": "redis://localhost:1/0",
    "CISTERNA_STORAGE_URL": "s3://laboratory/liver",
    "CISTERNA_PUBLIC_URL": "https://cisterna.example",
    "CISTERNA_LANES": '["gpu"]',
}
"""What somebody may have in their environment; the demo has nothing to do with it."""


@pytest.fixture
def folder(tmp_path: Path, discard: Callable[[Path], None]) -> Iterator[Path]:
    """The place of the demo's data directory."""
    yield tmp_path
    discard(tmp_path / "cisterna-demo")


@contextmanager
def demo(folder: Path, until: str, status: int) -> Iterator[list[str]]:
    """Run the demo until it has said something; what it said. Ctrl-C ends it."""
    with subprocess.Popen(
        [sys.executable, "-m", "backend.cli", "demo"],
        cwd=folder,
        env={**os.environ, **LABORATORY, "CISTERNA_PORT": str(free_port())},
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        said: list[str] = []
        try:
            for line in process.stdout:
                said.append(line)
                if until in line:
                    break
            else:
                pytest.fail("".join(said))
            yield said
        finally:
            process.send_signal(signal.SIGINT)
            process.stdout.read()
    assert process.returncode == status
    data_dir = folder / "cisterna-demo"
    with exclusive(data_dir):
        assert not EmbeddedPostgres(data_dir).is_running()
    for pid_file in (data_dir / "run").glob("*.pid"):
        assert not Path("/proc", pid_file.read_text().strip()).exists(), pid_file


@contextmanager
def served(folder: Path, said: list[str]) -> Iterator[Cisterna]:
    """The service at the address that was printed."""
    address = next(line for line in said if "address" in line).split()[-1]
    token = (folder / "cisterna-demo" / "admin.token").read_text().strip()
    with Cisterna(address, token) as service:
        yield service


def test_the_demo_ends_with_a_tile_to_paint(folder: Path) -> None:
    with demo(folder, "image liver-01", 1):
        pass  # somebody had no time
    with demo(folder, "Ctrl-C stops everything", 0) as said:
        assert not any(" worker | " in line for line in said)  # its log has them
        with served(folder, said) as service:
            assert len(list(service.images.list("demo"))) == 4
            (live,) = (
                query
                for query in service.queries.list("demo")
                if query.state is QueryState.LIVE
            )
            assert live.strategy == "er-gap"
            export = next(line for line in said if "CISTERNA_TOKEN" in line)
            command = (
                f"{export.split('scripts', 1)[1].strip()} && {CISTERNA} project list"
            )
            words = ["sh", "-c", command]
            assert "liver" in subprocess.check_output(words, text=True)
            practice = list(service.projects.practice("demo"))
            truths = [service.annotations.mask(each.annotation_id) for each in practice]
            assert len(truths) == 3
            labels = {label.value for label in service.projects.get("demo").labels}
            assert labels <= set(np.unique(truths))
            blank = np.zeros_like(truths[0])
            told = service.annotations.practise(practice[0].annotation_id, blank)
            assert 0.0 in [score.dice for score in told.scores]
            (task,) = service.tasks.claim("demo").tasks
            assert task.prediction_id is not None
            picture = service.predictions.picture(task.prediction_id, "entropy")
            assert picture.startswith(b"\x89PNG")
            for _ in range(3):
                (task,) = service.tasks.claim("demo").tasks
                service.tasks.submit(task.id, service.tasks.mask(task.id))

            def trained() -> bool:
                return len(list(service.jobs.list("demo", kind=JobKind.TRAIN))) == 2

            wait(trained, "three tiles did not start a training")
            assert f" {service.url}/projects/demo/annotate#join=" in "".join(said)
    with demo(folder, "Ctrl-C stops everything", 0) as said:
        assert any("is here already" in line for line in said)


def test_without_the_forest_one_line_names_the_mend(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(sys.modules, "sklearn", None)
    monkeypatch.setattr(sys, "argv", ["cisterna", "demo"])
    with pytest.raises(SystemExit) as end:
        cli.main()
    assert end.value.code == 1
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert "pip install 'cisterna[worker]'" in said
    assert list(tmp_path.iterdir()) == []
