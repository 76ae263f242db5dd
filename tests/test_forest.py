"""The forest learns two textures, sweeps honestly, and says what it cannot learn."""

from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from backend.domain.geometry import Box
from backend.domain.labels import Label, LabelSchema
from backend.ranker.statistics import TileStatistics
from worker.crops import pack_crops, pack_offsets
from worker.forest import context, ensemble, features, sweep
from worker.forest.segmenter import ForestSegmenter
from worker.messages import pack_image
from worker.segmenter import (
    Budget,
    ImageData,
    Progress,
    SegmenterError,
    Stop,
    Sweep,
    TrainingData,
    TrainingTile,
)

SCHEMA = LabelSchema(
    (Label(3, "grain", "#111111"), Label(7, "void", "#222222", priority=2.0))
)
HEIGHT, WIDTH, TILE = 200, 260, 96
BOX = Box(20, 30, 120, 150)


class Listener:
    def __init__(self, stop: bool = False) -> None:
        self.heard: list[Progress] = []
        self.stop = stop

    def __call__(self, progress: Progress) -> None:
        self.heard.append(progress)

    def check(self) -> None:
        if self.stop and self.heard:
            raise Stop


def scene(seed: int) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Two textures of one mean grey on plain ground; returns pixels and truth."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    truth = np.zeros((HEIGHT, WIDTH), np.uint8)
    truth[(x // 50 + y // 50) % 3 == 0] = 3
    grey = rng.normal(120, 4, truth.shape)
    grey += np.where(truth == 3, 40 * np.sign(np.sin(x * 1.1) * np.sin(y * 1.1)), 0)
    return grey.clip(0, 255).astype(np.uint8), truth


def image_data(folder: Path, pixels: NDArray[np.uint8], name: str) -> ImageData:
    path = folder / f"{name}.npy"
    np.save(path, pixels)
    return ImageData(name, path, float(pixels.mean()), float(pixels.std()), 8.0)


def training(
    folder: Path, target: NDArray[np.uint8], pixels: NDArray[np.uint8]
) -> TrainingData:
    np.save(folder / "target.npy", target[BOX.slices])
    image = image_data(folder, pixels, "image")
    tile = TrainingTile("annotation", image.id, BOX, folder / "target.npy")
    return TrainingData(
        schema=SCHEMA,
        images={image.id: image},
        tiles=(tile,),
        validation=(),
        working_nm=8.0,
        seed=5,
    )


def painted_wrong(folder: Path, truth: NDArray[np.uint8]) -> Path:
    """Write the tile's mask with grain and background the other way round."""
    wrong = np.where(truth[BOX.slices] == 3, 0, 3).astype(np.uint8)
    np.save(folder / "wrong.npy", wrong)
    return folder / "wrong.npy"


@pytest.fixture
def forest(tmp_path: Path) -> Iterator[ForestSegmenter]:
    segmenter = ForestSegmenter(tmp_path / "scratch")
    yield segmenter
    segmenter.close()


def run(
    forest: ForestSegmenter, folder: Path, data: TrainingData, image: ImageData
) -> Sweep:
    forest.train(data, folder / "model", None, Budget(steps=1), Listener())
    return forest.predict(folder / "model", image, TILE, folder / "sweep", Listener())


def test_learns_and_sweeps(tmp_path: Path, forest: ForestSegmenter) -> None:
    pixels, truth = scene(1)
    target = truth.copy()
    target[60:80] = 255
    data = training(tmp_path, target, pixels)
    report = Listener()
    model = forest.train(data, tmp_path / "model", None, Budget(steps=1), report)
    dice = model.metrics["training_dice/grain"]
    assert isinstance(dice, float)
    assert dice > 0.9
    assert model.metrics["training_dice/void"] is None
    fractions = [progress.fraction or 0 for progress in report.heard]
    assert fractions == sorted(fractions)
    assert fractions[-1] == 1
    assert report.heard[-1].metrics["training_dice/grain"] == dice

    fresh, truth = scene(2)
    image = image_data(tmp_path, fresh, "fresh")
    sweep = forest.predict(
        tmp_path / "model", image, TILE, tmp_path / "sweep", Listener()
    )
    assert sweep.members == ensemble.MEMBERS
    labels = np.load(sweep.folder / "labels.npy")
    probabilities = np.load(sweep.folder / "probabilities.npy")
    entropy = np.load(sweep.folder / "entropy.npy")
    information = np.load(sweep.folder / "information.npy")
    assert labels.dtype == probabilities.dtype == np.uint8
    assert entropy.dtype == information.dtype == np.float16
    assert labels.shape == entropy.shape == information.shape == fresh.shape
    assert probabilities.shape == (3, *fresh.shape)
    hit = ((labels == 3) & (truth == 3)).sum()
    assert 2 * hit / ((labels == 3).sum() + (truth == 3).sum()) > 0.85
    assert set(np.unique(labels)) == {0, 3}
    assert not probabilities[2].any()
    assert np.abs(probabilities.sum(axis=0, dtype=int) - 255).max() <= 1
    assert (entropy >= 0).all()
    assert float(entropy.max()) <= np.log(2) + 1e-3
    assert (information <= entropy + np.float16(1e-3)).all()
    assert information.max() > 0
    edge = truth != np.roll(truth, 3, axis=1)
    assert entropy[edge].mean(dtype=float) > entropy[~edge].mean(dtype=float)

    statistics = TileStatistics.load(sweep.folder / "tiles.npz")
    assert len(statistics) == 9
    assert statistics.values.tolist() == [3, 7]
    assert statistics.area.sum(axis=0).tolist() == [(labels == 3).sum(), 0]
    expected = probabilities[1].sum(dtype=float) / 255
    assert statistics.p_sum[:, 0].sum() == pytest.approx(expected, rel=0.01)
    np.testing.assert_allclose(
        statistics.entropy_sum[0], entropy[:TILE, :TILE].sum(dtype=float), rtol=0.01
    )
    assert statistics.embedding.shape == (9, features.COUNT)
    normalised = (fresh[TILE:, 2 * TILE :][:TILE] - image.mean) / image.sd
    assert statistics.embedding[5, 0] == pytest.approx(normalised.mean(), abs=1e-3)


def test_validation_tiles_are_what_is_measured(
    tmp_path: Path, forest: ForestSegmenter
) -> None:
    pixels, truth = scene(1)
    data = training(tmp_path, truth, pixels)
    wrong = painted_wrong(tmp_path, truth)
    tile = TrainingTile("other", "image", BOX, wrong)
    data = replace(data, validation=(tile,))
    model = forest.train(data, tmp_path / "model", None, Budget(steps=1), Listener())
    dice = model.metrics["validation_dice/grain"]
    assert isinstance(dice, float)
    assert dice < 0.1


def test_many_validation_tiles_are_looked_at_in_part(
    tmp_path: Path, forest: ForestSegmenter
) -> None:
    pixels, truth = scene(1)
    data = training(tmp_path, truth, pixels)
    wrong = painted_wrong(tmp_path, truth)
    files = [tmp_path / "target.npy", wrong] * 16
    tiles = tuple(
        TrainingTile(str(number), "image", BOX, file)
        for number, file in enumerate(files)
    )
    data = replace(data, validation=tiles)
    report = Listener()
    model = forest.train(data, tmp_path / "model", None, Budget(steps=1), report)
    messages = [progress.message for progress in report.heard]
    assert sum(message.startswith("Checked") for message in messages) == 16
    dice = model.metrics["validation_dice/grain"]
    assert isinstance(dice, float)
    assert dice > 0.9, "every second tile, and those are the right ones"


def test_a_seed_decides_everything(tmp_path: Path, forest: ForestSegmenter) -> None:
    pixels, truth = scene(1)
    swept = []
    for name in ("one", "two"):
        folder = tmp_path / name
        folder.mkdir()
        data = training(folder, truth, pixels)
        sweep = run(forest, folder, data, data.images["image"])
        swept.append(np.load(sweep.folder / "information.npy"))
    np.testing.assert_array_equal(*swept)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (255, "No annotated pixel"),
        (0, "All annotated pixels are background"),
        (3, "All annotated pixels are grain"),
    ],
)
def test_says_what_cannot_be_learnt(
    tmp_path: Path, forest: ForestSegmenter, value: int, text: str
) -> None:
    pixels, truth = scene(1)
    data = training(tmp_path, np.full_like(truth, value), pixels)
    with pytest.raises(SegmenterError, match=text) as caught:
        forest.train(data, tmp_path / "model", None, Budget(steps=1), Listener())
    assert not caught.value.retryable
    assert not (tmp_path / "model").exists()


def test_stops_between_steps(tmp_path: Path, forest: ForestSegmenter) -> None:
    pixels, truth = scene(1)
    data = training(tmp_path, truth, pixels)
    with pytest.raises(Stop):
        forest.train(data, tmp_path / "model", None, Budget(steps=1), Listener(True))
    assert not (tmp_path / "model").exists()


def test_features_do_not_depend_on_the_cut() -> None:
    pixels, _ = scene(3)
    whole = features.pixel_features(pixels, Box(0, 0, HEIGHT, WIDTH), 120, 30, 1.5)
    for box in (Box(90, 100, 40, 50), Box(150, 0, 50, WIDTH), Box(0, 259, 1, 1)):
        part = features.pixel_features(pixels, box, 120, 30, 1.5)
        np.testing.assert_array_equal(part, whole[box.slices])


def test_context_does_not_depend_on_the_cut(tmp_path: Path) -> None:
    """Neither of a tile nor of the bands of a sweep, however thin they are."""
    pixels, truth = scene(3)
    image = image_data(tmp_path, pixels, "image")
    whole = Box(0, 0, HEIGHT, WIDTH)
    sample = ensemble.draw_sample([truth], np.random.default_rng(0))
    texture = features.of_image(image, whole, 12.0)
    flat = texture.reshape(-1, features.COUNT)
    first = ensemble.grow(flat[sample.pixel], sample, seed=0)
    sight = context.Sight(image, 12.0, first, (3, 7))
    seen = sight.of_box(whole)
    assert seen.shape == (HEIGHT, WIDTH, context.count(2))
    np.testing.assert_array_equal(seen[..., : features.COUNT], texture)
    grain = ensemble.answer(first, (3, 7), texture)[1]
    widest = round(max(context.HALVES) * 1.5)
    square = grain[100 - widest : 101 + widest, 120 - widest : 121 + widest]
    place = features.COUNT + len(context.HALVES) - 1
    assert seen[100, 120, place] == pytest.approx(square.mean(), abs=1e-5)
    for box in (Box(90, 100, 40, 50), Box(150, 0, 50, WIDTH), Box(0, 259, 1, 1)):
        part = sight.of_box(box)
        np.testing.assert_allclose(part, seen[box.slices], atol=1e-5)
    bands = [Box(y, 0, min(17, HEIGHT - y), WIDTH) for y in range(0, HEIGHT, 17)]
    swept = list(sight.of_bands(bands))
    assert [band for band, _ in swept] == bands
    joined = np.concatenate([part for _, part in swept])
    np.testing.assert_allclose(joined, seen, atol=1e-5)


@pytest.mark.parametrize(
    ("rows", "heights"),
    [(900, [200]), (197, [192, 8]), (96, [96, 96, 8]), (70, [70, 26, 70, 26, 8])],
)
def test_a_sweep_does_not_depend_on_its_bands(
    tmp_path: Path,
    forest: ForestSegmenter,
    monkeypatch: pytest.MonkeyPatch,
    rows: int,
    heights: list[int],
) -> None:
    pixels, truth = scene(1)
    data = training(tmp_path, truth, pixels)
    model = tmp_path / "model"
    forest.train(data, model, None, Budget(steps=1), Listener())
    request = {
        "model": model,
        "image": pack_image(data.images["image"]),
        "tile": TILE,
        "offsets": pack_offsets({}),
        "crops": pack_crops(None),
    }
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    sweep.predict({**request, "into": whole}, lambda progress: None)
    shown: list[Progress] = []
    per_pixel = context.count(2) + 8 * 3
    monkeypatch.setattr(sweep, "_BAND_VALUES", rows * per_pixel * WIDTH)
    sweep.predict({**request, "into": cut}, shown.append)
    ends = [0, *(progress.step for progress in shown)]
    assert [b - a for a, b in pairwise(ends)] == heights
    for name in ("labels", "probabilities"):
        differ = np.load(cut / f"{name}.npy") != np.load(whole / f"{name}.npy")
        assert differ.mean() < 1e-3  # sums in another order turn a tree here and there
    one, other = (TileStatistics.load(into / "tiles.npz") for into in (cut, whole))
    assert one.embedding is not None
    np.testing.assert_allclose(one.embedding, other.embedding, atol=1e-4)
    np.testing.assert_allclose(one.p_sum, other.p_sum, rtol=1e-3)


def test_a_forest_of_an_earlier_release_asks_for_a_training(
    tmp_path: Path, forest: ForestSegmenter
) -> None:
    pixels, truth = scene(1)
    data = training(tmp_path, truth, pixels)
    forest.train(data, tmp_path / "model", None, Budget(steps=1), Listener())
    (tmp_path / "model/forest.joblib").rename(tmp_path / "model/members.joblib")
    with pytest.raises(SegmenterError, match="train it anew") as caught:
        forest.load(tmp_path / "model", Listener())
    assert not caught.value.retryable


def test_features_ignore_brightness_contrast_and_magnification() -> None:
    y, x = np.mgrid[:160, :160]
    waves = (np.sin(x / 5) * np.cos(y / 7)).astype(np.float32)
    box = Box(60, 60, 20, 20)
    plain = features.pixel_features(waves, box, 0, 1, 1.0)
    louder = features.pixel_features(3 * waves + 50, box, 50, 3, 1.0)
    np.testing.assert_allclose(louder, plain, atol=1e-3)
    y, x = np.mgrid[:320, :320]
    larger = (np.sin(x / 10) * np.cos(y / 14)).astype(np.float32)
    twice = features.pixel_features(larger, Box(120, 120, 40, 40), 0, 1, 2.0)
    np.testing.assert_allclose(twice[::2, ::2], plain, atol=0.05)


def test_a_flat_image_has_finite_features() -> None:
    flat = np.full((40, 40), 7, np.uint8)
    assert np.isfinite(
        features.pixel_features(flat, Box(0, 0, 40, 40), 7.0, 0.0, 1.0)
    ).all()


def test_a_sample_is_balanced_but_weighs_what_was_there() -> None:
    rng = np.random.default_rng(0)
    target = np.zeros((300, 300), np.uint8)
    target[:3, :10] = 3
    target[200:] = 255
    sample = ensemble.draw_sample([target], rng)
    assert (sample.value == 0).sum() == ensemble.PIXELS_PER_CLASS
    assert (sample.value == 3).sum() == 30
    assert set(sample.value) == {0, 3}
    assert (target.ravel()[sample.pixel] == sample.value).all()
    mass = [sample.weight[sample.value == value].sum() for value in (0, 3)]
    assert mass[1] / mass[0] == pytest.approx(30 / (200 * 300 - 30))


def test_believing_splits_doubt_into_noise_and_disagreement() -> None:
    class Sure:
        classes_ = np.array([0, 3])

        def __init__(self, p: float) -> None:
            self.p = p

        def predict_proba(self, rows: NDArray[np.float32]) -> NDArray[np.float64]:
            return np.tile([1 - self.p, self.p], (len(rows), 1))

    pixels = np.zeros((2, 3, 4), np.float32)

    def ask(*p: float) -> ensemble.Belief:
        members = [Sure(each) for each in p]
        return ensemble.believe(members, (3, 7), pixels, lambda: None)

    quarrel, noise = ask(0.0, 1.0), ask(0.5, 0.5)
    for belief in (quarrel, noise):
        np.testing.assert_allclose(belief.mean[:, 0, 0], [0.5, 0.5, 0])
        np.testing.assert_allclose(belief.entropy, np.log(2), rtol=1e-5)
    np.testing.assert_allclose(quarrel.information, np.log(2), rtol=1e-5)
    np.testing.assert_allclose(quarrel.class_information[0], np.log(2), rtol=1e-5)
    np.testing.assert_allclose(noise.information, 0, atol=1e-6)
    np.testing.assert_allclose(quarrel.class_information[1], 0, atol=1e-6)
