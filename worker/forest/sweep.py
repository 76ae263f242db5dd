"""Sweeping one image with a grown forest."""

import json
import time
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.lib.format import open_memmap

from backend.domain.geometry import Box, TileGrid
from backend.domain.operating import decide, plane_offsets
from backend.ranker.statistics import TileAccumulator
from worker.crops import CropFiles, unpack_crops, unpack_offsets
from worker.forest import context, ensemble, features
from worker.messages import unpack_image
from worker.segmenter import Progress
from worker.serving import Emit, breathe

_BAND_VALUES = 1 << 26
"""How many float32 of features and probabilities a band of rows may hold."""


def predict(request: dict[str, Any], emit: Emit) -> dict[str, Any]:
    """Sweep one image band by band, so that its size costs time but no memory."""
    began = time.monotonic()
    folder, into = Path(request["model"]), Path(request["into"])
    image = unpack_image(request["image"])
    settings = json.loads((folder / "forest.json").read_text())
    values = tuple(settings["values"])
    forest = _forest(folder, ensemble.written(folder))
    sight = context.Sight(image, settings["working_nm"], forest.first, values)

    into.mkdir(parents=True, exist_ok=True)
    size = height, width = sight.size
    labels = open_memmap(into / "labels.npy", "w+", np.uint8, size)
    probabilities = open_memmap(
        into / "probabilities.npy", "w+", np.uint8, (len(values) + 1, *size)
    )
    entropy = open_memmap(into / "entropy.npy", "w+", np.float16, size)
    information = open_memmap(into / "information.npy", "w+", np.float16, size)

    channels = np.array((0, *values), np.uint8)
    offsets = plane_offsets(values, unpack_offsets(request["offsets"]))
    kept = CropFiles(unpack_crops(request["crops"]))
    grid = TileGrid(height, width, request["tile"])
    statistics = TileAccumulator(grid, values)
    texture = np.zeros((grid.rows, grid.columns, features.COUNT))
    starts = np.arange(0, width, grid.tile)
    per_pixel = context.count(len(values)) + 8 * (len(values) + 1)
    bands = _bands(grid, _BAND_VALUES // (per_pixel * width))
    for band, seen in sight.of_bands(bands):
        belief = ensemble.believe(forest.members, values, seen, breathe)
        rows = band.slices[0]
        decided = decide(belief.mean, offsets)
        labels[rows] = channels[decided]
        probabilities[:, rows] = np.rint(belief.mean * 255)
        entropy[rows], information[rows] = belief.entropy, belief.information
        statistics.add_rows(
            band.y,
            belief.mean,
            decided,
            belief.entropy,
            belief.information,
            belief.class_information,
        )
        kept.add_rows(band.y, belief.mean)
        # texture alone: what a tile looks like does not change with the model
        top, tops = band.y // grid.tile, np.arange(0, band.h, grid.tile)
        part = seen[..., : features.COUNT]
        sums = np.add.reduceat(part, tops, axis=0, dtype=np.float64)
        texture[top : top + len(tops)] += np.add.reduceat(sums, starts, axis=1)
        emit(Progress("Sweeping", (band.y + band.h) / height, band.y + band.h))
    for array in (labels, probabilities, entropy, information):
        array.flush()
    areas = np.array([box.area for box in grid])
    means = texture.reshape(len(grid), -1) / areas[:, None]
    statistics.finish(means.astype(np.float32)).save(into / "tiles.npz")
    return {"members": len(forest.members), "seconds": time.monotonic() - began}


def load(request: dict[str, Any], emit: Emit) -> dict[str, Any]:
    """Keep a model's trees ready for the next `predict`."""
    folder = Path(request["model"])
    _forest(folder, ensemble.written(folder))
    return {}


def _bands(grid: TileGrid, rows: int) -> Iterator[Box]:
    """Yield boxes of full width and at most `rows` rows.

    Each is some whole rows of tiles or a part of one. High ones save time, since
    features look far beyond the edges.
    """
    whole = max(rows // grid.tile, 1) * grid.tile
    rows = min(max(rows, 1), whole)
    for top in range(0, grid.height, whole):
        end = min(top + whole, grid.height)
        for y in range(top, end, rows):
            yield Box(y, 0, min(rows, end - y), grid.width)


@lru_cache(maxsize=1)
def _forest(folder: Path, written: int) -> ensemble.Forest:
    """Keep the last model in memory: an image is rarely swept alone."""
    return ensemble.load(folder)
