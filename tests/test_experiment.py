"""An experiment from its file to its report, killed twice on the way."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from live_fixtures import Live

from backend.client import Cisterna, ClientError
from backend.experiment import plan as plans
from backend.experiment import report
from backend.experiment.experiment import Experiment, kept_plan
from backend.experiment.ground import Ground
from backend.experiment.plan import Stop
from backend.experiment.records import Shelf
from backend.experiment.run import Run
from backend.experiment.scene import Scene
from backend.experiment.statistics import aubc
from backend.experiment.summary import gather, is_through

ROOT = Path(__file__).parent.parent
TINY = {
    "edge = 256": "edge = 160",
    "pool = 2": "pool = 1",
    "tile_size = 64": "tile_size = 40",
    "most_tiles = 10": "most_tiles = 7",
}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    text = (ROOT / "experiments/smoke.toml").read_text()
    for before, after in TINY.items():
        assert before in text
        text = text.replace(before, after)
    text += '\n[[strategies]]\nname = "foreground-random-66-true"\n'
    made = tmp_path / "tiny.toml"
    made.write_text(f'oracle = "noisy"\n{text}')
    return made


def command(live: Live, file: Path, out: Path) -> subprocess.Popen[str]:
    words = ["experiment", str(file), "--out", str(out), "--workers", "2"]
    access = {"CISTERNA_SERVER": live.url, "CISTERNA_TOKEN": live.token}
    return subprocess.Popen(
        [sys.executable, "-m", "backend.cli", *words],
        env={**os.environ, **access},
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        # who starts tests in the background may have SIGINT ignored, children too
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )


def until(condition: Callable[[], bool], process: subprocess.Popen[str]) -> None:
    while not condition():
        assert process.poll() is None, process.communicate()[0]
        time.sleep(0.05)


def lines(out: Path) -> int:
    return sum(len(f.read_text().splitlines()) for f in out.glob("runs/*.jsonl"))


@pytest.mark.timeout(1800)
def test_an_experiment_survives_its_ends(
    live: Live, file: Path, tmp_path: Path
) -> None:
    out = tmp_path / "results"
    with live.working():
        first = command(live, file, out)
        until(lambda: lines(out) >= 2, first)
        first.send_signal(signal.SIGINT)
        said, _ = first.communicate(timeout=120)
        assert first.returncode != 0
        assert "the same command goes on from here" in said
        assert "Traceback" not in said
        kept = {f: f.read_text() for f in out.glob("runs/*.jsonl")}
        assert kept

        second = command(live, file, out)
        reached = lines(out) + 5
        until(lambda: lines(out) >= reached, second)
        time.sleep(0.7)  # in the middle of something
        second.kill()
        second.communicate()
        third = command(live, file, out)
        said, _ = third.communicate(timeout=400)
    assert third.returncode == 0, said
    assert "left] " in said
    for done, text in kept.items():
        assert done.read_text().startswith(text), "what is finished is not done again"
    check_records(out)
    check_report(out)
    projects = [p.slug for p in live.service.projects.list()]
    assert len(projects) == len(set(projects)) == 1 + 2 + 6 + 8

    file.write_text(file.read_text().replace("query_size = 3", "query_size = 2"))
    plan = plans.read(file)
    with pytest.raises(ClientError, match="another folder"):
        Experiment(live.service, plan, out, 1, print).run()


def check_records(out: Path) -> None:
    runs = {f.stem: Shelf(out).read(f.stem) for f in out.glob("runs/*.jsonl")}
    strategies = ("foreground-random-66", "entropy", "foreground-random-66-true")
    for seed in (0, 1):
        assert [r["tiles"] for r in runs[f"full-{seed}"]] == [16]
        starts = set()
        for strategy in strategies:
            records = runs[f"{strategy}-{seed}"]
            assert [r["tiles"] for r in records] == [4, 7]
            assert [r["learnt"] for r in records] == [4, 7]
            tiles = [c["tile"] for r in records for c in r["chosen"]]
            assert len(set(tiles)) == len(tiles) == 7
            starts.add(tuple(tiles[:4]))
            for axis in ("foreground_pixels", "priority_pixels", "minutes"):
                grown = [r[axis] for r in records]
                assert grown == sorted(grown)
                assert grown[-1] <= runs[f"full-{seed}"][0][axis]
            components = {c["component"] for r in records[1:] for c in r["chosen"]}
            assert components <= {"entropy", "random"} or strategy != "entropy"
            for record in records:
                for label in ("ER", "mitochondria"):
                    figures = record["test"][label]
                    assert 0 < figures["ap"] < 1
                    assert set(figures) == {
                        "ap",
                        "dice",
                        "precision",
                        "recall",
                        "recall_at_0.8",
                        "recall_at_0.85",
                    }
        assert len(starts) == 1, "all strategies of a seed start alike"
        # the same labels, learnt with the same seed, by the same forest
        firsts = [runs[f"{strategy}-{seed}"][0]["test"] for strategy in strategies]
        assert firsts[0] == firsts[1] == firsts[2]
    assert runs["entropy-0"][0]["chosen"] != runs["entropy-1"][0]["chosen"]
    repeats = [name for name in runs if name.startswith("repeat")]
    assert len(repeats) == 2 * (1 + len(strategies))
    for number in (0, 1):
        (again,) = runs[f"repeat-start-0-4-{number}"]
        assert again["foreground_pixels"] == runs["entropy-0"][0]["foreground_pixels"]
        assert again["test"] != runs["entropy-0"][0]["test"]


def check_report(out: Path) -> None:
    summary = json.loads((out / "report.json").read_text())
    page = (out / "report.html").read_text()
    areas = summary["aubc"]["ER"]["ap"]
    assert list(areas) == [
        "foreground-random-66",
        "entropy",
        "foreground-random-66-true",
    ]
    by_hand = [
        aubc([r["test"]["ER"]["ap"] for r in Shelf(out).read(f"entropy-{seed}")])
        for seed in (0, 1)
    ]
    assert areas["entropy"]["area"]["mean"] == pytest.approx(np.mean(by_hand))
    assert f"{np.mean(by_hand):.3f}" in page
    assert summary["retraining_sd"]["ER"]["ap"] > 0
    assert set(summary["savings"]["ER"]) == {"0.90", "0.95"}
    assert page.count("data:image/png;base64,") >= 8
    assert 'src="http' not in page
    for name in ("curves-ER-ap", "effects-ER", "penalties", "gallery/entropy"):
        assert (out / f"{name}.png").read_bytes().startswith(b"\x89PNG")


def record(strategy: str, seed: int, number: int, ap: float | None) -> dict[str, Any]:
    return {
        "kind": "run",
        "strategy": strategy,
        "seed": seed,
        "round": number,
        "tiles": 4 + 3 * number,
        "foreground_pixels": 100 * (number + 1),
        "priority_pixels": 10 * (number + 1),
        "minutes": 2.0 * (number + 1),
        "test": {label: {"ap": ap, "dice": ap} for label in ("ER", "mitochondria")},
    }


def curve(strategy: str, seed: int, *scores: float | None) -> list[dict[str, Any]]:
    return [record(strategy, seed, n, score) for n, score in enumerate(scores)]


def test_a_report_of_what_there_is(tmp_path: Path) -> None:
    plan = plans.read(ROOT / "experiments/smoke.toml")
    runs = [
        curve("full", 0, 1.0),
        curve("full", 1, 0.8),
        curve("foreground-random-66", 0, 0.2, 0.4, 0.6),
        curve("foreground-random-66", 1, None, 0.2, 0.4),
        curve("entropy", 0, 0.2, 0.9, 0.95),
        curve("entropy", 1, 0.0, 0.8),
        curve("entropy", 7, 0.0, 0.8, 0.8),
    ]
    curves = gather(plan, runs)
    assert curves.seeds["entropy"] == [0], "unfinished, or not of this plan"
    page = report.write(plan, runs, tmp_path).read_text()
    assert "entropy 1 of 2" in page
    summary = json.loads((tmp_path / "report.json").read_text())
    effect = summary["aubc"]["ER"]["ap"]["entropy"]["effect"]
    assert effect["difference"]["mean"] == pytest.approx(0.7375 - 0.4)
    saved = summary["savings"]["ER"]["0.90"]
    assert saved["entropy"]["tiles"] == pytest.approx(4 + 3 * 0.61 / 0.7)
    assert saved["entropy"]["saving"] is None
    assert saved["foreground-random-66"]["censored"]
    ended = plan.model_copy(update={"stop": Stop(most_tiles=10, until=0.95)})
    assert "so they are censored" in report.write(ended, runs, tmp_path).read_text()
    assert json.loads((tmp_path / "report.json").read_text())["censored"]
    assert is_through(gather(ended, [*runs[1:2], *runs[2:]])) is False
    low = [curve("full", 0, 0.3), curve("full", 1, 0.4), *runs[2:]]
    assert is_through(gather(ended, low))
    with pytest.raises(ClientError, match="No run has finished"):
        gather(plan, runs[:2])
    with pytest.raises(ClientError, match="no results"):
        kept_plan(tmp_path)


def test_a_baseline_that_had_come_far_enough_is_not_played_on(tmp_path: Path) -> None:
    plan = plans.read(ROOT / "experiments/smoke.toml")
    shelf = Shelf(tmp_path)
    rounds = curve("foreground-random-66", 0, 0.2, 0.6, 0.5)
    shelf.write("foreground-random-66-0", rounds)
    nowhere = Cisterna("http://127.0.0.1:9", "no token")
    run = Run(
        scene=Scene(nowhere, plan, {}, shelf, "x", lambda: None),
        name="foreground-random-66-0",
        strategy=plan.strategies[0],
        seed=0,
        training_seed=0,
        on_record=lambda run, record: None,
    )
    assert run.play(9, lambda record: record["test"]["ER"]["ap"] > 0.55) == rounds
    assert run.play(2) == rounds


def test_a_run_whose_records_are_gone_begins_in_a_new_project(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = plans.read(ROOT / "experiments/smoke.toml")
    cleared: list[str] = []

    def ground(slug: str, trainings: int) -> SimpleNamespace:
        return SimpleNamespace(
            slug=slug,
            is_new=not trainings,
            trainings=trainings,
            clear=lambda: cleared.append(slug),
        )

    found = iter([ground("used", 3), ground("new", 0)])
    monkeypatch.setattr(Ground, "found", lambda scene, body: next(found))
    run = Run(
        scene=Scene(
            Cisterna("http://127.0.0.1:9"), plan, {}, Shelf(tmp_path), "x", int
        ),
        name="entropy-0",
        strategy=plan.strategies[1],
        seed=0,
        training_seed=0,
        on_record=lambda run, record: None,
    )
    assert run._ground.slug == "new"
    assert cleared == ["used"]


def test_damaged_records_are_not_overwritten(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path)
    assert shelf.read("entropy-0") == []
    shelf.write("entropy-0", curve("entropy", 0, 0.1, 0.2))
    assert len(shelf.read("entropy-0")) == 2
    assert not list(tmp_path.glob("**/*.part"))
    file = shelf.file("entropy-0")
    file.write_text(file.read_text()[:-20])
    with pytest.raises(ClientError, match="damaged"):
        shelf.read("entropy-0")
    shelf.write("entropy-0", curve("entropy", 0, 0.1, 0.2)[1:])
    with pytest.raises(ClientError, match="rounds"):
        shelf.read("entropy-0")
