"""From accepted annotations to a candidate: what a training learns, what it became."""

import statistics

import numpy as np
from sqlalchemy import func, select
from sqlalchemy.orm import Session, undefer

from backend.db import publish_after_commit
from backend.domain.errors import NothingToTrain
from backend.domain.events import Event, EventKind
from backend.domain.labels import UNKNOWN
from backend.domain.masks import training_target, unpack
from backend.domain.states import (
    MODEL_STEPS,
    JobKind,
    ModelState,
    Split,
    step,
)
from backend.models import (
    Annotation,
    Job,
    ModelVersion,
    Project,
    Tile,
    TrainingSet,
    TrainingSetItem,
)
from backend.schemas.loop import AnnotatedTile, TrainResult, TrainWork
from backend.schemas.stored import StoredTree
from backend.services import annotations, artifacts, audit, evaluations, jobs
from backend.services.access import Principal


def request(
    session: Session,
    project: Project,
    *,
    requested_by: Principal | None = None,
    segmenter: str | None = None,
    settings: dict[str, object] | None = None,
) -> Job:
    """Queue a training on every accepted pool annotation.

    Raises NothingToTrain if the annotations cannot teach anything, Conflict if a
    training of the project is under way.
    """
    tiles = annotations.annotated(session, project.id, Split.POOL)
    _refuse_the_unteachable(project, tiles)
    segmenter = segmenter or project.segmenter
    training_set = TrainingSet(project_id=project.id)
    session.add(training_set)
    session.flush()
    rows = session.execute(
        select(Annotation.id, Annotation.tile_id).where(
            Annotation.id.in_([tile.annotation_id for tile in tiles])
        )
    )
    tile_ids = dict(rows.all())
    session.add_all(
        TrainingSetItem(
            training_set_id=training_set.id,
            annotation_id=tile.annotation_id,
            tile_id=tile_ids[tile.annotation_id],
        )
        for tile in tiles
    )
    live = session.scalar(
        select(ModelVersion.id).where(
            ModelVersion.project_id == project.id,
            ModelVersion.state == ModelState.LIVE,
        )
    )
    newest = session.scalar(
        select(func.max(ModelVersion.ordinal)).where(
            ModelVersion.project_id == project.id
        )
    )
    version = ModelVersion(
        project_id=project.id,
        ordinal=(newest or 0) + 1,
        segmenter=segmenter,
        state=ModelState.TRAINING,
        parent_id=live,
        training_set_id=training_set.id,
        settings={**project.training, **(settings or {})},
    )
    session.add(version)
    session.flush()
    job = jobs.enqueue(
        session,
        JobKind.TRAIN,
        jobs.lane_of(segmenter),
        {"model_version_id": str(version.id)},
        project_id=project.id,
        requested_by=requested_by.id if requested_by else None,
    )
    audit.record(
        session,
        requested_by,
        "train",
        "model",
        version.id,
        project_id=project.id,
        tiles=len(tiles),
    )
    return job


def _refuse_the_unteachable(project: Project, tiles: list[AnnotatedTile]) -> None:
    if not tiles:
        raise NothingToTrain(
            "There is no accepted annotation in the pool: annotate a tile first."
        )
    known: set[int] = set()
    for tile in tiles:
        mask = unpack(tile.raster, (tile.box.h, tile.box.w))
        target = training_target(mask, tile.complete_for, project.schema)
        known.update(np.unique(target).tolist())
    known.discard(UNKNOWN)
    if not known:
        raise NothingToTrain(
            "Every annotated pixel is unknown: paint a label or declare tiles complete."
        )
    if len(known) == 1:
        raise NothingToTrain(
            "The annotations show one class only: annotate a tile with another label, "
            "or with background, so that there is something to tell apart."
        )


def prepare(session: Session, job: Job) -> TrainWork:
    """Gather what the training needs; freezes the project's working pixel size."""
    version = jobs.version_of(session, job)
    project = session.get_one(Project, version.project_id)
    tiles = _still_valid(session, version)
    _refuse_the_unteachable(project, tiles)
    validation = annotations.annotated(session, project.id, Split.VALIDATION)
    images = artifacts.stored_images(
        session, {tile.image_id for tile in (*tiles, *validation)}
    )
    # labels may be added later; a sweep's planes are those of this moment
    version.settings = {**version.settings, "values": list(project.schema.values)}
    if project.working_nm is None:
        stated = [image.pixel_nm for image in images if image.pixel_nm is not None]
        project.working_nm = statistics.median(stated) if stated else None
    return TrainWork(
        job_id=job.id,
        fence=job.fence,
        segmenter=version.segmenter,
        settings=version.settings,
        schema=project.schema,
        images=tuple(images),
        tiles=tuple(tiles),
        validation=tuple(validation),
        working_nm=project.working_nm,
        seed=project.seed,
        plans=_plans(session, version),
    )


def _still_valid(session: Session, version: ModelVersion) -> list[AnnotatedTile]:
    """Return the version's tiles; those retracted since the request are dropped."""
    chosen = set(
        session.scalars(
            select(TrainingSetItem.annotation_id).where(
                TrainingSetItem.training_set_id == version.training_set_id
            )
        )
    )
    valid: list[AnnotatedTile] = []
    rows = session.execute(
        select(Annotation, Tile)
        .join(Tile, Tile.id == Annotation.tile_id)
        .where(Annotation.id.in_(chosen))
        .options(undefer(Annotation.raster))
        .order_by(Annotation.created_at, Annotation.id)
    )
    for annotation, tile in rows:
        if annotation.retracted_at or annotation.raster is None:
            item = session.get_one(
                TrainingSetItem, (version.training_set_id, annotation.id)
            )
            session.delete(item)
            continue
        valid.append(annotations.annotated_tile(annotation, tile))
    return valid


def _plans(session: Session, version: ModelVersion) -> StoredTree | None:
    """Return the newest trained model of the same segmenter: its plans are frozen."""
    artifact_id = session.scalar(
        select(ModelVersion.artifact_id)
        .where(
            ModelVersion.project_id == version.project_id,
            ModelVersion.segmenter == version.segmenter,
            ModelVersion.artifact_id.is_not(None),
            ModelVersion.id != version.id,
        )
        .order_by(ModelVersion.ordinal.desc())
        .limit(1)
    )
    return artifacts.tree(session, artifact_id) if artifact_id else None


def conclude(session: Session, job: Job, result: TrainResult) -> None:
    """Make the trained version a candidate and queue its evaluation."""
    version = jobs.version_of(session, job)
    version.artifact_id = artifacts.add_tree(
        session, version.project_id, result.model
    ).id
    version.settings = {**version.settings, **result.settings}
    version.metrics = result.metrics
    version.state = step(MODEL_STEPS, version.state, ModelState.CANDIDATE)
    session.flush()
    _announce(session, version)
    evaluations.request(session, version)


def on_failure(session: Session, job: Job) -> None:
    """Mark the version of a training that ended without a model."""
    version = jobs.version_of(session, job)
    version.state = step(MODEL_STEPS, version.state, ModelState.FAILED)
    session.flush()
    _announce(session, version)


def _announce(session: Session, version: ModelVersion) -> None:
    publish_after_commit(
        session,
        version.project_id,
        Event(EventKind.MODEL, str(version.id), version.state),
    )
