"""The fly's nerve cord without a server: tiles to learn, sections to measure by."""

import json
import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from backend.domain.geometry import Box, TileGrid
from backend.domain.states import Split
from bench.places import PIXEL_NM, SPLITS, TILE
from bench.subjects import SCHEMA, U1, dice, section, stored
from worker.segmenter import (
    Budget,
    Report,
    Segmenter,
    TrainingData,
    TrainingTile,
)

Place = tuple[int, Box]
"""A tile: the number of its section, and where it lies."""


def score(said: Sequence[U1], true: Sequence[U1]) -> dict[str, float]:
    """Return the Dice per label over all pixels, and `mean` of the labels."""
    found = {name: round(value, 5) for name, value in dice(said, true, SCHEMA).items()}
    return {**found, "mean": round(math.fsum(found.values()) / len(found), 5)}


@dataclass
class Cord:
    """The sections in memory, and the files of them that a segmenter's child maps."""

    source: Path
    folder: Path
    edge: int = TILE

    def __post_init__(self) -> None:
        numbers = [n for numbers in SPLITS.values() for n in numbers]
        self.sections = {n: section(self.source, n) for n in numbers}
        folder = self.folder / "sections"
        self.images = {
            str(n): stored(grey, str(n), folder)
            for n, (grey, _) in self.sections.items()
        }
        (self.folder / "targets").mkdir(exist_ok=True)

    def grid(self, number: int) -> list[Place]:
        """Return all tiles of a section."""
        height, width = self.sections[number][0].shape
        grid = TileGrid(height, width, self.edge)
        return [
            (number, grid.box(row, column))
            for row in range(grid.rows)
            for column in range(grid.columns)
        ]

    def draw(self, seed: int, count: int) -> list[Place]:
        """Return distinct tiles of the pool; the first of them whatever the count.

        A third are drawn evenly from the pool, the others around a random pixel of a
        random label, so that about 66 % hold foreground by design (the baseline of
        nnActive, Lüth et al. 2025).
        """
        random = np.random.default_rng(seed)
        pool = [place for n in SPLITS[Split.POOL] for place in self.grid(n)]
        area = np.array(
            [
                [(self.sections[n][1][box.slices] == v).sum() for v in SCHEMA.values]
                for n, box in pool
            ],
            float,
        )
        evenly = np.full(len(pool), 1 / len(pool))
        chosen: dict[int, None] = {}
        while len(chosen) < min(count, len(pool)):
            weights = evenly
            if random.random() < 2 / 3:
                weights = area[:, random.integers(len(SCHEMA.values))]
                weights = weights / weights.sum()
            chosen[int(random.choice(len(pool), p=weights))] = None
        return [pool[i] for i in chosen]

    def data(
        self,
        places: Sequence[Place],
        seed: int,
        known: Sequence[Place] = (),
    ) -> TrainingData:
        """Return what a training on these tiles sees; a warm start has seen `known`.

        The tiles to watch are those of the validation sections. With two labels half of
        the patches belong to each, as the service would have it.
        """
        watched = [place for n in SPLITS[Split.VALIDATION] for place in self.grid(n)]
        tiles = tuple(map(self._tile, places))
        seen = {tile.annotation_id for tile in map(self._tile, known)}
        return TrainingData(
            schema=SCHEMA,
            images={str(n): self.images[str(n)] for n, _ in (*places, *watched)},
            tiles=tiles,
            validation=tuple(map(self._tile, watched)),
            working_nm=PIXEL_NM,
            seed=seed,
            fresh=frozenset(t.annotation_id for t in tiles) - seen,
            cases=self.folder / "cases",
        )

    def test(
        self, segmenter: Segmenter, model: Path, report: Report
    ) -> dict[str, float]:
        """Return the Dice of a model on the test sections."""
        said, into = [], self.folder / "sweep"
        for number in SPLITS[Split.TEST]:
            segmenter.predict(model, self.images[str(number)], self.edge, into, report)
            said.append(np.load(into / "labels.npy"))
        return score(said, [self.sections[n][1] for n in SPLITS[Split.TEST]])

    def _tile(self, place: Place) -> TrainingTile:
        number, box = place
        name = f"{number:02}-{box.y:04}-{box.x:04}"
        path = self.folder / "targets" / f"{name}.npy"
        if not path.exists():
            np.save(path, self.sections[number][1][box.slices])
        return TrainingTile(name, str(number), box, path)


def train(
    cord: Cord,
    segmenter: Segmenter,
    data: TrainingData,
    into: Path,
    start_from: Path | None,
    budget: Budget,
    report: Report,
) -> dict[str, Any]:
    """Train one version and measure it, or read what an earlier run found.

    `seconds` is the whole training as its caller sees it, start of the process and
    preparation of the tiles included; `training_seconds` is what the loop says.
    """
    done = into / "done.json"
    if done.exists():
        found: dict[str, Any] = json.loads(done.read_text())
        return found
    began = time.monotonic()
    model = segmenter.train(data, into / "model", start_from, budget, report)
    seconds = time.monotonic() - began
    found = {
        "schedule": "quick" if start_from else "full",
        "tiles": len(data.tiles),
        "fresh": len(data.fresh) if start_from else len(data.tiles),
        "most_steps": budget.steps,
        "steps": model.metrics.get("steps"),
        "seconds": round(seconds, 1),
        "training_seconds": model.metrics.get("seconds"),
        "test": cord.test(segmenter, into / "model", report),
    }
    done.write_text(json.dumps(found, indent=1) + "\n")
    return found
