"""Operating points: the greatest recall that keeps its precision floor, on pixels."""

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from backend.domain.labels import Label, LabelSchema
from backend.domain.metrics import Counts, confusion, pooled, precision_recall
from backend.domain.operating import (
    MIN_TILES,
    STEPS,
    Seen,
    choose,
    decide,
    plane_offsets,
    step_offset,
)

metrics = pytest.importorskip("sklearn.metrics")
unhurried = settings(deadline=None, max_examples=60)
VALUES = (2, 4, 9)
floors = st.floats(0.05, 0.99)


def seen(seed: int, tiles: int, sharp: float, complete: Sequence[int]) -> list[Seen]:
    """Tiles whose truth a noisy model half knows; every tile holds every label."""
    rng = np.random.default_rng(seed)
    found = []
    for _ in range(tiles):
        truth = rng.choice(np.array([0, *VALUES, 255], np.uint8), (12, 13))
        truth[0, :4] = 0, *VALUES
        logits = rng.normal(size=(4, 12, 13)).round(1)  # equals occur
        for plane, value in enumerate((0, *VALUES)):
            logits[plane] += sharp * (truth == value) - 1.5 * (value == 4)
        p = np.exp(logits)
        found.append(Seen((p / p.sum(0)).astype(np.float32), truth, complete))
    return found


def schema(target: float = 1.0, **wanted: float) -> LabelSchema:
    """Labels v2, v4, v9 with these floors; v4 stands above the others."""
    return LabelSchema(
        tuple(
            Label(
                value,
                f"v{value}",
                "#000000",
                priority=1.5 if value == 4 else 1.0,
                target_recall=target,
                precision_floor=wanted.get(f"v{value}"),
            )
            for value in VALUES
        )
    )


def served(tiles: list[Seen], offsets: dict[int, float]) -> dict[int, Counts]:
    """Count what is served with these offsets, pixel by pixel."""
    channels = np.array([0, *VALUES], np.uint8)
    return pooled(
        confusion(
            tile.truth,
            channels[decide(tile.p, plane_offsets(VALUES, offsets))],
            VALUES,
            tile.complete_for,
        )
        for tile in tiles
    )


@given(st.integers(0, 2**31), st.lists(st.floats(-1, 4), min_size=4, max_size=4))
def test_the_greatest_log_p_and_offset_decides(seed: int, offsets: list[float]) -> None:
    p = np.random.default_rng(seed).random((4, 5, 6)).astype(np.float32)
    wanted = (np.log(p.astype(float)) + np.array(offsets)[:, None, None]).argmax(0)
    np.testing.assert_array_equal(decide(p, offsets), wanted)
    np.testing.assert_array_equal(decide(p), p.argmax(0))


def test_the_first_of_equals_is_decided() -> None:
    p = np.array([[[0.4, 0.2]], [[0.4, 0.4]], [[0.2, 0.4]]], np.float32)
    assert decide(p).tolist() == [[0, 1]]


@unhurried
@given(
    st.integers(0, 2**31),
    st.floats(0, 4),
    floors,
    st.sampled_from([(), (4,), VALUES]),
)
def test_recall_is_the_greatest_that_keeps_the_floor(
    seed: int, sharp: float, floor: float, complete: Sequence[int]
) -> None:
    tiles = seen(seed, MIN_TILES, sharp, complete)
    found = choose(lambda: tiles, schema(v4=floor), VALUES)
    assert {*found} <= {4}
    assert found == choose(lambda: tiles, schema(v4=floor), VALUES)
    every = {
        step_offset(step): served(tiles, {4: step_offset(step)})[4]
        for step in range(STEPS + 1)
    }
    keeps = {
        offset: counts.recall
        for offset, counts in every.items()
        if counts.tp and counts.tp / (counts.tp + counts.fp) >= floor
    }
    chosen = found.get(4, 0.0)
    if not keeps:
        assert chosen == 0
        return
    best = max(keeps.values())
    assert chosen == min(o for o, recall in keeps.items() if recall == best)
    assert every[chosen].recall >= every[0].recall


@unhurried
@given(st.integers(0, 2**31), st.floats(0, 4), floors, st.floats(0.05, 1))
def test_no_more_recall_is_bought_than_was_asked_for(
    seed: int, sharp: float, floor: float, target: float
) -> None:
    tiles = seen(seed, MIN_TILES, sharp, VALUES)
    greatest = choose(lambda: tiles, schema(v4=floor), VALUES).get(4, 0.0)
    chosen = choose(lambda: tiles, schema(target, v4=floor), VALUES).get(4, 0.0)
    recall = {
        step_offset(step): served(tiles, {4: step_offset(step)})[4].recall
        for step in range(STEPS + 1)
    }
    assert chosen <= greatest
    if recall[greatest] < target:
        assert chosen == greatest
    elif chosen:
        assert recall[round(chosen - 0.1, 1)] < target or chosen == greatest
        assert recall[chosen] >= target


@unhurried
@given(st.integers(0, 2**31), st.floats(0, 4), floors, floors)
def test_a_higher_floor_never_gives_more(
    seed: int, sharp: float, one: float, other: float
) -> None:
    tiles = seen(seed, MIN_TILES, sharp, VALUES)
    low, high = sorted((one, other))
    loose, tight = (
        choose(lambda: tiles, schema(v4=floor), VALUES).get(4, 0.0)
        for floor in (low, high)
    )
    assert tight <= loose


@unhurried
@given(st.integers(0, 2**31), st.floats(0, 4), floors, floors, floors)
def test_several_floors_hold_together(
    seed: int, sharp: float, a: float, b: float, c: float
) -> None:
    tiles = seen(seed, MIN_TILES, sharp, VALUES)
    asked = {2: a, 4: b, 9: c}
    found = choose(lambda: tiles, schema(v2=a, v4=b, v9=c), VALUES)
    before, after = served(tiles, {}), served(tiles, found)
    for value, floor in asked.items():
        was, now = before[value].precision, after[value].precision
        if value in found or (was is not None and was >= floor):
            assert now is not None
            assert now >= floor
    # the label of highest priority is served first
    alone = choose(lambda: tiles, schema(v4=b), VALUES)
    if not any(
        before[value].precision is not None and before[value].precision >= floor
        for value, floor in asked.items()
        if value != 4
    ):
        assert found.get(4) == alone.get(4)


def test_what_few_tiles_hold_or_the_model_does_not_know_has_no_offset() -> None:
    tiles = seen(0, MIN_TILES, 1.0, VALUES)
    assert choose(lambda: tiles, schema(v4=0.1), VALUES)[4] > 0
    assert choose(lambda: tiles, schema(), VALUES) == {}
    assert choose(lambda: [], schema(v4=0.1), VALUES) == {}
    tiles[0].truth[tiles[0].truth == 4] = 0
    assert choose(lambda: tiles, schema(v4=0.1), VALUES) == {}
    known = [Seen(tile.p[[0, 1, 3]], *tile[1:]) for tile in tiles]
    assert choose(lambda: known, schema(v4=0.1), (2, 9)) == {}


@given(st.integers(0, 2**31), st.integers(1, 300))
def test_the_curve_is_scikit_learn_s(seed: int, pixels: int) -> None:
    rng = np.random.default_rng(seed)
    q = rng.integers(0, 256, pixels) // rng.integers(1, 40) * 1
    truth = rng.random(pixels) < 0.3
    truth[0] = True
    histograms: list[NDArray[np.int64]] = [
        np.bincount(q[kind], minlength=256) for kind in (truth, ~truth)
    ]
    precision, recall, at = metrics.precision_recall_curve(truth, q)
    wanted = [
        (t / 255, p, r) for t, p, r in zip(at, precision[:-1], recall, strict=False)
    ]
    found = precision_recall(*histograms)
    assert found == [pytest.approx(point) for point in reversed(wanted)]
    assert precision_recall(np.zeros(256, int), histograms[1]) == []
