"""Queries: what the ranker asks for, and how that becomes the order of tasks."""

import uuid
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from sqlalchemy import CompoundSelect, Select, exists, insert, select, union, update
from sqlalchemy.orm import Session

from backend.db import publish_after_commit
from backend.domain.errors import Conflict, Invalid
from backend.domain.events import Event, EventKind
from backend.domain.states import (
    ImageState,
    JobKind,
    Lane,
    ModelState,
    QueryState,
    Split,
    TaskKind,
    TaskSource,
    TaskState,
)
from backend.models import (
    Annotation,
    Image,
    Job,
    ModelVersion,
    Project,
    Query,
    QueryTile,
    Task,
    Tile,
)
from backend.ranker import Pool, keys_of, rank
from backend.schemas.loop import RankedTile, ScoreResult, ScoreWork
from backend.services import artifacts, audit, controls, jobs, knowledge
from backend.services.access import Principal, now

START = "start"
"""The strategy that needs no model."""
RESERVE = 4
"""Reserve of a head, in query sizes, so that nobody waits for a training."""
CANDIDATES = 2048
"""Of how many tiles at most `start` chooses."""
ASKED_FOR = "complete_for"
"""Parameter of a Query of chosen tiles: the labels that are asked for, if not all."""
HELD = (TaskState.CLAIMED, TaskState.SUBMITTED, TaskState.RETURNED)


def excluded(session: Session, project_id: uuid.UUID) -> set[uuid.UUID]:
    """Return the pool tiles no Query may ask for: annotated, or in somebody's hands."""
    return set(session.scalars(union(*_taken(project_id))))


def unranked(project_id: uuid.UUID) -> CompoundSelect[uuid.UUID]:
    """Select the tiles the ranker leaves out: `excluded`, or beside validation."""
    return union(*_taken(project_id), controls.beside_validation(project_id))


def _taken(project_id: uuid.UUID) -> tuple[Select[uuid.UUID], Select[uuid.UUID]]:
    annotated = select(Annotation.tile_id).where(
        Annotation.project_id == project_id,
        Annotation.accepted_at.is_not(None),
        Annotation.retracted_at.is_(None),
    )
    held = select(Task.tile_id).where(
        Task.project_id == project_id,
        Task.kind == TaskKind.ANNOTATE,
        Task.state.in_((*HELD, TaskState.SKIPPED)),
    )
    return annotated, held


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
    kept_out = session.scalars(unranked(project.id))
    return ScoreWork(
        job_id=job.id,
        fence=job.fence,
        strategy=project.strategy,
        parameters=project.strategy_parameters,
        query_size=project.query_size,
        reserve=RESERVE * project.query_size,
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
    _add_head(session, query, result.head)
    knowledge.keep(session, result.lessons)
    if version.state is ModelState.LIVE:
        make_live(session, query)


def request_start(session: Session, project: Project) -> Query | None:
    """Order the pool without a model; None if no tile of it is left to ask for."""
    reserve = RESERVE * project.query_size
    tiles = _free_tiles(session, project, max(CANDIDATES, 2 * reserve))
    if not tiles:
        return None
    numbers: dict[uuid.UUID, int] = {}
    pool = Pool(
        keys=keys_of(tile.id for tile in tiles),
        images=np.array(
            [numbers.setdefault(tile.image_id, len(numbers)) for tile in tiles],
            np.int64,
        ),
        boxes=np.array([(t.y, t.x, t.h, t.w) for t in tiles], np.int32),
        excluded=np.zeros(len(tiles), bool),
    )
    ranked = rank(START, pool, project.query_size, reserve, project.seed)
    query = Query(
        project_id=project.id,
        strategy=START,
        seed=project.seed,
        state=QueryState.SUPERSEDED,
    )
    _add_head(
        session,
        query,
        [
            RankedTile(
                tiles[r.tile].id, r.rank, r.score, r.component, r.parts, r.reason
            )
            for r in ranked
        ],
    )
    make_live(session, query)
    return query


def _free_tiles(session: Session, project: Project, most: int) -> list[Tile]:
    """Return the tiles that may be ranked; of a larger pool, so many at random.

    A claim may wait for this, so it must not read a million rows: ids are random, and
    neighbours in their order are a sample.
    """
    free = (
        select(Tile)
        .join(Image, Image.id == Tile.image_id)
        .where(
            Tile.project_id == project.id,
            Tile.split == Split.POOL,
            Image.state == ImageState.READY,
            Tile.id.not_in(unranked(project.id)),
        )
        .order_by(Tile.id)
    )
    begin = uuid.uuid5(project.id, str(project.seed))
    tiles = list(session.scalars(free.where(Tile.id >= begin).limit(most)))
    if len(tiles) < most:
        rest = free.where(Tile.id < begin).limit(most - len(tiles))
        tiles += session.scalars(rest)
    return tiles


def refill(session: Session, project: Project) -> bool:
    """Order what is left once a head made without a model is used up; False if none.

    A head made by a model is not refilled: the next training brings a better one.
    """
    live = session.scalar(
        select(Query.strategy).where(
            Query.project_id == project.id, Query.state == QueryState.LIVE
        )
    )
    if live not in (None, START):
        return False
    return request_start(session, project) is not None


def choose(
    session: Session,
    principal: Principal,
    project: Project,
    tile_ids: Sequence[uuid.UUID],
    complete_for: Sequence[int] | None = None,
) -> Query:
    """Make a Query of tiles somebody chose, in the order given.

    `complete_for` are the values of the labels that people are asked for, None all.
    """
    unknown = sorted(set(complete_for or ()) - set(project.schema.values))
    if unknown:
        raise Invalid(
            f"The project has no label {unknown[0]}; name values among "
            f"{', '.join(map(str, project.schema.values))}.",
            field="complete_for",
        )
    if len(set(tile_ids)) != len(tile_ids):
        raise Invalid("A tile is listed twice; name each once.", field="tiles")
    known = set(
        session.scalars(
            select(Tile.id).where(
                Tile.project_id == project.id,
                Tile.id.in_(tile_ids),
                Tile.split == Split.POOL,
            )
        )
    )
    strangers = [str(id) for id in tile_ids if id not in known]
    if strangers:
        raise Invalid(
            f"Not pool tiles of this project: {', '.join(strangers[:5])}.",
            field="tiles",
        )
    kept_out = excluded(session, project.id)
    taken = [str(id) for id in tile_ids if id in kept_out]
    if taken:
        raise Conflict(
            f"Annotated, skipped or held already: {', '.join(taken[:5])}.",
            field="tiles",
        )
    version = session.scalar(
        select(ModelVersion.id).where(
            ModelVersion.project_id == project.id,
            ModelVersion.state == ModelState.LIVE,
        )
    )
    query = Query(
        project_id=project.id,
        strategy="chosen",
        parameters={ASKED_FOR: sorted(set(complete_for))} if complete_for else {},
        seed=project.seed,
        model_version_id=version,
        state=QueryState.SUPERSEDED,
    )
    head = [
        RankedTile(
            tile_id=id,
            rank=rank_,
            score=0.0,
            component="chosen",
            parts={},
            reason=f"Chosen by {principal.name}.",
        )
        for rank_, id in enumerate(tile_ids, start=1)
    ]
    _add_head(session, query, head)
    make_live(session, query, TaskSource.CHOSEN)
    audit.record(session, principal, "choose", "query", query.id, project_id=project.id)
    return query


def revive(session: Session, version: ModelVersion) -> bool:
    """Make the version's newest Query live again; False if it has none."""
    query = session.scalar(
        select(Query)
        .where(Query.model_version_id == version.id, Query.strategy != "chosen")
        .order_by(Query.created_at.desc())
        .limit(1)
    )
    if query is None:
        return False
    make_live(session, query)
    return True


def make_live(
    session: Session, query: Query, source: TaskSource = TaskSource.QUERY
) -> None:
    """Serve this Query from now on.

    Its head becomes open Tasks in rank order; unclaimed Tasks of earlier Queries are
    withdrawn; what people hold, have submitted or were sent back is never touched.
    """
    # claims take task rows with SKIP LOCKED; the project's row orders re-rankings
    session.get_one(Project, query.project_id, with_for_update=True)
    session.execute(
        update(Query)
        .where(Query.project_id == query.project_id, Query.state == QueryState.LIVE)
        .values(state=QueryState.SUPERSEDED)
    )
    query.state = QueryState.LIVE
    session.flush()
    session.execute(
        update(Task)
        .where(
            Task.project_id == query.project_id,
            Task.kind == TaskKind.ANNOTATE,
            Task.state == TaskState.OPEN,
            Task.source.in_((TaskSource.QUERY, TaskSource.CHOSEN, TaskSource.CONTROL)),
        )
        .values(state=TaskState.WITHDRAWN, updated_at=now())
    )
    kept_out = excluded(session, query.project_id)
    open_elsewhere = exists().where(
        Task.tile_id == QueryTile.tile_id,
        Task.kind == TaskKind.ANNOTATE,
        Task.slot == 0,
        Task.state.in_((TaskState.OPEN, *HELD)),
    )
    head = session.execute(
        select(QueryTile.tile_id, QueryTile.rank, QueryTile.parts["component"].astext)
        .join(Tile, Tile.id == QueryTile.tile_id)
        .join(Image, Image.id == Tile.image_id)
        .where(
            QueryTile.query_id == query.id,
            Image.state == ImageState.READY,
            Tile.split == Split.POOL,
            ~open_elsewhere,
        )
        .order_by(QueryTile.rank)
    ).all()
    opened = [
        {
            "project_id": query.project_id,
            "tile_id": tile_id,
            "query_id": query.id,
            "kind": TaskKind.ANNOTATE,
            "source": why,
            # a mask begun from the prediction would miss what it misses
            "blind": why is TaskSource.CONTROL,
            "rank": rank_,
            "state": TaskState.OPEN,
            "complete_for": query.parameters.get(ASKED_FOR),
        }
        for tile_id, rank_, component in head
        if tile_id not in kept_out
        for why in [controls.source_of(component, source)]
    ]
    if opened:
        session.execute(insert(Task), opened)
    publish_after_commit(
        session,
        query.project_id,
        Event(EventKind.QUERY, str(query.id), QueryState.LIVE),
    )


def live_ranks(
    session: Session, project_id: uuid.UUID, tile_ids: Iterable[uuid.UUID]
) -> Mapping[uuid.UUID, int]:
    """Return the rank each of these tiles has in the live Query, if it has one."""
    rows = session.execute(
        select(QueryTile.tile_id, QueryTile.rank)
        .join(Query, Query.id == QueryTile.query_id)
        .where(
            Query.project_id == project_id,
            Query.state == QueryState.LIVE,
            QueryTile.tile_id.in_(list(tile_ids)),
        )
    )
    return dict(rows.all())


def _add_head(session: Session, query: Query, head: Sequence[RankedTile]) -> None:
    session.add(query)
    session.flush()
    if head:
        session.execute(
            insert(QueryTile),
            [
                {
                    "query_id": query.id,
                    "rank": item.rank,
                    "tile_id": item.tile_id,
                    "score": item.score,
                    "parts": {"component": item.component, **item.parts},
                    "reason": item.reason,
                }
                for item in head
            ],
        )
