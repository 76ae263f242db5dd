"""Drafts: unsent work of one author on one tile; they outlive leases."""

from sqlalchemy import select
from sqlalchemy.orm import Session, undefer

from backend.domain import masks
from backend.domain.errors import Conflict, Stale
from backend.models import Annotation, Draft, Project, Task, TaskHolder, Tile
from backend.services.access import Principal, now
from backend.services.annotations import Painted, refuse_deleted


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
    tile = session.get_one(Tile, task.tile_id, with_for_update=True)
    refuse_deleted(session, tile)
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
    draft.active_seconds = painted.active_seconds or 0.0
    draft.updated_at = now()
    session.flush()
    return draft


def newest_raster(session: Session, tile: Tile) -> Annotation | None:
    """Return the tile's newest revision that still counts: a new one starts from it."""
    return session.scalar(
        select(Annotation)
        .where(
            Annotation.tile_id == tile.id,
            Annotation.retracted_at.is_(None),
            Annotation.erased_at.is_(None),
        )
        .order_by(Annotation.revision.desc())
        .limit(1)
        .options(undefer(Annotation.raster))
    )
