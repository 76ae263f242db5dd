"""The correction that annotated tiles teach."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backend.ranker.learned import PARTS, Correction, Lesson, features, fit_correction
from backend.ranker.statistics import BINS, TileStatistics

K = len(PARTS)
number = st.floats(-10, 10)
lesson = st.builds(
    Lesson,
    features=st.tuples(*[number] * K),
    prior=st.floats(0, 1e6),
    missed=st.integers(0, 10**6).map(float),
)


def world(tiles: int, seed: int, w: np.ndarray) -> tuple[np.ndarray, ...]:
    """Return parts (T, K), expected (T,) and missed (T,) that follow weights `w`."""
    random = np.random.default_rng(seed)
    parts = random.normal(size=(tiles, K))
    expected = random.gamma(2.0, 200.0, tiles)
    missed = random.poisson(expected * np.exp(parts @ w)).astype(float)
    return parts, expected, missed


def lessons_of(
    parts: np.ndarray, expected: np.ndarray, missed: np.ndarray
) -> list[Lesson]:
    return [
        Lesson(tuple(row), float(e), float(m))
        for row, e, m in zip(parts, expected, missed, strict=True)
    ]


def test_without_lessons_the_prior_stands() -> None:
    parts, expected, _ = world(7, 0, np.zeros(K))
    assert fit_correction([]) == Correction()
    assert Correction().apply(expected, parts) is expected


def test_lessons_that_missed_or_expected_nothing_change_nothing() -> None:
    parts, expected, missed = world(7, 0, np.zeros(K))
    assert fit_correction(lessons_of(parts, 0 * expected, missed)) == Correction()
    assert fit_correction(lessons_of(parts, expected, 0 * missed)) == Correction()


def test_what_lessons_show_is_learnt() -> None:
    """A part that doubles the misses is found, and new tiles are ranked better."""
    w = np.zeros(K)
    w[3] = 0.7
    correction = fit_correction(lessons_of(*world(800, 1, w)))
    assert correction.weights[3] == pytest.approx(0.7, abs=0.15)
    parts, expected, missed = world(500, 2, w)
    before = np.corrcoef(expected, missed)[0, 1]
    after = np.corrcoef(correction.apply(expected, parts), missed)[0, 1]
    assert after > before + 0.1


def test_more_lessons_move_further_from_the_prior() -> None:
    w = np.zeros(K)
    w[0] = 0.5
    sizes = [
        abs(fit_correction(lessons_of(*world(n, 3, w))).weights[0] - 0.5)
        for n in (2, 40, 4000)
    ]
    assert sizes == sorted(sizes, reverse=True)


@pytest.mark.parametrize("unit", [1e-6, 1 / 3, 1e3])
def test_the_prior_may_have_any_unit_and_pixels_come_out(unit: float) -> None:
    parts, expected, missed = world(100, 4, np.zeros(K))
    correction = fit_correction(lessons_of(parts, expected * unit, missed))
    total = correction.apply(expected * unit, parts).sum()
    assert total == pytest.approx(missed.sum(), rel=0.1)


@settings(deadline=None)
@given(st.lists(lesson, max_size=6), st.randoms(use_true_random=False))
def test_any_lessons_in_any_order_give_one_finite_positive_factor(
    lessons: list[Lesson], random: object
) -> None:
    correction = fit_correction(lessons)
    shuffled = list(lessons)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    again = fit_correction(shuffled)
    parts = np.eye(K) * 5
    one = np.ones(K)
    found = correction.apply(one, parts)
    assert np.isfinite(found).all()
    assert (found > 0).all()
    assert found.max() / found.min() <= np.exp(6) * (1 + 1e-9)
    assert again.apply(one, parts) == pytest.approx(found, rel=1e-3)


@pytest.mark.parametrize(
    "bad",
    [
        Lesson((np.nan,) * K, 1.0, 1.0),
        Lesson((0.0,) * K, np.inf, 1.0),
        Lesson((0.0,) * K, 1.0, -1.0),
    ],
)
def test_lessons_without_numbers_are_refused(bad: Lesson) -> None:
    with pytest.raises(ValueError, match="a lesson holds"):
        fit_correction([bad])


def test_the_parts_of_a_tile_do_not_depend_on_its_size() -> None:
    """A tile at the border of an image is smaller; its sums are."""

    def statistics(valid: int) -> TileStatistics:
        sums = np.full((1, 1), 0.1 * valid)
        return TileStatistics(
            values=np.array([4], np.uint8),
            boxes=np.array([[0, 0, 10, valid // 10]], np.int32),
            valid=np.array([valid]),
            area=np.zeros((1, 1), np.int64),
            p_sum=sums,
            p_missed=sums,
            logit_histogram=np.zeros((1, 1, BINS), np.int32),
            entropy_sum=sums[0],
            class_entropy=sums,
            label_entropy=sums,
            information_sum=sums[0],
            class_information=sums,
            boundary=sums,
            embedding=np.zeros((1, 0), np.float32),
        )

    gaps = np.zeros(1)
    whole, half = (features(statistics(n), 0, gaps) for n in (100, 50))
    assert whole.shape == (1, K)
    np.testing.assert_allclose(whole, half)
