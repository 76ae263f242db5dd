"""The unit metric in short: a model that is right about itself, and one of phantoms.

It fails if expected missed pixels no longer find what a model missed.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from backend.domain.geometry import TileGrid
from backend.domain.states import Split
from backend.imaging.phantom import phantom
from backend.ranker.calibration import Platt, expected_missed
from backend.ranker.capture import capture, spearman
from backend.ranker.statistics import TileAccumulator
from bench import unit, unit_models, unit_tiles, vnc
from bench.pictures import captures
from bench.places import FOLDER
from bench.results import keep
from bench.subjects import SCHEMA
from bench.vnc import Cord
from worker.forest.segmenter import ForestSegmenter

SIDE, TILE, SEED = 512, 64, 3
SPLITS = {Split.POOL: range(3), Split.VALIDATION: range(13, 14), Split.TEST: range(0)}
KNOWN, LEARNT = 64, 24


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    """One model of phantoms that stand in for sections, and its run."""
    folder = tmp_path_factory.mktemp("unit")
    source = folder / FOLDER
    for name in ("images", "labels"):
        (source / name).mkdir(parents=True)
    for number in (n for numbers in SPLITS.values() for n in numbers):
        scene = phantom(number, SIDE, SIDE)
        truth = np.where(np.isin(scene.labels, SCHEMA.values), scene.labels, 0)
        Image.fromarray(scene.image).save(source / f"images/stack1_{number:02}.png")
        Image.fromarray(truth).save(source / f"labels/stack1_{number:02}.png")
    with pytest.MonkeyPatch.context() as patch:
        for module in (unit_models, unit_tiles, vnc):
            patch.setattr(module, "SPLITS", SPLITS)
        cord = Cord(source, folder / "cord", TILE)
        model = unit_models.learnt(cord, folder / "work", "forest", SEED, 0, LEARNT)
        run = unit.one_run(cord, model, KNOWN)
        pool = unit_tiles.judged(cord, model, Split.POOL)
        yield {"cord": cord, "model": model, "run": run, "pool": pool, "at": folder}


def test_where_probabilities_are_true_expected_misses_find_the_missed() -> None:
    """A label that truly is there as often as the model says, and often undecided."""
    random = np.random.default_rng(0)
    grid = TileGrid(20 * 16, 20 * 16, 16)
    logits = np.kron(random.normal(-3, 1.5, (20, 20)), np.ones((16, 16)))
    logits += random.normal(0, 0.5, logits.shape)
    p = (1 / (1 + np.exp(-logits))).astype(np.float32)
    both = np.stack([1 - p, p])
    decided = (p > 0.5).astype(np.uint8)
    entropy = -(both * np.log(both)).sum(axis=0)
    gathered = TileAccumulator(grid, [2])
    gathered.add_rows(0, both, decided, entropy, 0 * p, 0 * p[None])
    statistics = gathered.finish(None)
    lost = (random.random(p.shape) < p) & (decided == 0)
    missed = lost.reshape(20, 16, 20, 16).sum(axis=(1, 3)).reshape(-1)
    best = capture(missed, missed)
    by_platt = expected_missed(statistics.logit_histogram[:, 0], Platt())
    for score in (statistics.p_missed[:, 0], by_platt):
        assert capture(score, missed) > 0.9 * best > 0.2
        assert spearman(score, missed) > 0.9
    by_area = capture(statistics.p_sum[:, 0], missed)
    assert by_area < capture(statistics.p_missed[:, 0], missed)


def test_a_forest_of_phantoms_is_better_ranked_than_by_chance(
    made: dict[str, Any],
) -> None:
    """Scores find its misses, and lessons from other tiles find more of them."""
    for label in SCHEMA.names:
        scores = made["run"]["labels"][label]["scores"]
        captures = {name: figures["capture"] for name, figures in scores.items()}
        assert captures["product"] > 0.2, label
        assert captures["er-gap, learned"] > captures["er-gap"] > 0.2, label
        for name in ("product", "er-gap", "er-gap, learned"):
            assert scores[name]["spearman"] > 0.35, label
        assert max(captures, key=captures.__getitem__) == "oracle"
        assert scores["oracle"]["spearman"] == 1.0
        assert abs(scores["random"]["spearman"]) < 0.25


def test_lessons_are_judged_on_what_the_query_left(made: dict[str, Any]) -> None:
    for label in SCHEMA.names:
        found = made["run"]["labels"][label]
        assert found["lessons"].keys() < found["scores"].keys()
        for rows in found["lessons"].values():
            assert [*rows] == ["before", "asked", "both"]
            assert all(0 <= row["capture"] <= 1 for row in rows.values())
            assert len({tuple(row.values()) for row in rows.values()}) > 1


def test_what_the_model_learnt_is_not_judged(made: dict[str, Any]) -> None:
    pool, model = made["pool"], made["model"]
    assert len(pool) == made["run"]["tiles"] == 3 * (SIDE // TILE) ** 2 - LEARNT
    assert len(set(model.places)) == LEARNT


def test_missed_pixels_are_those_that_were_not_decided(made: dict[str, Any]) -> None:
    pool = made["pool"]
    assert (pool.missed <= pool.true).all()
    assert pool.missed.sum() > 0
    invented = pool.decided - (pool.true - pool.missed)
    assert (invented >= 0).all()
    assert (pool.wrong == pool.missed + invented).all()
    open_pixels = (pool.missed_bins + pool.other_bins).sum(axis=-1)
    valid = pool.statistics.valid[:, None]
    assert (open_pixels + pool.decided == valid).all()
    # the sweep's own histogram counts the same pixels
    counted = pool.statistics.logit_histogram.sum(axis=-1)
    assert (counted == open_pixels).all()


def test_the_same_model_is_not_trained_twice(made: dict[str, Any]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ForestSegmenter, "train", None)
        patch.setattr(ForestSegmenter, "predict", None)
        work = made["at"] / "work"
        again = unit_models.learnt(made["cord"], work, "forest", SEED, 0, LEARNT)
    assert unit.one_run(made["cord"], again, KNOWN) == made["run"]


def test_runs_of_other_seeds_and_models_stay(
    made: dict[str, Any], tmp_path: Path
) -> None:
    out = tmp_path / "unit.json"
    assert unit.known_runs(out, 0) == {}
    for seed, name in ((0, "a"), (1, "a"), (0, "b")):
        runs = {**unit.known_runs(out, seed), name: made["run"]}
        found = keep(out, {"seed": seed, "runs": runs}, unit.summary)
    captures(found, tmp_path / "unit.png")
    content = json.loads(out.read_text())
    assert [list(record["runs"]) for record in content["records"]] == [
        ["a", "b"],
        ["a"],
    ]
    assert content["runs"]["a"]["seeds"] == 2
    label = SCHEMA.names[0]
    assert next(iter(content["runs"]["b"][label]["scores"])) == "oracle"
    assert Image.open(tmp_path / "unit.png").size[0] > 500
