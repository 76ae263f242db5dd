"""Evaluate: the candidate's sweeps against what people painted, pooled per split."""

import uuid
from collections import defaultdict

import numpy as np
from numpy.typing import NDArray

from backend.domain.masks import unpack
from backend.domain.metrics import (
    Counts,
    average_precision,
    confusion,
    probability_histograms,
)
from backend.domain.states import Split
from backend.ranker import TileStatistics
from backend.schemas.loop import AnnotatedTile, Measured, SweepResult, SweepWork
from backend.storage import ArtifactStore
from worker.desk import Desk
from worker.segmenter import Report, Sweep
from worker.steps.predict import sweep_images

Histogram = NDArray[np.int64]


def run(
    work: SweepWork, store: ArtifactStore, report: Report, desk: Desk
) -> SweepResult:
    """Sweep the images of all measured tiles and count."""
    tally = _Tally(work)
    images = sweep_images(work, store, report, desk, tally.look)
    return SweepResult(images=images, measured=tally.measured())


class _Tally:
    """Gathers counts and histograms per split and label."""

    def __init__(self, work: SweepWork) -> None:
        self._values = work.schema.values
        self._truth: dict[str, list[AnnotatedTile]] = defaultdict(list)
        for tile in work.truth:
            self._truth[str(tile.image_id)].append(tile)
        self._counts: dict[tuple[Split, int], dict[uuid.UUID, Counts]]
        self._counts = defaultdict(dict)
        self._histograms: dict[tuple[Split, int], tuple[Histogram, Histogram]] = {}

    def look(self, image_id: str, sweep: Sweep) -> None:
        """Count every measured tile of one image."""
        labels = np.load(sweep.folder / "labels.npy", mmap_mode="r")
        probabilities = np.load(sweep.folder / "probabilities.npy", mmap_mode="r")
        # a label added since the training has no plane: the model never says it
        known = TileStatistics.load(sweep.folder / "tiles.npz").values
        planes = {int(value): plane for plane, value in enumerate(known, start=1)}
        for tile in self._truth[image_id]:
            truth = unpack(tile.raster, (tile.box.h, tile.box.w))
            decided = np.ascontiguousarray(labels[tile.box.slices])
            counts = confusion(truth, decided, self._values, tile.complete_for)
            for value in self._values:
                key = tile.split, value
                self._counts[key][tile.annotation_id] = counts[value]
                probability = (
                    np.ascontiguousarray(probabilities[planes[value]][tile.box.slices])
                    if value in planes
                    else np.zeros_like(truth)
                )
                right, wrong = probability_histograms(
                    truth, probability, value, tile.complete_for
                )
                before = self._histograms.get(key, (0, 0))
                self._histograms[key] = before[0] + right, before[1] + wrong

    def measured(self) -> tuple[Measured, ...]:
        """Return one row per split and label."""
        return tuple(
            Measured(
                split=split,
                value=value,
                counts=sum(counts.values(), Counts()),
                tiles=sum(tile.truth > 0 for tile in counts.values()),
                average_precision=average_precision(*self._histograms[split, value]),
                by_annotation=counts,
            )
            for (split, value), counts in sorted(
                self._counts.items(), key=lambda item: item[0]
            )
        )
