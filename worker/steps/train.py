"""Train: annotated tiles and their images on local disk, then the segmenter."""

from collections.abc import Iterable
from pathlib import Path

import numpy as np

from backend.domain.masks import unpack
from backend.schemas.loop import AnnotatedTile, TrainResult, TrainWork
from backend.schemas.stored import StoredTree
from backend.storage import ArtifactStore, job_prefix
from worker.desk import Desk
from worker.images import folder_of_images, local_image
from worker.segmenter import (
    Budget,
    Progress,
    Report,
    TrainingData,
    TrainingTile,
)


def run(
    work: TrainWork, store: ArtifactStore, report: Report, desk: Desk
) -> TrainResult:
    """Train and store the model; the checkpoints outlive this attempt."""
    report(Progress("Fetching the annotated images", 0.0))
    images = {str(image.id): local_image(image, store, desk) for image in work.images}
    data = TrainingData(
        schema=work.schema,
        images=images,
        tiles=_targets(work.tiles, desk.scratch),
        validation=_targets(work.validation, desk.scratch),
        working_nm=work.working_nm,
        seed=work.seed,
        plans=_plans(work, store, desk.scratch),
        emphasis=work.emphasis,
        fresh=frozenset(map(str, work.fresh)),
        cases=folder_of_images(desk.cache),
    )
    start_from = _fetched(work.start_from, store, desk.scratch / "start")
    budget = Budget(
        steps=int(work.settings.get("steps", 1500)),
        minutes=work.settings.get("minutes"),
        plateau=bool(work.settings.get("stop_at_plateau", True)),
        folds=int(work.settings.get("folds", 1)),
    )
    chosen = desk.segmenter(work.segmenter, work.settings)
    model = chosen.train(data, desk.keep / "model", start_from, budget, report)
    prefix = f"{job_prefix(work.job_id, work.fence)}/model"
    return TrainResult(
        model=StoredTree(prefix, store.put_tree(prefix, model.folder)),
        settings=dict(model.settings),
        metrics=dict(model.metrics),
    )


def _targets(tiles: Iterable[AnnotatedTile], scratch: Path) -> tuple[TrainingTile, ...]:
    folder = scratch / "targets"
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for tile in tiles:
        name = str(tile.annotation_id)
        path = folder / f"{name}.npy"
        np.save(path, unpack(tile.raster, (tile.box.h, tile.box.w)))
        image, complete = str(tile.image_id), tuple(tile.complete_for)
        written.append(TrainingTile(name, image, tile.box, path, complete))
    return tuple(written)


def _plans(work: TrainWork, store: ArtifactStore, scratch: Path) -> Path | None:
    """Fetch what was planned, which lies at the top of a model's folder: no weights."""
    if work.plans is None:
        return None
    top = {n: entry for n, entry in work.plans.manifest.items() if "/" not in n}
    return _fetched(StoredTree(work.plans.prefix, top), store, scratch / "plans")


def _fetched(tree: StoredTree | None, store: ArtifactStore, into: Path) -> Path | None:
    return store.fetch_tree(tree.prefix, tree.manifest, into) if tree else None
