"""What a ranking says of single tiles, which lessons rest on once they are painted."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from backend.ranker.ergap import formula
from backend.ranker.knowledge import Knowledge
from backend.ranker.learned import features
from backend.ranker.need import ClassNeed
from backend.ranker.parameters import Parameters
from backend.ranker.pool import Pool
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


def asked(
    pool: Pool,
    tiles: NDArray[np.intp],
    seed: int,
    needs: Sequence[ClassNeed],
    knowledge: Knowledge,
    parameters: Parameters,
) -> Asked:
    """Return what is said of these tiles of a pool, by their positions in it."""
    scene = Scene.of(pool, seed, needs, knowledge, parameters)
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
