"""What has become of tiles: free, in somebody's hands, or annotated."""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import ColumnElement, String, and_, case, cast, literal, select
from sqlalchemy.orm import Session

from backend.domain.states import CHECKS, TaskKind, TaskState
from backend.models import Annotation, Task, Tile
from backend.schemas.query import TileState

_IN_WORK: dict[TaskState, TileState] = {
    TaskState.OPEN: "open",
    TaskState.CLAIMED: "claimed",
    TaskState.SUBMITTED: "submitted",
    TaskState.RETURNED: "returned",
    TaskState.SKIPPED: "skipped",
}
_ACCEPTED = and_(
    Annotation.accepted_at.is_not(None),
    Annotation.retracted_at.is_(None),
    Annotation.erased_at.is_(None),
)
_ASKED = and_(
    Task.kind == TaskKind.ANNOTATE,
    Task.source.not_in(CHECKS),
    Task.state.in_(_IN_WORK),
)
_NEWEST: ColumnElement[uuid.UUID] = (
    select(Annotation.id)
    .where(Annotation.tile_id == Tile.id, _ACCEPTED)
    .order_by(Annotation.revision.desc())
    .limit(1)
    .correlate(Tile)
    .scalar_subquery()
)
_TASK: ColumnElement[str] = (
    select(cast(Task.state, String))
    .where(Task.tile_id == Tile.id, _ASKED)
    .order_by(Task.state == TaskState.SKIPPED, Task.created_at)
    .limit(1)
    .correlate(Tile)
    .scalar_subquery()
)
# a task in somebody's hands says more than an annotation there was before, and an
# annotation more than a skip
_STATE: ColumnElement[TileState] = case(
    (_TASK.not_in([TaskState.SKIPPED.value]), _TASK),
    (_NEWEST.is_not(None), literal("annotated")),
    (_TASK.is_not(None), _TASK),
    else_=literal("free"),
)


@dataclass(frozen=True, slots=True)
class Standing:
    """A tile's state and its newest accepted annotation."""

    state: TileState
    annotation_id: uuid.UUID | None


def of(session: Session, tile_ids: Sequence[uuid.UUID]) -> dict[uuid.UUID, Standing]:
    """Return the standing of each tile."""
    rows = session.execute(
        select(Tile.id, _STATE, _NEWEST).where(Tile.id.in_(tile_ids))
    )
    return {id: Standing(state, newest) for id, state, newest in rows}


def stand(project_id: uuid.UUID, state: TileState) -> ColumnElement[bool]:
    """Say which tiles of a project stand so, for a statement on tiles."""
    if state == "free":
        return _STATE.in_([state])
    # few of a large pool's tiles: found by their own rows, not by looking at every tile
    found = select(Task.tile_id).where(
        Task.project_id == project_id, _ASKED, Task.state == state
    )
    if state == "annotated":
        found = select(Annotation.tile_id).where(
            Annotation.project_id == project_id, _ACCEPTED
        )
    return and_(Tile.id.in_(found), _STATE.in_([state]))
