"""Which tiles first, before there is a model."""

import numpy as np

from backend.ranker import reasons
from backend.ranker.scene import Scene
from backend.ranker.select import Criterion

CANDIDATES = 8
"""Random tiles of an image of which `start` takes the one farthest from the others."""


def start(scene: Scene, seats: int, batch: int) -> list[Criterion]:
    """Images in turn, each time far from the tiles already taken.

    Within an image the farthest of eight random tiles is taken (Mitchell's best
    candidate), which spreads without sticking to the corners.
    """
    pool, centres = scene.pool, scene.pool.centres
    waiting: dict[int, list[int]] = {}
    for tile in scene.order.tolist():
        waiting.setdefault(int(pool.images[tile]), []).append(tile)
    score = np.full(len(pool), -np.inf)
    score[scene.order] = -np.arange(len(scene.order), dtype=float) - len(pool)
    wanted, taken = min(len(scene.order), (batch + 1) * seats), 0
    gaps = np.full(len(pool), np.inf)
    while taken < wanted:
        for tiles in waiting.values():
            if not tiles:
                continue
            tile = max(tiles[:CANDIDATES], key=lambda tile: gaps[tile])
            tiles.remove(tile)
            apart = np.hypot(*(centres[tiles] - centres[tile]).T)
            gaps[tiles] = np.minimum(gaps[tiles], apart)
            score[tile] = -taken
            taken += 1
    return [Criterion("start", seats, score, lambda tile: reasons.start())]
