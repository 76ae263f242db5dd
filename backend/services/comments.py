"""Comments: what people say of a revision, pinned to a pixel or about all of it."""

import datetime as dt
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from sqlalchemy import ColumnElement, select
from sqlalchemy.orm import Session

from backend.db import publish_after_commit
from backend.domain.errors import Forbidden, Invalid
from backend.domain.events import Event, EventKind
from backend.domain.states import Role
from backend.models import Annotation, Comment, Task, TaskHolder, Tile, User
from backend.schemas.task import CommentView, Pin
from backend.services import access, tiles
from backend.services.access import Principal, now


@dataclass(frozen=True, slots=True)
class Remark:
    """A comment to be; `where` is its place in the request, for errors."""

    text: str
    y: int | None = None
    x: int | None = None
    where: str = ""


def remarks(comment: str | None, pins: Sequence[Pin]) -> list[Remark]:
    """Return what a verdict says: its comment on the whole tile, then its pins."""
    whole = [Remark(comment)] if comment else []
    return whole + [
        Remark(pin.text, pin.y, pin.x, f"pins/{number}/")
        for number, pin in enumerate(pins)
    ]


def write(
    session: Session, principal: Principal, row: Annotation, remark: Remark
) -> Comment:
    """Say something of a revision, as a reviewer or as one who was given its tile."""
    _require_a_say(session, principal, row)
    return add(session, principal, row, [remark])[0]


def add(
    session: Session,
    principal: Principal,
    row: Annotation,
    remarks: Iterable[Remark],
) -> list[Comment]:
    """Store remarks on a revision in their order; pins must lie in its tile."""
    tile = tiles.hold(session, row.tile_id)
    born = now()
    made = []
    for number, remark in enumerate(remarks):
        _check_pin(tile, remark)
        comment = Comment(
            project_id=row.project_id,
            tile_id=row.tile_id,
            annotation_id=row.id,
            author_id=principal.id,
            y=remark.y,
            x=remark.x,
            text=remark.text,
            # the order of a list is that of birth
            created_at=born + dt.timedelta(microseconds=number),
        )
        made.append(comment)
    session.add_all(made)
    session.flush()
    if made:
        _announce(session, made[0])
    return made


def resolve(session: Session, principal: Principal, row: Comment) -> Comment:
    """Mark a comment as dealt with; who did so first stays named."""
    _require_a_say(session, principal, row)
    if row.resolved_at is None:
        row.resolved_at, row.resolved_by = now(), principal.id
        session.flush()
        _announce(session, row)
    return row


def views(session: Session, *conditions: ColumnElement[bool]) -> list[CommentView]:
    """Return the comments that meet the conditions, oldest first."""
    rows = session.execute(
        select(Comment, User.name, Annotation.revision)
        .join(User, User.id == Comment.author_id)
        .join(Annotation, Annotation.id == Comment.annotation_id)
        .where(*conditions)
        .order_by(Comment.created_at, Comment.id)
    )
    return [
        CommentView(
            id=comment.id,
            tile_id=comment.tile_id,
            annotation_id=comment.annotation_id,
            revision=revision,
            author_id=comment.author_id,
            author=author,
            y=comment.y,
            x=comment.x,
            text=comment.text,
            resolved_at=comment.resolved_at,
            resolved_by=comment.resolved_by,
            created_at=comment.created_at,
        )
        for comment, author, revision in rows
    ]


def on_task(session: Session, principal: Principal, task: Task) -> list[CommentView]:
    """Return the comments on a task's tile that the person may see.

    Where a task asks for an independent opinion, its holder reads of own work only.
    """
    of_tile = Comment.tile_id == task.tile_id
    role = access.role_in(session, principal, task.project_id)
    if task.independent and not (role and role.covers(Role.REVIEWER)):
        return views(session, of_tile, Annotation.author_id == principal.id)
    return views(session, of_tile)


def _require_a_say(
    session: Session, principal: Principal, row: Annotation | Comment
) -> None:
    role = access.role_in(session, principal, row.project_id)
    if role and role.covers(Role.REVIEWER):
        return
    held = (
        select(TaskHolder.task_id)
        .join(Task, Task.id == TaskHolder.task_id)
        .where(TaskHolder.user_id == principal.id, Task.tile_id == row.tile_id)
    )
    if session.scalar(held.limit(1)) is None:
        raise Forbidden("Only reviewers and who was given this tile may comment on it.")


def _check_pin(tile: Tile, remark: Remark) -> None:
    for name, at, size in (("y", remark.y, tile.h), ("x", remark.x, tile.w)):
        other = remark.x if name == "y" else remark.y
        if at is None and other is not None:
            raise Invalid(
                "A pin needs both y and x; leave both out to speak of the whole tile.",
                field=f"{remark.where}{name}",
            )
        if at is not None and not 0 <= at < size:
            raise Invalid(
                f"{name} is {at}, but the tile's pixels go from 0 to {size - 1}.",
                field=f"{remark.where}{name}",
            )


def _announce(session: Session, comment: Comment) -> None:
    publish_after_commit(
        session,
        comment.project_id,
        Event(EventKind.ANNOTATION, str(comment.annotation_id), "commented"),
    )
