"""Pooled metrics agree with scikit-learn and leave out what nobody knows."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from backend.domain.metrics import (
    Counts,
    average_precision,
    confusion,
    intervals,
    mean,
    pooled,
    probability_histograms,
)

metrics = pytest.importorskip("sklearn.metrics")
unhurried = settings(deadline=None)

VALUES = (1, 2, 3, 7)
SHAPE = (9, 8)
truths = arrays(np.uint8, SHAPE, elements=st.sampled_from([0, 1, 2, 7, 255]))
predictions = arrays(np.uint8, SHAPE, elements=st.sampled_from([0, 1, 2, 3]))
counts = st.builds(Counts, *[st.integers(0, 1000)] * 3)
histograms = arrays(np.int64, 256, elements=st.integers(0, 4))


def ratio(part: float, whole: float) -> float | None:
    return part / whole if whole else None


@unhurried
@given(truths, predictions)
def test_equal_to_scikit_learn_with_unknown_and_absent_classes(truth, prediction):
    known = truth != 255
    table = np.zeros((5, 5), int)
    if known.any():
        table = metrics.confusion_matrix(
            truth[known], prediction[known], labels=[0, *VALUES]
        )
    got = confusion(truth, prediction, VALUES, complete_for=VALUES)
    for row, value in enumerate(VALUES, start=1):
        tp = table[row, row]
        fp, fn = table[:, row].sum() - tp, table[row].sum() - tp
        assert got[value] == Counts(tp, fp, fn)
        assert got[value].precision == ratio(tp, tp + fp)
        assert got[value].recall == ratio(tp, tp + fn)
        assert got[value].iou == ratio(tp, tp + fp + fn)
        assert got[value].dice == got[value].f1 == ratio(2 * tp, 2 * tp + fp + fn)


def test_zero_is_a_no_only_for_labels_the_annotation_is_complete_for():
    truth = np.array([[0, 0, 1, 2, 255]], np.uint8)
    prediction = np.array([[1, 2, 2, 1, 1]], np.uint8)
    got = confusion(truth, prediction, (1, 2), complete_for={1})
    assert got[1] == Counts(tp=0, fp=2, fn=1)
    assert got[2] == Counts(tp=0, fp=1, fn=1)  # at the drawn 1, not at the 0


@unhurried
@given(truths, predictions, st.sets(st.sampled_from(VALUES)))
def test_knowing_less_never_adds_a_pixel(truth, prediction, complete):
    every = confusion(truth, prediction, VALUES, complete_for=VALUES)
    some = confusion(truth, prediction, VALUES, complete_for=complete)
    for value in VALUES:
        assert (some[value].tp, some[value].fn) == (every[value].tp, every[value].fn)
        assert some[value].fp <= every[value].fp
        if value in complete:
            assert some[value] == every[value]


@unhurried
@given(counts)
def test_ratios_stay_in_bounds_and_undefined_is_none(c):
    ratios = (c.dice, c.iou, c.f1, c.precision, c.recall)
    assert all(r is None or 0 <= r <= 1 for r in ratios)
    assert (c.recall is None) == (c.tp + c.fn == 0)
    assert (c.precision is None) == (c.tp + c.fp == 0)
    assert (c.dice is None) == (c.tp + c.fp + c.fn == 0)
    if c.dice is not None and c.iou is not None:
        assert c.dice == pytest.approx(2 * c.iou / (1 + c.iou))


@unhurried
@given(truths, predictions, st.integers(1, 8))
def test_pooling_tiles_equals_counting_at_once(truth, prediction, cut):
    parts = [
        confusion(truth[part], prediction[part], VALUES, complete_for={1, 7})
        for part in (slice(cut), slice(cut, None))
    ]
    assert pooled(parts) == confusion(truth, prediction, VALUES, complete_for={1, 7})


def test_mean_leaves_out_the_undefined():
    assert mean([0.5, None, 1.0]) == 0.75
    assert mean([0.0, None]) == 0.0
    assert mean([None]) is None
    assert mean([]) is None


def test_wrong_rasters_are_refused():
    raster = np.zeros((4, 4), np.uint8)
    with pytest.raises(ValueError, match="one shape"):
        confusion(raster, raster[:2], VALUES, VALUES)
    with pytest.raises(ValueError, match="one shape"):
        confusion(raster, raster.astype(np.int64), VALUES, VALUES)
    with pytest.raises(ValueError, match="255"):
        confusion(raster, raster + np.uint8(255), VALUES, VALUES)


@unhurried
@given(histograms, histograms)
def test_average_precision_equals_scikit_learn(positives, negatives):
    got = average_precision(positives, negatives)
    if not positives.any():
        assert got is None
        return
    levels = np.arange(256)
    scores = np.concatenate([levels.repeat(positives), levels.repeat(negatives)])
    truth = np.repeat([1, 0], [positives.sum(), negatives.sum()])
    assert got == pytest.approx(metrics.average_precision_score(truth, scores))
    assert 0 <= got <= 1 + 1e-12


def test_probability_histograms_leave_out_the_unknown():
    truth = np.array([[1, 2, 0, 255]], np.uint8)
    probability = np.array([[200, 100, 50, 25]], np.uint8)
    positives, negatives = probability_histograms(truth, probability, 1, {1})
    assert np.flatnonzero(positives).tolist() == [200]
    assert np.flatnonzero(negatives).tolist() == [50, 100]
    _, negatives = probability_histograms(truth, probability, 1, set())
    assert np.flatnonzero(negatives).tolist() == [100]


tiles = st.lists(counts, min_size=2, max_size=12)


@unhurried
@given(tiles, st.integers(0, 2**128 - 1))
def test_intervals_repeat_and_stay_within_what_tiles_can_give(found, seed):
    got = intervals(found, seed)
    assert got == intervals(iter(found), seed)
    if sum(tile.truth > 0 for tile in found) < 2:
        assert got is None
        return
    for score, ends in zip(("dice", "recall"), got, strict=True):
        assert 0 <= ends.low <= ends.high <= 1
        # a pooled score lies between the scores of its parts
        parts = [getattr(tile, score) for tile in found]
        best = max(part for part in parts if part is not None)
        assert ends.high <= best + 1e-12


@unhurried
@given(st.builds(Counts, *[st.integers(1, 1000)] * 3), st.integers(2, 40))
def test_tiles_that_are_all_alike_leave_nothing_open(tile, number):
    dice, recall = intervals([tile] * number, seed=0)
    assert dice == pytest.approx((tile.dice, tile.dice))
    assert recall == pytest.approx((tile.recall, tile.recall))


@pytest.mark.parametrize("held", [[], [Counts(5, 1, 2)], [Counts(5, 1, 2), Counts()]])
def test_no_interval_from_fewer_than_two_tiles_with_the_label(held):
    assert intervals([*held, Counts(fp=7)], seed=0) is None


def test_intervals_agree_with_scipy():
    stats = pytest.importorskip("scipy.stats")
    rng = np.random.default_rng(5)
    table = rng.integers([0, 0, 1], [900, 200, 300], (30, 3))
    table[20:] = 0  # tiles of the split without the label
    table[25:, 1] = 40

    def dice(tp, fp, fn, axis):
        tp, fp, fn = (part.sum(axis) for part in (tp, fp, fn))
        return 2 * tp / (2 * tp + fp + fn)

    def recall(tp, fp, fn, axis):
        return tp.sum(axis) / (tp.sum(axis) + fn.sum(axis))

    got = intervals([Counts(*map(int, row)) for row in table], seed=1)
    for statistic, ends in zip((dice, recall), got, strict=True):
        expected = stats.bootstrap(
            tuple(table.T.astype(float)),
            statistic,
            paired=True,
            vectorized=True,
            method="percentile",
            n_resamples=20_000,
            rng=rng,
        ).confidence_interval
        assert ends == pytest.approx((expected.low, expected.high), abs=0.02)
        assert expected.high - expected.low > 0.08  # the tolerance says something
