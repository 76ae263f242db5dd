"""Figures of the whole installation and of a project's rounds, read when asked for."""

from collections.abc import Iterator
from typing import TypedDict

from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    SummaryMetricFamily,
)
from prometheus_client.metrics_core import Metric
from sqlalchemy import and_, func, select
from sqlalchemy.orm import Session

from backend.domain.metrics import Counts
from backend.domain.states import (
    JobKind,
    JobState,
    ModelState,
    TaskKind,
    TaskState,
)
from backend.models import (
    Annotation,
    Evaluation,
    Job,
    Label,
    ModelVersion,
    Project,
    Task,
    Tile,
    TrainingSetItem,
)

FIGURES = ("dice", "iou", "f1", "precision", "recall")


def families(session: Session) -> Iterator[Metric]:
    """Yield every figure that PostgreSQL knows; an undefined one is absent."""
    slugs = list(session.scalars(select(Project.slug).order_by(Project.slug)))
    yield from _quality(session)
    yield from _tasks(session, slugs)
    yield from _annotations(session, slugs)
    yield from _jobs(session)


def _quality(session: Session) -> Iterator[Metric]:
    live = ModelVersion.state == ModelState.LIVE
    rounds = GaugeMetricFamily(
        "cisterna_model_round", "Round of the live version.", labels=["project"]
    )
    for slug, ordinal in session.execute(
        select(Project.slug, ModelVersion.ordinal)
        .join(ModelVersion, and_(ModelVersion.project_id == Project.id, live))
        .order_by(Project.slug)
    ):
        rounds.add_metric([slug], ordinal)
    yield rounds
    rows = session.execute(
        select(Project.slug, Label.name, Evaluation)
        .join(ModelVersion, ModelVersion.project_id == Project.id)
        .join(Evaluation, Evaluation.model_version_id == ModelVersion.id)
        .join(
            Label,
            and_(Label.project_id == Project.id, Label.value == Evaluation.value),
        )
        .where(live)
        .order_by(Project.slug, Evaluation.split, Evaluation.value)
    ).all()
    for figure in FIGURES:
        family = GaugeMetricFamily(
            f"cisterna_model_{figure}",
            f"{figure.capitalize()} of the live version, from pooled pixels, 0..1.",
            labels=["project", "label", "split"],
        )
        for slug, name, row in rows:
            value = getattr(Counts(row.tp, row.fp, row.fn), figure)
            if value is not None:
                family.add_metric([slug, name, row.split], value)
        yield family


def _tasks(session: Session, slugs: list[str]) -> Iterator[Metric]:
    rows = session.execute(
        select(Project.slug, Task.kind, Task.state, func.count())
        .join(Task, Task.project_id == Project.id)
        .group_by(Project.slug, Task.kind, Task.state)
    )
    counted = {(slug, kind, state): count for slug, kind, state, count in rows}
    depth = GaugeMetricFamily(
        "cisterna_tasks", "Tasks by state.", labels=["project", "kind", "state"]
    )
    for slug in slugs:
        for kind in TaskKind:
            for state in TaskState:
                count = counted.get((slug, kind, state), 0)
                depth.add_metric([slug, kind, state], count)
    yield depth
    age = GaugeMetricFamily(
        "cisterna_tasks_oldest_open_seconds",
        "Age of the oldest open task.",
        labels=["project", "kind"],
    )
    oldest = func.extract("epoch", func.now() - func.min(Task.created_at))
    for slug, kind, seconds in session.execute(
        select(Project.slug, Task.kind, oldest)
        .join(Task, Task.project_id == Project.id)
        .where(Task.state == TaskState.OPEN)
        .group_by(Project.slug, Task.kind)
        .order_by(Project.slug, Task.kind)
    ):
        age.add_metric([slug, kind], float(seconds))
    yield age
    leases = GaugeMetricFamily(
        "cisterna_task_leases", "Tasks under a live lease.", labels=["project"]
    )
    held = dict(
        session.execute(
            select(Project.slug, func.count())
            .join(Task, Task.project_id == Project.id)
            .where(Task.state == TaskState.CLAIMED, Task.lease_until >= func.now())
            .group_by(Project.slug)
        ).all()
    )
    for slug in slugs:
        leases.add_metric([slug], held.get(slug, 0))
    yield leases


def _annotations(session: Session, slugs: list[str]) -> Iterator[Metric]:
    hour = Annotation.accepted_at >= func.now() - func.make_interval(0, 0, 0, 0, 1)
    rows = session.execute(
        select(Project.slug, func.count(), func.count().filter(hour))
        .join(Annotation, Annotation.project_id == Project.id)
        .where(Annotation.accepted_at.is_not(None))
        .group_by(Project.slug)
    )
    counted = {slug: (total, recent) for slug, total, recent in rows}
    totals = CounterMetricFamily(
        "cisterna_annotations_accepted",
        "Annotations ever accepted, retracted ones included.",
        labels=["project"],
    )
    recents = GaugeMetricFamily(
        "cisterna_annotations_accepted_last_hour",
        "Annotations accepted within the last hour.",
        labels=["project"],
    )
    for slug in slugs:
        total, recent = counted.get(slug, (0, 0))
        totals.add_metric([slug], total)
        recents.add_metric([slug], recent)
    yield totals
    yield recents


def _jobs(session: Session) -> Iterator[Metric]:
    seconds = func.extract("epoch", Job.finished_at - Job.started_at)
    rows = session.execute(
        select(Job.kind, Job.state, func.count(), func.coalesce(func.sum(seconds), 0))
        .group_by(Job.kind, Job.state)
        .order_by(Job.kind, Job.state)
    )
    counted = {(kind, state): (n, float(total)) for kind, state, n, total in rows}
    counts = GaugeMetricFamily(
        "cisterna_jobs", "Background jobs by state.", labels=["kind", "state"]
    )
    durations = SummaryMetricFamily(
        "cisterna_job_seconds",
        "Seconds of the last attempt of jobs that succeeded.",
        labels=["kind"],
    )
    for kind in JobKind:
        for state in JobState:
            counts.add_metric([kind, state], counted.get((kind, state), (0, 0.0))[0])
        done, total = counted.get((kind, JobState.SUCCEEDED), (0, 0.0))
        durations.add_metric([kind], done, total)
    yield counts
    yield durations


class Effort(TypedDict):
    """What one version's TrainingSet cost people."""

    tiles: int
    pixels: int
    active_seconds: float | None
    timed_tiles: int


def rounds(session: Session, project: Project) -> list[tuple[ModelVersion, Effort]]:
    """Return all versions of a project, oldest first, each with its effort."""
    rows = session.execute(
        select(
            ModelVersion,
            func.count(TrainingSetItem.annotation_id),
            func.coalesce(func.sum(Tile.h * Tile.w), 0),
            func.sum(Annotation.active_seconds),
            func.count(Annotation.active_seconds),
        )
        .outerjoin(
            TrainingSetItem,
            TrainingSetItem.training_set_id == ModelVersion.training_set_id,
        )
        .outerjoin(Annotation, Annotation.id == TrainingSetItem.annotation_id)
        .outerjoin(Tile, Tile.id == TrainingSetItem.tile_id)
        .where(ModelVersion.project_id == project.id)
        .group_by(ModelVersion.id)
        .order_by(ModelVersion.ordinal)
    )
    return [
        (
            version,
            Effort(
                tiles=tiles, pixels=pixels, active_seconds=seconds, timed_tiles=timed
            ),
        )
        for version, tiles, pixels, seconds, timed in rows
    ]


def live_round(versions: list[ModelVersion]) -> int | None:
    """Return the round that serves, None before the first promotion."""
    serving = (v.ordinal for v in versions if v.state is ModelState.LIVE)
    return next(serving, None)
