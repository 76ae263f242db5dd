"""Filling a batch: which criterion picks next, and which tiles it may pick.

All strategies share these rules, so they differ in their scores alone.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from backend.ranker.statistics import TileStatistics

F8 = NDArray[np.float64]
Mask = NDArray[np.bool_]

SPACING = 1.5
"""Least distance, in tile edges, between the centres of two picks in one image."""
CROWDING = 2
"""An image may give this many times its even share of a batch, rounded up."""


@dataclass(frozen=True, slots=True, eq=False)
class Pool:
    """The tiles a query may choose from.

    `keys` are their ids, unique; `images` (T,) int64 says which image each lies in;
    `boxes` (T, 4) int32 y, x, h, w; `excluded` (T,) bool marks tiles that must not be
    ranked. `statistics` are of the same tiles in the same order, or None while there is
    no model.
    """

    keys: tuple[str, ...]
    images: NDArray[np.int64]
    boxes: NDArray[np.int32]
    excluded: Mask
    statistics: TileStatistics | None = None

    def __post_init__(self) -> None:
        tiles = len(self.keys)
        if len(set(self.keys)) != tiles:
            raise ValueError("a tile is twice in the pool")
        shapes = self.images.shape, self.boxes.shape, self.excluded.shape
        if shapes != ((tiles,), (tiles, 4), (tiles,)):
            raise ValueError(f"a pool of {tiles} tiles with arrays of shapes {shapes}")
        if self.statistics is not None and not np.array_equal(
            self.statistics.boxes, self.boxes
        ):
            raise ValueError("the statistics are of other tiles than the pool")

    def __len__(self) -> int:
        return len(self.keys)

    def take(self, tiles: NDArray[np.intp]) -> "Pool":
        """Return the pool of these tiles, in this order."""
        return Pool(
            keys=tuple(self.keys[tile] for tile in tiles),
            images=self.images[tiles],
            boxes=self.boxes[tiles],
            excluded=self.excluded[tiles],
            statistics=self.statistics and self.statistics.take(tiles),
        )

    @property
    def centres(self) -> F8:
        """(T, 2) centre of each tile as (y, x) in tile edges; 1 is one full tile."""
        edge = self.boxes[:, 2:].max(initial=1)
        centres: F8 = (self.boxes[:, :2] + self.boxes[:, 2:] / 2) / edge
        return centres


@dataclass(frozen=True, slots=True, eq=False)
class Criterion:
    """One way to choose tiles: the best `score` first, −inf for never.

    `quota` is how many tiles of a batch it chooses; `reason` says in a plain sentence
    why it would choose a tile, given the tile's position.
    """

    name: str
    quota: int
    score: F8
    reason: Callable[[int], str]


def largest_remainder(shares: Sequence[float], seats: int) -> list[int]:
    """Share out whole seats in proportion; equal remainders go to the earlier one."""
    exact = np.asarray(shares, float) / np.sum(shares) * seats
    given = np.floor(exact + 1e-9).astype(int)
    order = np.argsort(-np.round(exact - given, 9), kind="stable")
    given[order[: seats - given.sum()]] += 1
    return [int(count) for count in given]


def turns(criteria: Sequence[Criterion]) -> list[Criterion]:
    """Spread the criteria's turns evenly, so any head of a batch is mixed like it."""
    places = [
        ((turn + 0.5) / criterion.quota, number)
        for number, criterion in enumerate(criteria)
        for turn in range(criterion.quota)
    ]
    return [criteria[number] for _, number in sorted(places)]


def fill(
    pool: Pool, slots: Sequence[Criterion], size: int, fallback: Criterion, free: Mask
) -> Iterator[tuple[int, Criterion]]:
    """Choose one free tile per slot of a batch of `size`; each ceases to be `free`.

    Yields (tile, criterion). Within an image picks keep their distance, and no image
    gives more than twice its even share. Where the criterion has nothing left under
    these rules it may come closer, then `fallback` chooses, and only when every image
    has given its share does one give more.
    """
    images = len(np.unique(pool.images[free]))
    cap = -(-CROWDING * size // max(1, images))
    given: dict[int, int] = {}
    centres = pool.centres
    far, uncrowded = np.ones_like(free), np.ones_like(free)
    for wanted in slots:
        attempts = [
            (criterion, rule)
            for criterion in (wanted, fallback)
            for rule in (free & uncrowded & far, free & uncrowded)
        ]
        for criterion, rule in [*attempts, (wanted, free), (fallback, free)]:
            scores = np.where(rule, criterion.score, -np.inf)
            if scores.size and np.isfinite(scores.max()):
                break
        else:
            return
        tile = int(scores.argmax())
        free[tile] = False
        image = int(pool.images[tile])
        given[image] = given.get(image, 0) + 1
        same = pool.images == image
        if given[image] >= cap:
            uncrowded &= ~same
        apart = np.hypot(*(centres - centres[tile]).T)
        far &= ~same | (apart >= SPACING)
        yield tile, criterion
