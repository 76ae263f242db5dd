"""Train: annotated tiles and their images on local disk, then the segmenter."""

from collections.abc import Iterable
from pathlib import Path

import numpy as np

from backend.domain.labels import LabelSchema
from backend.domain.masks import training_target, unpack
from backend.imaging.pyramid import copy_level0
from backend.schemas.loop import AnnotatedTile, TrainResult, TrainWork
from backend.schemas.stored import StoredImage, StoredTree
from backend.storage import ArtifactStore, job_prefix
from worker.segmenter import (
    Budget,
    ImageData,
    Progress,
    Report,
    TrainingData,
    TrainingTile,
)
from worker.segmenters import segmenter


def run(
    work: TrainWork, store: ArtifactStore, report: Report, scratch: Path, keep: Path
) -> TrainResult:
    """Train and store the model; `keep` outlives this attempt and holds checkpoints."""
    report(Progress("Fetching the annotated images", 0.0))
    images = {
        str(image.id): local_image(image, store, scratch) for image in work.images
    }
    data = TrainingData(
        schema=work.schema,
        images=images,
        tiles=_targets(work.tiles, work.schema, scratch),
        validation=_targets(work.validation, work.schema, scratch),
        working_nm=work.working_nm,
        seed=work.seed,
        plans=_plans(work, store, scratch),
    )
    budget = Budget(
        steps=int(work.settings.get("steps", 1500)),
        minutes=work.settings.get("minutes"),
    )
    with segmenter(work.segmenter, work.settings, scratch) as chosen:
        model = chosen.train(data, keep / "model", None, budget, report)
    prefix = f"{job_prefix(work.job_id, work.fence)}/model"
    return TrainResult(
        model=StoredTree(prefix, store.put_tree(prefix, model.folder)),
        settings=dict(model.settings),
        metrics=dict(model.metrics),
    )


def local_image(image: StoredImage, store: ArtifactStore, scratch: Path) -> ImageData:
    """Copy an image's level 0 to a .npy file that children can map."""
    path = scratch / "images" / f"{image.id}.npy"
    path.parent.mkdir(parents=True, exist_ok=True)
    copy_level0(store.below(image.pyramid), path)
    return ImageData(str(image.id), path, image.mean, image.sd, image.pixel_nm)


def _targets(
    tiles: Iterable[AnnotatedTile], schema: LabelSchema, scratch: Path
) -> tuple[TrainingTile, ...]:
    folder = scratch / "targets"
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for tile in tiles:
        mask = unpack(tile.raster, (tile.box.h, tile.box.w))
        path = folder / f"{tile.annotation_id}.npy"
        np.save(path, training_target(mask, tile.complete_for, schema))
        written.append(
            TrainingTile(str(tile.annotation_id), str(tile.image_id), tile.box, path)
        )
    return tuple(written)


def _plans(work: TrainWork, store: ArtifactStore, scratch: Path) -> Path | None:
    if work.plans is None:
        return None
    return store.fetch_tree(work.plans.prefix, work.plans.manifest, scratch / "plans")
