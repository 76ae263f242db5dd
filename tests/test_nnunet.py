"""nnU-Net learns from tiles, resumes, and its sweep is what all members say."""

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image
from scipy.special import entr

pytest.importorskip("torch", reason="the worker extra is not installed")
pytest.importorskip("nnunetv2", reason="the worker extra is not installed")

import torch

from backend.domain.geometry import Box
from backend.domain.labels import UNKNOWN, Label, LabelSchema
from backend.ranker.statistics import TileStatistics
from worker.messages import pack_training, unpack_training
from worker.nnunet import checkpoints, weights
from worker.nnunet.dataset import build, refuse_hopeless
from worker.nnunet.forms import PLAIN
from worker.nnunet.model import Model, open_model, read_json, warm_weights
from worker.nnunet.numbering import Numbering
from worker.nnunet.planner import DATASET, find_profile, largest, patch_of, plan
from worker.nnunet.resampling import WorkingImage, stretch
from worker.nnunet.segmenter import NNUNetSegmenter
from worker.nnunet.sweep import sweep
from worker.nnunet.threads import Threads
from worker.nnunet.trainer import TileTrainer
from worker.nnunet.training import train
from worker.nnunet.windows import FLIPS, Ensemble, bands, starts
from worker.segmenter import (
    Budget,
    Crops,
    ImageData,
    Progress,
    SegmenterError,
    Stop,
    TrainingData,
    TrainingTile,
)

DISC, STRIPE = 3, 7
SCHEMA = LabelSchema(
    (Label(DISC, "disc", "#228833"), Label(STRIPE, "stripe", "#AA3377"))
)


@dataclass
class Log:
    """A Report that keeps what it was told; `act` may raise."""

    act: Callable[[Progress], None] = lambda progress: None
    told: list[Progress] = field(default_factory=list)

    def __call__(self, progress: Progress) -> None:
        self.told.append(progress)
        self.act(progress)

    def check(self) -> None:
        pass

    @property
    def steps(self) -> list[int]:
        return [p.step for p in self.told if p.step is not None]


def scene(seed: int, size: int = 256) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Bright discs and dark stripes in noise, and where they are."""
    random = np.random.default_rng(seed)
    y, x = np.mgrid[:size, :size]
    truth = np.zeros((size, size), np.uint8)
    truth[(y + random.integers(60)) % 60 < 8] = STRIPE
    for _ in range(size * size // 4000):
        cy, cx = random.integers(0, size, 2)
        truth[(y - cy) ** 2 + (x - cx) ** 2 < 100] = DISC
    grey = np.select([truth == DISC, truth == STRIPE], [170, 70], 120)
    noisy = grey + random.normal(0, 12, grey.shape)
    return np.clip(noisy, 0, 255).astype(np.uint8), truth


def image_of(
    folder: Path, name: str, pixels: NDArray[np.uint8], nm: float | None = 5.0
) -> ImageData:
    path = folder / f"{name}.npy"
    np.save(path, pixels)
    return ImageData(name, path, float(pixels.mean()), float(pixels.std()), nm)


def tile_of(
    folder: Path, image: str, box: Box, target: NDArray[np.uint8]
) -> TrainingTile:
    name = f"{image}-{box.y}-{box.x}"
    np.save(folder / f"{name}-target.npy", target)
    return TrainingTile(name, image, box, folder / f"{name}-target.npy")


def training_data(folder: Path) -> TrainingData:
    """Five tiles of two images to learn from, one tile to monitor."""
    folder.mkdir(parents=True, exist_ok=True)
    images, tiles = {}, []
    for name, seed in (("one", 1), ("two", 2)):
        pixels, truth = scene(seed)
        images[name] = image_of(folder, name, pixels)
        for y in (0, 128):
            for x in (0, 128):
                box = Box(y, x, 128, 128)
                tiles.append(tile_of(folder, name, box, truth[box.slices]))
    return TrainingData(SCHEMA, images, tuple(tiles[:5]), tuple(tiles[7:]), 5.0, 0)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("nnunet")


@pytest.fixture(scope="module")
def data(home: Path) -> TrainingData:
    return training_data(home / "data")


@pytest.fixture(scope="module")
def segmenter(home: Path) -> Iterator[NNUNetSegmenter]:
    made = NNUNetSegmenter("cpu", home / "scratch")
    yield made
    made.close()


@pytest.fixture(scope="module")
def trained(home: Path, data: TrainingData, segmenter: NNUNetSegmenter) -> Log:
    """The log of a training into home/model."""
    log = Log()
    segmenter.train(data, home / "model", None, Budget(40), log)
    return log


@pytest.fixture(scope="module")
def model(home: Path, trained: Log) -> Model:
    return open_model(home / "model")


@pytest.fixture
def folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where nnU-Net keeps its things when it runs in this process."""
    for name in ("raw", "preprocessed", "results"):
        monkeypatch.setenv(f"nnUNet_{name}", str(tmp_path / name))
    monkeypatch.setenv("nnUNet_n_proc_DA", "0")
    return tmp_path


def test_trains_and_predicts(
    home: Path, trained: Log, segmenter: NNUNetSegmenter
) -> None:
    assert trained.steps == sorted(trained.steps)
    last = trained.told[-1]
    assert last.step == 40
    assert last.fraction == 1
    assert {"validation_dice/disc", "validation_dice/stripe", "loss"} <= set(
        last.metrics
    )
    assert not (home / "model" / "work").exists()
    assert [p.name for p in (home / "model" / "fold_0").glob("*.pth")] == [
        checkpoints.FINAL
    ]
    manifest = json.loads((home / "model" / "manifest.json").read_text())
    assert [case["learnt"] for case in manifest] == [True] * 5 + [False]

    pixels, truth = scene(9)
    into, log = home / "swept", Log()
    image = image_of(home, "unseen", pixels[:, :200])
    child = segmenter._child._process
    assert child is not None
    made = segmenter.predict(home / "model", image, 96, into, log)
    segmenter.load(home / "model", log)
    assert segmenter._child._process is child  # the one that has trained
    assert [told.message for told in log.told].count("loading the model") == 1
    assert made.members == 4
    assert log.told[-1].fraction == 1
    labels = np.load(into / "labels.npy")
    assert labels.dtype == np.uint8
    assert labels.shape == (256, 200)
    assert set(np.unique(labels)) <= {0, DISC, STRIPE}
    known = truth[:, :200]
    for value in (DISC, STRIPE):
        both = ((labels == value) & (known == value)).sum()
        assert 2 * both / ((labels == value).sum() + (known == value).sum()) > 0.6
    mean = np.load(into / "probabilities.npy")
    assert mean.dtype == np.uint8
    assert mean.shape == (3, 256, 200)
    assert abs(mean.sum(axis=0, dtype=int) - 255).max() <= 2
    clear = np.sort(mean, axis=0)[-1] > np.sort(mean, axis=0)[-2]
    decided = np.array([0, DISC, STRIPE])[mean.argmax(axis=0)]
    np.testing.assert_array_equal(labels[clear], decided[clear])
    for name in ("entropy", "information"):
        plane = np.load(into / f"{name}.npy")
        assert plane.dtype == np.float16
        assert plane.shape == (256, 200)
    tiles = TileStatistics.load(into / "tiles.npz")
    assert len(tiles) == 9
    assert tiles.embedding.shape == (9, 256)
    assert tiles.area.sum() == (labels > 0).sum()


def test_offsets_and_crops_travel_to_the_child(
    home: Path, trained: Log, segmenter: NNUNetSegmenter
) -> None:
    pixels, _ = scene(9)
    image = image_of(home, "offset", pixels[:, :200])
    crops = Crops(home / "crops", (Box(0, 0, 96, 96), Box(96, 96, 50, 104)))
    into = home / "offset"
    segmenter.predict(
        home / "model", image, 96, into, Log(), offsets={STRIPE: 1.5}, crops=crops
    )
    labels, mean = (
        np.load(into / f"{name}.npy") for name in ("labels", "probabilities")
    )
    assert (labels != np.array([0, DISC, STRIPE])[mean.argmax(axis=0)]).any()
    for number, box in enumerate(crops.boxes):
        p = np.load(crops.folder / f"{number}.npy")
        decided = np.log(p) + np.array([0, 0, 1.5])[:, None, None]
        wanted = np.array([0, DISC, STRIPE])[decided.argmax(axis=0)]
        np.testing.assert_array_equal(labels[box.slices], wanted)
        np.testing.assert_array_equal(mean[:, *box.slices], np.rint(p * 255))


def test_a_finished_training_is_not_repeated(
    home: Path, data: TrainingData, trained: Log, folders: Path
) -> None:
    final = home / "model" / "fold_0" / checkpoints.FINAL
    before = final.stat().st_mtime_ns
    log: list[Progress] = []
    again = train(
        data, home / "model", None, "cpu", Budget(40), log.append, lambda: False
    )
    assert again is not None
    assert again["metrics"]["steps"] == 40
    assert log == []
    assert final.stat().st_mtime_ns == before


def test_stock_nnunet_predicts_the_same(
    home: Path, model: Model, tmp_path: Path
) -> None:
    pixels, _ = scene(10)
    (tmp_path / "in").mkdir()
    Image.fromarray(pixels).save(tmp_path / "in" / "case_0000.png")
    place = tmp_path / "results" / DATASET
    place.mkdir(parents=True)
    (place / "nnUNetTrainer__nnUNetPlans__2d").symlink_to(home / "model")
    names = ("raw", "preprocessed", "results")
    command = Path(sys.executable).with_name("nnUNetv2_predict")
    options = f"-d 1 -c 2d -f 0 -device cpu -npp 0 -nps 0 -i {tmp_path}/in".split()
    done = subprocess.run(
        [command, *options, "-o", tmp_path / "out"],
        env={
            **os.environ,
            "OMP_NUM_THREADS": "1",
            **{f"nnUNet_{name}": str(tmp_path / name) for name in names},
        },
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert done.returncode == 0, done.stderr
    stock = np.array(Image.open(tmp_path / "out" / "case.png"))
    image = image_of(tmp_path, "case", pixels)
    sweep(
        model,
        image,
        128,
        tmp_path,
        lambda f: None,
        lambda: None,
        window=model.patch[0],
        overlap=0.5,
    )
    ours = np.load(tmp_path / "labels.npy")
    decoded = Numbering(SCHEMA.values).decode(stock)
    assert len(np.unique(decoded)) == 3
    # Stock code averages logits, in other precision; only doubtful pixels may differ.
    assert (ours == decoded).mean() > 0.98


ALL = [(network, axes) for network in (0, 1) for axes in FLIPS]
IN_TURN = [(number % 2, axes) for number, axes in enumerate(FLIPS)]


@pytest.mark.parametrize(
    ("shape", "asked", "members"),
    [
        ((256, 256), ALL, ALL),
        ((256, 200), None, IN_TURN),
        ((100, 300), None, IN_TURN),
    ],
)
def test_sweep_equals_all_members_kept(
    model: Model,
    shape: tuple[int, int],
    asked: list[tuple[int, tuple[int, ...]]] | None,
    members: list[tuple[int, tuple[int, ...]]],
) -> None:
    """Two networks, four flips, overlapping windows, nothing reduced until the end."""
    first = model.ensemble._networks[0]
    second = open_model_twin(first)
    ensemble = Ensemble([first, second], torch.device("cpu"), asked, PLAIN)
    pixels = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    window = (128, 128)
    image = WorkingImage(pixels, 0.0, 1.0, 1.0)
    found = np.concatenate([*bands(ensemble, image, window, 0.5)], axis=1)

    padded = np.pad(pixels, [(0, max(0, 128 - n)) for n in shape])
    kept: list[tuple[slice, slice, NDArray[np.float64]]] = []
    for y in starts(shape[0], 128, 0.5):
        for x in starts(shape[1], 128, 0.5):
            here = np.s_[y : y + 128, x : x + 128]
            for number, axes in members:
                network = (first, second)[number]
                seen = torch.from_numpy(padded[here].copy())[None, None]
                with torch.inference_mode():
                    said = torch.flip(network(torch.flip(seen, axes)), axes)
                p = torch.softmax(said, 1)[0].double().numpy()
                kept.append((*here, p))
    distance = ((np.arange(128) - 64) / 16) ** 2 / 2
    gauss = np.exp(-(distance[:, None] + distance))
    total, mean = np.zeros(padded.shape), np.zeros((3, *padded.shape))
    expected, either = np.zeros(padded.shape), np.zeros((2, *padded.shape))
    for rows, columns, p in kept:
        total[rows, columns] += gauss
        mean[:, rows, columns] += gauss * p
        expected[rows, columns] += gauss * entr(p).sum(0)
        either[:, rows, columns] += gauss * (entr(p[1:]) + entr(1 - p[1:]))
    mean, expected, either = mean / total, expected / total, either / total
    entropy = entr(mean).sum(0)
    wanted = [
        *mean,
        entropy,
        entropy - expected,
        *(entr(mean[1:]) + entr(1 - mean[1:]) - either),
    ]
    np.testing.assert_allclose(
        found, np.stack(wanted)[:, : shape[0], : shape[1]], atol=2e-4
    )
    assert found[4].max() > 0.01
    assert (found[3:] >= 0).all()


def open_model_twin(network: torch.nn.Module) -> torch.nn.Module:
    """A network a little off another one."""
    import copy

    twin = copy.deepcopy(network)
    torch.manual_seed(1)
    with torch.no_grad():
        for weights in twin.parameters():
            weights.add_(0.05 * weights.std().nan_to_num() * torch.randn_like(weights))
    return twin


def test_sweep_returns_to_the_images_own_pixels(
    model: Model, home: Path, tmp_path: Path
) -> None:
    pixels, truth = scene(11)
    finer = np.kron(pixels, np.ones((2, 2), np.uint8))[:501, :]
    image = image_of(tmp_path, "fine", finer, nm=2.5)
    sweep(model, image, 128, tmp_path, lambda f: None, lambda: None)
    labels = np.load(tmp_path / "labels.npy")
    assert labels.shape == finer.shape
    known = np.kron(truth, np.ones((2, 2), np.uint8))[:501, :]
    assert (labels == known).mean() > 0.8
    assert len(TileStatistics.load(tmp_path / "tiles.npz")) == 16


def test_a_stop_ends_a_sweep(model: Model, home: Path, tmp_path: Path) -> None:
    image = image_of(tmp_path, "stopped", scene(12)[0])

    def check() -> None:
        raise Stop

    with pytest.raises(Stop):
        sweep(model, image, 128, tmp_path, lambda f: None, check)


def test_stop_saves_and_a_killed_training_goes_on(
    data: TrainingData, tmp_path: Path
) -> None:
    segmenter, into = NNUNetSegmenter("cpu", tmp_path / "scratch"), tmp_path / "model"
    fold, budget = into / "fold_0", Budget(20)

    def stop_at_once(progress: Progress) -> None:
        if progress.step:
            raise Stop

    with pytest.raises(Stop):
        segmenter.train(data, into, None, budget, Log(stop_at_once))
    saved = checkpoints.newest(fold)
    assert saved is not None, "SIGTERM left no checkpoint"
    stopped_at = step_of(saved)
    assert stopped_at > 0

    killed_after: list[int] = []

    def kill_after_checkpoint(progress: Progress) -> None:
        newer = checkpoints.newest(fold)
        if not progress.step or newer is None or killed_after:
            return
        if step_of(newer) > stopped_at:
            os.kill(child_in(tmp_path / "scratch"), signal.SIGKILL)
            killed_after.append(step_of(newer))

    # Most kills are the system's, for want of memory: it goes on with half the batch.
    log = Log(kill_after_checkpoint)
    done = segmenter.train(data, into, None, budget, log)
    (again,) = (i for i, p in enumerate(log.told) if "Out of memory" in p.message)
    first, second = (
        [p.step for p in part if p.step is not None]
        for part in (log.told[:again], log.told[again:])
    )
    assert first[0] == stopped_at + 1
    assert second[0] >= killed_after[0] + 1  # it may have saved once more meanwhile
    assert done.metrics["steps"] == 20
    assert done.settings["batch"] == 4
    assert checkpoints.is_whole(fold / checkpoints.FINAL)
    segmenter.close()


def step_of(path: Path) -> int:
    return int(path.stem.rpartition("_")[2])


def child_in(folder: Path) -> int:
    """The child of this process whose working directory is `folder`."""
    own = Path("/proc/self/task").glob("*/children")
    pids = [pid for path in own for pid in path.read_text().split()]
    (found,) = (pid for pid in pids if Path(f"/proc/{pid}/cwd").resolve() == folder)
    return int(found)


@pytest.mark.parametrize("warm", [True, False])
def test_plans_are_kept_and_labels_follow(
    home: Path, data: TrainingData, trained: Log, folders: Path, warm: bool
) -> None:
    schema = LabelSchema((Label(1, "new", "#000000"), *SCHEMA.labels))
    into, log = folders / "model", list[Progress]()
    done = train(
        replace(data, schema=schema, plans=home / "model"),
        into,
        home / "model" if warm else None,
        "gpu-24gb",
        Budget(2),
        log.append,
        lambda: False,
    )
    assert done is not None
    assert done["settings"]["warm_start"] is warm
    assert read_json(into / "plans.json") == read_json(home / "model" / "plans.json")
    if warm:
        assert done["metrics"]["last"]["validation_dice/new"] in (None, 0)
        assert done["metrics"]["last"]["validation_dice/disc"] > 0.3


def test_warm_weights_follow_labels() -> None:
    name = "decoder.seg_layers.0.bias"
    fresh = {name: torch.tensor([0.0, 0.1, 0.2, 0.3]), "a": torch.zeros(2)}
    old = {name: torch.tensor([1.0, 2.0, 3.0]), "a": torch.ones(2)}
    made = warm_weights(fresh, old, values=(1, 3, 7), trained_values=(3, 9))
    np.testing.assert_allclose(made[name], [1.0, 0.1, 2.0, 0.3])
    assert made["a"].sum() == 2


def prepared(data: TrainingData, folders: Path) -> TileTrainer:
    preprocessed = folders / "preprocessed"
    plans = plan(data, find_profile("cpu", 128), folders / "raw", preprocessed)
    dataset = build(data, preprocessed, patch_of(plans))
    described = read_json(preprocessed / DATASET / "dataset.json")
    return TileTrainer.prepare(plans, described, dataset, data.seed)


def test_padding_and_margins_are_never_background(folders: Path) -> None:
    """No pixel of the only tile is background, so no target may ever hold a 0."""
    pixels, truth = scene(3, 128)
    truth[truth == 0] = STRIPE
    truth[:10] = UNKNOWN
    image = image_of(folders, "small", pixels)
    tile = tile_of(folders, "small", Box(0, 0, 128, 128), truth)
    data = TrainingData(SCHEMA, {"small": image}, (tile,), (), None, 0)
    trainer = prepared(data, folders)
    trainer.start(0)
    seen: set[int] = set()
    for _ in range(15):
        for target in next(trainer.dataloader_train)["target"]:
            seen |= set(target.unique().tolist())
    assert seen == {1, 2, 3}
    assert trainer.label_manager.ignore_label == 3


def test_every_tile_is_in_manifest_split_and_loader(
    data: TrainingData, folders: Path
) -> None:
    fewer = replace(data, tiles=data.tiles[:2])
    prepared(fewer, folders)
    trainer = prepared(data, folders)
    trainer.start(0)
    base = folders / "preprocessed" / DATASET
    (split,) = json.loads((base / "splits_final.json").read_text())
    manifest = [case.identifier for case in trainer.dataset.cases if case.learnt]
    assert len(manifest) == len(data.tiles)
    assert split["train"] == manifest
    assert sorted(trainer.dataloader_train.data_loader.indices) == manifest
    assert len(split["val"]) == len(data.validation)
    drawn = {key for _ in range(20) for key in next(trainer.dataloader_train)["keys"]}
    assert drawn == set(manifest)

    stale = [{"train": split["train"][:-1], "val": []}]
    (base / "splits_final.json").write_text(json.dumps(stale))
    with pytest.raises(SegmenterError, match="defect"):
        trainer.start(0)


def test_patches_keep_to_their_tile(data: TrainingData, folders: Path) -> None:
    trainer = prepared(data, folders)
    trainer.start(0)
    loader, edge = trainer.dataloader_train.data_loader, 96
    for identifier in loader.indices:
        pixels, _, _, properties = loader._data.load_case(identifier)
        top, left, height, width = properties["tile"]
        for forced in (True, False) * 20:
            low, high = loader.get_bbox(
                pixels.shape[1:], forced, properties["class_locations"], 1
            )
            grown = (loader.patch_size[1] - edge) // 2
            y, x = low[1] + grown, low[2] + grown
            assert high[1] - low[1] == loader.patch_size[1]
            assert 0 <= y <= pixels.shape[2] - edge
            assert 0 <= x <= pixels.shape[3] - edge
            rows = min(y + edge, top + height) - max(y, top)
            columns = min(x + edge, left + width) - max(x, left)
            assert rows * columns >= (0.75 * edge) ** 2


def test_neighbours_fill_the_margin_but_validation_does_not(
    data: TrainingData, folders: Path
) -> None:
    trainer = prepared(data, folders)
    learn, watch = trainer.get_tr_and_val_datasets()
    _, target, _, _ = learn.load_case("tile_00000")
    assert (target[0, 0] != 3).all()  # all four tiles of the image are annotated
    _, target, _, properties = learn.load_case("tile_00004")
    assert (target[0, 0] != 3).sum() == 128 * 128  # its neighbour is for validation
    places = properties["class_locations"][(-1, 0, 1, 2)]
    assert places.shape == (10_000, 4)
    assert watch.identifiers == ["tile_00005"]


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ([], "no annotated tile"),
        ([UNKNOWN], "marked unknown"),
        ([DISC, UNKNOWN], "same value"),
        ([0], "same value"),
    ],
)
def test_hopeless_trainings_are_refused(
    tmp_path: Path, values: list[int], says: str
) -> None:
    tiles = ()
    if values:
        target = np.resize(np.array(values, np.uint8), (8, 8))
        tiles = (tile_of(tmp_path, "a", Box(0, 0, 8, 8), target),)
    image = image_of(tmp_path, "a", scene(0, 64)[0])
    data = TrainingData(SCHEMA, {"a": image}, tiles, (), None, 0)
    with pytest.raises(SegmenterError, match=says) as refused:
        refuse_hopeless(data)
    assert not refused.value.retryable


def test_strange_values_are_refused() -> None:
    numbering = Numbering(SCHEMA.values)
    known = np.array([0, DISC, STRIPE, UNKNOWN], np.uint8)
    assert numbering.encode(known).tolist() == [0, 1, 2, 3]
    with pytest.raises(SegmenterError, match=r"\[4\]"):
        numbering.encode(np.array([4], np.uint8))


def test_training_data_travels_unchanged(data: TrainingData) -> None:
    assert unpack_training(json.loads(json.dumps(pack_training(data)))) == data


def test_plans_of_a_gpu_fill_its_memory(folders: Path, data: TrainingData) -> None:
    large = image_of(folders, "large", np.zeros((1024, 1024), np.uint8))
    target = np.resize(np.array([0, DISC], np.uint8), (512, 512))
    tile = tile_of(folders, "large", Box(0, 0, 512, 512), target)
    data = TrainingData(SCHEMA, {"large": large}, (tile,), (), None, 0)
    for name, batch in (("gpu-8gb", 12), ("gpu-24gb", 36)):
        profile = find_profile(name, 512)
        made = plan(data, profile, folders / "raw", folders / "preprocessed")
        assert patch_of(made) == (512, 512)
        assert abs(made["configurations"]["2d"]["batch_size"] - batch) <= 2
    with pytest.raises(SegmenterError, match="profile"):
        find_profile("tpu", 512)


@pytest.mark.parametrize(("tile", "patch", "batch"), [(128, 96, 8), (256, 128, 4)])
def test_a_patch_is_smaller_than_its_tile(
    folders: Path, tile: int, patch: int, batch: int
) -> None:
    image = image_of(folders, "image", np.zeros((512, 512), np.uint8))
    target = np.resize(np.array([0, DISC], np.uint8), (tile, tile))
    annotated = tile_of(folders, "image", Box(0, 0, tile, tile), target)
    data = TrainingData(SCHEMA, {"image": image}, (annotated,), (), None, 0)
    profile = find_profile("cpu", largest(data))
    made = plan(data, profile, folders / "raw", folders / "preprocessed")
    assert patch_of(made) == (patch, patch)
    assert made["configurations"]["2d"]["batch_size"] == batch


def test_torn_checkpoints_are_moved_aside(tmp_path: Path) -> None:
    for step in (10, 20, 30):
        checkpoints.save_step({"w": torch.ones(3) * step}, tmp_path, step)
    assert len(list(tmp_path.glob("*.pth"))) == 2
    torn = tmp_path / "checkpoint_0000030.pth"
    torn.write_bytes(torn.read_bytes()[:-7])
    found = checkpoints.newest(tmp_path)
    assert found is not None
    assert step_of(found) == 20
    assert checkpoints.load(found, torch.device("cpu"))["w"][0] == 20
    assert torn.with_suffix(".torn").exists()


def test_checkpoints_run_no_code(tmp_path: Path) -> None:
    class Bomb:
        def __reduce__(self) -> tuple[object, ...]:
            return os.mkdir, (str(tmp_path / "exploded"),)

    torch.save({"network_weights": Bomb()}, tmp_path / "bomb.pth")
    with pytest.raises(Exception, match=r"(?i)weights.only|unsupported"):
        checkpoints.load(tmp_path / "bomb.pth", torch.device("cpu"))
    assert not (tmp_path / "exploded").exists()


@settings(max_examples=60, deadline=None)
@given(
    st.integers(1, 90),
    st.integers(1, 90),
    st.sampled_from([1.0, 0.4, 0.73, 1.0 / 3, 1.9, 3.0]),
    st.data(),
)
def test_a_region_does_not_depend_on_the_cut(
    height: int, width: int, scale: float, draw: st.DataObject
) -> None:
    pixels = np.random.default_rng(height).normal(size=(height, width))
    image = WorkingImage(pixels.astype(np.float32), 0.0, 1.0, scale)
    rows, columns = image.shape
    y, x = draw.draw(st.integers(0, rows - 1)), draw.draw(st.integers(0, columns - 1))
    h, w = (
        draw.draw(st.integers(1, rows - y)),
        draw.draw(st.integers(1, columns - x)),
    )
    whole = image.read(Box(0, 0, rows, columns))
    part = image.read(Box(y, x, h, w))
    np.testing.assert_allclose(part, whole[y : y + h, x : x + w], atol=1e-5)


@settings(max_examples=60, deadline=None)
@given(
    st.integers(1, 60),
    st.integers(1, 60),
    st.lists(st.integers(1, 20), min_size=1, max_size=5),
)
def test_stretching_does_not_depend_on_the_bands(
    height: int, width: int, cuts: list[int]
) -> None:
    working = (sum(cuts), 17)
    planes = np.random.default_rng(width).random((2, *working)).astype(np.float32)
    parts = np.split(planes, np.cumsum(cuts)[:-1], axis=1)
    (whole,) = stretch([planes], working, (height, width))
    pieces = np.concatenate([*stretch(parts, working, (height, width))], axis=1)
    assert pieces.shape == (2, height, width)
    np.testing.assert_allclose(pieces, whole, atol=1e-6)


def test_windows_cover_everything() -> None:
    for length in (1, 127, 128, 129, 300, 1000):
        found = starts(length, 128, 0.5)
        assert found[0] == 0
        assert found[-1] == max(0, length - 128)
        assert all(0 < b - a <= 64 for a, b in pairwise(found))


def test_threads_settle_on_the_fastest(monkeypatch: pytest.MonkeyPatch) -> None:
    now, used = [0.0], list[int]()
    monkeypatch.setattr("worker.nnunet.threads._at_start", 4)
    monkeypatch.setattr("worker.nnunet.threads.time.monotonic", lambda: now[0])
    monkeypatch.setattr(torch, "set_num_threads", used.append)
    threads, pace = Threads(), {4: 9.0, 2: 1.0, 1: 2.0}
    for _ in range(12):
        with threads.work():
            now[0] += pace[used[-1]]
    assert used[-4:] == [2, 2, 2, 2]
    assert used.count(4) <= 3
    pace[2] = 50.0  # others came; it notices within a minute of work
    for _ in range(8):
        with threads.work():
            now[0] += pace[used[-1]]
    assert used[-1] == 1


def test_a_broken_model_folder_is_named(home: Path, trained: Log) -> None:
    broken = home / "broken"
    shutil.copytree(home / "model", broken)
    (broken / "fold_0" / weights.FILE).unlink()
    with pytest.raises(SegmenterError, match="not complete"):
        open_model(broken)
