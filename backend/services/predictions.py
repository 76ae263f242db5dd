"""Sweeps of a model over the project's images, and the rows that show them."""

import datetime as dt
import uuid

from sqlalchemy import delete, or_, select
from sqlalchemy.dialects.postgresql import distinct_on
from sqlalchemy.orm import Session

from backend.db import publish_after_commit
from backend.domain.errors import Conflict, Invalid
from backend.domain.events import Event, EventKind
from backend.domain.states import ImageState, JobKind, ModelState, Split
from backend.models import Artifact, Image, Job, ModelVersion, Prediction, Project
from backend.schemas.loop import AnnotatedTile, SweepResult, SweepWork
from backend.schemas.stored import StoredImage
from backend.services import artifacts, jobs, quality, queries
from backend.services.access import Principal, now

KEPT_AFTER_SUPERSEDED = dt.timedelta(days=1)


def request(
    session: Session,
    version: ModelVersion,
    *,
    image_ids: list[uuid.UUID] | None = None,
    requested_by: uuid.UUID | None = None,
) -> Job:
    """Queue sweeps of every image that is not of split `none`, or of chosen images."""
    if image_ids is None:
        return _enqueue(session, version, f"predict:{version.id}", requested_by)
    return _enqueue(
        session, version, None, requested_by, image_ids=[str(id) for id in image_ids]
    )


def _enqueue(
    session: Session,
    version: ModelVersion,
    dedupe_key: str | None,
    requested_by: uuid.UUID | None,
    **payload: object,
) -> Job:
    return jobs.enqueue(
        session,
        JobKind.PREDICT,
        jobs.lane_of(version.segmenter),
        {"model_version_id": str(version.id), **payload},
        project_id=version.project_id,
        dedupe_key=dedupe_key,
        requested_by=requested_by,
    )


def request_images(
    session: Session,
    principal: Principal,
    version: ModelVersion,
    image_ids: list[uuid.UUID],
) -> Job:
    """Queue sweeps of images somebody chose, of any split.

    Raises Invalid if one is not a ready image of the project, Conflict if the version
    has no weights.
    """
    if version.artifact_id is None:
        raise Conflict(
            f"Round {version.ordinal} is {version.state} and has no weights; "
            "choose a trained version."
        )
    ready = set(
        session.scalars(
            select(Image.id).where(
                Image.project_id == version.project_id,
                Image.state == ImageState.READY,
                Image.id.in_(image_ids),
            )
        )
    )
    others = [str(id) for id in image_ids if id not in ready]
    if others:
        raise Invalid(
            f"Not ready images of this project: {', '.join(others[:5])}.",
            field="image_ids",
        )
    return request(
        session,
        version,
        image_ids=list(dict.fromkeys(image_ids)),
        requested_by=principal.id,
    )


def go_on(session: Session, version: ModelVersion) -> Job:
    """Queue sweeps of what the version has not seen when that job starts.

    Never refused: a job that runs already may end without a look at what changed. A
    job that finds nothing left to sweep costs nothing and still leads to a new order.
    """
    return _enqueue(session, version, None, None)


def missing(session: Session, version: ModelVersion) -> list[uuid.UUID]:
    """Return the ready images of the project that the version has not swept yet."""
    swept = select(Prediction.image_id).where(Prediction.model_version_id == version.id)
    return list(
        session.scalars(
            select(Image.id)
            .where(
                Image.project_id == version.project_id,
                Image.state == ImageState.READY,
                Image.split != Split.NONE,
                Image.id.not_in(swept),
            )
            .order_by(Image.created_at, Image.id)
        )
    )


def prepare(session: Session, job: Job) -> SweepWork:
    """Gather the model and the images it still has to sweep."""
    version = jobs.version_of(session, job)
    chosen = job.payload.get("image_ids")
    if isinstance(chosen, list):
        ids = [uuid.UUID(str(id)) for id in chosen]
    else:
        ids = missing(session, version)
    images = artifacts.stored_images(session, ids)
    return sweep_work(session, job, version, images)


def sweep_work(
    session: Session,
    job: Job,
    version: ModelVersion,
    images: list[StoredImage],
    truth: tuple[AnnotatedTile, ...] = (),
) -> SweepWork:
    """Return the value a sweeping step takes."""
    project = session.get_one(Project, version.project_id)
    if version.artifact_id is None:
        raise ValueError(f"model version {version.id} has no weights")
    return SweepWork(
        job_id=job.id,
        fence=job.fence,
        segmenter=version.segmenter,
        settings=version.settings,
        model=artifacts.tree(session, version.artifact_id),
        schema=project.schema,
        tile_size=project.tile_size,
        images=tuple(images),
        truth=truth,
        offsets=quality.served_offsets(version),
    )


def keep(session: Session, version: ModelVersion, result: SweepResult) -> None:
    """Record sweeps; a newer sweep of the same image takes the older one's place."""
    for swept in result.images:
        image = session.get_one(Image, swept.image_id)
        if image.state is not ImageState.READY:
            continue  # deleted while we swept: nothing of it may come back
        artifact = artifacts.add_tree(session, version.project_id, swept.sweep)
        session.execute(
            delete(Prediction).where(
                Prediction.model_version_id == version.id,
                Prediction.image_id == swept.image_id,
            )
        )
        session.add(
            Prediction(
                project_id=version.project_id,
                model_version_id=version.id,
                image_id=swept.image_id,
                artifact_id=artifact.id,
                members=swept.members,
                seconds=swept.seconds,
                label_pixels=dict(swept.label_pixels),
            )
        )
    session.flush()


def forget(session: Session, version: ModelVersion) -> None:
    """Delete all sweeps of a version."""
    swept = session.scalars(
        delete(Prediction)
        .where(Prediction.model_version_id == version.id)
        .returning(Prediction.artifact_id)
    ).all()
    artifacts.discard(session, swept)


def conclude(session: Session, job: Job, result: SweepResult) -> None:
    """Keep the sweeps; the live version's lead on to a new order of tiles.

    What was decided with other offsets than the version has by now is swept again.
    """
    version = jobs.version_of(session, job)
    if dict(result.offsets) != quality.served_offsets(version):
        _enqueue(
            session,
            version,
            None,
            job.requested_by,
            **{k: v for k, v in job.payload.items() if k != "model_version_id"},
        )
        return
    keep(session, version, result)
    publish_after_commit(
        session,
        version.project_id,
        Event(EventKind.MODEL, str(version.id), "predicted"),
    )
    if version.state is ModelState.LIVE and "image_ids" not in job.payload:
        queries.request_score(session, version)
        if missing(session, version):  # images that came while we swept
            go_on(session, version)


def collect(session: Session) -> list[str]:
    """Delete predictions of versions superseded for over a day; return their prefixes.

    The live version's and the previously live version's stay, so that a rollback is
    served at once.
    """
    previous = (
        select(ModelVersion.id)
        .where(ModelVersion.state == ModelState.RETIRED)
        .ext(distinct_on(ModelVersion.project_id))
        .order_by(ModelVersion.project_id, ModelVersion.retired_at.desc())
        .subquery()
    )
    limit = now() - KEPT_AFTER_SUPERSEDED
    rows = session.execute(
        select(Prediction, Artifact)
        .join(ModelVersion, ModelVersion.id == Prediction.model_version_id)
        .join(Artifact, Artifact.id == Prediction.artifact_id)
        .where(
            ModelVersion.state != ModelState.LIVE,
            ModelVersion.id.not_in(select(previous.c.id)),
            Prediction.created_at < limit,
            or_(ModelVersion.retired_at.is_(None), ModelVersion.retired_at < limit),
        )
    ).all()
    prefixes = []
    for prediction, artifact in rows:
        prefixes.append(artifact.key)
        artifact.deleted_at = now()
        session.delete(prediction)
    session.flush()
    return prefixes
