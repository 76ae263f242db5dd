"""Annotated tiles as nnU-Net's preprocessed cases.

A case is a tile with a margin of one patch, cut from its image after normalisation and
resampling, so that training sees what prediction sees. Its target holds the codes of
`worker.nnunet.numbering`; what nobody annotated is *ignore*. Cases are kept from round
to round; manifest, split and dataset.json are written afresh each time.
"""

import json
import shutil
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from math import ceil, sqrt
from pathlib import Path
from typing import Any

import numpy as np
from nnunetv2.training.dataloading.nnunet_dataset import (
    comp_blosc2_params,
    nnUNetDatasetBlosc2,
)
from numpy.typing import NDArray

from backend.domain.geometry import Box
from backend.domain.labels import BACKGROUND
from backend.domain.masks import never_ruled_out
from worker.nnunet import cases as kept
from worker.nnunet.numbering import Codes, Numbering
from worker.nnunet.planner import CONFIGURATION, DATASET, describe_dataset
from worker.nnunet.resampling import WorkingImage
from worker.segmenter import SegmenterError, TrainingData, TrainingTile

_FORMAT = 2
"""Grows when cases of the same sources come to look different."""
_LOCATIONS = 10_000  # pixels remembered per class and case; as many as nnU-Net keeps


@dataclass(frozen=True, slots=True)
class Case:
    """One line of the manifest: what a case of the dataset was made from."""

    identifier: str
    annotation_id: str
    image_id: str
    box: Box
    labelled: int
    """Working pixels of the tile that are annotated. Where a pixel may be one of
    several classes, it counts by the part of all classes that it rules out."""
    learnt: bool
    """False for validation."""
    complete_for: tuple[int, ...] | None = None


@dataclass(frozen=True, slots=True)
class Dataset:
    """A dataset on disk and the manifest it was made from."""

    folder: Path
    cases: tuple[Case, ...]
    sets: tuple[tuple[int, ...], ...]
    """The numbers of the classes that each code of a target allows."""
    reused: int = 0
    """How many of the tiles had been prepared by an earlier training."""
    prepared: int = 0

    def identifiers(self, *, learnt: bool) -> list[str]:
        """Return the cases to learn from, or to monitor, in order of identifier."""
        return sorted(c.identifier for c in self.cases if c.learnt is learnt)

    def weights(self) -> NDArray[np.float64]:
        """Return how often to draw each case to learn from, summing to 1.

        In proportion to the root of the labelled area: a sliver at an image's edge is
        drawn less often than a full tile, yet more often per pixel.
        """
        area = {c.identifier: sqrt(c.labelled) for c in self.cases}
        weights = np.array([area[i] for i in self.identifiers(learnt=True)], float)
        weights /= weights.sum()
        return weights


def refuse_hopeless(data: TrainingData) -> None:
    """Raise SegmenterError if no network could learn from these annotations."""
    if not data.tiles:
        raise SegmenterError(
            "There is no annotated tile to train on; annotate one first.",
            retryable=False,
        )
    values = data.schema.values
    revisions = ((_load_target(tile), tile.zero_may_be(values)) for tile in data.tiles)
    left = never_ruled_out(revisions, values)
    if left == {BACKGROUND, *values}:
        raise SegmenterError(
            "Every annotated pixel is marked unknown; label or clear some pixels.",
            retryable=False,
        )
    if left:
        raise SegmenterError(
            f"All annotated pixels may have the same value ({min(left)}); annotate a "
            "tile that shows both a label and something else.",
            retryable=False,
        )


def build(data: TrainingData, preprocessed: Path, patch: tuple[int, int]) -> Dataset:
    """Write the dataset afresh: cases, dataset.json, manifest and split.

    A tile whose pixels are all unknown teaches nothing and gets no case. Cases that
    `data.cases` holds are linked, others are prepared and kept there.
    """
    base = preprocessed / DATASET
    folder = base / f"nnUNetPlans_{CONFIGURATION}"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    shelf = data.cases or preprocessed / "cases"
    workshop = _Workshop(data, patch)
    jobs = [(tile, True) for tile in data.tiles]
    jobs += [(tile, False) for tile in data.validation]
    counted: dict[str, tuple[TrainingTile, bool, Mapping[int, int]]] = {}
    used, reused = defaultdict[str, set[str]](set), 0
    for number, (tile, learnt) in enumerate(jobs):
        identifier = f"tile_{number:05d}"
        piece = workshop.piece(tile, learnt=learnt)
        place = shelf / tile.image_id / piece.key
        facts = kept.take(place, folder / identifier)
        if facts is not None:
            reused += 1
        else:
            kept.put(place, piece.write)
            facts = kept.take(place, folder / identifier)
            if facts is None:
                raise SegmenterError(
                    "A prepared tile could not be read back; look at the disk of "
                    f"{shelf}.",
                    retryable=True,
                )
        used[tile.image_id].add(piece.key)
        if facts["codes"]:
            counted[identifier] = tile, learnt, dict(facts["codes"])
    for image in data.images:
        kept.forget_unused(shelf / image, used[image])
    numbering = workshop.numbering
    taught = (codes for _, learnt, codes in counted.values() if learnt)
    shown = {code for codes in taught for code in codes if 0 < code < numbering.ignore}
    sets = numbering.sets(shown)
    cases = (
        Case(
            identifier=identifier,
            annotation_id=tile.annotation_id,
            image_id=tile.image_id,
            box=tile.box,
            labelled=_labelled(codes, sets),
            learnt=learnt,
            complete_for=tile.complete_for,
        )
        for identifier, (tile, learnt, codes) in counted.items()
    )
    dataset = Dataset(folder, tuple(cases), sets, reused, len(jobs) - reused)
    learn, monitor = (dataset.identifiers(learnt=value) for value in (True, False))
    described = describe_dataset(data.schema, len(learn))
    (base / "dataset.json").write_text(json.dumps(described, indent=2))
    # Never reused from an earlier training: a stale split would hide new annotations.
    split = [{"train": learn, "val": monitor}]
    (base / "splits_final.json").write_text(json.dumps(split, indent=2))
    return dataset


def check_complete(
    dataset: Dataset, split: Sequence[str], loader: Sequence[str]
) -> None:
    """Raise unless manifest, split and loader name exactly the same training cases."""
    manifest = dataset.identifiers(learnt=True)
    if not manifest == sorted(split) == sorted(loader):
        raise SegmenterError(
            f"{len(manifest)} annotated tiles were prepared, but the split names "
            f"{len(split)} and the loader {len(loader)}; this is a defect, report it.",
            retryable=False,
        )


def manifest_of(dataset: Dataset) -> list[dict[str, Any]]:
    """Return the manifest as plain values."""
    return [asdict(case) for case in dataset.cases]


class _Workshop:
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

    def piece(self, tile: TrainingTile, *, learnt: bool) -> "_Piece":
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
        return _Piece(kept.key_of(sources), image, region, own, painted, self)

    def zero(self, tile: TrainingTile) -> int:
        """Return the code of a tile's zeros."""
        return self.numbering.zero(tile.zero_may_be(self.numbering.values))

    def _content(self, tile: TrainingTile) -> tuple[object, ...]:
        if tile.target not in self._digests:
            self._digests[tile.target] = kept.digest_of(tile.target)
        # what a code stands for is said by `sets`, which no case holds
        return asdict(tile.box), self._digests[tile.target], self.zero(tile)


@dataclass(frozen=True, slots=True)
class _Piece:
    """One case to be made: all that decides what it holds, and the key of that."""

    key: str
    image: WorkingImage
    region: Box
    own: Box
    painted: tuple[TrainingTile, ...]
    workshop: _Workshop

    def write(self, path: Path) -> dict[str, list[tuple[int, int]]]:
        """Write the case; returns its `codes`: how often each but *ignore* occurs.

        Patches are drawn by the tile's own labels, so the margin does not count.
        """
        numbering, patch = self.workshop.numbering, self.workshop.patch
        region, own = self.region, self.own
        target = np.full((region.h, region.w), numbering.ignore, np.int16)
        for tile in self.painted:
            codes = numbering.encode(_load_target(tile), self.workshop.zero(tile))
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


def _labelled(codes: Mapping[int, int], sets: Sequence[tuple[int, ...]]) -> int:
    """Return how many annotated pixels these are worth."""
    classes = max(map(len, sets))
    worth = (
        pixels * (1 if len(sets[code]) == 1 else 1 - len(sets[code]) / classes)
        for code, pixels in codes.items()
    )
    return ceil(sum(worth))


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


def _load_target(tile: TrainingTile) -> NDArray[np.uint8]:
    target: NDArray[np.uint8] = np.load(tile.target, allow_pickle=False)
    if target.shape != (tile.box.h, tile.box.w) or target.dtype != np.uint8:
        raise SegmenterError(
            f"The raster of annotation {tile.annotation_id} is {target.dtype} "
            f"{target.shape}, not uint8 {(tile.box.h, tile.box.w)}.",
            retryable=False,
        )
    return target
