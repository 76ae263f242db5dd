"""Areas, intervals and tests against known values, and what must hold of any curve."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from backend.experiment import statistics as ours

scores = st.floats(0, 1)
curves = st.lists(scores, min_size=2, max_size=12)


def test_the_area_of_a_straight_curve_is_its_middle() -> None:
    assert ours.aubc([0.2, 0.4, 0.6]) == pytest.approx(0.4)
    assert ours.aubc([0.0, 1.0, 1.0, 1.0]) == pytest.approx(2.5 / 3)
    assert ours.aubc([0.7]) == 0.7
    with pytest.raises(ValueError, match="no curve"):
        ours.aubc([0.1, float("nan")])


@given(curves, st.floats(-1, 1))
def test_an_area_lies_within_its_curve_and_moves_with_it(
    curve: list[float], by: float
) -> None:
    area = ours.aubc(curve)
    assert min(curve) - 1e-12 <= area <= max(curve) + 1e-12
    assert ours.aubc([score + by for score in curve]) == pytest.approx(area + by)
    assert ours.aubc(curve[::-1]) == pytest.approx(area)


def test_an_interval_holds_the_true_mean_about_as_often_as_it_says() -> None:
    rng = np.random.default_rng(3)
    held = 0
    for _ in range(100):
        found = ours.estimate(rng.normal(0.5, 0.1, 12))
        assert found.low is not None
        assert found.high is not None
        assert found.low < found.mean < found.high
        held += found.low <= 0.5 <= found.high
    assert 82 <= held <= 99


def test_an_interval_is_silent_where_nothing_varies() -> None:
    assert ours.estimate([0.4, 0.6]) == ours.Estimate(0.5, None, None, 2)
    assert ours.estimate([0.5] * 8) == ours.Estimate(0.5, None, None, 8)


@given(arrays(float, st.tuples(st.integers(1, 5), st.integers(1, 6)), elements=scores))
def test_a_band_lies_around_the_mean(rows: np.ndarray) -> None:
    low, high = ours.band(rows)
    mean = rows.mean(axis=0)
    assert (low <= mean + 1e-9).all()
    assert (mean <= high + 1e-9).all()
    assert (low >= rows.min(axis=0) - 1e-9).all()
    assert (high <= rows.max(axis=0) + 1e-9).all()


def test_the_paired_test_is_the_known_one() -> None:
    # Student's own data on hours of sleep, Biometrika 6:1 (1908)
    one = [0.7, -1.6, -0.2, -1.2, -0.1, 3.4, 3.7, 0.8, 0.0, 2.0]
    other = [1.9, 0.8, 1.1, 0.1, -0.1, 4.4, 5.5, 1.6, 4.6, 3.4]
    found = ours.paired(other, one)
    assert found.difference.mean == pytest.approx(1.58)
    assert found.t == pytest.approx(4.0621, abs=1e-4)
    assert found.p == pytest.approx(0.002833, abs=1e-6)
    assert ours.paired([0.5], [0.4]).p is None
    same = ours.paired([0.1, 0.2], [0.1, 0.2])
    assert (same.t, same.p) == (None, 1.0)


def test_holm_by_hand() -> None:
    raw = {"a": 0.01, "b": 0.04, "c": 0.03, "d": 0.005, "e": None}
    found = ours.holm(raw)
    assert found == pytest.approx(
        {"d": 0.02, "a": 0.03, "c": 0.06, "b": 0.06, "e": None}
    )


@given(st.dictionaries(st.text(max_size=3), st.floats(0, 1), max_size=8))
def test_holm_never_helps_and_keeps_the_order(raw: dict[str, float]) -> None:
    found = ours.holm(dict(raw))
    bonferroni = {name: min(1.0, p * len(raw)) for name, p in raw.items()}
    for name, p in found.items():
        assert p is not None
        assert raw[name] <= p <= bonferroni[name] + 1e-12
    ordered = sorted(raw, key=lambda name: (raw[name], name))
    assert [found[n] for n in ordered] == sorted(found[n] or 0 for n in ordered)


def test_penalties_count_the_rounds_that_are_won() -> None:
    rng = np.random.default_rng(0)
    noise = rng.normal(0, 0.01, (8, 5))
    base = np.linspace(0.4, 0.8, 5) + noise
    better = base + np.array([0, 0.2, 0.2, 0, 0]) + rng.normal(0, 0.001, (8, 5))
    better[:, 0] = base[:, 0]
    # no difference in two rounds, and none but noise of fixed signs
    better[:, 3:] = base[:, 3:] + 0.001 * np.array([1, -1] * 4)[:, None]
    matrix = ours.penalties({"base": base, "better": better})
    assert matrix.tolist() == [[0, 0], [0.5, 0]]
    assert not ours.penalties({"a": base, "b": base}).any()


@given(curves, scores)
def test_a_goal_is_reached_where_the_curve_first_crosses_it(
    curve: list[float], goal: float
) -> None:
    budgets = [6.0 * (n + 1) for n in range(len(curve))]
    found = ours.reached(budgets, curve, goal)
    if found is None:
        assert max(curve) < goal
    else:
        assert np.interp(found, budgets, curve) == pytest.approx(goal) or found == 6.0
        before = [s for b, s in zip(budgets, curve, strict=True) if b < found - 1e-9]
        assert all(score < goal for score in before)


def test_what_is_reached_between_rounds() -> None:
    assert ours.reached([10, 20, 30], [0.2, 0.4, 0.8], 0.6) == 25
    assert ours.reached([10, 20, 30], [0.7, 0.4, 0.8], 0.6) == 10
    assert ours.reached([10, 20, 30], [0.2, 0.4, 0.5], 0.6) is None


def test_recall_at_a_precision() -> None:
    precisions, recalls = [0.9, 0.85, 0.7, 0.81], [0.1, 0.3, 0.5, 0.4]
    assert ours.recall_at(precisions, recalls, 0.8) == 0.4
    assert ours.recall_at(precisions, recalls, 0.85) == 0.3
    assert ours.recall_at(precisions, recalls, 0.95) == 0
    assert ours.recall_at([], [], 0.8) is None


def test_the_spread_within_groups_is_pooled() -> None:
    groups = [[0.1, 0.2, 0.3], [0.5, 0.5], [0.9]]
    assert ours.pooled_sd(groups) == pytest.approx(np.sqrt(0.02 / 3))
    assert ours.pooled_sd([[0.4]]) is None
    rng = np.random.default_rng(1)
    alike = rng.normal(0, 0.05, (40, 4)) + rng.normal(0, 1, (40, 1))
    assert ours.pooled_sd(alike.tolist()) == pytest.approx(0.05, rel=0.2)
