"""The benches beside stock nnU-Net, in small: complete, and both sides agree.

No time is asserted here: what the machine can do is for the long runs to say.
"""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from tests.loop_fixtures import ER, U1, scene

pytest.importorskip("torch", reason="the worker extra is not installed")
pytest.importorskip("nnunetv2", reason="the worker extra is not installed")

import torch

from bench import inference, memory, peers, step
from bench.subjects import SCHEMA, dice, examples, learn, mosaic, stored


def pair(seed: int, side: int = 256) -> tuple[U1, U1]:
    """A painted image and its truth in the labels of the nerve cord."""
    grey, truth = scene(seed, side)
    return grey, np.where(truth == ER, 5, truth).astype(np.uint8)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model that learnt two painted images a little."""
    home = tmp_path_factory.mktemp("bench")
    data = examples([pair(0), pair(1)], SCHEMA, 128, home / "examples")
    return learn(data, 40, home)


@pytest.fixture(autouse=True)
def environment() -> Iterator[None]:
    """nnU-Net's folders are set in this process; put them back."""
    before = dict(os.environ)
    yield
    os.environ.clear()
    os.environ.update(before)


def test_inference_has_both_sides(model: Path, tmp_path: Path) -> None:
    image, truth = pair(2, 320)
    seen = inference.Scene({"painted": image}, {"painted": truth})
    part = inference.compare(model, seen, tmp_path / "work", mirror=False)
    assert part["peer"]["command"].startswith("nnUNet_raw=")
    assert "nnUNetv2_predict -i" in part["peer"]["command"]
    assert part["peer"]["command"].endswith("-device cpu --disable_tta")
    assert part["ours"]["command"].endswith("--disable_tta")
    assert part["ratio"] > 0
    assert part["ratio_in_process"] > 0
    assert part["labels_agree"] > 0.97
    assert abs(part["difference"]) < 0.02
    assert part["mean_dice"]["ours"] > 0.6

    facts = peers.facts(seed=0)
    result = inference.summary({"vnc-plain": facts | part})
    assert result["reached"] is False, "three parts are missing"
    peers.publish("inference", result, tmp_path / "out")
    kept = peers.earlier("inference", tmp_path / "out")
    assert kept["vnc-plain"]["ratio"] == part["ratio"]
    assert {"command", "commit", "machine", "seed", "date"} <= set(kept["vnc-plain"])
    assert {"torch", "nnunetv2", "cores"} <= set(kept["vnc-plain"]["machine"])


def test_memory_weighs_both_sides(model: Path, tmp_path: Path) -> None:
    image, _ = pair(3, 256)
    part = memory.beside(model, image, tmp_path / "beside")
    assert part["peer"]["peak_pss_mib"] > 200
    assert part["ours"]["peak_pss_mib"] > 200
    alone = memory.alone(model, image, tmp_path / "alone")
    assert alone["loaded_model_mib"] > 100
    assert alone["peak_pss_mib"] > 0.9 * alone["loaded_model_mib"]
    result = memory.summary({"beside": part, "alone": alone})
    assert result["ratio"] == part["ratio"]
    assert set(result["reached_each"]) == set(result["targets"])
    assert json.loads(json.dumps(result)) == result


def test_peak_counts_every_process_once(tmp_path: Path) -> None:
    held = 200 << 20
    code = (
        "import os, time; held = bytearray(os.urandom(1)) * "
        f"{held}; pid = os.fork(); time.sleep(3); pid and os.wait()"
    )
    process = subprocess.Popen([sys.executable, "-c", code])
    with peers.peak(process.pid) as samples:
        assert process.wait() == 0
    assert held < max(samples) < 1.5 * held, "a fork shares its pages"


def test_step_compares_the_same_network(tmp_path: Path) -> None:
    torch.set_num_threads(1)  # several would spin while others compute
    size = step.Size(edge=64, batch=2, features=8)
    bench = step.Bench([pair(0)], size, tmp_path, batches=4)
    record = bench.speed(blocks=1, steps=2)
    record["curve"] = bench.curves(steps=12, seeds=(0, 1))
    curve = record["curve"]
    result = step.summary(record)
    assert result["ratio"] > 0
    assert result["peer"]["number_format"] == "float32"
    assert result["network"]["features"] == 8
    assert len(curve["between_sides"]) == 2
    assert len(curve["between_seeds"]) == 1
    assert max(curve["between_sides"]) < 0.1
    assert curve["between_seeds"][0] > 0


def test_distance_of_curves() -> None:
    one = np.arange(20.0)
    assert step.distance(one, one + 0.5) == pytest.approx(0.5)
    wiggle = one + np.where(np.arange(20) % 2, 1.0, -1.0)
    assert step.distance(one, wiggle) == pytest.approx(0.0), "noise is smoothed away"


def test_a_mosaic_is_mirrored_at_its_seams() -> None:
    sections = [pair(n, 64)[0] for n in range(3)]
    whole = mosaic(sections, 160)
    assert whole.shape == (160, 160)
    np.testing.assert_array_equal(whole[:64, :64], sections[0])
    np.testing.assert_array_equal(whole[:64, 64:128], sections[1][:, ::-1])
    np.testing.assert_array_equal(whole[64:128, :64], sections[1][::-1])
    np.testing.assert_array_equal(whole[128:, 64:128], sections[0][:32, ::-1])


def test_stored_images_state_mean_and_deviation(tmp_path: Path) -> None:
    grey, _ = pair(4, 96)
    image = stored(grey, "grey", tmp_path)
    assert image.mean == pytest.approx(grey.mean())
    assert image.sd == pytest.approx(grey.std())


def test_dice_leaves_out_what_is_unknown() -> None:
    truth = np.array([[2, 2, 255, 0]], np.uint8)
    said = np.array([[2, 0, 2, 0]], np.uint8)
    found = dice([said], [truth], SCHEMA)
    assert found["mitochondria"] == pytest.approx(2 / 3)
    assert np.isnan(found["membrane"])
