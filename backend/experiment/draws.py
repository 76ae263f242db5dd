"""Tiles that the annotator chooses: start sets, and comparators that know the truth."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from backend.client import ClientError
from backend.domain.geometry import Box
from backend.domain.labels import BACKGROUND, UNKNOWN

U1 = NDArray[np.uint8]
ATTEMPTS = 1000


@dataclass(frozen=True, slots=True, order=True)
class Place:
    """A tile as all projects know it: its image's name and its place in the grid."""

    image: str
    position: int

    def __str__(self) -> str:
        return f"{self.image}:{self.position}"


def place_of(text: str) -> Place:
    """Return the place that `str` made this of."""
    image, _, position = text.rpartition(":")
    return Place(image, int(position))


@dataclass(frozen=True, slots=True)
class Drawn:
    """A tile that was drawn, and as what."""

    place: Place
    component: str


def start_set(
    truths: Mapping[Place, U1], values: Sequence[int], count: int, seed: int
) -> list[Place]:
    """Draw the first tiles at random, until every label shows in one of them.

    The same for all strategies of a seed. Raises ClientError if that is hopeless.
    """
    places = sorted(truths)
    rng = np.random.default_rng((seed, 0))
    for _ in range(ATTEMPTS):
        if count > len(places):
            break
        chosen = [places[i] for i in rng.choice(len(places), count, replace=False)]
        shown = set[int]().union(*(np.unique(truths[place]) for place in chosen))
        if set(values) <= shown:
            return chosen
    raise ClientError(
        f"start_tiles: no {count} of {len(places)} tiles that show every label were "
        "found; take more, or leave rare labels out."
    )


def by_truth(
    truths: Mapping[Place, U1], share: float, count: int, seed: Sequence[int]
) -> list[Drawn]:
    """Draw tiles as nnActive's random strategies with foreground do.

    Half of `share` of the draws fall on a random pixel of a random label, half on a
    random pixel of its border, the others anywhere; the tile that holds the pixel is
    taken, where nnActive centres a patch on it. Labels are drawn evenly among those
    that the tiles show.
    """
    rng = np.random.default_rng(seed)
    left = dict(sorted(truths.items()))
    drawn: list[Drawn] = []
    while left and len(drawn) < count:
        kind = rng.random()
        places = list(left)
        chances = np.ones(len(places))
        component = "random"
        if kind < share:
            part = "inside" if kind < share / 2 else "border"
            sums = {place: _pixels(mask, part) for place, mask in left.items()}
            present = sorted({value for found in sums.values() for value in found})
            if present:
                value = int(rng.choice(present))
                component = f"{part}:{value}"
                chances = np.array([sums[place].get(value, 0) for place in places])
        place = places[rng.choice(len(places), p=chances / chances.sum())]
        drawn.append(Drawn(place, component))
        del left[place]
    return drawn


def _pixels(mask: U1, part: str) -> dict[int, int]:
    """Return how many pixels of each label, or of its border, a tile holds."""
    if part == "border":
        mask = np.where(_is_border(mask), mask, BACKGROUND)
    values, counts = np.unique(mask, return_counts=True)
    return {
        int(value): int(count)
        for value, count in zip(values, counts, strict=True)
        if value not in (BACKGROUND, UNKNOWN)
    }


def _is_border(mask: U1) -> NDArray[np.bool_]:
    """Whether a pixel's right or lower neighbour, or left or upper one, differs."""
    border = np.zeros(mask.shape, bool)
    rows, columns = mask[1:] != mask[:-1], mask[:, 1:] != mask[:, :-1]
    border[1:] |= rows
    border[:-1] |= rows
    border[:, 1:] |= columns
    border[:, :-1] |= columns
    return border


def tiles_of(truth: U1, grid: Sequence[Box], name: str) -> dict[Place, U1]:
    """Return the parts of an image's truth by place."""
    return {Place(name, n): truth[box.slices] for n, box in enumerate(grid)}
