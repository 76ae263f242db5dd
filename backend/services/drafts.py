"""Drafts: unsent work of one author on one tile; they outlive leases."""

from sqlalchemy import or_, select
from sqlalchemy.orm import Session, undefer

from backend.domain import masks
from backend.domain.errors import Conflict, Stale
from backend.domain.states import TaskKind
from backend.models import Annotation, Draft, Project, Task, TaskHolder
from backend.services import tiles
from backend.services.access import Principal, now
from backend.services.annotations import Painted


def of(session: Session, principal: Principal, task: Task) -> Draft | None:
    """Return the person's draft on the task's tile, raster included."""
    return session.scalar(
        select(Draft)
        .where(Draft.author_id == principal.id, Draft.tile_id == task.tile_id)
        .options(undefer(Draft.raster))
    )


def save(
    session: Session, principal: Principal, task: Task, painted: Painted, revision: int
) -> Draft:
    """Keep unsent work; `revision` is the draft it is based on, 0 for a first one."""
    if session.get(TaskHolder, (task.id, principal.id)) is None:
        raise Conflict("You never claimed this task; claim it before drawing on it.")
    project = session.get_one(Project, task.project_id)
    tile = tiles.hold(session, task.tile_id)
    masks.validate(painted.mask, tile.box, project.schema, painted.complete_for)
    draft = of(session, principal, task)
    current = draft.version if draft else 0
    if revision != current:
        raise Stale(
            f"Your draft is based on revision {revision}, but {current} is stored, "
            "perhaps from another tab; read it first."
        )
    if draft is None:
        draft = Draft(author_id=principal.id, tile_id=tile.id)
        session.add(draft)
    draft.raster = masks.pack(painted.mask)
    draft.complete_for = sorted(set(painted.complete_for))
    if painted.active_seconds is not None:
        draft.active_seconds = painted.active_seconds
    draft.updated_at = now()
    session.flush()
    return draft


def start(session: Session, principal: Principal, task: Task) -> Annotation | None:
    """Return the revision that a new one starts from, raster included; None if none.

    A review starts from what it judges. Otherwise the person's own newest revision or
    a newer accepted one comes before what others left there; where a task asks for an
    independent opinion, only own work does.
    """
    found = select(Annotation).options(undefer(Annotation.raster))
    if task.kind is TaskKind.REVIEW:
        return session.scalar(found.where(Annotation.id == task.annotation_id))
    found = found.where(
        Annotation.tile_id == task.tile_id,
        Annotation.retracted_at.is_(None),
        Annotation.erased_at.is_(None),
    )
    own = Annotation.author_id == principal.id
    if task.independent:
        found = found.where(own)
    settled = or_(own.is_(True), Annotation.accepted_at.is_not(None))
    newest = found.order_by(settled.desc(), Annotation.revision.desc())
    return session.scalar(newest.limit(1))
