"""What a tile will cost: the minutes a person is expected to take for it."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from backend.ranker.statistics import TileStatistics

F8 = NDArray[np.float64]

PARTS = ("boundary", "missed")
"""Expected length of all outlines, and pixels of all labels that are expected to be
missed and hence drawn from nothing; both in pixels."""
ENOUGH = 30
"""Logged tiles from which on minutes are fitted."""
_UNIT = 100.0
_PRIOR = np.array([0.0, 0.5, 0.25])
_RIDGE = np.array([0.01, 5.0, 5.0])
"""Weights against one tile's squared error; people set their own pace."""


@dataclass(frozen=True, slots=True)
class Cost:
    """ln minutes = w₀ + w₁ ln(1 + boundary / 100) + w₂ ln(1 + missed / 100).

    The formula of a prior until people's own seconds are known: outlines are what takes
    time (MetaBox+, Colling et al., arXiv 2010.01884).
    """

    weights: tuple[float, float, float] = (0.0, 0.5, 0.25)

    def minutes(self, parts: ArrayLike) -> F8:
        """Return (T,) expected minutes of (T, 2) `PARTS`."""
        found: F8 = np.exp(np.clip(_design(parts) @ np.array(self.weights), -20, 20))
        return found


def parts(statistics: TileStatistics, missed: F8) -> F8:
    """Return (T, 2) `PARTS`; `missed` (T,) are all labels' expected missed pixels."""
    return np.stack([statistics.boundary.sum(axis=1), missed], axis=1)


def fit_cost(tiles: Sequence[Sequence[float]], minutes: Sequence[float]) -> Cost:
    """Fit (N, 2) parts to N logged minutes by ridge on ln minutes.

    The ridge pulls to the prior, which is returned below 30 tiles.
    """
    if len(tiles) != len(minutes):
        raise ValueError(f"{len(tiles)} tiles with {len(minutes)} times")
    times = np.asarray(minutes, np.float64)
    if len(times) < ENOUGH:
        return Cost()
    design = _design(tiles)
    if (
        not np.isfinite(design).all()
        or not np.isfinite(times).all()
        or times.min() <= 0
    ):
        raise ValueError("parts and minutes must be finite, and minutes above 0")
    left = design.T @ design + np.diag(_RIDGE)
    right = design.T @ np.log(times) + _RIDGE * _PRIOR
    first, second, third = np.linalg.solve(left, right)
    return Cost((float(first), float(second), float(third)))


def _design(given: ArrayLike) -> F8:
    sizes = np.asarray(given, np.float64).reshape(-1, len(PARTS))
    return np.column_stack([np.ones(len(sizes)), np.log1p(sizes / _UNIT)])
