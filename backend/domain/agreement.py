"""How far two masks of one tile agree, and where they do not.

A pixel counts for a label only where both masks know it, so what one person left open
is never held against the other. Counts of many tiles are added before any ratio.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from backend.domain.labels import BACKGROUND, UNKNOWN
from backend.domain.metrics import Counts, Raster, mean, pooled
from backend.domain.regions import largest

HINTS = 3
Bools = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Opinion:
    """A raster (uint8 label values) and the labels of which it shows every pixel."""

    raster: Raster
    complete_for: Collection[int]

    def knows(self, value: int) -> Bools:
        """Return where it says for certain whether a pixel is the label."""
        certain = BACKGROUND if value in self.complete_for else BACKGROUND + 1
        return (self.raster >= certain) & (self.raster < UNKNOWN)


class LabelAgreement(NamedTuple):
    """Agreement on one label: pooled Dice, None if nobody drew it, and its tiles."""

    dice: float | None
    tiles: int


class Hint(NamedTuple):
    """Where an answer differs most from the truth for one label.

    `missed` says whether pixels are lacking or too many; `pixels` is how many, (y, x)
    one pixel of the largest connected part of them.
    """

    value: int
    counts: Counts
    missed: bool
    pixels: int
    y: int
    x: int


def compared(
    truth: Opinion, other: Opinion, values: Iterable[int]
) -> dict[int, Counts]:
    """Count one tile's pixels for each label, `other` against `truth`."""
    counts = {}
    for value in values:
        missed, invented = _differences(truth, other, value)
        both = (truth.raster == value) & (other.raster == value)
        counts[value] = Counts(
            tp=int(both.sum()), fp=int(invented.sum()), fn=int(missed.sum())
        )
    return counts


def by_label(tiles: Sequence[Mapping[int, Counts]]) -> dict[int, LabelAgreement]:
    """Pool the counts of tiles; a tile counts for a label if somebody drew it there."""
    return {
        value: LabelAgreement(
            total.dice, sum(tile[value].dice is not None for tile in tiles)
        )
        for value, total in pooled(tiles).items()
    }


def of_tile(counts: Mapping[int, Counts]) -> float | None:
    """Return one tile's Dice, the mean over the labels that somebody drew."""
    return mean(label.dice for label in counts.values())


def hints(truth: Opinion, answer: Opinion, values: Iterable[int]) -> list[Hint]:
    """Return where an answer to a gold tile is wrong: three labels, worst Dice first.

    Of a label it is either what was missed or what was invented, whichever is more.
    """
    counts = compared(truth, answer, values)
    wrong = [value for value, label in counts.items() if label.fp or label.fn]
    wrong.sort(key=lambda value: (counts[value].dice or 0, value))
    return [_hint(truth, answer, value, counts[value]) for value in wrong[:HINTS]]


def _hint(truth: Opinion, answer: Opinion, value: int, counts: Counts) -> Hint:
    differences = _differences(truth, answer, value)
    missed = counts.fn >= counts.fp
    y, x = largest(differences[0 if missed else 1])
    return Hint(value, counts, missed, counts.fn if missed else counts.fp, y, x)


def _differences(truth: Opinion, other: Opinion, value: int) -> tuple[Bools, Bools]:
    """Return which pixels of a label `other` missed, and which it invented."""
    known = truth.knows(value) & other.knows(value)
    true, drawn = truth.raster == value, other.raster == value
    return true & ~drawn & known, drawn & ~true & known
