"""What annotated tiles teach about the ranking itself.

Each submitted tile tells how many pixels of a label the live model really missed there.
The formula's guess is the prior; a small regularised model corrects it by a factor that
depends on the tile's score parts. Without lessons the factor is 1.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from backend.ranker.newton import minimise
from backend.ranker.statistics import TileStatistics

F8 = NDArray[np.float64]

PARTS = (
    "expected missed",
    "class entropy",
    "label entropy",
    "class information",
    "expected area",
    "boundary",
    "entropy",
    "novelty",
)
"""The score parts of a tile, in the order of the columns of `features`."""
RIDGE = 10.0
"""Weight of |w|² / 2 against the log-likelihood of tiles of usual misses: with a few
dozen lessons, what they seem to say of single parts is mostly chance."""
_LEAST = 1e-3  # of the mean: a prior of nothing could never be corrected
_LIMIT = 3.0
"""The correction's exponent stays within ± this: few lessons must not shout."""


@dataclass(frozen=True, slots=True)
class Lesson:
    """What the live model missed of one label on one annotated tile.

    `features` (K,) and `prior`, the formula's score of 0 or more, are those of a model
    that had not yet learnt the tile; `missed` pixels truly are the label and were
    decided otherwise.
    """

    features: tuple[float, ...]
    prior: float
    missed: float


@dataclass(frozen=True, slots=True)
class Correction:
    """One label's factor exp(w·(f − centre) + w₀); empty weights leave all as it is.

    With weights the corrected scores are expected missed pixels, whatever the unit of
    the prior, whose mean over the lessons was `scale`.
    """

    weights: tuple[float, ...] = ()
    centre: tuple[float, ...] = ()
    offset: float = 0.0
    scale: float = 1.0

    def apply(self, prior: F8, parts: F8) -> F8:
        """Correct (T,) scores of the formula by (T, K) score parts."""
        if not self.weights:
            return prior
        factor = (parts - np.array(self.centre)) @ np.array(self.weights)
        known = np.maximum(prior / self.scale, _LEAST)
        found: F8 = known * np.exp(np.clip(factor, -_LIMIT, _LIMIT) + self.offset)
        return found


def features(statistics: TileStatistics, column: int, gaps: F8) -> F8:
    """Return the (T, K) score parts of a label's tiles, one column per `PARTS`.

    Sums are per pixel, in logarithms: ln(sum / valid + 10⁻⁴), so that products of parts
    are what a linear model can say. `gaps` (T,) is each tile's distance from the
    annotated ones, 0..2, or 0 where nothing is known of it.
    """
    sums = np.stack(
        [
            statistics.p_missed[:, column],
            statistics.class_entropy[:, column],
            statistics.label_entropy[:, column],
            statistics.class_information[:, column],
            statistics.p_sum[:, column],
            statistics.boundary[:, column],
            statistics.entropy_sum,
        ],
        axis=1,
    )
    logs = np.log(sums / statistics.valid[:, None] + 1e-4)
    return np.column_stack([logs, gaps])


def fit_correction(lessons: Sequence[Lesson]) -> Correction:
    """Fit the factor of one label by a Poisson regression with a ridge.

    ln E[missed] = ln prior + w·(f − f̄) + w₀. Pixels of a tile are missed together, so
    counts are divided by their mean: a tile of usual misses counts as one event, and
    the ridge |w|² · RIDGE / 2 fades as tiles come in. Parts on which no two lessons
    differ get no weight. Lessons that missed nothing teach nothing.
    """
    parts = np.array([lesson.features for lesson in lessons], np.float64)
    prior = np.array([lesson.prior for lesson in lessons], np.float64)
    missed = np.array([lesson.missed for lesson in lessons], np.float64)
    if not all(np.isfinite(values).all() for values in (parts, prior, missed)):
        raise ValueError("a lesson holds NaN or infinity")
    if (prior < 0).any() or (missed < 0).any():
        raise ValueError("a lesson holds a score or a count below 0")
    if not lessons or prior.mean() < _LEAST**2 or not missed.sum():
        return Correction()
    unit, scale = float(missed.mean()), float(prior.mean())
    centre = parts.mean(axis=0)
    design = np.column_stack([parts - centre, np.ones(len(parts))])
    w = _weights(design, np.log(np.maximum(prior / scale, _LEAST)), missed / unit)
    return Correction(
        weights=tuple(map(float, w[:-1])),
        centre=tuple(map(float, centre)),
        offset=float(w[-1] + np.log(unit)),
        scale=scale,
    )


def _weights(design: F8, known: F8, target: F8) -> F8:
    """Minimise Σ (exp(η) − target·η) + ridge over w, with η = known + design·w."""
    ridge = np.full(design.shape[1], RIDGE)
    ridge[-1] = 1.0  # the level of all misses is plain from few lessons

    def loss(at: F8) -> float:
        eta = known + design @ at
        fit = np.exp(np.minimum(eta, 50)).sum() - target @ eta
        return float(fit + (ridge * at**2).sum() / 2)

    def derivatives(at: F8) -> tuple[F8, F8]:
        mean = np.exp(np.minimum(known + design @ at, 50))
        slope = design.T @ (mean - target) + ridge * at
        return slope, design.T @ (mean[:, None] * design) + np.diag(ridge)

    return minimise(loss, derivatives, np.zeros(design.shape[1]))
