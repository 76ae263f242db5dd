"""Lessons: what was missed is counted where it is known, and nowhere else."""

import uuid
from pathlib import Path

import numpy as np
import pytest

from backend.domain.geometry import Box
from backend.domain.labels import LIVER, UNKNOWN
from backend.domain.masks import pack
from backend.ranker import (
    Correction,
    Knowledge,
    Parameters,
    Platt,
    Pool,
    Scene,
    TileStatistics,
    class_needs,
    keys_of,
    rank,
)
from backend.ranker.asked import Asked
from backend.ranker.asked import asked as asked_of
from backend.ranker.calibration import expected_missed
from backend.ranker.learned import PARTS
from backend.ranker.statistics import BINS
from backend.schemas.loop import ASKED, Answer, Answered
from backend.schemas.stored import StoredTree
from backend.storage import ArtifactStore
from worker import lessons

ER, MITO = 4, 2
BOX = Box(8, 16, 8, 8)


@pytest.fixture
def store(tmp_path: Path) -> ArtifactStore:
    return ArtifactStore(f"file://{tmp_path}/store")


def truth() -> np.ndarray:
    mask = np.zeros((BOX.h, BOX.w), np.uint8)
    mask[:2], mask[4:, 4:] = ER, MITO
    return mask


def answer(
    store: ArtifactStore,
    tmp_path: Path,
    mask: np.ndarray,
    complete_for: tuple[int, ...] = (MITO, ER),
) -> Answer:
    """A tile of an image whose sweep says mitochondria in every second column."""
    labels = np.zeros((32, 40), np.uint8)
    labels[:, ::2] = MITO
    folder = tmp_path / uuid.uuid4().hex
    folder.mkdir()
    np.save(folder / "labels.npy", labels)
    prefix = f"sweeps/{folder.name}"
    tree = StoredTree(prefix, store.put_tree(prefix, folder))
    return Answer(uuid.uuid4(), BOX, pack(mask), complete_for, tree)


def asked(
    store: ArtifactStore, tmp_path: Path, keys: tuple[uuid.UUID, ...], **of: object
) -> StoredTree:
    """What a ranking wrote of these tiles, with numbers that tell them apart."""
    folder = tmp_path / uuid.uuid4().hex
    folder.mkdir()
    shape = len(keys), 2, len(PARTS)
    values = np.arange(np.prod(shape), dtype=float).reshape(shape)
    made = Asked(np.array([MITO, ER], np.uint8), values, values[..., 0] / 2)
    lessons.save(folder / ASKED, keys, made)
    if of:
        with np.load(folder / ASKED) as file:
            np.savez(folder / ASKED, **{**file, **of})
    prefix = f"scores/{folder.name}"
    return StoredTree(prefix, store.put_tree(prefix, folder))


def test_missed_pixels_are_those_served_as_something_else(
    store: ArtifactStore, tmp_path: Path
) -> None:
    given = answer(store, tmp_path, truth())
    # two rows of ER, all missed; of 16 pixels of mitochondria every second column is
    assert lessons.missed(given, store) == {ER: 16, MITO: 8}
    only = answer(store, tmp_path, truth(), complete_for=(ER,))
    assert lessons.missed(only, store) == {ER: 16}
    unsure = truth()
    unsure[7, 7] = UNKNOWN
    assert lessons.missed(answer(store, tmp_path, unsure), store) == {}


def test_lessons_are_drawn_from_what_the_ranking_wrote(
    store: ArtifactStore, tmp_path: Path
) -> None:
    given = answer(store, tmp_path, truth())
    scores = asked(store, tmp_path, (uuid.uuid4(), given.tile_id))
    query = uuid.uuid4()
    stranger = answer(store, tmp_path, truth())
    (found, nothing) = lessons.draw(
        [Answered(query, scores, (given, stranger))], store, tmp_path
    )
    assert (found.query_id, found.tile_id) == (query, given.tile_id)
    er = found.lessons[ER]
    first = 3 * len(PARTS)  # the second tile's second label
    assert list(er.features) == list(PARTS)
    assert list(er.features.values()) == list(range(first, first + len(PARTS)))
    assert (er.prior, er.missed) == (first / 2, 16)
    assert found.lessons[MITO].missed == 8
    # a tile the ranking did not write of teaches nothing, and is not tried again
    assert (nothing.tile_id, nothing.lessons) == (stranger.tile_id, {})


def test_what_is_gone_or_of_another_release_is_skipped(
    store: ArtifactStore, tmp_path: Path
) -> None:
    given = answer(store, tmp_path, truth())
    scores = asked(store, tmp_path, (given.tile_id,))
    store.delete_tree(given.sweep.prefix)
    gone = Answered(uuid.uuid4(), scores, (given,))
    there = answer(store, tmp_path, truth())
    old = asked(store, tmp_path, (there.tile_id,), parts=np.array(["other"]))
    other = Answered(uuid.uuid4(), old, (there,))
    before = Answered(uuid.uuid4(), StoredTree("scores/none", {}), (there,))
    assert lessons.draw([gone, other, before], store, tmp_path) == ()


def pool_of(tiles: int, painted: int) -> tuple[Pool, TileStatistics]:
    """A pool of two images with statistics of no model, some tiles painted."""
    rng = np.random.default_rng(7)
    shape = tiles, 2
    boxes = np.array([(64 * (n // 2), 64 * (n % 2), 64, 64) for n in range(tiles)])
    statistics = TileStatistics(
        values=np.array([MITO, ER], np.uint8),
        boxes=boxes.astype(np.int32),
        valid=np.full(tiles, 64 * 64, np.int64),
        area=rng.integers(0, 900, shape),
        p_sum=rng.random(shape) * 900,
        p_missed=rng.random(shape) * 400,
        logit_histogram=rng.integers(0, 50, (*shape, BINS)).astype(np.int32),
        entropy_sum=rng.random(tiles) * 2000,
        class_entropy=rng.random(shape) * 400,
        label_entropy=rng.random(shape) * 300,
        information_sum=rng.random(tiles) * 100,
        class_information=rng.random(shape) * 50,
        boundary=rng.random(shape) * 300,
        embedding=rng.random((tiles, 3)).astype(np.float32),
    )
    annotated = np.arange(tiles) < painted
    pool = Pool(
        keys=keys_of([uuid.UUID(int=n + 1) for n in range(tiles)]),
        images=np.arange(tiles) % 2,
        boxes=statistics.boxes,
        excluded=annotated,
        statistics=statistics,
        annotated=annotated,
    )
    return pool, statistics


def test_lessons_rest_on_what_the_learning_strategy_corrects() -> None:
    pool, statistics = pool_of(tiles=20, painted=4)
    needs = class_needs(LIVER, {})
    needs = tuple(need for need in needs if need.value in (MITO, ER))
    correction = Correction(
        weights=tuple(np.linspace(-0.5, 0.5, len(PARTS))),
        centre=(0.1,) * len(PARTS),
        offset=0.2,
        scale=150.0,
    )
    calibration = {ER: Platt(0.8, 0.3)}
    known = Knowledge(calibration=calibration, corrections={ER: correction})
    by_score = Parameters(noise=0)
    head = rank("er-gap-learned", pool, 8, 8, 3, needs, known, by_score)
    tiles = np.array([item.tile for item in head], np.intp)
    said = asked_of(Scene.of(pool, 3, needs, known), tiles)
    assert said.values.tolist() == [MITO, ER]
    mito, er = said.prior.T
    valid = statistics.valid[tiles]

    def formula(missed: np.ndarray, column: int) -> np.ndarray:
        doubts = statistics.class_entropy[tiles, column] / valid + 1e-4
        disputes = statistics.class_information[tiles, column] / valid + 1e-4
        found = (missed / valid + 1e-4) ** 0.25 * disputes**0.25 * doubts**0.5
        return np.asarray(found)

    np.testing.assert_allclose(mito, formula(statistics.p_missed[tiles, 0], 0))
    histogram = statistics.logit_histogram[tiles, 1]
    np.testing.assert_allclose(
        er, formula(expected_missed(histogram, calibration[ER]), 1)
    )
    assert (said.features[:, :, PARTS.index("novelty")] > 0).all()
    corrected = correction.apply(er, said.features[:, 1])
    scored = [item.parts["missed:ER"] for item in head]
    np.testing.assert_allclose(scored, corrected)


def test_nothing_is_new_while_nothing_is_painted() -> None:
    pool, _ = pool_of(tiles=6, painted=0)
    needs = tuple(n for n in class_needs(LIVER, {}) if n.value in (MITO, ER))
    tiles = np.array([1, 4], np.intp)
    scene = Scene.of(pool, 0, needs)
    said = asked_of(scene, tiles)
    assert said.features.shape == (2, 2, len(PARTS))
    assert (said.features[:, :, PARTS.index("novelty")] == 0).all()
    nobody = asked_of(scene, tiles[:0])
    assert nobody.features.shape == (0, 2, len(PARTS))
