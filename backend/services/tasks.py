"""Tasks: claiming a tile, keeping it, giving it back, and the end of a lease."""

import datetime as dt
import uuid

from sqlalchemy import Select, func, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from backend.db import publish_after_commit
from backend.domain.errors import Conflict, Forbidden
from backend.domain.events import Event, EventKind
from backend.domain.states import (
    CHECKS,
    TASK_STEPS,
    Role,
    TaskKind,
    TaskSource,
    TaskState,
    step,
)
from backend.models import Annotation, Project, Task, TaskHolder
from backend.services import access, audit, checks, orders, starts
from backend.services.access import Principal, now

HELD_AT_MOST = 2
"""The current tile and the next; every tab of a person gets the same two."""


def claim(
    session: Session,
    principal: Principal,
    project: Project,
    *,
    kind: TaskKind,
    count: int,
    lease: dt.timedelta,
) -> list[Task]:
    """Return the tasks the person holds, claiming more until there are `count`.

    Tasks sent back to the person come first, then a gold tile if one is due, then the
    lowest rank. Fewer than `count` come back when the queue has no more.
    """
    _one_claim_at_a_time(session, principal, project)
    held = list(
        session.scalars(
            select(Task)
            .where(
                Task.project_id == project.id,
                Task.assignee_id == principal.id,
                Task.state == TaskState.CLAIMED,
                Task.kind == kind,
                Task.lease_until >= now(),
            )
            .order_by(Task.updated_at, Task.rank, Task.id)
        )
    )
    refilled = False
    while len(held) < min(count, HELD_AT_MOST):
        task = _take(session, principal, project, kind, lease)
        if task is None and kind is TaskKind.ANNOTATE and not refilled:
            refilled = True
            if starts.refill(session, principal, project):
                task = _take(session, principal, project, kind, lease)
        if task is None:
            break
        held.append(task)
    return held[:count]


def _one_claim_at_a_time(
    session: Session, principal: Principal, project: Project
) -> None:
    """Serialise one person's claims: two tabs must get the same tasks."""
    key = func.hashtextextended(f"claim {principal.id} {project.id}", 0)
    session.execute(select(func.pg_advisory_xact_lock(key)))


def _take(
    session: Session,
    principal: Principal,
    project: Project,
    kind: TaskKind,
    lease: dt.timedelta,
) -> Task | None:
    mine = (
        select(Task.id)
        .where(
            Task.project_id == project.id,
            Task.kind == kind,
            Task.state == TaskState.RETURNED,
            Task.assignee_id == principal.id,
        )
        .order_by(Task.updated_at)
    )
    lowest = (
        select(Task.id)
        .where(
            Task.project_id == project.id,
            Task.kind == kind,
            Task.state == TaskState.OPEN,
        )
        .order_by(Task.rank, Task.id)
    )
    if kind is TaskKind.REVIEW:
        # nobody reviews their own work
        lowest = lowest.join(Annotation, Annotation.id == Task.annotation_id).where(
            Annotation.author_id.is_distinct_from(principal.id)
        )
        return _lease(session, principal, mine, lease) or _lease(
            session, principal, lowest, lease
        )
    lowest = lowest.where(checks.fresh_to(principal))
    task = _lease(session, principal, mine, lease)
    if task is None and (gold := checks.open_gold(session, principal, project)):
        task = _lease(session, principal, select(Task.id).filter_by(id=gold.id), lease)
    return task or _lease(session, principal, lowest, lease)


def _lease(
    session: Session,
    principal: Principal,
    chosen: Select[uuid.UUID],
    lease: dt.timedelta,
) -> Task | None:
    """Give the first of these tasks that nobody is just taking to the person."""
    task = session.scalar(
        update(Task)
        .where(
            Task.id
            == chosen.limit(1)
            .with_for_update(skip_locked=True, of=Task)
            .scalar_subquery()
        )
        .values(
            state=TaskState.CLAIMED,
            assignee_id=principal.id,
            lease_until=now() + lease,
            fence=Task.fence + 1,
            updated_at=func.clock_timestamp(),
        )
        .returning(Task)
        .execution_options(populate_existing=True)
    )
    if task is not None:
        session.execute(
            insert(TaskHolder)
            .values(task_id=task.id, user_id=principal.id, claimed_at=now())
            .on_conflict_do_nothing()
        )
        announce(session, task)
    return task


def held_by(task: Task, principal: Principal) -> bool:
    """Whether the person holds the task's lease now."""
    return (
        task.state is TaskState.CLAIMED
        and task.assignee_id == principal.id
        and task.lease_until is not None
        and task.lease_until >= now()
    )


def renew(
    session: Session, principal: Principal, task: Task, lease: dt.timedelta
) -> Task:
    """Prolong one's own lease; a lapsed one revives while nobody else has the task."""
    if task.state is not TaskState.CLAIMED or task.assignee_id != principal.id:
        raise Conflict(
            "You do not hold this task now; claim again. Your draft is kept."
        )
    task.lease_until = now() + lease
    session.flush()
    return task


def release(session: Session, principal: Principal, task: Task) -> Task:
    """Give a claimed task back; it keeps its place in the order."""
    if task.state is not TaskState.CLAIMED or task.assignee_id != principal.id:
        raise Conflict("You do not hold this task now.")
    _give_back(session, [task])
    return task


def skip(session: Session, principal: Principal, task: Task, reason: str) -> Task:
    """Set a task aside with a reason; its tile is not asked for again."""
    if task.kind is TaskKind.REVIEW:
        # nobody else would be asked, and the annotation would wait for ever
        raise Conflict(
            "A review cannot be skipped: release it, accept it or send it back."
        )
    if not held_by(task, principal):
        raise Conflict("You do not hold this task now; claim it before skipping it.")
    task.state = step(TASK_STEPS, task.state, TaskState.SKIPPED)
    task.lease_until = None
    task.skip_reason = reason
    task.updated_at = now()
    session.flush()
    audit.record(
        session,
        principal,
        "skip",
        "task",
        task.id,
        project_id=task.project_id,
        reason=reason,
    )
    announce(session, task)
    return task


def reopen(session: Session, principal: Principal, task: Task) -> Task:
    """Send a finished task back to its author, at the author's or a reviewer's wish."""
    role = access.role_in(session, principal, task.project_id)
    if task.assignee_id != principal.id and not (role and role.covers(Role.REVIEWER)):
        raise Forbidden("Only its author or a reviewer may reopen a task.")
    if task.kind is not TaskKind.ANNOTATE:
        raise Conflict("A review cannot be reopened; reopen the annotation's task.")
    if task.source in CHECKS and task.state is TaskState.ACCEPTED:
        raise Conflict("This tile is done; what was sent for it stays as it is.")
    if task.state is TaskState.SUBMITTED:
        close_review(session, task)
    task.state = step(TASK_STEPS, task.state, TaskState.RETURNED)
    task.updated_at = now()
    session.flush()
    audit.record(
        session, principal, "reopen", "task", task.id, project_id=task.project_id
    )
    announce(session, task)
    return task


def close_review(session: Session, task: Task) -> None:
    """Withdraw the review of a task whose annotation is no longer up for review."""
    session.execute(
        update(Task)
        .where(
            Task.tile_id == task.tile_id,
            Task.kind == TaskKind.REVIEW,
            Task.state.in_((TaskState.OPEN, TaskState.CLAIMED)),
        )
        .values(state=TaskState.WITHDRAWN, lease_until=None, updated_at=now())
    )


def expire_leases(session: Session) -> int:
    """Return lapsed tasks to the queue; give back how many there were."""
    lapsed = list(
        session.scalars(
            select(Task)
            .where(Task.state == TaskState.CLAIMED, Task.lease_until < now())
            .limit(500)
            .with_for_update(skip_locked=True)
        )
    )
    _give_back(session, lapsed)
    return len(lapsed)


def _give_back(session: Session, tasks: list[Task]) -> None:
    """Open claimed tasks again with the rank their tile has now, or withdraw them."""
    by_project: dict[uuid.UUID, list[Task]] = {}
    for task in tasks:
        by_project.setdefault(task.project_id, []).append(task)
    for project_id, group in by_project.items():
        ranks = orders.live_ranks(session, project_id, [t.tile_id for t in group])
        for task in group:
            task.lease_until = None
            task.assignee_id = None
            task.updated_at = now()
            if task.kind is TaskKind.REVIEW or task.source is TaskSource.SECOND:
                task.state = step(TASK_STEPS, task.state, TaskState.OPEN)
            elif task.tile_id in ranks and task.source is not TaskSource.GOLD:
                task.state = step(TASK_STEPS, task.state, TaskState.OPEN)
                task.rank = ranks[task.tile_id]
            else:
                task.state = step(TASK_STEPS, task.state, TaskState.WITHDRAWN)
            announce(session, task)
    session.flush()


def listed(project: Project, state: TaskState | None) -> Select[Task]:
    """Select a project's tasks, in one state if given."""
    statement = select(Task).where(Task.project_id == project.id)
    return statement.where(Task.state == state) if state else statement


def announce(session: Session, task: Task) -> None:
    """Tell the project's clients of a task's state."""
    publish_after_commit(
        session, task.project_id, Event(EventKind.TASK, str(task.id), task.state)
    )
