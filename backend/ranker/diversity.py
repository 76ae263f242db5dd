"""How unlike each other tiles look to the network."""

import numpy as np
from numpy.typing import NDArray

from backend.ranker.statistics import TileStatistics

F8 = NDArray[np.float64]
F4 = NDArray[np.float32]

AXES = 64
_ROWS = 65_536  # of a large pool that are looked at together


class Space:
    """Directions in which tiles differ, each scaled alike: PCA whitening.

    Made of a sample of tiles; at most 64 axes. A tile is its deepest features and the
    area it is expected to hold of each label.
    """

    def __init__(self, statistics: TileStatistics, sample: NDArray[np.intp]) -> None:
        self._statistics = statistics
        points = self._points(sample)
        self._centre = points.mean(axis=0) if len(points) else 0.0
        apart = points - self._centre
        variances, axes = np.linalg.eigh(apart.T @ apart / max(1, len(points)))
        kept = np.flatnonzero(variances > 1e-8 * variances.max(initial=0))[-AXES:]
        self._axes = axes[:, kept] / np.sqrt(variances[kept])

    def directions(self, tiles: NDArray[np.intp]) -> F4:
        """Return (N, A) rows of length 1, or 0 where a tile is like the mean."""
        rows = (self._points(tiles) - self._centre) @ self._axes
        lengths = np.linalg.norm(rows, axis=1, keepdims=True)
        found = np.divide(rows, lengths, out=np.zeros_like(rows), where=lengths > 0)
        directions: F4 = found.astype(np.float32)
        return directions

    def gaps(self, tiles: NDArray[np.intp], known: NDArray[np.intp]) -> F8:
        """Return (N,) cosine distance 0..2 to the nearest of `known`; 1 without any."""
        gaps = np.ones(len(tiles))
        if not len(known):
            return gaps
        others = self.directions(known).T
        for first in range(0, len(tiles), _ROWS):
            some = slice(first, first + _ROWS)
            nearest = (self.directions(tiles[some]) @ others).max(axis=1)
            gaps[some] = np.clip(1 - nearest, 0, 2)
        return gaps

    def _points(self, tiles: NDArray[np.intp]) -> F8:
        given = self._statistics
        area = given.p_sum[tiles] / given.valid[tiles, None]
        return np.column_stack([given.embedding[tiles].astype(np.float64), area])
