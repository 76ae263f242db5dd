"""Label values as the consecutive numbers nnU-Net wants, and codes for sets of them.

A target holds codes: one for each class, one for *ignore*, and one for every set of
classes that a 0 may be in tiles that are complete for some labels only. Codes survive
whatever nnU-Net does to a segmentation, which resamples it as if each value were a
class of its own. Only this module renumbers label values.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from backend.domain.labels import BACKGROUND, UNKNOWN
from worker.segmenter import SegmenterError, TrainingData

Codes = NDArray[np.int16]


@dataclass(frozen=True, slots=True)
class Numbering:
    """Label values as nnU-Net wants them: background 0, labels 1..C, ignore C + 1.

    Above these stands a code for each of `partial`: the classes, by value, that a 0 may
    be in tiles that are complete for some labels, but not for all.
    """

    values: tuple[int, ...]
    partial: tuple[frozenset[int], ...] = ()

    @classmethod
    def of(cls, data: TrainingData) -> "Numbering":
        """Return the numbering of a training; later tiles change no earlier code."""
        values = data.schema.values
        tiles = (*data.tiles, *data.validation)
        found = dict.fromkeys(tile.zero_may_be(values) for tile in tiles)
        partial = (may_be for may_be in found if 1 < len(may_be) <= len(values))
        return cls(values, tuple(partial))

    @property
    def ignore(self) -> int:
        """The number of pixels that are never learnt from."""
        return len(self.values) + 1

    @property
    def annotated(self) -> tuple[int, ...]:
        """nnU-Net's key for all annotated pixels in `class_locations`."""
        return (-1, *range(self.ignore))

    def zero(self, may_be: frozenset[int]) -> int:
        """Return the code of a 0 that may be any of these classes."""
        if len(may_be) == 1:
            return 0
        if len(may_be) > len(self.values):
            return self.ignore
        return self.ignore + 1 + self.partial.index(may_be)

    def encode(self, target: NDArray[np.uint8], zero: int = 0) -> Codes:
        """Turn label values into codes; refuses a value outside the schema.

        `zero` is the code of a 0.
        """
        table = np.full(256, -1, np.int16)
        table[[BACKGROUND, *self.values]] = [zero, *range(1, self.ignore)]
        table[UNKNOWN] = self.ignore
        codes: Codes = table[target]
        if (codes < 0).any():
            strange = np.unique(target[codes < 0]).tolist()
            raise SegmenterError(
                f"An annotation holds the values {strange}, which no label of the "
                "project has; retract it or add the labels.",
                retryable=False,
            )
        return codes

    def sets(self, shown: Iterable[int]) -> tuple[tuple[int, ...], ...]:
        """Return the numbers that each code allows.

        `shown` are the numbers of labels that somebody painted. A 0 is never taken for
        another one: nothing says what it looks like, so the network's answer among
        background and such labels would be mere chance.
        """
        numbers = dict(zip((BACKGROUND, *self.values), range(self.ignore), strict=True))
        taught = {0, *shown}
        singles = ((number,) for number in range(self.ignore))
        partial = (
            tuple(sorted({numbers[v] for v in may_be} & taught))
            for may_be in self.partial
        )
        return (*singles, tuple(range(self.ignore)), *partial)

    def decode(self, numbers: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Turn numbers 0..C into label values."""
        return np.array([BACKGROUND, *self.values], np.uint8)[numbers]
