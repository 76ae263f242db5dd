"""Pure statistics of learning curves: areas, intervals, paired tests, label savings.

A curve is the score after each round; all curves of a comparison have the same budgets,
and row k of two strategies has the same seed, start set and split.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

F8 = NDArray[np.float64]
CONFIDENCE = 0.95
RESAMPLES = 9999


@dataclass(frozen=True, slots=True)
class Estimate:
    """A mean over `n` seeds; `low` and `high` are None where nothing can be said."""

    mean: float
    low: float | None
    high: float | None
    n: int


@dataclass(frozen=True, slots=True)
class Effect:
    """A mean difference within seeds, and the two-sided paired t test of it."""

    difference: Estimate
    t: float | None
    p: float | None


def aubc(curve: Sequence[float] | F8) -> float:
    """Return the area under a budget curve: trapezoids over rounds, by their number.

    So the area of a constant curve is its value (nnActive's AUBC). One round is itself.
    """
    values = np.asarray(curve, float)
    if values.ndim != 1 or not values.size or not np.isfinite(values).all():
        raise ValueError(f"no curve: {curve}")
    if values.size == 1:
        return float(values[0])
    return float(np.trapezoid(values) / (values.size - 1))


def estimate(values: Sequence[float] | F8) -> Estimate:
    """Return the mean and its BCa bootstrap interval over seeds.

    BCa: Efron, J. Am. Stat. Assoc. 82:171, 1987. Below three seeds, or where all are
    equal, there is nothing to resample.
    """
    sample = np.asarray(values, float)
    mean, n = float(sample.mean()), sample.size
    if n < 3 or np.ptp(sample) == 0:
        return Estimate(mean, None, None, n)
    found = stats.bootstrap(
        (sample,),
        np.mean,
        n_resamples=RESAMPLES,
        confidence_level=CONFIDENCE,
        method="BCa",
        rng=np.random.default_rng(0),
    ).confidence_interval
    if not np.isfinite([found.low, found.high]).all():
        return Estimate(mean, None, None, n)
    return Estimate(mean, float(found.low), float(found.high), n)


def band(curves: F8) -> tuple[F8, F8]:
    """Return the ends of the mean curve's 95 % band, from (seeds, rounds) scores.

    Percentile bootstrap with whole seeds, since the rounds of a seed hang together.
    """
    seeds = len(curves)
    rng = np.random.default_rng(0)
    drawn = rng.multinomial(seeds, np.full(seeds, 1 / seeds), RESAMPLES) / seeds
    tail = 50 * (1 - CONFIDENCE)
    low, high = np.percentile(drawn @ curves, [tail, 100 - tail], axis=0)
    return low, high


def paired(ours: Sequence[float] | F8, theirs: Sequence[float] | F8) -> Effect:
    """Compare two strategies on the same seeds; no test below two seeds."""
    differences = np.asarray(ours, float) - np.asarray(theirs, float)
    if differences.ndim != 1:
        raise ValueError("one number per seed")
    return Effect(estimate(differences), *_t_test(differences))


def _t_test(differences: F8) -> tuple[float | None, float | None]:
    """Return t and the two-sided p of differences whose mean may be 0.

    Where they are all the same, no chance is seen that they could be tested against.
    """
    if differences.size < 2:
        return None, None
    if np.ptp(differences) == 0:
        return None, 1.0 if differences[0] == 0 else None
    t, p = stats.ttest_1samp(differences, 0)
    return float(t), float(p)


def holm(p_values: Mapping[str, float | None]) -> dict[str, float | None]:
    """Return p values corrected for how many there are (Holm, Scand. J. Stat. 6:65)."""
    known = sorted((p, name) for name, p in p_values.items() if p is not None)
    corrected: dict[str, float | None] = dict.fromkeys(p_values)
    highest = 0.0
    for position, (p, name) in enumerate(known):
        highest = max(highest, min(1.0, p * (len(known) - position)))
        corrected[name] = highest
    return corrected


def penalties(curves: Mapping[str, F8], alpha: float = 0.05) -> F8:
    """Return the pairwise penalty matrix of strategies, (S, S) in 0..1.

    Row i, column j: the share of rounds in which i beats j by a two-sided paired t test
    over seeds (BADGE, arXiv 1906.03671; nnActive). The first round is left out, since
    all strategies share it.
    """
    names = list(curves)
    matrix = np.zeros((len(names), len(names)))
    for i, one in enumerate(names):
        for j, other in enumerate(names):
            rounds = range(1, curves[one].shape[1])
            if i == j or not rounds:
                continue
            wins = 0
            for number in rounds:
                differences = curves[one][:, number] - curves[other][:, number]
                _, p = _t_test(differences)
                wins += p is not None and p < alpha and differences.mean() > 0
            matrix[i, j] = wins / len(rounds)
    return matrix


def reached(
    budgets: Sequence[float], curve: Sequence[float], goal: float
) -> float | None:
    """Return the budget at which a curve first reaches a goal; None if it never does.

    Between two rounds the curve is a straight line.
    """
    for number, score in enumerate(curve):
        if score >= goal:
            if number == 0:
                return float(budgets[0])
            before = curve[number - 1]
            share = (goal - before) / (score - before)
            step = budgets[number] - budgets[number - 1]
            return float(budgets[number - 1] + share * step)
    return None


def recall_at(
    precisions: Sequence[float], recalls: Sequence[float], floor: float
) -> float | None:
    """Return the highest recall at a precision of at least `floor`.

    0 if no point of the curve is that precise, None if there is no curve.
    """
    pairs = zip(precisions, recalls, strict=True)
    held = [recall for precision, recall in pairs if precision >= floor]
    return max(held, default=0.0 if precisions else None)


def pooled_sd(groups: Sequence[Sequence[float]]) -> float | None:
    """Return the spread within groups, by their degrees of freedom; None if none."""
    squares = sum((len(g) - 1) * float(np.var(g, ddof=1)) for g in groups if len(g) > 1)
    freedom = sum(len(g) - 1 for g in groups if len(g) > 1)
    return float(np.sqrt(squares / freedom)) if freedom else None


def at_budgets(budgets: F8, curve: F8, wanted: F8) -> F8:
    """Return a curve at other budgets, straight lines between rounds, NaN outside."""
    found: F8 = np.interp(wanted, budgets, curve, left=np.nan, right=np.nan)
    return found
