"""Platt scaling from counts by bin of logit p."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from backend.ranker.calibration import CENTRES, Platt, expected_missed, fit_platt
from backend.ranker.statistics import BINS

NONE = np.zeros(BINS)
counts = arrays(np.float64, BINS, elements=st.integers(0, 10**9).map(float))


def told(platt: Platt, pixels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the counts that a label of this calibration leaves on average."""
    return pixels * platt(CENTRES), pixels * (1 - platt(CENTRES))


def test_without_counts_the_network_is_believed() -> None:
    assert fit_platt(NONE, NONE) == Platt(1.0, 0.0)


@pytest.mark.parametrize(
    "true", [Platt(1.0, 0.0), Platt(0.5, -0.3), Platt(1.6, 1.0), Platt(0.7, -1.5)]
)
def test_many_counts_show_the_true_curve(true: Platt) -> None:
    found = fit_platt(*told(true, np.full(BINS, 1e6)))
    assert found.a == pytest.approx(true.a, abs=0.02)
    assert found.b == pytest.approx(true.b, abs=0.05)


def test_few_counts_stay_near_the_network() -> None:
    true = Platt(0.3, 1.0)
    few, many = (fit_platt(*told(true, np.full(BINS, n))) for n in (10.0, 1e5))
    assert abs(few.a - 1) < abs(many.a - 1) / 2
    assert abs(few.b) < abs(many.b) / 2


def test_more_counts_lead_further_from_the_network() -> None:
    true = Platt(0.4, -0.5)
    fits = [fit_platt(*told(true, np.full(BINS, 10.0**n))) for n in range(7)]
    assert [fit.a for fit in fits] == sorted((fit.a for fit in fits), reverse=True)


def test_a_network_that_is_wrong_way_round_is_flattened() -> None:
    """Where less likely pixels are missed more often the curve must not fall."""
    rising = np.linspace(1e6, 1e3, BINS)
    assert fit_platt(rising, rising[::-1].copy()).a == 0.0


@given(counts, counts)
def test_any_counts_give_a_rising_curve_of_probabilities(
    missed: np.ndarray, others: np.ndarray
) -> None:
    platt = fit_platt(missed, others)
    curve = platt(CENTRES)
    assert ((curve >= 0) & (curve <= 1)).all()
    assert (np.diff(curve) >= 0).all()


@given(arrays(np.int32, (5, BINS), elements=st.integers(0, 10**6)))
def test_no_more_can_be_missed_than_was_not_decided(histogram: np.ndarray) -> None:
    found = expected_missed(histogram, Platt(0.8, 0.2))
    assert found.shape == (5,)
    assert (found >= 0).all()
    assert (found <= histogram.sum(axis=1) + 1e-6).all()


def test_expected_pixels_add_up_to_the_true_ones_they_were_fitted_on() -> None:
    """With the prior outweighed, the likelihood's slope in b is their difference."""
    pixels = np.geomspace(1e8, 1e4, BINS)
    missed, others = told(Platt(0.6, 0.1), pixels)
    found = expected_missed((missed + others)[None], fit_platt(missed, others))
    assert found[0] == pytest.approx(missed.sum(), rel=0.01)


@pytest.mark.parametrize(
    "bad", [np.zeros(15), np.full(BINS, -1.0), np.full(BINS, np.nan)]
)
def test_counts_that_are_none_are_refused(bad: np.ndarray) -> None:
    with pytest.raises(ValueError, match="counts by bin"):
        fit_platt(bad, NONE)


@pytest.mark.parametrize(("a", "b"), [(-1.0, 0.0), (np.nan, 0.0), (1.0, np.inf)])
def test_a_curve_that_falls_or_is_no_number_is_refused(a: float, b: float) -> None:
    with pytest.raises(ValueError, match="no calibration"):
        Platt(a, b)
