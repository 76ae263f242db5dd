"""A project's queue as people watch it: depth, leases, pace, and what comes next."""

import datetime as dt
import json

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from backend.domain.states import (
    ImageState,
    JobKind,
    QueryState,
    Role,
    Split,
    TaskKind,
    TaskState,
)
from backend.models import (
    Annotation,
    Image,
    Job,
    Policy,
    Project,
    Query,
    Task,
    Tile,
    User,
)
from backend.schemas.loop import HISTOGRAMS
from backend.schemas.queue import (
    ForecastView,
    HistogramView,
    LeaseView,
    PaceView,
    QueueView,
    SkipView,
)
from backend.services import (
    access,
    artifacts,
    jobs,
    orders,
    policies,
    starts,
    taskviews,
)
from backend.services.access import Principal, now
from backend.storage import ArtifactStore

WEEK = dt.timedelta(days=7)
REASONS = 20


def view(
    session: Session, principal: Principal, project: Project, store: ArtifactStore
) -> QueueView:
    """Return the queue; who holds what is for reviewers only."""
    role = access.role_in(session, principal, project.id)
    sees_people = role is not None and role.covers(Role.REVIEWER)
    states = _states(session, project)
    held = _leases(session, project)
    live = session.scalar(
        select(Query).where(
            Query.project_id == project.id, Query.state == QueryState.LIVE
        )
    )
    waiting = states.get(TaskState.OPEN, 0)
    return QueueView(
        project_id=project.id,
        query_id=live.id if live else None,
        open=waiting,
        claimed=states.get(TaskState.CLAIMED, 0),
        mine=sum(
            lease.assignee_id == principal.id and lease.kind is TaskKind.ANNOTATE
            for lease in held
        ),
        submitted=states.get(TaskState.SUBMITTED, 0),
        returned=states.get(TaskState.RETURNED, 0),
        skipped=states.get(TaskState.SKIPPED, 0),
        skip_reasons=_skip_reasons(session, project),
        why_empty=None if waiting else _why_empty(session, project, live),
        leases=held if sees_people else None,
        pace=_pace(session, project) if sees_people else None,
        training_job_id=session.scalar(
            select(Job.id).where(
                Job.project_id == project.id,
                Job.kind == JobKind.TRAIN,
                Job.state.in_(jobs.LIVE),
            )
        ),
        time_zone=project.time_zone,
        next_trainings=_forecasts(session, project),
        histograms=_histograms(session, live, store) if live else None,
    )


def _states(session: Session, project: Project) -> dict[TaskState, int]:
    rows = session.execute(
        select(Task.state, func.count())
        .where(Task.project_id == project.id, Task.kind == TaskKind.ANNOTATE)
        .group_by(Task.state)
    )
    return dict(rows.all())


def _leases(session: Session, project: Project) -> list[LeaseView]:
    rows = session.execute(
        select(Task, Tile, User.name)
        .join(Tile, Tile.id == Task.tile_id)
        .join(User, User.id == Task.assignee_id)
        .where(Task.project_id == project.id, Task.state == TaskState.CLAIMED)
        .order_by(Task.lease_until, Task.id)
    )
    return [
        LeaseView.model_validate(
            {
                "task_id": task.id,
                "kind": task.kind,
                "tile_id": tile.id,
                "image_id": tile.image_id,
                "position": tile.position,
                "rank": task.rank,
                "assignee_id": task.assignee_id,
                "assignee": name,
                "lease_until": task.lease_until,
            }
        )
        for task, tile, name in rows
    ]


def _skip_reasons(session: Session, project: Project) -> list[SkipView]:
    tiles = func.count().label("tiles")
    rows = session.execute(
        select(Task.skip_reason, tiles)
        .where(
            Task.project_id == project.id,
            Task.kind == TaskKind.ANNOTATE,
            Task.state == TaskState.SKIPPED,
        )
        .group_by(Task.skip_reason)
        .order_by(tiles.desc(), Task.skip_reason)
        .limit(REASONS)
    )
    return [SkipView(reason=reason or "", tiles=count) for reason, count in rows]


def _pace(session: Session, project: Project) -> list[PaceView]:
    tiles = func.count(Annotation.tile_id.distinct()).label("tiles")
    median = func.percentile_cont(0.5).within_group(Annotation.active_seconds)
    rows = session.execute(
        select(User.id, User.name, tiles, median)
        .join(Annotation, Annotation.author_id == User.id)
        .where(
            Annotation.project_id == project.id,
            ~Annotation.imported,
            Annotation.created_at > now() - WEEK,
        )
        .group_by(User.id)
        .order_by(tiles.desc(), User.name)
    )
    return [
        PaceView(user_id=id, name=name, tiles=count, median_active_seconds=seconds)
        for id, name, count, seconds in rows
    ]


def _why_empty(session: Session, project: Project, live: Query | None) -> str:
    if live is None or live.strategy == starts.START:
        # such an order is made anew by the claim that finds none
        left = session.scalar(
            select(func.count())
            .select_from(Tile)
            .join(Image, Image.id == Tile.image_id)
            .where(
                Tile.project_id == project.id,
                Tile.split == Split.POOL,
                Image.state == ImageState.READY,
                Tile.id.not_in(orders.unranked(project.id)),
            )
        )
        if left:
            return f"The next claim puts the {left} tiles that are left in order."
    return taskviews.why_empty(session, project, TaskKind.ANNOTATE)


def _forecasts(session: Session, project: Project) -> list[ForecastView]:
    rows = session.scalars(
        policies.listed(project.id).where(Policy.enabled).order_by(Policy.created_at)
    ).all()
    views, at = [], now()
    for policy in rows:
        told = policies.forecast(session, project, policy, at)
        views.append(
            ForecastView(
                policy_id=policy.id,
                name=policy.name,
                new_annotations=told.new,
                annotations_left=told.left,
                at=told.at,
                put_off=told.put_off,
            )
        )
    return views


def _histograms(
    session: Session, query: Query, store: ArtifactStore
) -> list[HistogramView] | None:
    if query.scores_id is None:
        return None
    tree = artifacts.tree(session, query.scores_id)
    if HISTOGRAMS not in tree.manifest:
        return None
    kept = json.loads(store.get_bytes(f"{tree.prefix}/{HISTOGRAMS}"))
    return [HistogramView.model_validate(part) for part in kept]
