"""Phantoms on disk: tiles annotated in full or for some labels; recall on others."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from backend.domain.geometry import TileGrid
from backend.domain.labels import LIVER
from backend.imaging.phantom import phantom
from worker.segmenter import ImageData, TrainingTile

NUCLEUS, ER = LIVER.named("nucleus").value, LIVER.named("ER").value
U1 = NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Picture:
    """A phantom as a segmenter finds it, and its truth."""

    data: ImageData
    labels: U1
    grid: TileGrid

    def tile(
        self,
        place: int,
        only: int | None = None,
        complete_for: tuple[int, ...] | None = None,
    ) -> TrainingTile:
        """Return a tile with its labels, or with one of them, as somebody leaves it."""
        box = list(self.grid)[place]
        mask = self.labels[box.slices]
        if only is not None:
            mask = np.where(mask == only, mask, np.uint8(0))
        name = f"{self.data.id}-{place}-{only}"
        path = self.data.path.with_name(f"{name}.npy")
        np.save(path, mask)
        return TrainingTile(name, self.data.id, box, path, complete_for)

    def recall(self, said: U1) -> dict[int, float]:
        """Return the part of each label's pixels that was found."""
        return {
            value: float((said[self.labels == value] == value).mean())
            for value in LIVER.values
        }


def picture(folder: Path, seed: int, side: int, tile: int) -> Picture:
    """Paint a square phantom and store its pixels."""
    made = phantom(seed, side, side)
    path = folder / f"phantom-{seed}.npy"
    np.save(path, made.image)
    figures = float(made.image.mean()), float(made.image.std())
    data = ImageData(str(seed), path, *figures, made.pixel_nm)
    return Picture(data, made.labels, TileGrid(side, side, tile))
