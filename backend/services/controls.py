"""Control tiles: drawn by chance, to see what the ranker does not look at.

Every second one joins the validation set once people have painted it.
"""

import uuid

from sqlalchemy import Select, and_, distinct, exists, func, or_, select
from sqlalchemy.orm import Session, aliased

from backend.domain.states import Split, TaskKind, TaskSource
from backend.models import (
    Annotation,
    Image,
    QueryTile,
    Task,
    Tile,
    TrainingSetItem,
)
from backend.services import audit, tiles
from backend.services.access import Principal

CONTROL, VALIDATION = "control", "control-validation"
"""Components of a ranking that choose control tiles; the second kind is never learnt
from."""
COMPONENTS = frozenset({CONTROL, VALIDATION})


def source_of(component: str | None, otherwise: TaskSource) -> TaskSource:
    """Return why a task exists whose tile this component of a ranking chose."""
    return TaskSource.CONTROL if component in COMPONENTS else otherwise


def join_validation(session: Session, principal: Principal, row: Annotation) -> bool:
    """Move the tile of an accepted revision to the validation set if it was drawn so.

    A tile that a training has learnt from stays where it is. Returns whether it moved.
    """
    task = asked_for(session, row)
    if task is None or task.source is not TaskSource.CONTROL:
        return False
    component = session.scalar(
        select(QueryTile.parts["component"].astext).where(
            QueryTile.query_id == task.query_id, QueryTile.tile_id == task.tile_id
        )
    )
    if component != VALIDATION:
        return False
    # under this lock no training set can take the tile in
    tile = tiles.hold(session, row.tile_id)
    learnt = exists().where(TrainingSetItem.tile_id == tile.id)
    if tile.split is not Split.POOL or session.scalar(select(learnt)):
        return False
    tile.split = Split.VALIDATION
    session.flush()
    audit.record(
        session,
        principal,
        "join validation",
        "tile",
        tile.id,
        project_id=row.project_id,
        annotation=str(row.id),
    )
    return True


def asked_for(session: Session, row: Annotation) -> Task | None:
    """Return the task to annotate that a revision, or a reviewer's own, answers."""
    task = session.get(Task, row.task_id) if row.task_id else None
    if task is not None and task.kind is TaskKind.REVIEW:
        judged = session.get_one(Annotation, task.annotation_id)
        task = session.get(Task, judged.task_id) if judged.task_id else None
    return task


def accepted(session: Session, project_id: uuid.UUID) -> int:
    """Count the control tiles that people have painted so far."""
    found = session.scalar(
        select(func.count(distinct(Task.tile_id)))
        .join(Annotation, Annotation.tile_id == Task.tile_id)
        .where(
            Task.project_id == project_id,
            Task.source == TaskSource.CONTROL,
            Task.kind == TaskKind.ANNOTATE,
            Annotation.accepted_at.is_not(None),
            Annotation.retracted_at.is_(None),
        )
    )
    return found or 0


def beside_validation(project_id: uuid.UUID) -> Select[uuid.UUID]:
    """Select the pool tiles that share an edge with a tile that joined validation.

    What crosses the edge would be learnt on one side and measured on the other.
    """
    joined = aliased(Tile)
    above = and_(
        Tile.x == joined.x,
        or_(Tile.y + Tile.h == joined.y, joined.y + joined.h == Tile.y),
    )
    beside = and_(
        Tile.y == joined.y,
        or_(Tile.x + Tile.w == joined.x, joined.x + joined.w == Tile.x),
    )
    return (
        select(Tile.id)
        .join(joined, joined.image_id == Tile.image_id)
        .join(Image, Image.id == joined.image_id)
        .where(
            joined.project_id == project_id,
            joined.split == Split.VALIDATION,
            Image.split == Split.POOL,
            Tile.split == Split.POOL,
            or_(above, beside),
        )
    )
