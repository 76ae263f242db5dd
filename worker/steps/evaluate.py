"""Evaluate: choose operating points on validation tiles, then measure what is served.

The images of validation tiles are swept once as the model decides. If a label with a
precision floor gets an offset, they are swept again with it, so that the stored sweeps,
their statistics and all counts are of the labels that people will see.
"""

import json
import uuid
from collections import defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from backend.domain.labels import LabelSchema
from backend.domain.masks import unpack
from backend.domain.metrics import (
    Counts,
    average_precision,
    confusion,
    known_others,
    probability_histograms,
)
from backend.domain.operating import Seen, choose
from backend.domain.states import Split
from backend.ranker.statistics import BINS, PROBABILITY_EDGES, TileStatistics
from backend.schemas.loop import AnnotatedTile, Measured, SweepResult, SweepWork
from backend.storage import ArtifactStore
from worker.crops import pack_offsets, unpack_offsets
from worker.desk import Desk
from worker.segmenter import NO_OFFSETS, Report
from worker.steps.predict import Made, Sweeps

U1 = NDArray[np.uint8]
F4 = NDArray[np.float32]
Truth = Mapping[uuid.UUID, tuple[AnnotatedTile, ...]]


def run(
    work: SweepWork, store: ArtifactStore, report: Report, desk: Desk
) -> SweepResult:
    """Choose offsets, sweep the images of all measured tiles with them, and count."""
    truth = _by_image(work)
    chosen = desk.keep / "offsets.json"
    tuned = () if chosen.exists() else _tuned(work, truth)
    sweeps = Sweeps(work, store, report, desk, len(tuned) + len(work.images))
    if not chosen.exists():
        offsets = _choose(work, truth, sweeps, tuned)
        chosen.write_text(json.dumps(pack_offsets(offsets)))
    offsets = unpack_offsets(json.loads(chosen.read_text()))
    tally = _Tally(work.schema)
    images = []
    for image in work.images:
        tiles = truth[image.id]
        made = sweeps.make(image, offsets, tuple(tile.box for tile in tiles))
        tally.look(tiles, made)
        images.append(sweeps.store(image, made))
    return SweepResult(tuple(images), tally.measured(), offsets)


def _by_image(work: SweepWork) -> Truth:
    found: dict[uuid.UUID, tuple[AnnotatedTile, ...]] = defaultdict(tuple)
    for tile in work.truth:
        found[tile.image_id] += (tile,)
    return found


def _tuned(work: SweepWork, truth: Truth) -> tuple[uuid.UUID, ...]:
    """Return the images that offsets are chosen on; none if no label has a floor."""
    if all(label.precision_floor is None for label in work.schema.labels):
        return ()
    return tuple(
        image.id
        for image in work.images
        if any(tile.split is Split.VALIDATION for tile in truth[image.id])
    )


def _choose(
    work: SweepWork, truth: Truth, sweeps: Sweeps, tuned: tuple[uuid.UUID, ...]
) -> dict[int, float]:
    made = [
        (
            truth[image.id],
            sweeps.make(image, NO_OFFSETS, tuple(tile.box for tile in truth[image.id])),
        )
        for image in work.images
        if image.id in tuned
    ]
    if not made:
        return {}

    def tiles() -> Iterator[Seen]:
        for annotated, each in made:
            for tile, crop in zip(annotated, each.crops, strict=True):
                if tile.split is Split.VALIDATION:
                    yield Seen(np.load(crop), _mask(tile), tile.complete_for)

    return choose(tiles, work.schema, _planes(made[0][1].sweep.folder))


class _Tally:
    """Gathers counts and histograms per split and label."""

    def __init__(self, schema: LabelSchema) -> None:
        self._values = schema.values
        self._counts: dict[tuple[Split, int], dict[uuid.UUID, Counts]]
        self._counts = defaultdict(dict)
        self._histograms: dict[tuple[Split, int], NDArray[np.int64]]
        self._histograms = defaultdict(lambda: np.zeros((2, 256), np.int64))
        self._undecided: dict[tuple[Split, int], NDArray[np.int64]]
        self._undecided = defaultdict(lambda: np.zeros((2, BINS), np.int64))

    def look(self, tiles: tuple[AnnotatedTile, ...], made: Made) -> None:
        """Count every measured tile of one image."""
        labels = np.load(made.sweep.folder / "labels.npy", mmap_mode="r")
        # a label added since the training has no plane: the model never says it
        known = _planes(made.sweep.folder)
        for tile, crop in zip(tiles, made.crops, strict=True):
            truth, mean = _mask(tile), np.load(crop)
            decided = np.ascontiguousarray(labels[tile.box.slices])
            counts = confusion(truth, decided, self._values, tile.complete_for)
            for value in self._values:
                key = tile.split, value
                self._counts[key][tile.annotation_id] = counts[value]
                p = (
                    mean[known.index(value) + 1]
                    if value in known
                    else np.zeros(truth.shape, np.float32)
                )
                self._histograms[key] += probability_histograms(
                    truth, np.rint(p * 255).astype(np.uint8), value, tile.complete_for
                )
                self._undecided[key] += _undecided(tile, truth, decided, p, value)

    def measured(self) -> tuple[Measured, ...]:
        """Return one row per split and label."""
        return tuple(
            Measured(
                split=key[0],
                value=key[1],
                counts=sum(counts.values(), Counts()),
                tiles=sum(tile.truth > 0 for tile in counts.values()),
                average_precision=average_precision(*self._histograms[key]),
                by_annotation=counts,
                positives=tuple(self._histograms[key][0].tolist()),
                negatives=tuple(self._histograms[key][1].tolist()),
                undecided_missed=tuple(self._undecided[key][0].tolist()),
                undecided_others=tuple(self._undecided[key][1].tolist()),
            )
            for key, counts in sorted(self._counts.items(), key=lambda item: item[0])
        )


def _undecided(
    tile: AnnotatedTile, truth: U1, decided: U1, p: F4, value: int
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Count pixels served as something else by logit p: the label's own, and others."""
    others = np.isin(truth, known_others(value, tile.complete_for))
    missed, rightly = (
        np.bincount(
            np.digitize(p[kind & (decided != value)], PROBABILITY_EDGES), minlength=BINS
        )
        for kind in (truth == value, others)
    )
    return missed, rightly


def _planes(folder: Path) -> list[int]:
    """Return the label values of a sweep's planes, after background."""
    values: list[int] = TileStatistics.load(folder / "tiles.npz").values.tolist()
    return values


def _mask(tile: AnnotatedTile) -> U1:
    return unpack(tile.raster, (tile.box.h, tile.box.w))
