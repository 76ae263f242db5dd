"""Tiles complete for one label only, and the forest: "not ER" is not "background"."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from phantom_fixtures import ER, NUCLEUS, Picture, picture
from test_forest import Listener

from backend.domain.geometry import Box
from backend.domain.labels import LIVER, UNKNOWN, Label, LabelSchema
from worker.forest import partial
from worker.forest.segmenter import ForestSegmenter
from worker.segmenter import Budget, SegmenterError, TrainingData, TrainingTile

VALUES = (2, 4, 7)
RASTERS = arrays.arrays(
    np.uint8, (4, 5), elements=st.sampled_from([0, 0, *VALUES, UNKNOWN])
)
COMPLETE = st.none() | st.sets(st.sampled_from(VALUES)).map(lambda s: tuple(sorted(s)))
TAUGHT = st.lists(st.tuples(RASTERS, COMPLETE), min_size=1, max_size=4)


def lessons(
    taught: list[tuple[partial.U1, tuple[int, ...] | None]],
) -> list[partial.Lesson]:
    box = Box(0, 0, 4, 5)
    tiles = [
        TrainingTile("", "", box, Path(), complete_for) for _, complete_for in taught
    ]
    return partial.lessons(tiles, [raster for raster, _ in taught], VALUES)


@given(TAUGHT, st.integers(0, 99))
def test_every_pixel_becomes_what_it_may_be(
    taught: list[tuple[partial.U1, tuple[int, ...] | None]], seed: int
) -> None:
    random = np.random.default_rng(seed)
    made = lessons(taught)
    guess = partial.first_guess(made, random)
    painted = {0}.union(*(np.unique(raster).tolist() for raster, _ in taught))
    for lesson, first, (raster, complete_for) in zip(made, guess, taught, strict=True):
        p = random.random((len(VALUES) + 1, 4, 5)).astype(np.float32)
        last = partial.settled(lesson, p, VALUES)
        drawn = raster != 0
        complete = VALUES if complete_for is None else complete_for
        for found in (first, last):
            assert found.dtype == np.uint8
            assert (found[drawn] == raster[drawn]).all()
            said = set(found[~drawn].tolist())
            assert said <= ({0, *VALUES} - set(complete)) | {UNKNOWN}
            assert said <= painted | {UNKNOWN}
        if complete:
            assert UNKNOWN not in last[~drawn]
        else:
            assert (last[~drawn] == UNKNOWN).all()
        if len(lesson.may_be) == 1:
            np.testing.assert_array_equal(first, last)


@given(TAUGHT)
def test_open_pixels_take_part_at_first_only_if_background_is_nowhere_certain(
    taught: list[tuple[partial.U1, tuple[int, ...] | None]],
) -> None:
    made = lessons(taught)
    guess = partial.first_guess(made, np.random.default_rng(0))
    certain = any((lesson.raster == 0).any() and not lesson.is_open for lesson in made)
    for lesson, first in zip(made, guess, strict=True):
        if lesson.is_open:
            waits = (first[lesson.raster == 0] == UNKNOWN).all()
            assert waits == certain


def test_labels_nobody_painted_are_never_guessed() -> None:
    only_er = np.array([[4, 0]], np.uint8)
    (lesson,) = lessons([(only_er, (4,))])
    assert lesson.may_be == (0,)
    assert not lesson.is_open


@pytest.fixture
def forest(tmp_path: Path) -> Iterator[ForestSegmenter]:
    segmenter = ForestSegmenter(tmp_path / "scratch")
    yield segmenter
    segmenter.close()


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> dict[int, Picture]:
    """Phantoms of four tiles each."""
    folder = tmp_path_factory.mktemp("phantom")
    return {seed: picture(folder, seed, 384, tile=192) for seed in (0, 1, 2, 9)}


def recalls(
    forest: ForestSegmenter,
    into: Path,
    pictures: dict[int, Picture],
    tiles: tuple[TrainingTile, ...],
) -> dict[int, float]:
    """Recall of each label on a phantom nobody learnt from."""
    unseen = pictures[9]
    images = {made.data.id: made.data for made in pictures.values()}
    lesson = TrainingData(LIVER, images, tiles, tiles[:1], 32.0, 0)
    forest.train(lesson, into, None, Budget(1), Listener())
    forest.predict(into, unseen.data, 192, into / "sweep", Listener())
    return unseen.recall(np.load(into / "sweep" / "labels.npy"))


def test_er_only_tiles_with_nuclei_do_not_cost_nuclei(
    forest: ForestSegmenter, pictures: dict[int, Picture], tmp_path: Path
) -> None:
    """And the same tiles do cost them if what is not ER is taken for background."""
    whole = tuple(pictures[0].tile(place) for place in range(4))
    before = recalls(forest, tmp_path / "before", pictures, whole)
    places = [(1, 0), *((2, place) for place in range(4))]
    only = tuple(pictures[seed].tile(place, ER, (ER,)) for seed, place in places)
    after = recalls(forest, tmp_path / "after", pictures, whole + only)
    naive = tuple(replace(tile, complete_for=None) for tile in only)
    spoilt = recalls(forest, tmp_path / "spoilt", pictures, whole + naive)
    assert before[NUCLEUS] > 0.7
    assert after[NUCLEUS] > before[NUCLEUS] - 0.03
    assert spoilt[NUCLEUS] < before[NUCLEUS] - 0.3


def test_background_emerges_from_tiles_for_one_label_each(
    forest: ForestSegmenter, pictures: dict[int, Picture], tmp_path: Path
) -> None:
    """No pixel of them is certain to be background."""
    places = [(seed, place) for seed in (0, 1, 2) for place in range(4)]
    tiles = []
    for number, (seed, place) in enumerate(places):
        value = (NUCLEUS, 2)[number % 2]
        tiles.append(pictures[seed].tile(place, value, (value,)))
    found = recalls(forest, tmp_path / "model", pictures, tuple(tiles))
    unseen = pictures[9].labels
    said = np.load(tmp_path / "model" / "sweep" / "labels.npy")
    assert found[NUCLEUS] > 0.7
    assert found[2] > 0.7
    assert (said[~np.isin(unseen, (NUCLEUS, 2))] == 0).mean() > 0.7


def test_one_tile_for_one_label_can_be_learnt_from(
    forest: ForestSegmenter, pictures: dict[int, Picture], tmp_path: Path
) -> None:
    schema = LabelSchema((Label(2, "mitochondria", "#EE6677"), LIVER.labels[3]))
    tile = pictures[0].tile(0, 2, (2,))
    images = {pictures[0].data.id: pictures[0].data}
    lesson = TrainingData(schema, images, (tile,), (), 32.0, 0)
    model = forest.train(lesson, tmp_path / "model", None, Budget(1), Listener())
    dice = model.metrics["training_dice/mitochondria"]
    assert isinstance(dice, float)
    assert dice > 0.8
    assert model.metrics["training_dice/ER"] is None

    nothing = replace(lesson, tiles=(replace(tile, complete_for=()),))
    with pytest.raises(SegmenterError, match="All annotated pixels are mitochondria"):
        forest.train(nothing, tmp_path / "none", None, Budget(1), Listener())
