"""Queries: what the ranker asks for by the newest model."""

import uuid

from sqlalchemy import select
from sqlalchemy.orm import Session

from backend.domain.states import JobKind, Lane, ModelState, QueryState, Split
from backend.models import Job, ModelVersion, Project, Query, Tile
from backend.schemas.loop import ScoreResult, ScoreWork
from backend.services import artifacts, controls, jobs, knowledge, orders


def request_score(
    session: Session, version: ModelVersion, requested_by: uuid.UUID | None = None
) -> Job:
    """Queue the ranking of the pool by a version's statistics.

    Raises Conflict if a person asks for what is under way. The loop itself may ask
    twice: a ranking that runs already has not seen the newest sweeps.
    """
    return jobs.enqueue(
        session,
        JobKind.SCORE,
        Lane.CPU,
        {"model_version_id": str(version.id)},
        project_id=version.project_id,
        dedupe_key=f"score:{version.id}" if requested_by else None,
        requested_by=requested_by,
    )


def prepare(session: Session, job: Job) -> ScoreWork:
    """Gather the statistics of every pool image and what is known beside them."""
    version = jobs.version_of(session, job)
    project = session.get_one(Project, version.project_id)
    outside = session.scalars(
        select(Tile.id).where(Tile.project_id == project.id, Tile.split != Split.POOL)
    )
    kept_out = session.scalars(orders.unranked(project.id))
    return ScoreWork(
        job_id=job.id,
        fence=job.fence,
        strategy=project.strategy,
        parameters=project.strategy_parameters,
        query_size=project.query_size,
        reserve=orders.RESERVE * project.query_size,
        seed=project.seed + version.ordinal,
        schema=project.schema,
        images=knowledge.images(session, version),
        excluded=frozenset(kept_out) | frozenset(outside),
        validation=knowledge.measured(session, version),
        annotated=knowledge.annotated(session, project.id),
        controls=controls.accepted(session, project.id),
        timed=knowledge.timed(session, project.id),
        lessons=knowledge.lessons(session, project.id),
        answers=knowledge.answered(session, project.id),
    )


def conclude(session: Session, job: Job, result: ScoreResult) -> None:
    """Store the order and what was learnt; it is served if its version is live yet."""
    version = jobs.version_of(session, job)
    project = session.get_one(Project, version.project_id)
    query = Query(
        project_id=project.id,
        strategy=project.strategy,
        parameters=project.strategy_parameters,
        seed=project.seed + version.ordinal,
        model_version_id=version.id,
        state=QueryState.SUPERSEDED,
        scores_id=artifacts.add_tree(session, project.id, result.scores).id,
    )
    orders.store(session, query, result.head)
    knowledge.keep(session, result.lessons)
    if version.state is ModelState.LIVE:
        orders.make_live(session, query)
