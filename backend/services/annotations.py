"""Annotations: the immutable revisions of tiles' masks."""

import hashlib
import uuid
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Select, delete, func, select, update
from sqlalchemy.dialects.postgresql import distinct_on
from sqlalchemy.orm import Session, undefer

from backend.db import publish_after_commit
from backend.domain import masks
from backend.domain.errors import Conflict, Forbidden, Invalid, LeaseNeverHeld
from backend.domain.events import Event, EventKind
from backend.domain.states import (
    CHECKS,
    TASK_STEPS,
    ImageState,
    Role,
    Split,
    TaskKind,
    TaskState,
    step,
)
from backend.models import (
    Annotation,
    Draft,
    Image,
    Prediction,
    Project,
    Task,
    TaskHolder,
    Tile,
)
from backend.schemas.loop import AnnotatedTile
from backend.schemas.task import Pin
from backend.services import access, audit, checks, comments, controls, tasks, tiles
from backend.services.access import Principal, now
from backend.services.comments import Remark


def newest_accepted(project_id: uuid.UUID, *splits: Split) -> Select[Annotation, Tile]:
    """Select the newest accepted, unretracted revision of each tile of these splits."""
    return (
        select(Annotation, Tile)
        .join(Tile, Tile.id == Annotation.tile_id)
        .join(Image, Image.id == Tile.image_id)
        .where(
            Annotation.project_id == project_id,
            Annotation.accepted_at.is_not(None),
            Annotation.retracted_at.is_(None),
            Annotation.erased_at.is_(None),
            Image.state == ImageState.READY,
            Tile.split.in_(splits),
        )
        .ext(distinct_on(Annotation.tile_id))
        .order_by(Annotation.tile_id, Annotation.revision.desc())
    )


def annotated(
    session: Session, project_id: uuid.UUID, *splits: Split
) -> list[AnnotatedTile]:
    """Return what people know of the tiles of these splits, rasters included."""
    rows = session.execute(
        newest_accepted(project_id, *splits).options(undefer(Annotation.raster))
    )
    return [annotated_tile(annotation, tile) for annotation, tile in rows]


def annotated_tile(annotation: Annotation, tile: Tile) -> AnnotatedTile:
    """Return a loaded revision and its tile as the value that steps take."""
    return AnnotatedTile(
        annotation_id=annotation.id,
        image_id=tile.image_id,
        box=tile.box,
        raster=annotation.raster or b"",
        complete_for=tuple(annotation.complete_for),
        split=tile.split,
    )


@dataclass(frozen=True, slots=True)
class Painted:
    """What a person sends: a mask of the tile's shape and what it claims to show."""

    mask: NDArray[np.uint8]
    complete_for: tuple[int, ...]
    active_seconds: float | None
    prediction_id: uuid.UUID | None


def submit(
    session: Session,
    principal: Principal,
    task: Task,
    painted: Painted,
    *,
    flag: str | None = None,
) -> Annotation:
    """Store a new revision of the task's tile.

    Under a live lease the task is done: accepted at once, or up for review. Under one's
    own lapsed lease the work is kept as a `late` revision, accepted if the tile has
    none and the project does not review. Who never held the lease is refused. An
    answer to a check is kept and never accepted. A `flag` is what the author asks
    others to look at; it becomes a comment on the revision.
    """
    held_once = session.get(TaskHolder, (task.id, principal.id)) is not None
    if not held_once:
        raise LeaseNeverHeld(
            "You never claimed this task, so nothing was stored; claim it first."
        )
    project = session.get_one(Project, task.project_id)
    tile = tiles.hold(session, task.tile_id)
    masks.validate(painted.mask, tile.box, project.schema, painted.complete_for)
    late = not tasks.held_by(task, principal)
    row = _store(session, principal, task, tile, painted, late=late)
    if flag is not None:
        comments.add(session, principal, row, [Remark(flag)])
    session.execute(
        delete(Draft).where(Draft.author_id == principal.id, Draft.tile_id == tile.id)
    )
    if task.kind is TaskKind.REVIEW:
        if late:
            return row
        return _accept_instead(session, principal, task, row)
    own = task.state is TaskState.CLAIMED and task.assignee_id == principal.id
    if own:
        task.state = step(TASK_STEPS, task.state, TaskState.SUBMITTED)
        task.lease_until = None
        task.updated_at = now()
        session.flush()
    if task.source in CHECKS:
        if own:
            task.state = step(TASK_STEPS, task.state, TaskState.ACCEPTED)
    elif project.review:
        _ask_for_review(session, task, row)
    elif not late or not _has_accepted(session, tile):
        accept(session, principal, row)
    if own:
        tasks.announce(session, task)
    return row


def _store(
    session: Session,
    principal: Principal,
    task: Task,
    tile: Tile,
    painted: Painted,
    *,
    late: bool,
) -> Annotation:
    newest = session.scalar(
        select(func.max(Annotation.revision)).where(Annotation.tile_id == tile.id)
    )
    if painted.prediction_id is not None:
        shown = session.get(Prediction, painted.prediction_id)
        if shown is None or shown.image_id != tile.image_id:
            raise Invalid(
                "prediction_id names no prediction of this tile's image; leave it out.",
                field="prediction_id",
            )
    row = Annotation(
        project_id=task.project_id,
        tile_id=tile.id,
        revision=(newest or 0) + 1,
        task_id=task.id,
        author_id=principal.id,
        raster=masks.pack(painted.mask),
        sha256=hashlib.sha256(painted.mask.tobytes()).hexdigest(),
        complete_for=sorted(set(painted.complete_for)),
        active_seconds=painted.active_seconds,
        prediction_id=painted.prediction_id,
        late=late,
    )
    session.add(row)
    session.flush()
    _announce(session, row, "late" if late else "submitted")
    return row


def accept(session: Session, principal: Principal, row: Annotation) -> None:
    """Accept a revision; the task it came from, if submitted, is accepted with it.

    With every second control tile the tile leaves the pool for the validation set.
    """
    row.accepted_at = now()
    row.accepted_by = principal.id
    if row.task_id is not None:
        task = session.get_one(Task, row.task_id)
        if task.state is TaskState.SUBMITTED:
            task.state = step(TASK_STEPS, task.state, TaskState.ACCEPTED)
            task.updated_at = now()
            tasks.announce(session, task)
    session.flush()
    # somebody else may have been given the tile after a lapsed lease: not needed now
    session.execute(
        update(Task)
        .where(
            Task.tile_id == row.tile_id,
            Task.kind == TaskKind.ANNOTATE,
            Task.source.not_in(CHECKS),
            Task.state == TaskState.OPEN,
        )
        .values(state=TaskState.WITHDRAWN, updated_at=now())
    )
    controls.join_validation(session, principal, row)
    checks.open_second(session, row)
    _announce(session, row, "accepted")


def _has_accepted(session: Session, tile: Tile) -> bool:
    accepted = select(Annotation.id).where(
        Annotation.tile_id == tile.id,
        Annotation.accepted_at.is_not(None),
        Annotation.retracted_at.is_(None),
    )
    return session.scalar(accepted.limit(1)) is not None


def _ask_for_review(session: Session, task: Task, row: Annotation) -> None:
    """Put a revision up for review, in the place of an older one still waiting."""
    tasks.close_review(session, task)
    session.add(
        Task(
            project_id=task.project_id,
            tile_id=task.tile_id,
            annotation_id=row.id,
            kind=TaskKind.REVIEW,
            source=task.source,
            rank=task.rank,
            state=TaskState.OPEN,
        )
    )
    session.flush()


def asked(session: Session, task: Task) -> tuple[int, ...]:
    """Return the labels a mask for this task is complete for if its author is silent.

    They are what was asked for; a review asks for what the revision under it has.
    """
    if task.kind is TaskKind.REVIEW:
        return tuple(session.get_one(Annotation, task.annotation_id).complete_for)
    if task.complete_for is None:
        return tuple(session.get_one(Project, task.project_id).schema.values)
    return tuple(task.complete_for)


def judge(
    session: Session,
    principal: Principal,
    review: Task,
    *,
    accepted: bool,
    comment: str | None,
    pins: Sequence[Pin] = (),
) -> Task:
    """Accept the annotation under review, or send it back to its author.

    What the reviewer says is kept as comments on the revision either way.
    """
    if review.kind is not TaskKind.REVIEW or not tasks.held_by(review, principal):
        raise Conflict("Claim the review first; then judge it.")
    row = session.get_one(Annotation, review.annotation_id)
    _finish(session, review)
    if accepted:
        accept(session, principal, row)
    elif row.task_id is not None:
        task = session.get_one(Task, row.task_id, with_for_update=True)
        if task.state is TaskState.SUBMITTED:
            task.state = step(TASK_STEPS, task.state, TaskState.RETURNED)
            task.comment = comment
            task.updated_at = now()
            tasks.announce(session, task)
    if remarks := comments.remarks(comment, pins):
        comments.add(session, principal, row, remarks)
    audit.record(
        session,
        principal,
        "accept" if accepted else "return",
        "annotation",
        row.id,
        project_id=row.project_id,
    )
    session.flush()
    return review


def _accept_instead(
    session: Session, principal: Principal, review: Task, row: Annotation
) -> Annotation:
    """A reviewer's own mask: accepted in the place of the one under review."""
    reviewed = session.get_one(Annotation, review.annotation_id)
    _finish(session, review)
    accept(session, principal, row)
    if reviewed.task_id is not None:
        task = session.get_one(Task, reviewed.task_id, with_for_update=True)
        if task.state is TaskState.SUBMITTED:
            task.state = step(TASK_STEPS, task.state, TaskState.ACCEPTED)
            task.updated_at = now()
            tasks.announce(session, task)
    session.flush()
    return row


def _finish(session: Session, review: Task) -> None:
    submitted = step(TASK_STEPS, review.state, TaskState.SUBMITTED)
    review.state = step(TASK_STEPS, submitted, TaskState.ACCEPTED)
    review.lease_until = None
    review.updated_at = now()
    session.flush()
    tasks.announce(session, review)


def retract(session: Session, principal: Principal, row: Annotation) -> Annotation:
    """Take a revision out of every future training; what learnt from it stays known."""
    role = access.role_in(session, principal, row.project_id)
    if row.author_id != principal.id and not (role and role.covers(Role.REVIEWER)):
        raise Forbidden("Only its author or a reviewer may retract an annotation.")
    if row.retracted_at is not None:
        raise Conflict("This annotation is retracted already.")
    row.retracted_at = now()
    row.retracted_by = principal.id
    session.flush()
    audit.record(
        session,
        principal,
        "retract",
        "annotation",
        row.id,
        project_id=row.project_id,
    )
    _announce(session, row, "retracted")
    return row


def _announce(session: Session, row: Annotation, state: str) -> None:
    publish_after_commit(
        session, row.project_id, Event(EventKind.ANNOTATION, str(row.id), state)
    )
