"""Images whose truth is known: from a folder, or painted."""

import io
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image as Picture

from backend.client import ClientError
from backend.domain.geometry import TileGrid
from backend.domain.masks import apply_value_map
from backend.domain.states import Split
from backend.experiment.plan import Folder, Phantom, Plan
from backend.imaging.phantom import phantom
from backend.imaging.pngs import read_mask

U1 = NDArray[np.uint8]
APART = 1000
"""Phantoms of a split are painted with seeds of its own, from a multiple of this."""


@dataclass(frozen=True, slots=True)
class Known:
    """An image with its truth.

    `grey` (rows, columns) grey values; `truth` (rows, columns) uint8 values of the
    project's labels, 0 none of them, 255 unknown.
    """

    name: str
    split: Split
    grey: NDArray[np.generic]
    truth: U1
    pixel_nm: float | None

    def grid(self, tile_size: int) -> TileGrid:
        """Return the grid of the image's tiles."""
        return TileGrid(self.truth.shape[0], self.truth.shape[1], tile_size)

    @property
    def png(self) -> bytes:
        """The image as a file."""
        file = io.BytesIO()
        Picture.fromarray(self.grey).save(file, "PNG")
        return file.getvalue()


def known_images(plan: Plan) -> Iterator[Known]:
    """Yield the images of all splits."""
    for split in (Split.POOL, Split.VALIDATION, Split.TEST):
        if isinstance(plan.data, Folder):
            yield from _read(plan, plan.data, split)
        else:
            yield from _painted(plan, plan.data, split)


def _read(plan: Plan, data: Folder, split: Split) -> Iterator[Known]:
    for name in data.names(split):
        image = _file(data.folder / "images", name)
        with Picture.open(image) as opened:
            grey = np.asarray(opened)
        if grey.ndim != 2:
            raise ClientError(f"{image} is no grey image: one channel is needed.")
        labels = _file(data.folder / "labels", name).read_bytes()
        truth = apply_value_map(read_mask(labels, grey.shape), plan.values)
        if data.crop is not None:
            y, x = ((side - data.crop) // 2 for side in grey.shape)
            if min(y, x) < 0:
                raise ClientError(f"data.crop: {image} has {grey.shape} pixels only.")
            part = slice(y, y + data.crop), slice(x, x + data.crop)
            grey, truth = grey[part].copy(), truth[part].copy()
        yield Known(f"{name}.png", split, grey, truth, data.pixel_nm)


def _file(folder: Path, stem: str) -> Path:
    for ending in (".png", ".tif", ".tiff"):
        if (file := folder / f"{stem}{ending}").is_file():
            return file
    raise ClientError(f"data: {folder} holds no {stem}.png or .tif.")


def _painted(plan: Plan, data: Phantom, split: Split) -> Iterator[Known]:
    counts = {
        Split.POOL: data.pool,
        Split.VALIDATION: data.validation,
        Split.TEST: data.test,
    }
    place = list(counts).index(split)
    for number in range(counts[split]):
        seed = APART * (len(counts) * data.seed + place) + number
        made = phantom(seed, data.edge, data.edge)
        kept = np.isin(made.labels, list(plan.names))
        truth = np.where(kept, made.labels, 0).astype(np.uint8)
        name = f"{split}-{number:02}.png"
        yield Known(name, split, made.image, truth, made.pixel_nm)
