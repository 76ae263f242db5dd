"""Revisions as people see them: whose they are and what has become of each."""

import uuid
from collections.abc import Sequence

from sqlalchemy import func, select
from sqlalchemy.orm import Session, aliased

from backend.domain.states import TaskKind, TaskState
from backend.models import Annotation, Task, User
from backend.schemas.task import AnnotationState, AnnotationView

_WAITING = frozenset({TaskState.OPEN, TaskState.CLAIMED})


def view(session: Session, row: Annotation) -> AnnotationView:
    """Return one revision's view."""
    return views(session, [row])[0]


def views(session: Session, rows: Sequence[Annotation]) -> list[AnnotationView]:
    """Return the views of revisions in their order, in four queries however many."""
    newest = _newest_accepted(session, {row.tile_id for row in rows})
    waiting, returned = _reviewed(session, {row.id for row in rows})
    people = {id for row in rows for id in (row.author_id, row.accepted_by) if id}
    names = names_of(session, people)

    def state(row: Annotation) -> AnnotationState:
        if row.erased_at is not None:
            return "erased"
        if row.retracted_at is not None:
            return "retracted"
        if row.accepted_at is not None and newest[row.tile_id] == row.revision:
            return "accepted"
        if row.id in waiting:
            return "waiting"
        if row.id in returned:
            return "returned"
        return "superseded" if newest.get(row.tile_id, 0) > row.revision else "kept"

    return [
        AnnotationView(
            id=row.id,
            tile_id=row.tile_id,
            revision=row.revision,
            state=state(row),
            task_id=row.task_id,
            author_id=row.author_id,
            author=names.get(row.author_id),
            complete_for=row.complete_for,
            active_seconds=row.active_seconds,
            prediction_id=row.prediction_id,
            imported=row.imported,
            late=row.late,
            accepted_at=row.accepted_at,
            accepted_by=row.accepted_by,
            accepter=names.get(row.accepted_by),
            retracted_at=row.retracted_at,
            erased_at=row.erased_at,
            created_at=row.created_at,
        )
        for row in rows
    ]


def names_of(session: Session, ids: set[uuid.UUID]) -> dict[uuid.UUID | None, str]:
    """Return people's names; nobody (None) has none."""
    rows = session.execute(select(User.id, User.name).where(User.id.in_(ids)))
    return dict(rows.all())


def _newest_accepted(
    session: Session, tile_ids: set[uuid.UUID]
) -> dict[uuid.UUID, int]:
    rows = session.execute(
        select(Annotation.tile_id, func.max(Annotation.revision))
        .where(
            Annotation.tile_id.in_(tile_ids),
            Annotation.accepted_at.is_not(None),
            Annotation.retracted_at.is_(None),
            Annotation.erased_at.is_(None),
        )
        .group_by(Annotation.tile_id)
    )
    return dict(rows.all())


def _reviewed(
    session: Session, ids: set[uuid.UUID]
) -> tuple[set[uuid.UUID], set[uuid.UUID]]:
    """Return which revisions wait for review, and which one sent back."""
    instead = aliased(Annotation)
    rows = session.execute(
        select(Task.annotation_id, Task.state, instead.id)
        .outerjoin(
            instead,
            (instead.task_id == Task.id) & instead.accepted_at.is_not(None),
        )
        .where(Task.annotation_id.in_(ids), Task.kind == TaskKind.REVIEW)
    ).all()
    waiting = {id for id, state, _ in rows if id and state in _WAITING}
    returned = {
        id
        for id, state, fixed in rows
        if id and state is TaskState.ACCEPTED and not fixed
    }
    return waiting, returned
