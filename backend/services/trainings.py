"""From accepted annotations to a candidate: what a training learns, what it became."""

import statistics
from collections.abc import Collection, Mapping
from typing import Any

import numpy as np
from sqlalchemy import func, select
from sqlalchemy.orm import Session, undefer

from backend.db import publish_after_commit
from backend.domain.errors import Conflict, NothingToTrain
from backend.domain.events import Event, EventKind
from backend.domain.labels import BACKGROUND, UNKNOWN
from backend.domain.masks import never_ruled_out, unpack, zero_may_be
from backend.domain.states import (
    MODEL_STEPS,
    JobKind,
    ModelState,
    Schedule,
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
from backend.ranker import Measured, class_needs, patch_shares
from backend.schemas.loop import AnnotatedTile, TrainResult, TrainWork
from backend.schemas.project import Training
from backend.schemas.stored import StoredImage, StoredTree
from backend.services import (
    annotations,
    artifacts,
    audit,
    evaluations,
    jobs,
    models,
    quality,
    schedules,
)
from backend.services.access import Principal


def request(
    session: Session,
    project: Project,
    *,
    requested_by: Principal | None = None,
    segmenter: str | None = None,
    settings: Mapping[str, Any] | None = None,
) -> Job:
    """Queue a training on every accepted pool annotation.

    `settings` stand in the place of the project's, `steps` for either schedule. Raises
    NothingToTrain if the annotations cannot teach anything, Conflict if a training of
    the project is under way or it cannot be quick, Invalid if settings contradict.
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
    live = models.live(session, project.id)
    asked = settings or {}
    merged = {**Training.model_validate(project.training).model_dump(), **asked}
    course = schedules.choose(
        session,
        project,
        segmenter,
        list(tile_ids),
        merged,
        live,
        insisted=requested_by is not None and "schedule" in asked,
    )
    if course.schedule is Schedule.QUICK:
        merged["steps"] = asked.get("steps", merged["quick_steps"])
        merged["folds"] = 1
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
        parent_id=live.id if live else None,
        training_set_id=training_set.id,
        settings={**merged, **course.as_settings()},
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
        schedule=course.schedule,
    )
    return job


def _refuse_the_unteachable(project: Project, tiles: list[AnnotatedTile]) -> set[int]:
    """Return the label values that the annotations show."""
    if not tiles:
        raise NothingToTrain(
            "There is no accepted annotation in the pool: annotate a tile first."
        )
    values = project.schema.values
    shown: set[int] = set()
    left = frozenset({BACKGROUND, *values})
    for tile in tiles:
        mask = unpack(tile.raster, (tile.box.h, tile.box.w))
        shown.update(np.unique(mask).tolist())
        may_be = zero_may_be(tile.complete_for, values)
        left &= never_ruled_out([(mask, may_be)], values)
    if left == {BACKGROUND, *values}:
        raise NothingToTrain(
            "Every annotated pixel is unknown: paint a label or declare tiles complete."
        )
    if left:
        raise NothingToTrain(
            "The annotations show one class only: annotate a tile with another label, "
            "or with background, so that there is something to tell apart."
        )
    return shown - {BACKGROUND, UNKNOWN}


def prepare(session: Session, job: Job) -> TrainWork:
    """Gather what the training needs.

    The working pixel size belongs to the plans: it is settled with them.
    """
    version = jobs.version_of(session, job)
    project = session.get_one(Project, version.project_id)
    tiles = _still_valid(session, version)
    known = _refuse_the_unteachable(project, tiles)
    validation = annotations.annotated(session, project.id, Split.VALIDATION)
    images = artifacts.stored_images(
        session, {tile.image_id for tile in (*tiles, *validation)}
    )
    # labels may be added later; a sweep's planes are those of this moment
    version.settings = {**version.settings, "values": list(project.schema.values)}
    start = _start(session, version)
    frozen = None if version.settings.get("replan") else _planned(session, version)
    working_nm = _working_nm(version, project, images, frozen)
    if project.working_nm is None:
        project.working_nm = working_nm
    lessons = [tile.annotation_id for tile in tiles]
    return TrainWork(
        job_id=job.id,
        fence=job.fence,
        segmenter=version.segmenter,
        settings=version.settings,
        schema=project.schema,
        images=tuple(images),
        tiles=tuple(tiles),
        validation=tuple(validation),
        working_nm=working_nm,
        seed=project.seed,
        plans=_weights(session, frozen) if start is None else None,
        start_from=_weights(session, start),
        fresh=schedules.fresh(session, start, lessons) if start else frozenset(),
        emphasis=_emphasis(session, project, known),
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


def _start(session: Session, version: ModelVersion) -> ModelVersion | None:
    """Return the version that a quick training goes on from."""
    if version.settings.get("schedule") != Schedule.QUICK:
        return None
    start = session.get_one(ModelVersion, version.parent_id)
    if start.tainted_at is not None:
        raise Conflict(
            f"Data that round {start.ordinal} learnt from was withdrawn before this "
            "training could go on from it; start a training again."
        )
    return start


def _planned(session: Session, version: ModelVersion) -> ModelVersion | None:
    """Return a trained version whose plans this one is to keep to."""
    trained = schedules.planned(session, version.project_id, version.segmenter)
    mine = schedules.plans_version(version)
    return next((v for v in trained if schedules.plans_version(v) == mine), None)


def _working_nm(
    version: ModelVersion,
    project: Project,
    images: Collection[StoredImage],
    frozen: ModelVersion | None,
) -> float | None:
    """Return the pixel size of the plans, or the median of what images state.

    Plans made when no image stated one stay without: their pixels are as they are.
    """
    if frozen is not None and "working_nm" in frozen.settings:
        settled: Any = frozen.settings["working_nm"]
        return None if settled is None else float(settled)
    if project.working_nm is not None and not version.settings.get("replan"):
        return project.working_nm
    stated = [image.pixel_nm for image in images if image.pixel_nm is not None]
    return statistics.median(stated) if stated else None


def _weights(session: Session, version: ModelVersion | None) -> StoredTree | None:
    if version is None or version.artifact_id is None:
        return None
    return artifacts.tree(session, version.artifact_id)


def _emphasis(
    session: Session, project: Project, known: Collection[int]
) -> dict[int, float]:
    """Share out the patches by what the live version's figures say is needed."""
    live = models.live(session, project.id)
    rows = quality.of_version(session, live.id, Split.VALIDATION) if live else []
    measured = {
        row.value: Measured(
            quality.counts(row).recall, quality.counts(row).dice, row.tiles
        )
        for row in rows
    }
    needs = class_needs(project.schema, measured)
    return patch_shares(project.schema, needs, known)


def conclude(session: Session, job: Job, result: TrainResult) -> None:
    """Make the trained version a candidate and queue its evaluation."""
    version = jobs.version_of(session, job)
    version.artifact_id = artifacts.add_tree(
        session, version.project_id, result.model
    ).id
    plans = _plans(version, result)
    version.settings = {**version.settings, **result.settings, **plans}
    if version.settings.get("replan"):
        project = session.get_one(Project, version.project_id)
        working_nm: Any = version.settings.get("working_nm")
        project.working_nm = working_nm
    version.metrics = result.metrics
    version.state = step(MODEL_STEPS, version.state, ModelState.CANDIDATE)
    session.flush()
    _announce(session, version)
    evaluations.request(session, version)


def _plans(version: ModelVersion, result: TrainResult) -> dict[str, object]:
    """Return the number and the hash of the plans that a model keeps to."""
    file = result.model.manifest.get("plans.json")
    if file is None:
        return {}
    number = schedules.plans_version(version)
    return {"plans": {"version": number, "sha256": file["sha256"]}}


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
