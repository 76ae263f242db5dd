"""The long proofs in short: the same code on small sections, with the forest."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from api_fixtures import settings as settings
from batchgeneratorsv2.transforms.spatial.mirroring import MirrorTransform
from batchgeneratorsv2.transforms.spatial.rot90 import Rot90Transform
from batchgeneratorsv2.transforms.utils.random import RandomTransform
from live_fixtures import Live
from loop_fixtures import ER, MITO, scene
from PIL import Image
from scipy import stats

from backend.domain.states import Split
from bench import curve, forgetting, loop_real, partial, results, vnc
from bench import round as second_round
from bench.places import FOLDER
from bench.stock import Stock, write_raw
from bench.subjects import SCHEMA
from bench.variants import AUGMENTATIONS, PROFILES, WeightedLoss, changed
from bench.vnc import Cord
from worker.forest.segmenter import ForestSegmenter
from worker.nnunet import training
from worker.nnunet.losses import SetLoss
from worker.nnunet.planner import find_profile
from worker.nnunet.trainer import TileTrainer
from worker.segmenter import Budget, TrainingData

SIDE = 256
SPLITS = {
    Split.POOL: range(5),
    Split.VALIDATION: range(13, 14),
    Split.TEST: range(17, 18),
}


@pytest.fixture(autouse=True)
def fewer_sections(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (loop_real, vnc):
        monkeypatch.setattr(module, "SPLITS", SPLITS)


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A nerve cord of small painted sections."""
    folder = tmp_path_factory.mktemp("data") / FOLDER
    for name in ("images", "labels"):
        (folder / name).mkdir(parents=True)
    for number in (n for numbers in SPLITS.values() for n in numbers):
        grey, truth = scene(number, SIDE)
        truth[truth == ER] = 5
        truth[:2, :2] = 255
        assert MITO in truth
        Image.fromarray(grey).save(folder / "images" / f"stack1_{number:02}.png")
        Image.fromarray(truth).save(folder / "labels" / f"stack1_{number:02}.png")
    return folder


@pytest.fixture
def cord(source: Path, tmp_path: Path) -> Cord:
    return Cord(source, tmp_path / "work")


@pytest.fixture
def forest(tmp_path: Path) -> Iterator[ForestSegmenter]:
    made = ForestSegmenter(tmp_path / "scratch")
    yield made
    made.close()


def test_tiles_are_drawn_from_the_pool_and_more_begin_with_the_same(cord: Cord) -> None:
    few, many = cord.draw(3, 6), cord.draw(3, 18)
    assert many[:6] == few
    assert len({*many}) == 18
    assert {number for number, _ in many} <= {*SPLITS[Split.POOL]}
    assert cord.draw(4, 6) != few
    everything = cord.draw(3, 10_000)
    assert len({*everything}) == len(everything) == 5 * (SIDE // 128) ** 2


def test_larger_tiles_are_fewer_and_known_by_what_lies_under_them(
    source: Path, tmp_path: Path
) -> None:
    cord = Cord(source, tmp_path / "work", 256)
    places = cord.draw(0, 10_000)
    assert len(places) == 5 * (SIDE // 256) ** 2
    for (number, box), tile in zip(places, cord.data(places, 0).tiles, strict=True):
        assert (box.h, box.w) == (256, 256)
        truth = cord.sections[number][1][box.slices]
        assert np.array_equal(np.load(tile.target), truth)


def test_a_third_of_the_tiles_are_drawn_evenly(cord: Cord) -> None:
    for number in SPLITS[Split.POOL]:  # all labels in one tile of each section
        cord.sections[number][1][128:] = 0
        cord.sections[number][1][:, 128:] = 0
    firsts = [cord.draw(seed, 1)[0][1] for seed in range(400)]
    labelled = np.mean([box.y == box.x == 0 for box in firsts])
    assert labelled == pytest.approx(2 / 3 + 1 / 3 / 4, abs=0.08)


def test_a_warm_start_knows_what_is_fresh(cord: Cord) -> None:
    places = cord.draw(0, 9)
    data = cord.data(places, 0, places[:6])
    assert data.fresh == {tile.annotation_id for tile in data.tiles[6:]}
    assert len(data.validation) == (SIDE // 128) ** 2
    for tile in data.tiles:
        number = int(tile.image_id)
        truth = cord.sections[number][1][tile.box.slices]
        assert (np.load(tile.target) == truth).all()


def test_forgetting_compares_versions_of_the_same_tiles(
    cord: Cord, forest: ForestSegmenter, capsys: pytest.CaptureFixture[str]
) -> None:
    budget = Budget(1)
    record = forgetting.one_seed(cord, forest, 0, 2, budget, budget)
    assert [v["tiles"] for v in record["quick"]] == [2, 4, 6, 8, 10]
    assert [v["fresh"] for v in record["quick"]] == [2, 2, 2, 2, 2]
    assert [v["schedule"] for v in record["quick"]] == ["full", *["quick"] * 4]
    assert record["full"]["tiles"] == record["full"]["fresh"] == 10
    # a forest has no warm start: the same tiles and seed make the same forest
    assert record["quick"][-1]["test"] == record["full"]["test"]
    assert 0.2 < record["full"]["test"]["mean"] <= 1
    found = forgetting.summary([record])
    assert found["difference"]["mitochondria"] == {
        "n": 1,
        "mean": 0.0,
        "low": None,
        "high": None,
    }
    assert found["reached"] is None
    forest.close()
    before = capsys.readouterr()
    assert before.out.count("seed 0") == 6
    again = forgetting.one_seed(cord, forest, 0, 2, budget, budget)
    assert again == record  # nothing is trained twice


def test_partial_looks_at_as_many_pixels_for_a_class_in_each_arm(
    cord: Cord, forest: ForestSegmenter
) -> None:
    record = partial.one_seed(cord, forest, 0, 4, 1)
    assert [record[arm]["tiles"] for arm in partial.ARMS] == [4, 4, 2]
    assert {record[arm]["pixel_classes"] for arm in partial.ARMS} == {4 * 128**2}
    # nothing in the tiles of `ignored` is background, so it sees labels everywhere
    assert record["sets"]["test"]["mean"] > record["ignored"]["test"]["mean"] + 0.1
    found = partial.summary([record])
    assert found["dice"]["sets"] == pytest.approx(record["sets"]["test"], abs=1e-4)
    assert found["over_complete"]["mean"]["n"] == 1

    whole = cord.data(cord.draw(0, 4), 0).tiles
    for arm, zero in (("sets", 0), ("ignored", 255)):
        tiles = partial.lessons_of(arm, cord, 0, 4).tiles
        for tile, other, value in zip(tiles, whole, (2, 5, 2, 5), strict=True):
            truth, seen = np.load(other.target), np.load(tile.target)
            known = (truth == value) | (truth == 255)
            assert (seen == np.where(known, truth, zero)).all()
            assert tile.complete_for == ((value,) if arm == "sets" else None)


def test_the_interval_is_students() -> None:
    values = [0.01, -0.02, 0.004, -0.01]
    found = forgetting.interval(values)
    expected = stats.ttest_1samp(values, 0).confidence_interval(0.95)
    assert found["low"] == pytest.approx(expected.low, abs=1e-4)
    assert found["high"] == pytest.approx(expected.high, abs=1e-4)


def version(dice: float) -> dict[str, Any]:
    return {"seconds": 1.0, "test": {"mitochondria": dice, "membrane": 0.8}}


@pytest.mark.parametrize(("quick", "reached"), [(0.79, True), (0.76, False)])
def test_forgetting_is_judged_by_the_lowest_label(quick: float, reached: bool) -> None:
    records = [
        {"seed": seed, "quick": [version(quick + 0.001 * seed)], "full": version(0.8)}
        for seed in range(4)
    ]
    for record in records:
        record["quick"] = [version(0.1), *record["quick"]]  # type: ignore[misc]
    assert forgetting.summary(records)["reached"] is reached


def test_seeds_that_were_not_asked_for_stay(tmp_path: Path) -> None:
    out = tmp_path / "proof.json"

    def count(records: Any) -> dict[str, int]:
        return {"count": len(records)}

    results.keep(out, {"seed": 1, "figure": 1}, count)
    results.keep(out, {"seed": 0, "figure": 2}, count)
    results.keep(out, {"seed": 1, "figure": 3}, count)
    found = json.loads(out.read_text())
    assert found["count"] == 2
    assert [(r["seed"], r["figure"]) for r in found["records"]] == [(0, 2), (1, 3)]
    assert {"command", "commit", "machine", "date"} <= found["records"][0][
        "made"
    ].keys()


def test_each_budget_is_a_point_of_the_curve(
    cord: Cord, forest: ForestSegmenter, tmp_path: Path
) -> None:
    asked = curve.arguments(["--tiles", "14", "--full", "2", "--quick", "1"])
    curves = curve.ours(cord, forest, 0, asked)
    assert [p["most_steps"] for p in curves["full"]] == [2]
    assert [(p["most_steps"], p["fresh"]) for p in curves["quick"]] == [(1, 2)]
    picture = tmp_path / "curve.png"
    record = {"seed": 0, "curves": {**curves, "stock": curves["quick"]}}
    curve.draw([record], picture)
    assert Image.open(picture).width > 500
    ends = curve.summary([record])["ends"]
    assert ends["full"]["mean_dice"] == round(curves["full"][-1]["test"]["mean"], 4)
    assert "stock, our plans" not in ends


def test_stock_learns_the_tiles_and_nothing_else(cord: Cord, tmp_path: Path) -> None:
    places = cord.draw(0, 5)
    write_raw(cord, places, tmp_path)
    described = json.loads((tmp_path / "dataset.json").read_text())
    assert described["labels"] == {
        "background": 0,
        "mitochondria": 1,
        "membrane": 2,
        "ignore": 3,
    }
    files = sorted((tmp_path / "labelsTr").iterdir())
    assert described["numTraining"] == len(files) == len({n for n, _ in places})
    for file in files:
        number = int(file.stem.removeprefix("vnc_"))
        written = np.array(Image.open(file))
        truth = cord.sections[number][1]
        inside = np.zeros(truth.shape, bool)
        for _, box in (place for place in places if place[0] == number):
            inside[box.slices] = True
        assert (written[~inside] == 3).all()
        for value, label in enumerate((0, *SCHEMA.values, 255)):
            assert ((written == value) & inside == (truth == label) & inside).all()


def test_rare_classes_weigh_more_and_the_mean_pixel_as_before() -> None:
    sets = ((0,), (1,), (2,), (0, 2), (0, 1, 2))
    shares = (0.64, 0.32, 0.04)
    weighted = WeightedLoss(sets, batch_dice=True, shares=shares)
    plain = SetLoss(sets, batch_dice=True)
    log_p = torch.randn(1, 3, 2, 2).log_softmax(1)
    codes = torch.tensor([[[0, 1], [2, 3]]])
    ratio = weighted.surprise(log_p, codes) / plain.surprise(log_p, codes)
    usual, rare, rarest, open_ = ratio.flatten().tolist()
    assert rare / usual == pytest.approx(2**0.5, rel=1e-5)
    assert rarest / usual == pytest.approx(4, rel=1e-5)
    assert open_ == pytest.approx(1), "no class is known there"
    mean = np.dot(shares, [usual, rare, rarest])
    assert mean == pytest.approx(1, rel=1e-5)


@pytest.mark.parametrize("variant", ["hold", *PROFILES, *AUGMENTATIONS])
def test_a_trial_changes_what_its_name_says(variant: str) -> None:
    tiles = TrainingData(SCHEMA, {}, (), (), None, 0)
    with changed(variant, tiles):
        profile = training.find_profile("cpu", 128)
        whole = TileTrainer.get_training_transforms(
            (64, 64),
            (-1, 1),
            None,
            (0, 1),
            False,
            use_mask_for_norm=[False],
            foreground_labels=[1, 2],
            ignore_label=3,
        )
    assert profile == PROFILES.get(variant, find_profile("cpu", 128))
    parts = whole.transforms
    often = {"only-mirrored": 0, "all-turned": 1}.get(variant, 0.2)
    assert parts[0].p_rotation == often
    quarter = any(isinstance(part, Rot90Transform) for part in parts)
    assert quarter == (variant == "quarter-turned")
    grey = any(isinstance(part, RandomTransform) for part in parts)
    assert grey == (variant != "only-mirrored")
    assert any(isinstance(part, MirrorTransform) for part in parts)
    undone = training.find_profile("cpu", 128)
    assert undone == find_profile("cpu", 128), "undone afterwards"


def test_the_second_round_is_measured_to_the_new_order(
    live: Live, source: Path, tmp_path: Path
) -> None:
    export = tmp_path / "export.zip"
    with live.working():
        found = second_round.ours(live.service, source, 0, 1, export, "forest")
    assert found["tiles"] == 18
    between = found["parts"].pop("between")
    assert {*found["parts"]} == {"train", "evaluate", "predict", "score"}
    total = sum(found["parts"].values()) + between
    assert total == pytest.approx(found["seconds"], abs=0.2)
    assert 0.2 < found["test"]["mean"] <= 1
    peer = Stock(tmp_path / "stock", print)
    second_round.unpack(export, peer)
    known = [
        (np.array(Image.open(file)) != 3).sum()
        for file in (peer.raw / "labelsTr").iterdir()
    ]
    corners = 4 * len([n for n in known if n % 128])  # unknown in truth, too
    assert sum(known) == 18 * 128 * 128 - corners


@pytest.mark.parametrize("reached", [True, False])
def test_a_peer_that_never_got_there_gives_a_lower_bound(reached: bool) -> None:
    mine, theirs = {"seconds": 100.0}, {"seconds": 700.0, "reached": reached}
    found = second_round.ratio(mine, theirs)
    assert found == {"ratio" if reached else "ratio_at_least": 7.0}
    assert second_round.summary([found])["reached"] is True
