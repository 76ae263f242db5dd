"""The tiles a query may choose from."""

from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from backend.ranker.score import Keys, hashes
from backend.ranker.statistics import TileStatistics

F8 = NDArray[np.float64]
Mask = NDArray[np.bool_]
Numbers = NDArray[np.int64]
UNKNOWN = -1


@dataclass(frozen=True, slots=True, eq=False)
class Pool:
    """The tiles of all images a query looks at.

    `keys` (T, 2) uint64 are their ids, unique (`score.keys_of`); `images` (T,) int64
    says which image each lies in; `boxes` (T, 4) int32 y, x, h, w; `excluded` (T,) bool
    marks tiles that must not be ranked, `annotated` (T,) bool those of them that people
    have painted; `groups` and `donors` (T,) int64 number where an image comes from, −1
    unknown. `statistics` are of the same tiles in the same order, or None while there
    is no model.
    """

    keys: Keys
    images: Numbers
    boxes: NDArray[np.int32]
    excluded: Mask
    statistics: TileStatistics | None = None
    annotated: Mask = field(default_factory=lambda: np.zeros(0, bool))
    groups: Numbers = field(default_factory=lambda: np.zeros(0, np.int64))
    donors: Numbers = field(default_factory=lambda: np.zeros(0, np.int64))

    def __post_init__(self) -> None:
        tiles = len(self.keys)
        if not self.annotated.size:
            object.__setattr__(self, "annotated", np.zeros(tiles, bool))
        for name in ("groups", "donors"):
            if not getattr(self, name).size:
                object.__setattr__(self, name, np.full(tiles, UNKNOWN, np.int64))
        flat = (self.images, self.excluded, self.annotated, self.groups, self.donors)
        shapes = [self.keys.shape, self.boxes.shape, *(a.shape for a in flat)]
        if shapes != [(tiles, 2), (tiles, 4), *[(tiles,)] * len(flat)]:
            raise ValueError(f"a pool of {tiles} tiles with arrays of shapes {shapes}")
        if _has_twins(self.keys):
            raise ValueError("a tile is twice in the pool")
        if self.statistics is not None and not np.array_equal(
            self.statistics.boxes, self.boxes
        ):
            raise ValueError("the statistics are of other tiles than the pool")

    def __len__(self) -> int:
        return len(self.keys)

    def take(self, tiles: NDArray[np.intp]) -> "Pool":
        """Return the pool of these tiles, in this order."""
        return replace(
            self,
            keys=self.keys[tiles],
            images=self.images[tiles],
            boxes=self.boxes[tiles],
            excluded=self.excluded[tiles],
            statistics=self.statistics and self.statistics.take(tiles),
            annotated=self.annotated[tiles],
            groups=self.groups[tiles],
            donors=self.donors[tiles],
        )

    @property
    def centres(self) -> F8:
        """(T, 2) centre of each tile as (y, x) in tile edges; 1 is one full tile."""
        edge = self.boxes[:, 2:].max(initial=1)
        centres: F8 = (self.boxes[:, :2] + self.boxes[:, 2:] / 2) / edge
        return centres


def _has_twins(keys: Keys) -> bool:
    """Whether two keys are equal; hashes that meet by chance are looked at again."""
    told = np.sort(hashes(0, "twins", keys))  # far faster than numpy's unique
    if not (told[1:] == told[:-1]).any():
        return False
    return len(np.unique(keys, axis=0)) < len(keys)
