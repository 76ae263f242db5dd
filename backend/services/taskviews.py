"""Tasks as their assignees see them: the tile, the reason, the pre-label to start from.

Gold and control tasks cannot be told from others here, and a blind one differs only by
the missing pre-label.
"""

import uuid
from collections.abc import Collection, Mapping, Sequence

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from backend.domain.states import (
    ImageState,
    JobKind,
    JobState,
    ModelState,
    TaskKind,
    TaskState,
)
from backend.models import (
    Annotation,
    Image,
    Job,
    ModelVersion,
    Prediction,
    Project,
    QueryTile,
    Task,
    Tile,
)
from backend.schemas.task import AnnotationView, BoxView, TaskView, TileView
from backend.services import annotationviews

PLAIN_REASON = "Next in the project's queue."
TILELESS = (JobKind.EXPORT, JobKind.PACKAGE)
"""Jobs that no new order of tiles comes of."""


def tile_view(tile: Tile) -> TileView:
    """Return a tile with its box."""
    return TileView(
        id=tile.id,
        image_id=tile.image_id,
        position=tile.position,
        box=BoxView(y=tile.y, x=tile.x, h=tile.h, w=tile.w),
        split=tile.split,
    )


def view(session: Session, task: Task) -> TaskView:
    """Return one task's view."""
    return views(session, [task])[0]


def views(session: Session, tasks: Sequence[Task]) -> list[TaskView]:
    """Return the views of tasks in their order, in a fixed number of queries."""
    found = session.scalars(
        select(Tile).where(Tile.id.in_({task.tile_id for task in tasks}))
    )
    tiles = {tile.id: tile for tile in found}
    reasons = _reasons(session, tasks)
    shown = _predictions(session, {tile.image_id for tile in tiles.values()})
    people = {task.assignee_id for task in tasks if task.assignee_id}
    names = annotationviews.names_of(session, people)
    judged = _under_review(session, tasks)
    return [
        TaskView(
            id=task.id,
            project_id=task.project_id,
            tile=tile_view(tiles[task.tile_id]),
            kind=task.kind,
            state=task.state,
            rank=task.rank,
            reason=reasons.get((task.query_id, task.tile_id), PLAIN_REASON),
            complete_for=task.complete_for,
            assignee_id=task.assignee_id,
            assignee=names.get(task.assignee_id),
            lease_until=task.lease_until,
            annotation_id=task.annotation_id,
            under_review=judged.get(task.annotation_id),
            prediction_id=_prelabel(
                task, judged, shown.get(tiles[task.tile_id].image_id)
            ),
            skip_reason=task.skip_reason,
            comment=task.comment,
            created_at=task.created_at,
        )
        for task in tasks
    ]


def _prelabel(
    task: Task,
    judged: Mapping[uuid.UUID | None, AnnotationView],
    live: uuid.UUID | None,
) -> uuid.UUID | None:
    """Return the prediction to show: of a review, what its author was shown if any."""
    if task.kind is TaskKind.REVIEW:
        revision = judged.get(task.annotation_id)
        return revision.prediction_id if revision else None
    return None if task.blind else live


def why_empty(session: Session, project: Project, kind: TaskKind) -> str:
    """Say in one sentence why the queue gave nothing more."""
    if kind is TaskKind.REVIEW:
        return "Nothing waits for review, or only your own annotations do."
    ready = session.scalar(
        select(func.count())
        .select_from(Image)
        .where(Image.project_id == project.id, Image.state == ImageState.READY)
    )
    if not ready:
        return "The project has no image that is ready yet."
    busy = session.scalars(
        select(Job.kind)
        .where(
            Job.project_id == project.id,
            Job.state.in_((JobState.QUEUED, JobState.RUNNING)),
            Job.kind.not_in(TILELESS),
        )
        .distinct()
    ).all()
    if busy:
        kinds = ", ".join(sorted(busy))
        return f"Every asked tile is taken; new ones follow when this ends: {kinds}."
    others = session.scalar(
        select(func.count())
        .select_from(Task)
        .where(
            Task.project_id == project.id,
            Task.kind == kind,
            Task.state == TaskState.CLAIMED,
        )
    )
    if others:
        return f"All open tiles are in people's hands now ({others} claimed)."
    return "Every tile the ranker asked for is done; train again to get a new order."


def _reasons(
    session: Session, tasks: Sequence[Task]
) -> dict[tuple[uuid.UUID | None, uuid.UUID], str]:
    """Return the ranker's reason per (query, tile), for tasks that came of a Query."""
    asked = [task for task in tasks if task.query_id]
    rows = session.execute(
        select(QueryTile.query_id, QueryTile.tile_id, QueryTile.reason).where(
            QueryTile.query_id.in_({task.query_id for task in asked}),
            QueryTile.tile_id.in_({task.tile_id for task in asked}),
        )
    )
    return {(query, tile): reason for query, tile, reason in rows}


def _under_review(
    session: Session, tasks: Sequence[Task]
) -> dict[uuid.UUID | None, AnnotationView]:
    asked = {task.annotation_id for task in tasks if task.annotation_id}
    if not asked:
        return {}
    rows = session.scalars(select(Annotation).where(Annotation.id.in_(asked))).all()
    return {view.id: view for view in annotationviews.views(session, rows)}


def _predictions(
    session: Session, image_ids: Collection[uuid.UUID]
) -> dict[uuid.UUID, uuid.UUID]:
    """Return the live version's prediction of each image, if it has one."""
    rows = session.execute(
        select(Prediction.image_id, Prediction.id)
        .join(ModelVersion, ModelVersion.id == Prediction.model_version_id)
        .where(
            Prediction.image_id.in_(image_ids), ModelVersion.state == ModelState.LIVE
        )
    )
    return dict(rows.all())
