"""What has become of tiles: free, in somebody's hands, or annotated."""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import distinct_on
from sqlalchemy.orm import Session

from backend.domain.states import CHECKS, TaskKind, TaskState
from backend.models import Annotation, Task
from backend.schemas.query import TileState

_IN_WORK: dict[TaskState, TileState] = {
    TaskState.OPEN: "open",
    TaskState.CLAIMED: "claimed",
    TaskState.SUBMITTED: "submitted",
    TaskState.RETURNED: "returned",
    TaskState.SKIPPED: "skipped",
}


@dataclass(frozen=True, slots=True)
class Standing:
    """A tile's state and its newest accepted annotation."""

    state: TileState
    annotation_id: uuid.UUID | None


def of(session: Session, tile_ids: Sequence[uuid.UUID]) -> dict[uuid.UUID, Standing]:
    """Return the standing of each tile.

    A task in somebody's hands says more than an annotation there was before, and an
    annotation more than a skip.
    """
    annotated = dict(
        session.execute(
            select(Annotation.tile_id, Annotation.id)
            .where(
                Annotation.tile_id.in_(tile_ids),
                Annotation.accepted_at.is_not(None),
                Annotation.retracted_at.is_(None),
                Annotation.erased_at.is_(None),
            )
            .ext(distinct_on(Annotation.tile_id))
            .order_by(Annotation.tile_id, Annotation.revision.desc())
        ).all()
    )
    tasks: dict[uuid.UUID, TaskState] = {}
    for tile_id, found in session.execute(
        select(Task.tile_id, Task.state)
        .where(
            Task.tile_id.in_(tile_ids),
            Task.kind == TaskKind.ANNOTATE,
            Task.source.not_in(CHECKS),
            Task.state.in_(_IN_WORK),
        )
        .order_by(Task.created_at)
    ):
        if tasks.get(tile_id) in (None, TaskState.SKIPPED):
            tasks[tile_id] = found
    standings = {}
    for id in tile_ids:
        task = tasks.get(id)
        state: TileState = "annotated" if id in annotated else "free"
        if task is not None and (task is not TaskState.SKIPPED or state == "free"):
            state = _IN_WORK[task]
        standings[id] = Standing(state, annotated.get(id))
    return standings
