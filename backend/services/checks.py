"""Second opinions and gold tiles: who is asked, and what an answer to gold showed."""

import uuid
from collections.abc import Mapping
from typing import NamedTuple

from sqlalchemy import ColumnElement, Select, delete, exists, func, or_, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session, aliased, undefer

from backend.domain.agreement import Hint, Opinion, compared, hints
from backend.domain.errors import Conflict, Forbidden, NotFound
from backend.domain.masks import unpack
from backend.domain.metrics import Counts, Raster
from backend.domain.shares import drawn, due
from backend.domain.states import (
    CHECKS,
    ImageState,
    Role,
    TaskKind,
    TaskSource,
    TaskState,
)
from backend.models import Annotation, GoldTile, Image, Project, Task, TaskHolder, Tile
from backend.services import access, audit, controls
from backend.services.access import Principal


class Comparison(NamedTuple):
    """A mask against the truth of its tile: counts by label value, and the worst."""

    annotation_id: uuid.UUID
    counts: Mapping[int, Counts]
    hints: list[Hint]


def open_second(session: Session, row: Annotation) -> None:
    """Ask somebody else for the tile of an accepted revision, if its draw says so."""
    task = controls.asked_for(session, row)
    if task is None or task.source in CHECKS:
        return
    project = session.get_one(Project, row.project_id)
    if not drawn(project.seed, row.tile_id, project.second_share):
        return
    asked = exists().where(
        Task.tile_id == row.tile_id, Task.source == TaskSource.SECOND
    )
    if session.scalar(select(asked)):
        return
    session.add(
        Task(
            project_id=row.project_id,
            tile_id=row.tile_id,
            query_id=task.query_id,
            kind=TaskKind.ANNOTATE,
            source=TaskSource.SECOND,
            slot=1,
            blind=True,
            rank=task.rank,
            state=TaskState.OPEN,
            complete_for=task.complete_for,
        )
    )
    session.flush()


def fresh_to(principal: Principal) -> ColumnElement[bool]:
    """Whether the person may give a task's opinion: no second one on a tile they had.

    Who painted, held or judged the tile in another task has had it.
    """
    other = aliased(Task)
    held = (
        select(other.id)
        .join(TaskHolder, TaskHolder.task_id == other.id)
        .where(
            TaskHolder.user_id == principal.id,
            other.tile_id == Task.tile_id,
            other.id != Task.id,
        )
        .correlate(Task)
        .exists()
    )
    painted = (
        select(Annotation.id)
        .where(
            Annotation.author_id == principal.id,
            Annotation.tile_id == Task.tile_id,
            Annotation.task_id.is_distinct_from(Task.id),
        )
        .correlate(Task)
        .exists()
    )
    return or_(Task.source != TaskSource.SECOND, ~held & ~painted)


def open_gold(session: Session, principal: Principal, project: Project) -> Task | None:
    """Open a gold task if the person's next one is to be gold; None if not, or no tile.

    It is the oldest gold tile that the person never had.
    """
    had = session.scalar(
        select(func.count())
        .select_from(TaskHolder)
        .join(Task, Task.id == TaskHolder.task_id)
        .where(
            TaskHolder.user_id == principal.id,
            Task.project_id == project.id,
            Task.kind == TaskKind.ANNOTATE,
        )
    )
    if not due((had or 0) + 1, project.gold_share):
        return None
    held = (
        exists()
        .where(TaskHolder.user_id == principal.id)
        .where(Task.id == TaskHolder.task_id, Task.tile_id == GoldTile.tile_id)
    )
    painted = exists().where(
        Annotation.author_id == principal.id, Annotation.tile_id == GoldTile.tile_id
    )
    gold = session.scalar(
        select(GoldTile)
        .where(
            GoldTile.id.in_(_golden(project)),
            GoldTile.made_by != principal.id,
            ~held,
            ~painted,
        )
        .order_by(GoldTile.created_at, GoldTile.id)
        .limit(1)
        # the slot below is counted under this lock
        .with_for_update(skip_locked=True)
    )
    if gold is None:
        return None
    of_tile = select(func.max(Task.slot)).where(Task.tile_id == gold.tile_id)
    lowest = select(func.min(Task.rank)).where(
        Task.project_id == project.id,
        Task.kind == TaskKind.ANNOTATE,
        Task.state == TaskState.OPEN,
    )
    asked = (
        select(Task.query_id)
        .join(Annotation, Annotation.task_id == Task.id)
        .where(Annotation.id == gold.annotation_id)
    )
    task = Task(
        project_id=project.id,
        tile_id=gold.tile_id,
        query_id=session.scalar(asked),
        kind=TaskKind.ANNOTATE,
        source=TaskSource.GOLD,
        # slot 0 is the tile's own, 1 its second opinion's
        slot=max(session.scalar(of_tile) or 0, 1) + 1,
        blind=True,
        # looks like the next in the queue
        rank=session.scalar(lowest) or 1,
        state=TaskState.OPEN,
    )
    session.add(task)
    session.flush()
    return task


def _golden(project: Project, *, practice: bool = False) -> Select[uuid.UUID]:
    """Select the ids of gold tiles that can be shown and compared with."""
    return (
        select(GoldTile.id)
        .join(Annotation, Annotation.id == GoldTile.annotation_id)
        .join(Tile, Tile.id == GoldTile.tile_id)
        .join(Image, Image.id == Tile.image_id)
        .where(
            GoldTile.project_id == project.id,
            GoldTile.practice == practice,
            Annotation.retracted_at.is_(None),
            Annotation.erased_at.is_(None),
            Image.state == ImageState.READY,
        )
    )


def make_gold(
    session: Session, principal: Principal, row: Annotation, *, practice: bool
) -> GoldTile:
    """Take an accepted revision as the truth of its tile, in the place of another.

    On a tile for `practice` people see the truth, so it measures nobody from then on.
    """
    if row.accepted_at is None or row.retracted_at or row.erased_at:
        raise Conflict("Only an accepted annotation can be gold; accept it first.")
    seen = select(GoldTile.id).where(GoldTile.tile_id == row.tile_id, GoldTile.practice)
    if not practice and session.scalar(seen):
        raise Conflict(
            "People practise on this tile and know its truth; take another tile to "
            "measure them by."
        )
    session.execute(
        insert(GoldTile)
        .values(
            id=uuid.uuid4(),
            project_id=row.project_id,
            tile_id=row.tile_id,
            annotation_id=row.id,
            made_by=principal.id,
            practice=practice,
        )
        .on_conflict_do_update(
            index_elements=[GoldTile.tile_id],
            set_={
                "annotation_id": row.id,
                "made_by": principal.id,
                "practice": practice,
            },
        )
    )
    audit.record(
        session,
        principal,
        "make gold",
        "annotation",
        row.id,
        project_id=row.project_id,
        practice=practice,
    )
    return session.scalars(
        select(GoldTile)
        .where(GoldTile.tile_id == row.tile_id)
        .execution_options(populate_existing=True)
    ).one()


def end_gold(session: Session, principal: Principal, row: Annotation) -> None:
    """Take a revision for the truth no longer; nothing happens if it was not."""
    gone = session.scalars(
        delete(GoldTile).where(GoldTile.annotation_id == row.id).returning(GoldTile.id)
    ).all()
    if gone:
        audit.record(
            session,
            principal,
            "end gold",
            "annotation",
            row.id,
            project_id=row.project_id,
        )


def listed(project: Project) -> Select[GoldTile]:
    """Select a project's gold tiles."""
    return select(GoldTile).where(GoldTile.project_id == project.id)


def practice(project: Project) -> Select[GoldTile]:
    """Select the gold tiles of a project that people may practise on."""
    return select(GoldTile).where(GoldTile.id.in_(_golden(project, practice=True)))


def feedback(session: Session, principal: Principal, task: Task) -> Comparison | None:
    """Return what a submitted answer to a gold tile shows; None of other tasks.

    Before the submit nobody learns by it which tasks are gold.
    """
    role = access.role_in(session, principal, task.project_id)
    reviews = role is not None and role.covers(Role.REVIEWER)
    if task.assignee_id != principal.id and not reviews:
        raise Forbidden("Only who annotated the tile or a reviewer may see this.")
    if task.state not in (TaskState.SUBMITTED, TaskState.ACCEPTED):
        raise Conflict("There is feedback once the task is submitted.")
    project = session.get_one(Project, task.project_id)
    if task.source is not TaskSource.GOLD or not (reviews or project.gold_feedback):
        return None
    rasters = select(Annotation).options(undefer(Annotation.raster))
    gold = session.scalar(
        rasters.join(GoldTile, GoldTile.annotation_id == Annotation.id).where(
            GoldTile.tile_id == task.tile_id
        )
    )
    answer = session.scalar(
        rasters.where(
            Annotation.task_id == task.id,
            Annotation.author_id == task.assignee_id,
            ~Annotation.late,
        )
    )
    if gold is None or answer is None or not gold.raster or not answer.raster:
        return None
    return _compared(session, gold, unpack(answer.raster, shape(session, gold)), answer)


def score(session: Session, truth: Annotation, raster: Raster) -> Comparison:
    """Compare somebody's mask with a practice tile's truth; nothing of it is kept."""
    asked = select(GoldTile.id).where(
        GoldTile.annotation_id == truth.id, GoldTile.practice
    )
    session.refresh(truth, ["raster"])
    if session.scalar(asked) is None or not truth.raster:
        raise NotFound("This annotation is not one to practise on.")
    return _compared(session, truth, raster, truth)


def shape(session: Session, row: Annotation) -> tuple[int, int]:
    """Return the rows and columns of a revision's tile."""
    tile = session.get_one(Tile, row.tile_id)
    return tile.h, tile.w


def _compared(
    session: Session, gold: Annotation, raster: Raster, answer: Annotation
) -> Comparison:
    """Compare a raster with the truth; it is complete for what `answer` is."""
    truth = Opinion(unpack(gold.raster or b"", shape(session, gold)), gold.complete_for)
    given = Opinion(raster, answer.complete_for)
    values = session.get_one(Project, gold.project_id).schema.values
    return Comparison(
        gold.id, compared(truth, given, values), hints(truth, given, values)
    )
