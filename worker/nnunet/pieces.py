"""How the case of a tile is cut, and what decides what it holds.

A case is a tile with a margin of one patch, cut from its image after normalisation and
resampling, so that training sees what prediction sees. Its target holds the codes of
`worker.nnunet.numbering`; what nobody annotated is *ignore*.
"""

from collections import defaultdict
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from nnunetv2.training.dataloading.nnunet_dataset import (
    comp_blosc2_params,
    nnUNetDatasetBlosc2,
)
from numpy.typing import NDArray

from backend.domain.geometry import Box
from worker.nnunet import cases as kept
from worker.nnunet.numbering import Codes, Numbering
from worker.nnunet.resampling import WorkingImage
from worker.segmenter import SegmenterError, TrainingData, TrainingTile

_FORMAT = 2
"""Grows when cases of the same sources come to look different."""
_LOCATIONS = 10_000  # pixels remembered per class and case; as many as nnU-Net keeps


class Workshop:
    """What the pieces of one dataset share."""

    def __init__(self, data: TrainingData, patch: tuple[int, int]) -> None:
        self.numbering, self.patch = Numbering.of(data), patch
        self._data = data
        self._images = {
            id: WorkingImage.open(data.images[id], data.working_nm)
            for id in {tile.image_id for tile in (*data.tiles, *data.validation)}
        }
        self._digests: dict[Path, str] = {}
        self._learnt = defaultdict[str, list[TrainingTile]](list)
        for tile in sorted(data.tiles, key=lambda tile: (tile.box.y, tile.box.x)):
            self._learnt[tile.image_id].append(tile)

    def piece(self, tile: TrainingTile, *, learnt: bool) -> "Piece":
        """Return what the case of a tile is made from.

        Labels of neighbours fill the margin, but never that of a validation tile.
        """
        image = self._images[tile.image_id]
        own = image.box(tile.box)
        region = own.grown(max(self.patch), *image.shape)
        rows, columns = image.nearest(region)
        others = [
            other
            for other in (self._learnt[tile.image_id] if learnt else ())
            if other.annotation_id != tile.annotation_id
            and _meets(other.box.y, other.box.h, rows)
            and _meets(other.box.x, other.box.w, columns)
        ]
        described = self._data.images[tile.image_id]
        sources = {
            "format": _FORMAT,
            "image": [described.mean, described.sd, described.pixel_nm],
            "working_nm": self._data.working_nm,
            "values": self.numbering.values,
            "patch": self.patch,
            "tile": self._content(tile),
            "others": [self._content(other) for other in others],
        }
        painted = (*others, tile)
        return Piece(kept.key_of(sources), image, region, own, painted, self)

    def zero(self, tile: TrainingTile) -> int:
        """Return the code of a tile's zeros."""
        return self.numbering.zero(tile.zero_may_be(self.numbering.values))

    def _content(self, tile: TrainingTile) -> tuple[object, ...]:
        if tile.target not in self._digests:
            self._digests[tile.target] = kept.digest_of(tile.target)
        # what a code stands for is said by `sets`, which no case holds
        return asdict(tile.box), self._digests[tile.target], self.zero(tile)


@dataclass(frozen=True, slots=True)
class Piece:
    """One case to be made: all that decides what it holds, and the key of that."""

    key: str
    image: WorkingImage
    region: Box
    own: Box
    painted: tuple[TrainingTile, ...]
    workshop: Workshop

    def write(self, path: Path) -> dict[str, list[tuple[int, int]]]:
        """Write the case; returns its `codes`: how often each but *ignore* occurs.

        Patches are drawn by the tile's own labels, so the margin does not count.
        """
        numbering, patch = self.workshop.numbering, self.workshop.patch
        region, own = self.region, self.own
        target = np.full((region.h, region.w), numbering.ignore, np.int16)
        for tile in self.painted:
            codes = numbering.encode(load_target(tile), self.workshop.zero(tile))
            _paint(target, region, self.image, tile.box, codes)
        inside = np.zeros(target.shape, bool)
        top, left = own.y - region.y, own.x - region.x
        inside[top : top + own.h, left : left + own.w] = True
        mine = inside & (target != numbering.ignore)
        if not mine.any():
            return {"codes": []}
        properties = {
            "spacing": [999.0, 1.0, 1.0],
            "class_locations": _locations(target, mine, numbering),
            "tile": (top, left, own.h, own.w),
        }
        pixels = self.image.read(region)[None, None]
        numbers = target[None, None]
        blocks, chunks = comp_blosc2_params(pixels.shape, patch, pixels.itemsize)
        blocks_seg, chunks_seg = comp_blosc2_params(
            numbers.shape, patch, numbers.itemsize
        )
        nnUNetDatasetBlosc2.save_case(
            pixels,
            numbers,
            properties,
            str(path),
            chunks=chunks,
            blocks=blocks,
            chunks_seg=chunks_seg,
            blocks_seg=blocks_seg,
        )
        found, pixels_each = np.unique(target[mine], return_counts=True)
        counts = zip(found.tolist(), pixels_each.tolist(), strict=True)
        return {"codes": list(counts)}


def _meets(start: int, length: int, at: NDArray[np.intp]) -> bool:
    """Whether any of these rising positions lies in start..start+length."""
    return bool(at[0] < start + length and at[-1] >= start)


def _paint(
    target: Codes, region: Box, image: WorkingImage, box: Box, codes: Codes
) -> None:
    """Write a tile's codes where its box meets the region."""
    rows, columns = image.nearest(region)
    within_rows = np.flatnonzero((rows >= box.y) & (rows < box.y + box.h))
    within_columns = np.flatnonzero((columns >= box.x) & (columns < box.x + box.w))
    if len(within_rows) and len(within_columns):
        seen = np.ix_(rows[within_rows] - box.y, columns[within_columns] - box.x)
        target[np.ix_(within_rows, within_columns)] = codes[seen]


def _locations(
    target: Codes, mine: NDArray[np.bool_], numbering: Numbering
) -> dict[int | tuple[int, ...], NDArray[np.int32]]:
    """Return (n, 4) positions (channel, 0, y, x) per label and for all annotated."""
    random = np.random.default_rng(1234)
    masks: dict[int | tuple[int, ...], NDArray[np.bool_]] = {
        number: mine & (target == number) for number in range(1, numbering.ignore)
    }
    masks[numbering.annotated] = mine
    found: dict[int | tuple[int, ...], NDArray[np.int32]] = {}
    for key, mask in masks.items():
        places = np.argwhere(mask)
        if len(places) > _LOCATIONS:
            places = random.choice(places, _LOCATIONS, replace=False)
        zeros = np.zeros((len(places), 2), np.int32)
        found[key] = np.hstack([zeros, places]).astype(np.int32)
    return found


def load_target(tile: TrainingTile) -> NDArray[np.uint8]:
    """Read an annotation's raster; SegmenterError if it is not one of its tile."""
    target: NDArray[np.uint8] = np.load(tile.target, allow_pickle=False)
    if target.shape != (tile.box.h, tile.box.w) or target.dtype != np.uint8:
        raise SegmenterError(
            f"The raster of annotation {tile.annotation_id} is {target.dtype} "
            f"{target.shape}, not uint8 {(tile.box.h, tile.box.w)}.",
            retryable=False,
        )
    return target
