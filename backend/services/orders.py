"""Orders: which tiles may be asked for, and the Query whose head is served as tasks."""

import uuid
from collections.abc import Iterable, Mapping, Sequence

from sqlalchemy import CompoundSelect, Select, exists, insert, select, union, update
from sqlalchemy.orm import Session

from backend.db import publish_after_commit
from backend.domain.events import Event, EventKind
from backend.domain.states import (
    ImageState,
    QueryState,
    Split,
    TaskKind,
    TaskSource,
    TaskState,
)
from backend.models import (
    Annotation,
    Image,
    ModelVersion,
    Query,
    QueryTile,
    Task,
    Tile,
)
from backend.schemas.loop import RankedTile
from backend.services import controls
from backend.services.access import lock_project, now

RESERVE = 4
"""Reserve of a head, in query sizes, so that nobody waits for a training."""
CHOSEN = "chosen"
"""The strategy of tiles that a person named."""
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


def store(session: Session, query: Query, head: Sequence[RankedTile]) -> None:
    """Store a Query and the tiles at its head, in order."""
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


def revive(session: Session, version: ModelVersion) -> bool:
    """Make the version's newest Query live again; False if it has none."""
    query = session.scalar(
        select(Query)
        .where(Query.model_version_id == version.id, Query.strategy != CHOSEN)
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
    lock_project(session, query.project_id)
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
