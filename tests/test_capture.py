"""The two figures that say how well a score finds what was missed."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.stats import spearmanr

from backend.ranker.capture import capture, spearman

tiles = st.integers(1, 40)
pixels = tiles.flatmap(
    lambda n: st.tuples(
        arrays(np.float64, n, elements=st.integers(0, 9).map(float)),
        arrays(np.float64, n, elements=st.integers(0, 999).map(float)),
    )
)


def test_the_head_is_a_tenth_of_the_tiles() -> None:
    missed = np.array([5.0, 1, 1, 1, 1, 1, 0, 0, 0, 0])
    assert capture(missed, missed) == 0.5
    assert capture(-missed, missed) == 0.0
    assert capture(missed, missed, share=0.2) == 0.6


def test_ties_share_the_last_places() -> None:
    missed = np.arange(20.0)
    assert capture(np.zeros(20), missed) == pytest.approx(0.1)


def test_a_score_that_rules_out_everything_is_chance() -> None:
    assert capture(np.full(10, -np.inf), np.ones(10)) == pytest.approx(0.1)


@given(pixels, st.floats(0.01, 1))
def test_truth_itself_is_the_best_score(
    both: tuple[np.ndarray, np.ndarray], share: float
) -> None:
    score, missed = both
    if not missed.sum():
        assert np.isnan(capture(score, missed, share))
        return
    found = capture(score, missed, share)
    assert 0 <= found <= capture(missed, missed, share) + 1e-12


@given(pixels, st.integers(0, 99))
def test_the_order_of_the_tiles_does_not_matter(
    both: tuple[np.ndarray, np.ndarray], seed: int
) -> None:
    score, missed = both
    order = np.random.default_rng(seed).permutation(len(score))
    for figure in (capture, spearman):
        assert figure(score[order], missed[order]) == pytest.approx(
            figure(score, missed), nan_ok=True
        )


@given(pixels)
def test_only_the_order_of_the_scores_matters(
    both: tuple[np.ndarray, np.ndarray],
) -> None:
    score, missed = both
    for figure in (capture, spearman):
        assert figure(np.exp(score), missed) == pytest.approx(
            figure(score, missed), nan_ok=True
        )


def test_rank_correlation_is_spearmans() -> None:
    random = np.random.default_rng(0)
    score = random.integers(0, 5, 60).astype(float)
    missed = np.abs(score + random.normal(size=60))
    assert spearman(score, missed) == pytest.approx(spearmanr(score, missed).statistic)
    assert np.isnan(spearman(np.ones(3), np.arange(3.0)))


@pytest.mark.parametrize(
    ("score", "missed"),
    [
        ([np.nan, 1], [1, 1]),
        ([np.inf, 1], [1, 1]),
        ([1, 1], [1, -1]),
        ([1, 1], [1, np.nan]),
        ([1, 1], [1]),
        ([], []),
    ],
)
def test_what_are_no_numbers_is_refused(
    score: list[float], missed: list[float]
) -> None:
    with pytest.raises(ValueError, match=r"score|counts"):
        capture(score, missed)
