"""Annotated tiles as nnU-Net's preprocessed cases.

Cases (`worker.nnunet.pieces`) are kept from round to round; manifest, split and
dataset.json are written afresh each time.
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
from numpy.typing import NDArray

from backend.domain.geometry import Box
from backend.domain.labels import BACKGROUND
from backend.domain.masks import never_ruled_out
from worker.nnunet import cases as kept
from worker.nnunet.pieces import Workshop, load_target
from worker.nnunet.planner import CONFIGURATION, DATASET, describe_dataset
from worker.segmenter import SegmenterError, TrainingData, TrainingTile


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
    revisions = ((load_target(tile), tile.zero_may_be(values)) for tile in data.tiles)
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
    workshop = Workshop(data, patch)
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


def _labelled(codes: Mapping[int, int], sets: Sequence[tuple[int, ...]]) -> int:
    """Return how many annotated pixels these are worth."""
    classes = max(map(len, sets))
    worth = (
        pixels * (1 if len(sets[code]) == 1 else 1 - len(sets[code]) / classes)
        for code, pixels in codes.items()
    )
    return ceil(sum(worth))
