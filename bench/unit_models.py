"""Models that learnt a few random tiles, and their sweeps of everything else.

They are what the ranker's scores are judged on. Training and sweeping take minutes,
scoring takes seconds, so sweeps are kept: `probabilities.npy`, `entropy.npy` and
`information.npy` for scores that look at pixels, `tiles.npz` for those that do not.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from backend.domain.states import Split
from bench.places import SPLITS
from bench.subjects import Quiet
from bench.vnc import Cord, Place
from worker.forest.segmenter import ForestSegmenter
from worker.nnunet.segmenter import NNUNetSegmenter
from worker.segmenter import Budget, Segmenter

ENGINES: dict[str, Callable[[Path], Segmenter]] = {
    "nnunet": lambda scratch: NNUNetSegmenter("cpu", scratch),
    "forest": ForestSegmenter,
}


@dataclass(frozen=True, slots=True)
class Learnt:
    """One model of the nerve cord: its seed, the tiles it learnt, its sweeps.

    `folder` holds `sweeps/<section>` of the pool and of the validation sections.
    """

    engine: str
    seed: int
    steps: int
    places: tuple[Place, ...]
    folder: Path

    def sweep(self, section: int) -> Path:
        """Return the folder of one section's sweep."""
        return self.folder / "sweeps" / str(section)

    @property
    def facts(self) -> dict[str, Any]:
        """What the training said of itself."""
        found: dict[str, Any] = json.loads((self.folder / "training.json").read_text())
        return found


def random_places(cord: Cord, seed: int, count: int) -> tuple[Place, ...]:
    """Return `count` distinct tiles of the pool, each with the same chance."""
    pool = [place for n in SPLITS[Split.POOL] for place in cord.grid(n)]
    chosen = np.random.default_rng(seed).permutation(len(pool))[:count]
    return tuple(pool[i] for i in chosen)


def learnt(
    cord: Cord, work: Path, engine: str, seed: int, steps: int, tiles: int
) -> Learnt:
    """Train a model on random tiles and sweep pool and validation, or find it done.

    `steps` is the whole training, which does not end at a plateau; a forest takes none.
    """
    places = random_places(cord, seed, tiles)
    name = f"{engine}-{steps}-{tiles}-{seed}"
    model = Learnt(engine, seed, steps, places, work / name)
    segmenter = ENGINES[engine](model.folder / "scratch")
    report = Quiet()
    try:
        if not (model.folder / "training.json").exists():
            made = segmenter.train(
                cord.data(places, seed),
                model.folder / "model",
                None,
                Budget(steps),
                report,
            )
            kept = {key: made.metrics.get(key) for key in ("steps", "seconds")}
            (model.folder / "training.json").write_text(json.dumps(kept) + "\n")
        for section in (*SPLITS[Split.VALIDATION], *SPLITS[Split.POOL]):
            into = model.sweep(section)
            if not (into / "done").exists():
                image = cord.images[str(section)]
                at = model.folder / "model"
                segmenter.predict(at, image, cord.edge, into, report)
                (into / "done").touch()
    finally:
        segmenter.close()
    return model
