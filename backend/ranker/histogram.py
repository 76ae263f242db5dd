"""How the scores of a pool are spread, and how far down the head of a query reaches."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from backend.ranker.strategies import Ranked

BINS = 20


@dataclass(frozen=True, slots=True)
class Histogram:
    """One criterion's scores of all tiles that could have been asked for.

    `counts` are the tiles in 20 bins of one width from the lowest score to the highest,
    whose 21 `edges` are rising; one score alone lies in a span of 1. `chosen` tiles of
    the head came by this criterion; `lowest` is the least score among them, None if
    there are none.
    """

    criterion: str
    edges: tuple[float, ...]
    counts: tuple[int, ...]
    chosen: int
    lowest: float | None


def histograms(
    scores: Mapping[str, NDArray[np.float64]], head: Sequence[Ranked]
) -> list[Histogram]:
    """Return one histogram per criterion that scored a tile."""
    made = []
    for criterion, values in scores.items():
        if not values.size:
            continue
        counts, edges = np.histogram(values, BINS, _span(values))
        reached = [item.score for item in head if item.component == criterion]
        made.append(
            Histogram(
                criterion=criterion,
                edges=tuple(edges.tolist()),
                counts=tuple(counts.tolist()),
                chosen=len(reached),
                lowest=min(reached, default=None),
            )
        )
    return made


def _span(values: NDArray[np.float64]) -> tuple[float, float]:
    """Return the ends of the scores, farther apart if no 20 numbers lie between."""
    low, high = float(values.min()), float(values.max())
    if (high - low) / BINS > 4 * np.spacing(max(abs(low), abs(high))):
        return low, high
    return low - 0.5, high + 0.5
