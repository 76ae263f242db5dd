"""What a probability below the decision is worth: Platt scaling from validation tiles.

A network that says 0.1 may be right in a third of these pixels. The pixels of random
validation tiles that were not decided for a label tell; they are counted by logit p in
the bins of the tiles' statistics, so the fit never sees a pixel.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from backend.ranker.newton import minimise
from backend.ranker.statistics import BINS, LOGIT_EDGES

F8 = NDArray[np.float64]

CENTRES: F8 = np.append(LOGIT_EDGES - 0.5, LOGIT_EDGES[-1] + 0.5)
"""(16,) logit p that stands for each bin."""
PIXELS_ALIKE = 200
"""So many pixels count as one: those of one missed object are missed together."""
_STRENGTH = 4.0
"""Weight of (a − 1)² / 2 and b² / 2 against the log-likelihood of such groups."""
_ROWS = 8192


@dataclass(frozen=True, slots=True)
class Platt:
    """P(label | logit z of a pixel not decided for it) = σ(a·z + b), with a ≥ 0.

    Platt (1999); the identity, a = 1 and b = 0, believes the network.
    """

    a: float = 1.0
    b: float = 0.0

    def __post_init__(self) -> None:
        if not np.isfinite([self.a, self.b]).all() or self.a < 0:
            raise ValueError(f"no calibration with a = {self.a} and b = {self.b}")

    def __call__(self, logits: ArrayLike) -> F8:
        """Return the calibrated probability of each logit."""
        return _sigmoid(self.a * np.asarray(logits, np.float64) + self.b)


def fit_platt(missed: ArrayLike, others: ArrayLike) -> Platt:
    """Fit on validation pixels not decided for a label, by bin of logit p.

    `missed` (16,) counts those that truly are the label, `others` (16,) those known not
    to be. Lin, Lin & Weng (2007): Newton's method with a line search on the
    cross-entropy, here with a normal prior around the identity, which is returned when
    there are no counts. Pixels of a tile are not independent, so 200 count as one.
    Their smoothed targets (n + 1) / (n + 2) are not needed beside that prior.
    """
    yes, no = (_counts(counts) / PIXELS_ALIKE for counts in (missed, others))
    if not yes.sum() + no.sum():
        return Platt()
    design = np.stack([CENTRES, np.ones(BINS)], axis=1)
    identity = np.array([1.0, 0.0])

    def loss(w: F8) -> float:
        z = design @ w
        fit = yes @ np.logaddexp(0, -z) + no @ np.logaddexp(0, z)
        return float(fit + _STRENGTH / 2 * ((w - identity) ** 2).sum())

    def derivatives(w: F8) -> tuple[F8, F8]:
        p = _sigmoid(design @ w)
        slope = design.T @ ((yes + no) * p - yes) + _STRENGTH * (w - identity)
        weight = (yes + no) * p * (1 - p)
        return slope, design.T @ (weight[:, None] * design) + _STRENGTH * np.eye(2)

    at = minimise(loss, derivatives, identity)
    # A falling curve would send the annotator where the network sees nothing.
    return Platt(max(0.0, float(at[0])), float(at[1]))


def expected_missed(histogram: ArrayLike, platt: Platt) -> F8:
    """Return (T,) expected missed pixels of each tile, one label's calibrated EFN.

    `histogram` (T, 16) counts the pixels not decided for the label by bin of logit p.
    """
    counts = np.asarray(histogram)
    chances, found = platt(CENTRES), np.empty(len(counts))
    for first in range(0, len(counts), _ROWS):  # as floats, a large pool is a gigabyte
        some = slice(first, first + _ROWS)
        found[some] = counts[some].astype(np.float64) @ chances
    return found


def _counts(counts: ArrayLike) -> F8:
    given = np.asarray(counts, np.float64)
    if given.shape != (BINS,) or not np.isfinite(given).all() or (given < 0).any():
        raise ValueError(f"counts by bin of logit p must be {BINS} numbers from 0 on")
    return given


def _sigmoid(z: F8) -> F8:
    found: F8 = np.exp(-np.logaddexp(0, -z))
    return found
