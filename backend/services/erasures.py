"""Erasing an image whose donor withdraws consent: bytes go, lineage stays."""

import uuid

from sqlalchemy import delete, select, update
from sqlalchemy.orm import Session

from backend.domain.states import (
    ImageState,
    JobKind,
    JobState,
    Schedule,
    TaskState,
)
from backend.models import (
    Annotation,
    Comment,
    Draft,
    GoldTile,
    Image,
    Job,
    ModelVersion,
    Prediction,
    Task,
    Tile,
    TrainingSetItem,
)
from backend.services import artifacts, audit, downloads, images, jobs
from backend.services.access import Principal, now


def erase(session: Session, principal: Principal, id: uuid.UUID) -> None:
    """Delete an image and all that shows it; its row keeps id and hash.

    Models that learnt from it stay, marked as tainted. Bytes go after the commit,
    unless another project shares the image: who withdraws it everywhere deletes it
    there too, and finds it by its hash.
    """
    # jobs before images, as the conclusion of an ingest takes them
    pending = session.scalars(
        select(Job)
        .where(
            Job.kind == JobKind.INGEST,
            Job.payload["image_id"].astext == str(id),
            Job.state.in_((JobState.QUEUED, JobState.RUNNING)),
        )
        .with_for_update()
    ).all()
    image = session.get_one(Image, id, with_for_update=True, populate_existing=True)
    if image.state is ImageState.DELETED:
        return
    image.state, image.deleted_at = ImageState.DELETED, now()
    shown = session.scalars(
        delete(Prediction)
        .where(Prediction.image_id == id)
        .returning(Prediction.artifact_id)
    ).all()
    bytes_of_it = [image.original_id, image.pyramid_id]
    image.original_id = image.pyramid_id = None
    session.flush()
    artifacts.discard(session, [*bytes_of_it, *shown])
    for job in pending:
        jobs.cancel(session, principal, job)
    _erase_people_s_work(session, id)
    # exports hold copies of the project's images
    downloads.forget(session, image.project_id, JobKind.EXPORT)
    audit.record(
        session,
        principal,
        "delete",
        "image",
        id,
        project_id=image.project_id,
        sha256=image.sha256,
    )
    session.flush()
    images.announce(session, image)


def _erase_people_s_work(session: Session, image_id: uuid.UUID) -> None:
    own = select(Tile.id).where(Tile.image_id == image_id)
    # a submit holds its tile's row: it comes before this and is erased, or after
    session.execute(own.order_by(Tile.id).with_for_update())
    learnt_from = (
        select(TrainingSetItem.training_set_id)
        .join(Annotation, Annotation.id == TrainingSetItem.annotation_id)
        .where(Annotation.tile_id.in_(own))
    )
    session.execute(
        update(ModelVersion)
        .where(
            ModelVersion.training_set_id.in_(learnt_from),
            ModelVersion.tainted_at.is_(None),
        )
        .values(tainted_at=now())
    )
    _taint_heirs(session, image_id)
    session.execute(
        update(Annotation)
        .where(Annotation.tile_id.in_(own), Annotation.erased_at.is_(None))
        .values(raster=None, erased_at=now())
    )
    session.execute(delete(Draft).where(Draft.tile_id.in_(own)))
    session.execute(delete(Comment).where(Comment.tile_id.in_(own)))
    session.execute(delete(GoldTile).where(GoldTile.tile_id.in_(own)))
    session.execute(
        update(Task)
        .where(Task.tile_id.in_(own), Task.comment.is_not(None))
        .values(comment=None)
    )
    session.execute(
        update(Task)
        .where(
            Task.tile_id.in_(own),
            Task.state.in_((TaskState.OPEN, TaskState.CLAIMED)),
        )
        .values(state=TaskState.WITHDRAWN, lease_until=None, updated_at=now())
    )


def _taint_heirs(session: Session, image_id: uuid.UUID) -> None:
    """Mark versions whose training went on from the weights of a marked one."""
    project = select(Image.project_id).where(Image.id == image_id).scalar_subquery()
    tainted = select(ModelVersion.id).where(
        ModelVersion.project_id == project, ModelVersion.tainted_at.is_not(None)
    )
    heirs = (
        update(ModelVersion)
        .where(
            ModelVersion.parent_id.in_(tainted),
            ModelVersion.settings["schedule"].astext == Schedule.QUICK,
            ModelVersion.tainted_at.is_(None),
        )
        .values(tainted_at=now())
        .returning(ModelVersion.id)
    )
    while session.scalars(heirs).all():
        pass
