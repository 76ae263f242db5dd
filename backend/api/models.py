"""Trainings and model versions: what was learnt, how good it is, which one serves."""

import uuid
from collections.abc import Sequence
from typing import Annotated, Literal

from fastapi import Body, Query, Response, status
from fastapi.responses import StreamingResponse
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from backend.api.archive import zip_answer
from backend.api.deps import (
    Cursor,
    DatabaseDep,
    Limit,
    PrincipalDep,
    SessionDep,
    StoreDep,
    StreamPrincipalDep,
)
from backend.api.projects import Key
from backend.api.routing import guarded, streaming
from backend.domain.errors import Conflict, NotFound
from backend.domain.states import Role, Split
from backend.models import (
    Annotation,
    ModelVersion,
    Prediction,
    Project,
    Tile,
    TrainingSetItem,
    User,
)
from backend.schemas.base import Page
from backend.schemas.job import JobView
from backend.schemas.model import CurvesView, LessonView, ModelView, NewTraining
from backend.services import (
    access,
    artifacts,
    models,
    packages,
    pages,
    quality,
    schedules,
    trainings,
)

router = guarded("models")
streams = streaming("models")


@router.post("/projects/{project}/trainings", status_code=status.HTTP_202_ACCEPTED)
def train(
    project: Key,
    body: Annotated[
        NewTraining,
        Body(
            openapi_examples={
                "short": {"value": {"steps": 300, "minutes": 10}},
                "from scratch": {"value": {"schedule": "full"}},
                "new plans": {"value": {"replan": True}},
            }
        ),
    ],
    session: SessionDep,
    principal: PrincipalDep,
    response: Response,
) -> JobView:
    """Train on every accepted annotation of the pool (manager).

    What is left out comes from the project. `replan` lets nnU-Net plan anew.
    """
    row = access.project(session, principal, project, Role.MANAGER)
    job = trainings.request(
        session,
        row,
        requested_by=principal,
        segmenter=body.segmenter,
        settings=body.model_dump(
            exclude={"segmenter"}, exclude_none=True, exclude_defaults=True
        ),
    )
    response.headers["Location"] = f"/api/v1/jobs/{job.id}"
    return JobView.model_validate(job)


@router.get("/projects/{project}/models")
def list_models(
    project: Key,
    session: SessionDep,
    principal: PrincipalDep,
    cursor: Cursor = None,
    limit: Limit = 50,
) -> Page[ModelView]:
    """List a project's model versions, newest first."""
    row = access.project(session, principal, project, Role.VIEWER)
    statement = select(ModelVersion).where(ModelVersion.project_id == row.id)
    found, following = pages.page(session, statement, ModelVersion, cursor, limit)
    return Page(items=_views(session, row, found), next=following)


@router.get("/models/{model}")
def get_model(
    model: uuid.UUID, session: SessionDep, principal: PrincipalDep
) -> ModelView:
    """Return one model version."""
    return _view(
        session, access.load(session, principal, ModelVersion, model, Role.VIEWER)
    )


@router.get("/projects/{project}/models/{model}/precision-recall")
def get_curves(
    project: Key,
    model: uuid.UUID,
    session: SessionDep,
    principal: PrincipalDep,
    split: Annotated[
        Literal[Split.VALIDATION, Split.TEST],
        Query(description="Of which tiles; offsets were chosen on validation ones."),
    ] = Split.VALIDATION,
) -> CurvesView:
    """Return precision over recall of each label, and where on it a version serves."""
    row = access.project(session, principal, project, Role.VIEWER)
    version = access.load(session, principal, ModelVersion, model, Role.VIEWER)
    if version.project_id != row.id:
        raise NotFound("This project has no such version; look it up in its list.")
    return quality.curves(session, row, version, split)


@router.get("/models/{model}/training-set")
def get_training_set(
    model: uuid.UUID,
    session: SessionDep,
    principal: PrincipalDep,
    cursor: Cursor = None,
    limit: Limit = 50,
) -> Page[LessonView]:
    """List the annotations a version learnt from, newest first."""
    row = access.load(session, principal, ModelVersion, model, Role.VIEWER)
    statement = (
        select(Annotation)
        .join(TrainingSetItem, TrainingSetItem.annotation_id == Annotation.id)
        .where(TrainingSetItem.training_set_id == row.training_set_id)
    )
    found, following = pages.page(session, statement, Annotation, cursor, limit)
    images = dict(
        session.execute(
            select(Tile.id, Tile.image_id).where(
                Tile.id.in_([a.tile_id for a in found])
            )
        ).all()
    )
    people = dict(
        session.execute(
            select(User.id, User.name).where(User.id.in_([a.author_id for a in found]))
        ).all()
    )
    lessons = [
        LessonView(
            annotation_id=annotation.id,
            revision=annotation.revision,
            tile_id=annotation.tile_id,
            image_id=images[annotation.tile_id],
            author_id=annotation.author_id,
            author=people.get(annotation.author_id) if annotation.author_id else None,
            active_seconds=annotation.active_seconds,
            imported=annotation.imported,
            created_at=annotation.created_at,
            retracted_at=annotation.retracted_at,
            erased_at=annotation.erased_at,
        )
        for annotation in found
    ]
    return Page(items=lessons, next=following)


@router.post("/models/{model}/promote")
def promote(
    model: uuid.UUID, session: SessionDep, principal: PrincipalDep
) -> ModelView:
    """Make a candidate, or a retired version, the one that serves (manager)."""
    row = access.load(session, principal, ModelVersion, model, Role.MANAGER)
    return _view(session, models.promote(session, principal, row))


@router.post("/models/{model}/reject")
def reject(model: uuid.UUID, session: SessionDep, principal: PrincipalDep) -> ModelView:
    """Set a candidate aside for good (manager)."""
    row = access.load(session, principal, ModelVersion, model, Role.MANAGER, lock=True)
    return _view(session, models.reject(session, principal, row))


@router.post("/projects/{project}/rollback")
def rollback(project: Key, session: SessionDep, principal: PrincipalDep) -> ModelView:
    """Make the version that served before serve again (manager)."""
    row = access.project(session, principal, project, Role.MANAGER)
    return _view(session, models.rollback(session, principal, row))


@streams.get(
    "/models/{model}/download",
    response_class=StreamingResponse,
    responses={200: {"content": {"application/zip": {}}}},
)
def download(
    model: uuid.UUID,
    principal: StreamPrincipalDep,
    database: DatabaseDep,
    store: StoreDep,
    format: Annotated[
        Literal["folder", "nnunet"],
        Query(description="`nnunet`: as nnU-Net's own commands export a model."),
    ] = "folder",
) -> StreamingResponse:
    """Download the model's folder as a zip, as it is or as nnU-Net installs it.

    If it is served with logit offsets, `operating_point.json` beside its files says so.
    """
    with database.unit_of_work() as session:
        row = access.load(session, principal, ModelVersion, model, Role.VIEWER)
        if row.artifact_id is None:
            raise Conflict(
                f"Round {row.ordinal} is {row.state} and has no weights to download."
            )
        slug = session.get_one(Project, row.project_id).slug
        place: str | None = None
        if format == "nnunet":
            place, tree = packages.stock(session, row)
        else:
            tree = artifacts.tree(session, row.artifact_id)
        notes = packages.notes(session, row)
    return zip_answer(store, tree, f"{slug}-round-{row.ordinal}", place, notes)


def _view(session: Session, row: ModelVersion) -> ModelView:
    project = session.get_one(Project, row.project_id)
    return _views(session, project, [row])[0]


def _views(
    session: Session, project: Project, rows: Sequence[ModelVersion]
) -> list[ModelView]:
    tables = quality.of_versions(session, project, [row.id for row in rows])
    names = {label.value: label.name for label in project.labels}
    tiles = dict(
        session.execute(
            select(TrainingSetItem.training_set_id, func.count())
            .where(
                TrainingSetItem.training_set_id.in_([r.training_set_id for r in rows])
            )
            .group_by(TrainingSetItem.training_set_id)
        ).all()
    )
    swept = dict(
        session.execute(
            select(Prediction.model_version_id, func.count())
            .where(Prediction.model_version_id.in_([row.id for row in rows]))
            .group_by(Prediction.model_version_id)
        ).all()
    )
    return [
        ModelView.model_validate(
            {
                "id": row.id,
                "project_id": row.project_id,
                "ordinal": row.ordinal,
                "state": row.state,
                "segmenter": row.segmenter,
                "settings": row.settings,
                "metrics": row.metrics,
                "schedule": row.settings.get("schedule"),
                "schedule_reason": row.settings.get("schedule_reason"),
                "plans_version": _plans_version(row),
                "warnings": row.metrics.get("warnings", []),
                "quality": tables.get(row.id, {}),
                "offsets": {
                    names[value]: offset
                    for value, offset in quality.served_offsets(row).items()
                },
                "parent_id": row.parent_id,
                "training_set_id": row.training_set_id,
                "tiles": tiles.get(row.training_set_id, 0),
                "predictions": swept.get(row.id, 0),
                "tainted_at": row.tainted_at,
                "created_at": row.created_at,
                "promoted_at": row.promoted_at,
                "retired_at": row.retired_at,
            }
        )
        for row in rows
    ]


def _plans_version(row: ModelVersion) -> int | None:
    is_planned = row.segmenter != "forest" and row.artifact_id is not None
    return schedules.plans_version(row) if is_planned else None
