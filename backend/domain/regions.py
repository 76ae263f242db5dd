"""Connected regions of a mask."""

from itertools import pairwise

import numpy as np
from numpy.typing import NDArray


def largest(mask: NDArray[np.bool_]) -> tuple[int, int]:
    """Return one pixel (y, x) of the largest 4-connected region, near its middle.

    Works on horizontal runs, which are few, with a union-find over those that touch;
    of equal regions the first wins. Raises ValueError if the mask is empty.
    """
    edges = np.diff(np.pad(mask, ((0, 0), (1, 1))).astype(np.int8), axis=1)
    rows, starts = np.nonzero(edges == 1)
    ends = np.nonzero(edges == -1)[1]
    if not len(rows):
        raise ValueError("an empty mask has no region")
    roots = _roots(rows, starts, ends)
    sizes = np.bincount(roots, weights=ends - starts)
    own = roots == sizes.argmax()
    weights, middles = (ends - starts)[own], (starts + ends - 1)[own] / 2
    y, x = np.average(rows[own], weights=weights), np.average(middles, weights=weights)
    # the middle of a ring lies outside of it: take the run that is nearest
    columns = np.clip(round(x), starts[own], ends[own] - 1)
    nearest = np.argmin((rows[own] - y) ** 2 + (columns - x) ** 2)
    return int(rows[own][nearest]), int(columns[nearest])


def _roots(
    rows: NDArray[np.intp], starts: NDArray[np.intp], ends: NDArray[np.intp]
) -> NDArray[np.intp]:
    """Return for each run, ordered by row and column, the first run of its region."""
    parents = list(range(len(rows)))

    def root(run: int) -> int:
        while parents[run] != run:
            parents[run] = parents[parents[run]]
            run = parents[run]
        return run

    bounds = np.searchsorted(rows, np.arange(rows[-1] + 2)).tolist()
    first, last = starts.tolist(), ends.tolist()
    for (above, here), (_, end) in pairwise(pairwise(bounds)):
        upper, lower = above, here
        while upper < here and lower < end:
            if first[upper] < last[lower] and first[lower] < last[upper]:
                one, other = sorted((root(upper), root(lower)))
                parents[other] = one
            if last[upper] < last[lower]:
                upper += 1
            else:
                lower += 1
    return np.array([root(run) for run in range(len(parents))])
