"""Predict: one model sweeps images one after the other and stores what it saw."""

import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import numpy as np

from backend.schemas.loop import SweepResult, SweepWork, SweptImage
from backend.schemas.stored import StoredTree
from backend.storage import ArtifactStore, job_prefix
from worker.desk import Desk
from worker.images import local_image
from worker.models import local_model
from worker.segmenter import Progress, Report, Sweep

Look = Callable[[str, Sweep], None]


def run(
    work: SweepWork, store: ArtifactStore, report: Report, desk: Desk
) -> SweepResult:
    """Sweep every image of the work and store the sweeps."""
    return SweepResult(images=sweep_images(work, store, report, desk))


def sweep_images(
    work: SweepWork,
    store: ArtifactStore,
    report: Report,
    desk: Desk,
    look: Look | None = None,
) -> tuple[SweptImage, ...]:
    """Sweep and store each image; `look` sees every sweep while it is on local disk.

    Finished sweeps stay in `desk.keep`: a second attempt goes on with the next image.
    """
    if not work.images:
        return ()
    model = local_model(work.model, store, desk.cache)
    prefix = job_prefix(work.job_id, work.fence)
    swept = []
    chosen = desk.segmenter(work.segmenter, work.settings)
    for number, image in enumerate(work.images):
        folder = desk.keep / str(image.id)
        inner = _Part(report, number, len(work.images), image.name)
        done = folder / "sweep.json"
        if not done.exists():
            data = local_image(image, store, desk)
            sweep = chosen.predict(model, data, work.tile_size, folder, inner)
            data.path.unlink()
            facts = asdict(sweep)
            done.write_text(json.dumps(facts, default=str))
        facts = json.loads(done.read_text())
        sweep = Sweep(folder, facts["members"], facts["seconds"])
        if look is not None:
            look(str(image.id), sweep)
        tree = f"{prefix}/sweeps/{image.id}"
        swept.append(
            SweptImage(
                image_id=image.id,
                sweep=StoredTree(tree, store.put_tree(tree, folder)),
                members=sweep.members,
                seconds=sweep.seconds,
                label_pixels=_label_pixels(folder),
            )
        )
    return tuple(swept)


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


def _label_pixels(folder: Path) -> dict[str, int]:
    labels = np.load(folder / "labels.npy", mmap_mode="r")
    values, pixels = np.unique(labels, return_counts=True)
    return {str(value): int(count) for value, count in zip(values, pixels, strict=True)}
