"""A training: what it draws, where it turns, what it survives, how many it makes."""

import json
import math
import sys
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

pytest.importorskip("torch", reason="the worker extra is not installed")
pytest.importorskip("nnunetv2", reason="the worker extra is not installed")

import torch
from test_nnunet import DISC, STRIPE, prepared, training_data

from worker.nnunet import checkpoints, loop, team, training, weights
from worker.nnunet.monitor import monitor
from worker.nnunet.planner import find_profile
from worker.nnunet.sampling import FRESH_SHARE, replayed, shares_of
from worker.nnunet.schedule import FULL, HOLD
from worker.nnunet.trainer import TileTrainer
from worker.nnunet.training import train
from worker.segmenter import (
    Budget,
    OutOfMemory,
    Progress,
    SegmenterError,
    TrainingData,
)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> TrainingData:
    """Five tiles to learn from, all with both labels, and one to monitor."""
    return training_data(tmp_path_factory.mktemp("data"))


@pytest.fixture(autouse=True)
def folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where nnU-Net keeps its things when it runs in this process."""
    for name in ("raw", "preprocessed", "results"):
        monkeypatch.setenv(f"nnUNet_{name}", str(tmp_path / name))
    monkeypatch.setenv("nnUNet_n_proc_DA", "0")
    return tmp_path


@pytest.fixture(autouse=True)
def _small_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """A quarter of the features: a tenth of the time, and the same code."""
    small = replace(find_profile("cpu", 256), features=4)
    monkeypatch.setattr(training, "find_profile", lambda name, tile: small)


def run(
    data: TrainingData,
    into: Path,
    budget: Budget,
    *,
    start_from: Path | None = None,
    stopping: Callable[[], bool] = lambda: False,
    emit: Callable[[Progress], None] = lambda progress: None,
    smaller: bool = False,
) -> dict[str, Any] | None:
    return train(data, into, start_from, "cpu", budget, emit, stopping, smaller=smaller)


def stop_at(call: int) -> Callable[[], bool]:
    """Ask for a stop when it is looked for that many times."""
    calls = count(1)
    return lambda: next(calls) == call


# What is drawn

WEIGHTS = st.lists(st.floats(0.01, 10), min_size=1, max_size=20)


@given(WEIGHTS, st.data())
def test_fresh_tiles_have_their_share_and_old_ones_stay(
    some: list[float], draw: st.DataObject
) -> None:
    before = np.array(some) / sum(some)
    size = len(some)
    fresh = np.array(draw.draw(st.lists(st.booleans(), min_size=size, max_size=size)))
    after = replayed(before, fresh)
    assert after.sum() == pytest.approx(1)
    assert (after > 0).all()
    if fresh.any() and not fresh.all():
        assert after[fresh].sum() >= FRESH_SHARE - 1e-9
        assert after[fresh].sum() >= before[fresh].sum() - 1e-9
    else:
        np.testing.assert_allclose(after, before)
    for group in (fresh, ~fresh):  # no tile gains on its like
        if group.any():
            ratio = after[group] / before[group]
            np.testing.assert_allclose(ratio, ratio[0])


@given(
    st.dictionaries(st.integers(1, 6), st.floats(0, 1), max_size=6),
    st.dictionaries(st.integers(1, 6), st.booleans(), max_size=6),
)
def test_shares_are_those_asked_for_of_labels_that_occur(
    emphasis: dict[int, float], occurs: dict[int, bool]
) -> None:
    shares = shares_of(emphasis, {n: np.array([yes]) for n, yes in occurs.items()})
    there = {number for number, yes in occurs.items() if yes}
    assert set(shares) <= there
    assert bool(shares) == bool(there)
    if shares:
        assert sum(shares.values()) == pytest.approx(1)
        wanted = {n: emphasis.get(n, 0.0) for n in there}
        if sum(wanted.values()) > 0:
            for n, share in shares.items():
                assert share == pytest.approx(wanted[n] / sum(wanted.values()))
        else:
            assert set(shares) == there
            assert len(set(shares.values())) == 1


def test_the_priority_label_is_in_half_of_the_forced_patches(
    data: TrainingData, folders: Path
) -> None:
    """Even though a single tile of five shows it."""
    tiles = list(data.tiles)
    for i, tile in enumerate(tiles[1:], start=1):
        target = np.load(tile.target)
        target[target == DISC] = 0
        path = folders / f"without-{i}.npy"
        np.save(path, target)
        tiles[i] = replace(tile, target=path)
    asked = {DISC: 0.5, STRIPE: 0.5}
    rare = replace(data, tiles=tuple(tiles), emphasis=asked)
    trainer = prepared(rare, folders)
    trainer.start(0)
    loader = trainer.dataloader_train.data_loader
    drawn: Counter[int] = Counter()
    cases: Counter[tuple[int, str]] = Counter()
    for _ in range(500):
        keys = loader.get_indices()
        drawn.update(loader._drawn)
        cases.update(zip(loader._drawn, keys, strict=True))
    assert drawn[0] == 2000  # half of each batch of eight is not forced
    assert drawn[1] == pytest.approx(1000, abs=4 * math.sqrt(2000 / 4))
    assert {case for label, case in cases if label == 1} == {"tile_00000"}
    assert {case for label, case in cases if label == 2} == set(loader.indices)
    seen = 0
    for _ in range(30):
        batch = loader.generate_train_batch()
        for label, target in zip(batch["labels"], batch["target"][0], strict=True):
            # rotated patches may turn the forced pixel out of the corner it lay in
            seen += int(label == 1 and not (target == 1).any())
    assert seen <= 3


# Where it turns


def level(loss: float) -> Callable[..., dict[str, float | None]]:
    """A monitor that always says the same."""
    return lambda *_: {"validation_loss": loss, "validation_dice/disc": 0.5}


def test_a_plateau_ends_a_training_with_its_cool_down(
    data: TrainingData, folders: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loop, "monitor", level(0.5))
    monkeypatch.setattr(loop, "_LOOKING", math.inf)
    rates: list[float] = []
    real = TileTrainer.step

    def step(self: TileTrainer, rate: float) -> float:
        rates.append(rate)
        return real(self, rate)

    monkeypatch.setattr(TileTrainer, "step", step)
    log: list[Progress] = []
    done = run(data, folders / "m", Budget(80, plateau=True), emit=log.append)
    assert done is not None
    metrics = done["metrics"]
    assert metrics["ended"] == "plateau"
    steps = metrics["steps"]
    assert 16 < steps < 60
    fall = [rate for rate in rates if rate < FULL.peak][4:]
    assert len(fall) == pytest.approx(steps * (1 - HOLD), abs=2)
    assert fall == sorted(fall, reverse=True)
    assert rates[-1] < 0.2 * FULL.peak
    fractions = [p.fraction for p in log if p.fraction is not None]
    assert fractions[-1] == 1
    assert metrics["curve"][-1]["step"] == steps
    assert len(metrics["curve"]) > 6

    unasked = run(data, folders / "n", Budget(20))
    assert unasked is not None
    assert unasked["metrics"]["ended"] == "steps"
    assert unasked["metrics"]["steps"] == 20


def test_a_stop_in_the_cool_down_changes_nothing(
    data: TrainingData, folders: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loop, "monitor", level(0.5))
    monkeypatch.setattr(loop, "_LOOKING", math.inf)
    budget = Budget(40, plateau=True)
    whole = run(data, folders / "whole", budget)
    assert whole is not None
    steps = whole["metrics"]["steps"]
    assert steps < 40

    stopping = stop_at(steps - 2)
    cut = folders / "cut"
    assert run(data, cut, budget, stopping=stopping) is None
    newest = checkpoints.newest(cut / "fold_0")
    assert newest is not None
    assert int(newest.stem.rpartition("_")[2]) == steps - 2
    again = run(data, cut, budget)
    assert again is not None
    assert again["metrics"]["steps"] == steps
    assert again["metrics"]["ended"] == "plateau"
    looked = [[e["step"] for e in m["metrics"]["curve"]] for m in (whole, again)]
    assert looked[0] == looked[1]


def test_minutes_end_a_training(data: TrainingData, folders: Path) -> None:
    done = run(data, folders / "m", Budget(10**6, minutes=0.05))
    assert done is not None
    assert done["metrics"]["ended"] == "minutes"
    assert done["metrics"]["last"]["step"] == done["metrics"]["steps"]


def test_the_monitor_scores_annotated_pixels(data: TrainingData, folders: Path) -> None:
    """A network that knows the truth has no loss; one that says the opposite, much."""
    trainer = prepared(data, folders)
    _, watch = trainer.get_tr_and_val_datasets()
    _, target, _, properties = watch.load_case(watch.identifiers[0])
    top, left, *_ = properties["tile"]
    margin = 96 // 4

    class Oracle(torch.nn.Module):
        def __init__(self, shift: int) -> None:
            super().__init__()
            self.shift = shift

        def forward(self, seen: torch.Tensor) -> list[torch.Tensor]:
            labels = torch.zeros(seen.shape[2:], dtype=torch.int64)
            first = max(0, top - margin), max(0, left - margin)
            known = target[0, 0, first[0] :, first[1] :][: len(labels)]
            known = torch.from_numpy(known[:, : labels.shape[1]].astype(np.int64))
            labels[: known.shape[0], : known.shape[1]] = known.clamp_max(2)
            labels = (labels + self.shift) % 3
            hot = torch.nn.functional.one_hot(labels, 3).permute(2, 0, 1)
            return [20.0 * hot[None].float(), torch.zeros(1)]

    right = monitor(trainer, Oracle(0), ("disc", "stripe"))
    assert right["validation_loss"] == pytest.approx(0, abs=1e-3)
    assert right["validation_dice/disc"] == right["validation_dice/stripe"] == 1
    wrong = monitor(trainer, Oracle(1), ("disc", "stripe"))
    assert wrong["validation_loss"] is not None
    assert wrong["validation_loss"] > 10
    assert wrong["validation_dice/disc"] == 0


# What it survives


def test_a_loss_that_is_no_number_is_tried_again_slower_once(
    data: TrainingData, folders: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = TileTrainer.train_step
    rates: list[float] = []
    bad = [7]

    def step(self: TileTrainer, batch: dict[str, Any]) -> dict[str, float]:
        rates.append(self.optimizer.param_groups[0]["lr"])
        if len(rates) in bad:
            batch["data"] = batch["data"] * math.nan
        return real(self, batch)

    monkeypatch.setattr(TileTrainer, "train_step", step)
    done = run(data, folders / "m", Budget(10))
    assert done is not None
    assert done["metrics"]["steps"] == 10
    assert done["metrics"]["slower"] is True
    assert 11 <= len(rates) <= 17  # it went back to a checkpoint, not to the start
    assert max(rates[7:]) < 0.31 * FULL.peak
    final = weights.load(folders / "m" / "fold_0" / weights.FILE, torch.device("cpu"))
    assert all(torch.isfinite(tensor).all() for tensor in final.values())

    rates.clear()
    bad = [3, 9]
    with pytest.raises(SegmenterError, match="lost its way") as failed:
        run(data, folders / "n", Budget(10))
    assert not failed.value.retryable


def test_less_memory_halves_the_batch(data: TrainingData, folders: Path) -> None:
    done = run(data, folders / "m", Budget(2), smaller=True)
    assert done is not None
    assert done["settings"]["batch"] == 2
    plans = json.loads((folders / "m" / "plans.json").read_text())
    assert plans["configurations"]["2d"]["batch_size"] == 4


# How it starts, and how many it makes


def test_quick_starts_warm_and_shows_what_is_new(
    data: TrainingData, folders: Path
) -> None:
    few = replace(data, tiles=data.tiles[:4])
    first = run(few, folders / "first", Budget(2))
    assert first is not None
    assert first["settings"]["rates"]["peak"] == FULL.peak
    assert first["metrics"]["samples_fresh"] == 0
    fresh = frozenset({data.tiles[4].annotation_id})
    second = run(
        replace(data, fresh=fresh),
        folders / "second",
        Budget(30),
        start_from=folders / "first",
    )
    assert second is not None
    assert second["settings"]["warm_start"] is True
    assert second["settings"]["rates"]["peak"] < FULL.peak
    assert 0.35 < second["metrics"]["samples_fresh"] < 0.65
    samples = second["metrics"]["samples"]
    assert set(samples) == {"anywhere", "disc", "stripe"}
    assert sum(samples.values()) == pytest.approx(1, abs=0.001)
    assert samples["anywhere"] == 0.5


@pytest.mark.parametrize("watched", [True, False])
def test_folds_leave_out_shares_and_go_on_where_they_were(
    data: TrainingData, folders: Path, monkeypatch: pytest.MonkeyPatch, watched: bool
) -> None:
    data = data if watched else replace(data, validation=())
    learnt: list[tuple[list[str], list[str]]] = []
    real = TileTrainer.start

    def start(self: TileTrainer, step: int) -> None:
        real(self, step)
        learn, watch = self.get_tr_and_val_datasets()
        learnt.append((list(learn.identifiers), list(watch.identifiers)))

    monkeypatch.setattr(TileTrainer, "start", start)
    into, log = folders / "m", list[Progress]()
    stopping = stop_at(4)
    budget = Budget(3, folds=2)
    assert run(data, into, budget, stopping=stopping, emit=log.append) is None
    assert (into / "fold_0" / checkpoints.FINAL).exists()
    assert not (into / "fold_1" / checkpoints.FINAL).exists()
    assert not (into / "model.json").exists()
    done = run(data, into, budget, emit=log.append)
    assert done is not None
    assert done["metrics"]["members"] == 2
    assert done["metrics"]["steps"] == 3
    steps = [p.step for p in log if p.step is not None]
    assert steps == sorted(steps)
    assert steps[-1] == 6
    assert log[-1].fraction == 1
    (first, left), (second, right), (again, _) = learnt
    assert second == again
    everything = [f"tile_{i:05d}" for i in range(5)]
    assert sorted({*first, *second}) == everything
    assert not set(everything) - set(first) & set(everything) - set(second)
    if watched:
        assert left == right == ["tile_00005"]
    else:
        assert sorted([*left, *right]) == everything
    for fold in ("fold_0", "fold_1"):
        assert checkpoints.is_whole(into / fold / checkpoints.FINAL)
        assert checkpoints.is_whole(into / fold / weights.FILE)
    told = len(log)
    assert run(data, into, budget, emit=log.append) == done
    assert len(log) == told


def test_an_attempt_that_is_asked_for_something_else_starts_over(
    data: TrainingData, folders: Path
) -> None:
    into, budget = folders / "m", Budget(3)
    first = run(data, into, budget)
    assert first is not None
    assert run(data, into, budget) == first
    fewer = replace(data, tiles=data.tiles[1:])  # one was retracted meanwhile
    again = run(fewer, into, budget)
    assert again is not None
    assert again["settings"]["tiles"] == first["settings"]["tiles"] - 1
    assert not list((into / "fold_0").glob("*.part"))


# Several devices


@pytest.fixture
def two_devices(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two processes on the processor, as there would be one for each of two GPUs."""
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    monkeypatch.setattr(training, "devices", lambda: 2)


@pytest.mark.usefixtures("two_devices")
def test_two_devices_learn_one_network(data: TrainingData, folders: Path) -> None:
    """The team itself compares the networks at its end."""
    into = folders / "m"
    stopping = stop_at(2)
    assert run(data, into, Budget(4), stopping=stopping) is None
    assert not torch.distributed.is_initialized()
    done = run(data, into, Budget(4))
    assert done is not None
    assert done["metrics"]["steps"] == 4
    assert done["settings"]["batch"] == 4
    assert done["metrics"]["members"] == 1
    fold = into / "fold_0"
    assert [path.name for path in fold.glob("*.pth")] == [checkpoints.FINAL]
    final = weights.load(fold / weights.FILE, torch.device("cpu"))
    stock = checkpoints.load(fold / checkpoints.FINAL, torch.device("cpu"))
    assert set(final) == set(stock["network_weights"])
    assert not torch.distributed.is_initialized()


@pytest.mark.usefixtures("two_devices")
def test_networks_that_come_apart_are_noticed(
    data: TrainingData, folders: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = TileTrainer.finish

    def spoil(self: TileTrainer) -> None:
        real(self)
        with torch.no_grad():
            next(self.network.parameters()).add_(1.0)

    monkeypatch.setattr(TileTrainer, "finish", spoil)
    with pytest.raises(SegmenterError, match="came apart"):
        run(data, folders / "m", Budget(1))
    assert not (folders / "m" / "fold_0" / checkpoints.FINAL).exists()


FOLLOWER = """
import sys
import torch
from worker.nnunet import team
from worker.nnunet.trainer import TileTrainer

def step(self, rate):
    raise {error}

TileTrainer.step = step
sys.exit(team.main())
"""


@pytest.mark.usefixtures("two_devices")
@pytest.mark.parametrize(
    ("error", "expected", "text"),
    [
        ('torch.OutOfMemoryError("CUDA out of memory.")', OutOfMemory, "ran out of"),
        ('ValueError("a defect")', SegmenterError, "from its last checkpoint"),
    ],
)
def test_what_ends_another_device_is_told(
    data: TrainingData,
    folders: Path,
    monkeypatch: pytest.MonkeyPatch,
    error: str,
    expected: type[SegmenterError],
    text: str,
) -> None:
    """So that a lack of memory is met with less, and anything else tried as it was."""
    real = team.subprocess.Popen

    def spoilt(command: list[str], **known: Any) -> Any:
        *_, rank, file = command
        code = FOLLOWER.format(error=error)
        return real([sys.executable, "-P", "-c", code, rank, file], **known)

    monkeypatch.setattr(team.subprocess, "Popen", spoilt)
    with pytest.raises(expected, match=text) as told:
        run(data, folders / "m", Budget(2))
    assert isinstance(told.value, OutOfMemory) is (expected is OutOfMemory)
    assert told.value.retryable
    assert not torch.distributed.is_initialized()
