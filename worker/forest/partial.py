"""Pixels of which only some classes are ruled out: what they most probably are.

A 0 in a tile that is complete for the ER alone is "not ER". One round of classification
EM (Celeux and Govaert, Comput. Stat. Data Anal. 14:315, 1992) over the classes such a
pixel may be (Jin and Ghahramani, Learning with multiple labels, NIPS 2002): forests
learn what is certain, give each open pixel its most probable class, and learn again.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from backend.domain.labels import BACKGROUND, UNKNOWN
from worker.forest.features import F4
from worker.segmenter import TrainingTile

U1 = NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Lesson:
    """A tile's raster (h, w) uint8 and the classes, rising, that a 0 in it may be."""

    raster: U1
    may_be: tuple[int, ...]

    @property
    def is_open(self) -> bool:
        """Whether some of its pixels may be one of several classes."""
        return len(self.may_be) > 1 and bool((self.raster == BACKGROUND).any())


def lessons(
    tiles: Sequence[TrainingTile], rasters: Sequence[U1], values: Sequence[int]
) -> list[Lesson]:
    """Return what each tile teaches about these label values.

    A 0 is never taken for a label that nobody painted: nothing says what it looks like.
    """
    taught = {BACKGROUND}.union(*(np.unique(raster).tolist() for raster in rasters))
    made = []
    for tile, raster in zip(tiles, rasters, strict=True):
        may_be = tile.zero_may_be(values)
        if len(may_be) > len(values):
            unknown = np.where(raster == BACKGROUND, np.uint8(UNKNOWN), raster)
            made.append(Lesson(unknown, (BACKGROUND,)))
        else:
            made.append(Lesson(raster, tuple(sorted(may_be & taught))))
    return made


def first_guess(lessons: Sequence[Lesson], random: np.random.Generator) -> list[U1]:
    """Return what to learn first: certain pixels, open ones unknown.

    If no pixel is certain to be background, forests would not know it. Then an open
    pixel is a random one of the classes it may be: from tiles for different labels the
    class they have in common emerges.
    """
    is_known = any(
        not lesson.is_open and (lesson.raster == BACKGROUND).any() for lesson in lessons
    )
    made = []
    for lesson in lessons:
        raster = lesson.raster
        if lesson.is_open:
            classes = np.array([UNKNOWN] if is_known else lesson.may_be, np.uint8)
            drawn = random.choice(classes, raster.shape)
            raster = np.where(raster == BACKGROUND, drawn, raster)
        made.append(raster)
    return made


def settled(lesson: Lesson, p: F4, values: Sequence[int]) -> U1:
    """Return the raster with each 0 as the most probable class of those it may be.

    `p` are (labels + 1, h, w) probabilities, background first.
    """
    planes = [(BACKGROUND, *values).index(value) for value in lesson.may_be]
    likely = np.array(lesson.may_be, np.uint8)[p[planes].argmax(axis=0)]
    return np.where(lesson.raster == BACKGROUND, likely, lesson.raster)
