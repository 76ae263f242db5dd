"""Filling a batch: which criterion picks next, and which tiles it may pick.

All strategies share these rules, so they differ in their scores alone.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from backend.ranker.diversity import Space
from backend.ranker.pool import UNKNOWN, Mask, Numbers, Pool

F8 = NDArray[np.float64]
Tiles = NDArray[np.intp]

SPACING = 1.5
"""Least distance, in tile edges, between the centres of two picks in one image."""
CROWDING = 2
"""An image may give this many times its even share of a batch, rounded up."""
FROM_ONE = 0.4
"""Largest share of a batch, rounded up, that one donor or one group may give, if there
are others; of two each may give half."""


@dataclass(frozen=True, slots=True, eq=False)
class Criterion:
    """One way to choose tiles: the best `score` first, −inf for never.

    `quota` is how many tiles of a batch it chooses; `reason` says in a plain sentence
    why it would choose a tile, given the tile's position. With `diversity` above 0,
    scores are positive and count times gap^diversity, where the gap is the distance to
    what is annotated or chosen already.
    """

    name: str
    quota: int
    score: F8
    reason: Callable[[int], str]
    diversity: float = 0.0


class Batch:
    """Candidates and what has been chosen of them.

    `tiles` (N,) are positions in the pool, in an order that chance decided: the first
    of equals is taken. Without `space` all gaps are 1.
    """

    def __init__(self, pool: Pool, tiles: Tiles, space: Space | None) -> None:
        self.tiles = tiles
        self._free = np.ones(len(tiles), bool)
        self._images = pool.images[tiles]
        self._sources = [pool.donors[tiles], pool.groups[tiles]]
        self._centres = pool.centres[tiles]
        self._gaps = np.ones(len(tiles))
        self._directions = None
        if space is not None:
            self._gaps = space.gaps(tiles, np.flatnonzero(pool.annotated))
            self._directions = space.directions(tiles)

    def fill(
        self, slots: Sequence[Criterion], size: int, fallback: Criterion
    ) -> Iterator[tuple[int, Criterion]]:
        """Choose one free tile per slot of a batch of `size`.

        Yields (position in the pool, criterion). Within an image picks keep their
        distance, no image gives more than twice its even share, and no donor or group
        more than 40 %. Where the criterion has nothing left under these rules it may
        come closer, then `fallback` chooses, and only when every image has given its
        share does one give more.
        """
        images = len(np.unique(self._images[self._free]))
        shares = [_Share(self._images, -(-CROWDING * size // max(1, images)))]
        for source in self._sources:
            known = len(np.unique(source[self._free & (source != UNKNOWN)]))
            if known > 1:  # of two donors each has to give half
                most = max(FROM_ONE, 1 / known) * size
                shares.append(_Share(source, int(np.ceil(most - 1e-9))))
        far, open_ = np.ones_like(self._free), np.ones_like(self._free)
        for wanted in slots:
            attempts = [
                (criterion, rule)
                for criterion in (wanted, fallback)
                for rule in (self._free & open_ & far, self._free & open_)
            ]
            for criterion, rule in [
                *attempts,
                (wanted, self._free & far),
                (wanted, self._free),
                (fallback, self._free),
            ]:
                scores = np.where(rule, self._scores(criterion), -np.inf)
                if scores.size and np.isfinite(scores.max()):
                    break
            else:
                return
            tile = int(scores.argmax())
            self._take(tile)
            for share in shares:
                share.give(tile, open_)
            apart = np.hypot(*(self._centres - self._centres[tile]).T)
            far &= (self._images != self._images[tile]) | (apart >= SPACING)
            yield int(self.tiles[tile]), criterion

    def _scores(self, criterion: Criterion) -> F8:
        scores = criterion.score[self.tiles]
        if criterion.diversity:
            return np.where(
                np.isfinite(scores), scores * self._gaps**criterion.diversity, scores
            )
        return scores

    def _take(self, tile: int) -> None:
        self._free[tile] = False
        if self._directions is not None:
            near = 1 - self._directions @ self._directions[tile]
            self._gaps = np.minimum(self._gaps, np.clip(near, 0, 2))


class _Share:
    """How many tiles of a batch each image, donor or group has given."""

    def __init__(self, of: Numbers, most: int) -> None:
        self._of, self._most = of, most
        self._given: dict[int, int] = {}

    def give(self, tile: int, open_: Mask) -> None:
        """Count a tile, and close what has given its share."""
        source = int(self._of[tile])
        if source == UNKNOWN:
            return
        self._given[source] = self._given.get(source, 0) + 1
        if self._given[source] >= self._most:
            open_ &= self._of != source


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
