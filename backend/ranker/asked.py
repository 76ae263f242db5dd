"""What a ranking says of single tiles, which lessons rest on once they are painted."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from backend.ranker.ergap import formula
from backend.ranker.learned import features
from backend.ranker.scene import Scene

F8 = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Asked:
    """H tiles, C labels: `values` (C,), `features` (H, C, K) and `prior` (H, C).

    `features` are those of `learned.features`, `prior` the formula's scores, which
    `er-gap-learned` corrects.
    """

    values: NDArray[np.uint8]
    features: F8
    prior: F8


def asked(scene: Scene, tiles: NDArray[np.intp]) -> Asked:
    """Return what is said of these tiles, by their positions in the pool."""
    gaps = np.zeros(len(tiles))
    if len(tiles) and len(scene.known):
        gaps = scene.space.gaps(tiles, scene.known)
    columns = range(len(scene.statistics.values))
    mine = scene.statistics.take(tiles)
    return Asked(
        values=mine.values,
        features=np.stack([features(mine, c, gaps) for c in columns], axis=1),
        prior=np.stack([formula(scene, c)[tiles] for c in columns], axis=1),
    )
