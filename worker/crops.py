"""Unrounded probabilities of annotated boxes, kept beside a sweep to measure it."""

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from numpy.lib.format import open_memmap
from numpy.typing import NDArray

from backend.domain.geometry import Box
from worker.segmenter import Crops


class CropFiles:
    """Cuts the boxes out of an image's probabilities as its rows come by."""

    def __init__(self, crops: Crops | None) -> None:
        self._crops = crops
        if crops is not None:
            crops.folder.mkdir(parents=True, exist_ok=True)

    def add_rows(self, top: int, mean: NDArray[np.float32]) -> None:
        """Add the rows from `top` of the image, (labels + 1, h, width), in order.

        A file is mapped for a moment only, so that memory does not grow with boxes.
        """
        if self._crops is None:
            return
        bottom = top + mean.shape[1]
        for number, box in enumerate(self._crops.boxes):
            first, last = max(top, box.y), min(bottom, box.y + box.h)
            if first < last:
                file = open_memmap(
                    crop_path(self._crops.folder, number),
                    "w+" if first == box.y else "r+",
                    np.float32,
                    (len(mean), box.h, box.w),
                )
                file[:, first - box.y : last - box.y] = mean[
                    :, first - top : last - top, box.x : box.x + box.w
                ]


def crop_path(folder: Path, number: int) -> Path:
    """Return where the crop of a box lies."""
    return folder / f"{number}.npy"


def pack_crops(crops: Crops | None) -> dict[str, Any] | None:
    """Turn what to keep into plain values for a child."""
    if crops is None:
        return None
    boxes = [asdict(box) for box in crops.boxes]
    return {"folder": str(crops.folder.absolute()), "boxes": boxes}


def unpack_crops(packed: Mapping[str, Any] | None) -> Crops | None:
    """Undo `pack_crops`."""
    if packed is None:
        return None
    boxes = tuple(Box(**box) for box in packed["boxes"])
    return Crops(Path(packed["folder"]), boxes)


def pack_offsets(offsets: Mapping[int, float]) -> dict[str, float]:
    """Turn offsets by label value into what JSON can hold."""
    return {str(value): offset for value, offset in offsets.items()}


def unpack_offsets(packed: Mapping[str, float]) -> dict[int, float]:
    """Undo `pack_offsets`."""
    return {int(value): offset for value, offset in packed.items()}
