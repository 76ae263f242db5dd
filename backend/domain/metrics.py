"""Segmentation quality from pooled pixel counts; what is undefined is None.

Rasters are uint8 as in `backend.domain.labels`. A pixel counts for a label only where
its truth is known for that label: a drawn value is known for every label, 0 is a
certain "not this one" only for the labels the annotation is complete for, 255 is
unknown for all. Counts of many tiles are added before any ratio is taken, so a tile
without the class neither helps nor hurts.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from backend.domain.labels import BACKGROUND, UNKNOWN

Raster = NDArray[np.uint8]
LEVELS = 256
RESAMPLES = 1000


def _ratio(part: float, whole: float) -> float | None:
    return part / whole if whole else None


@dataclass(frozen=True, slots=True)
class Counts:
    """Pixels of one label: found (tp), wrongly drawn (fp) and missed (fn)."""

    tp: int = 0
    fp: int = 0
    fn: int = 0

    def __add__(self, other: "Counts") -> "Counts":
        return Counts(self.tp + other.tp, self.fp + other.fp, self.fn + other.fn)

    @property
    def truth(self) -> int:
        """Pixels that truly are this label."""
        return self.tp + self.fn

    @property
    def dice(self) -> float | None:
        """2 tp / (2 tp + fp + fn), or None if nobody drew the label."""
        return _ratio(2 * self.tp, 2 * self.tp + self.fp + self.fn)

    @property
    def f1(self) -> float | None:
        """Harmonic mean of precision and recall; on pixels the same number as Dice."""
        return self.dice

    @property
    def iou(self) -> float | None:
        """Jaccard index tp / (tp + fp + fn), or None if nobody drew the label."""
        return _ratio(self.tp, self.tp + self.fp + self.fn)

    @property
    def precision(self) -> float | None:
        """Share of the predicted pixels that are right; None if none was predicted."""
        return _ratio(self.tp, self.tp + self.fp)

    @property
    def recall(self) -> float | None:
        """Share of the true pixels that were found; None if there are none."""
        return _ratio(self.tp, self.tp + self.fn)


def confusion(
    truth: Raster,
    prediction: Raster,
    values: Iterable[int],
    complete_for: Collection[int],
) -> dict[int, Counts]:
    """Count one tile's pixels for each label of `values`.

    `truth` is an annotation's raster, `prediction` the decided labels, both of one
    shape, uint8; a prediction holds 0 and label values, never 255. `complete_for`
    holds the label values of which the annotation shows every pixel.
    """
    _same_rasters(truth, prediction)
    pairs = truth.ravel().astype(np.intp) * LEVELS + prediction.ravel()
    table = np.bincount(pairs, minlength=LEVELS * LEVELS).reshape(LEVELS, LEVELS)
    if table[:, UNKNOWN].any():
        raise ValueError("a prediction cannot hold 255 (unknown)")
    counts = {}
    for value in values:
        drawn = int(table[value].sum())
        hit = int(table[value, value])
        known = int(table[known_others(value, complete_for), value].sum())
        counts[value] = Counts(tp=hit, fp=known, fn=drawn - hit)
    return counts


def pooled(parts: Iterable[Mapping[int, Counts]]) -> dict[int, Counts]:
    """Add the counts of many tiles, label by label."""
    total: dict[int, Counts] = {}
    for part in parts:
        for value, counts in part.items():
            total[value] = total.get(value, Counts()) + counts
    return total


def mean(scores: Iterable[float | None]) -> float | None:
    """Mean over the labels whose score is defined; None if none is."""
    defined = [score for score in scores if score is not None]
    return _ratio(sum(defined), len(defined))


class Interval(NamedTuple):
    """Where a score lies with 95 % confidence, 0..1."""

    low: float
    high: float


def intervals(tiles: Iterable[Counts], seed: int) -> tuple[Interval, Interval] | None:
    """Return the 95 % intervals of one label's pooled Dice and recall.

    Percentile bootstrap (Efron & Tibshirani, An Introduction to the Bootstrap, 1993,
    chapter 13) with 1000 resamples of whole tiles, since the pixels of one tile are
    alike. `tiles` are the counts of every measured tile, those without the label
    included; resamples without the label are left out. It covers the choice of tiles,
    not another training. None if fewer than two tiles hold the label.
    """
    counts = np.array([(tile.tp, tile.fp, tile.fn) for tile in tiles], float)
    counts = counts.reshape(-1, 3)
    if np.count_nonzero(counts[:, 0] + counts[:, 2]) < 2:
        return None
    number = len(counts)
    # how often each tile is drawn; the sums of pixels stay exact below 2**53
    drawn = np.random.default_rng(seed).multinomial(
        number, np.full(number, 1 / number), RESAMPLES
    )
    tp, fp, fn = (drawn @ counts).T
    held = tp + fn > 0
    tp, fp, fn = tp[held], fp[held], fn[held]
    dice, recall = 2 * tp / (2 * tp + fp + fn), tp / (tp + fn)
    ends = (np.percentile(scores, [2.5, 97.5]).tolist() for scores in (dice, recall))
    of_dice, of_recall = (Interval(*pair) for pair in ends)
    return of_dice, of_recall


def known_others(value: int, complete_for: Collection[int]) -> list[int]:
    """Return the truth values that say for certain that a pixel is not `value`."""
    first = BACKGROUND if value in complete_for else BACKGROUND + 1
    return [other for other in range(first, UNKNOWN) if other != value]


def probability_histograms(
    truth: Raster, probability: Raster, value: int, complete_for: Collection[int]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return how often each probability occurs on pixels of a label and on others.

    `probability` is uint8, the label's probability x 255. Two arrays of 256 counts:
    first where `truth` is `value`, then where it is known to be something else.
    Histograms of many tiles may be added.
    """
    _same_rasters(truth, probability)
    pairs = truth.ravel().astype(np.intp) * LEVELS + probability.ravel()
    table = np.bincount(pairs, minlength=LEVELS * LEVELS).reshape(LEVELS, LEVELS)
    others = table[known_others(value, complete_for)].sum(axis=0)
    return table[value].astype(np.int64), others.astype(np.int64)


class CurvePoint(NamedTuple):
    """Precision and recall, 0..1, if every pixel of at least a probability is drawn."""

    probability: float
    precision: float
    recall: float


def precision_recall(
    positives: NDArray[np.int64], negatives: NDArray[np.int64]
) -> list[CurvePoint]:
    """Return the points between which precision and recall differ, recall rising.

    Takes two histograms of 256 probabilities each, lowest first. Empty if there is no
    positive pixel.
    """
    found, wrong = positives[::-1], negatives[::-1]
    hits, calls = found.cumsum(), (found + wrong).cumsum()
    if not hits[-1]:
        return []
    return [
        CurvePoint(
            float((LEVELS - 1 - n) / (LEVELS - 1)),
            float(hits[n] / calls[n]),
            float(hits[n] / hits[-1]),
        )
        for n in np.flatnonzero(found + wrong)
    ]


def average_precision(
    positives: NDArray[np.int64], negatives: NDArray[np.int64]
) -> float | None:
    """Area under precision over recall as a step function, Σ (R_n − R_{n−1}) P_n.

    Takes two histograms of 256 probabilities each, lowest first. None if there is no
    positive pixel.
    """
    hits = np.cumsum(positives[::-1], dtype=np.float64)
    calls = hits + np.cumsum(negatives[::-1], dtype=np.float64)
    if not hits[-1]:
        return None
    precision = np.divide(hits, calls, out=np.zeros_like(hits), where=calls > 0)
    return float((positives[::-1] * precision).sum() / hits[-1])


def _same_rasters(one: Raster, other: Raster) -> None:
    if one.shape != other.shape or one.dtype != np.uint8 or other.dtype != np.uint8:
        raise ValueError(
            f"two uint8 rasters of one shape are needed, not {one.dtype} {one.shape} "
            f"and {other.dtype} {other.shape}"
        )
