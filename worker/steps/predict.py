"""Predict: one model sweeps images one after the other and stores what it saw."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from backend.domain.geometry import Box
from backend.schemas.loop import SweepResult, SweepWork, SweptImage
from backend.schemas.stored import StoredImage, StoredTree
from backend.storage import ArtifactStore, job_prefix
from worker.crops import crop_path, pack_crops, pack_offsets
from worker.desk import Desk
from worker.images import local_image
from worker.models import local_model
from worker.segmenter import Crops, Progress, Report, Sweep


def run(
    work: SweepWork, store: ArtifactStore, report: Report, desk: Desk
) -> SweepResult:
    """Sweep every image of the work and store the sweeps."""
    sweeps = Sweeps(work, store, report, desk, len(work.images))
    images = tuple(
        sweeps.store(image, sweeps.make(image, work.offsets)) for image in work.images
    )
    return SweepResult(images=images, offsets=work.offsets)


class Made(NamedTuple):
    """A sweep on local disk, and the crops of the boxes that were asked for."""

    sweep: Sweep
    crops: tuple[Path, ...]


class Sweeps:
    """Makes and stores the sweeps of a job; `passes` is how many it will make.

    Finished sweeps stay in `desk.keep`: a second attempt goes on with the next image.
    """

    def __init__(
        self,
        work: SweepWork,
        store: ArtifactStore,
        report: Report,
        desk: Desk,
        passes: int,
    ) -> None:
        self._work, self._store, self._report = work, store, report
        self._desk, self._passes, self._begun = desk, passes, 0

    def make(
        self,
        image: StoredImage,
        offsets: Mapping[int, float],
        boxes: tuple[Box, ...] = (),
    ) -> Made:
        """Sweep an image with these offsets, in the place of an earlier sweep of it."""
        folder = self._desk.keep / str(image.id)
        crops = Crops(folder.with_name(f"{image.id}-crops"), boxes)
        done = folder.with_name(f"{image.id}.json")
        asked = {"offsets": pack_offsets(offsets), "crops": pack_crops(crops)}
        inner = _Part(self._report, self._begun, self._passes, image.name)
        self._begun += 1
        facts = _read(done)
        if facts is None or facts["asked"] != asked:
            done.unlink(missing_ok=True)
            model = local_model(self._work.model, self._store, self._desk.cache)
            data = local_image(image, self._store, self._desk)
            segmenter = self._desk.segmenter(self._work.segmenter, self._work.settings)
            sweep = segmenter.predict(
                model,
                data,
                self._work.tile_size,
                folder,
                inner,
                offsets=offsets,
                crops=crops,
            )
            data.path.unlink()
            facts = {
                "asked": asked,
                "members": sweep.members,
                "seconds": sweep.seconds,
            }
            done.write_text(json.dumps(facts))
        return Made(
            Sweep(folder, facts["members"], facts["seconds"]),
            tuple(crop_path(crops.folder, number) for number in range(len(boxes))),
        )

    def store(self, image: StoredImage, made: Made) -> SweptImage:
        """Store a sweep; its crops stay behind."""
        prefix = job_prefix(self._work.job_id, self._work.fence)
        tree = f"{prefix}/sweeps/{image.id}"
        folder = made.sweep.folder
        return SweptImage(
            image_id=image.id,
            sweep=StoredTree(tree, self._store.put_tree(tree, folder)),
            members=made.sweep.members,
            seconds=made.sweep.seconds,
            label_pixels=_label_pixels(folder),
        )


class _Part:
    """Reports one image's progress as its share of the whole job."""

    def __init__(self, report: Report, number: int, of: int, name: str) -> None:
        self._report, self._number, self._of, self._name = report, number, of, name

    def __call__(self, progress: Progress) -> None:
        fraction = (self._number + (progress.fraction or 0.0)) / self._of
        text = f"{self._name} ({self._number + 1} of {self._of}): {progress.message}"
        self._report(Progress(text, fraction, progress.step, progress.metrics))

    def check(self) -> None:
        self._report.check()


def _read(done: Path) -> dict[str, Any] | None:
    if not done.exists():
        return None
    facts: dict[str, Any] = json.loads(done.read_text())
    return facts


def _label_pixels(folder: Path) -> dict[str, int]:
    labels = np.load(folder / "labels.npy", mmap_mode="r")
    values, pixels = np.unique(labels, return_counts=True)
    return {str(value): int(count) for value, count in zip(values, pixels, strict=True)}
