"""Queries: the order tiles are served in, why, orders people choose, the queue."""

import uuid
from collections.abc import Sequence
from typing import Annotated

from fastapi import Query as Parameter
from fastapi import Response, status
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from backend.api.deps import Cursor, Limit, PrincipalDep, SessionDep, StoreDep
from backend.api.projects import Key
from backend.api.routing import guarded
from backend.domain.errors import Conflict, Invalid
from backend.domain.states import Role, Split
from backend.models import Query, QueryTile, Tile
from backend.schemas.base import Page
from backend.schemas.job import JobView
from backend.schemas.query import (
    NewQuery,
    QueryTileView,
    QueryView,
    TileState,
    TileStateView,
)
from backend.schemas.queue import QueueView
from backend.services import (
    access,
    choices,
    models,
    pages,
    queries,
    queueviews,
    taskviews,
    tilestates,
)

router = guarded("queries")


@router.get("/projects/{project}/queries")
def list_queries(
    project: Key,
    session: SessionDep,
    principal: PrincipalDep,
    cursor: Cursor = None,
    limit: Limit = 50,
) -> Page[QueryView]:
    """List a project's queries, newest first."""
    row = access.project(session, principal, project, Role.VIEWER)
    statement = select(Query).where(Query.project_id == row.id)
    found, following = pages.page(session, statement, Query, cursor, limit)
    return Page(items=_views(session, found), next=following)


@router.get("/queries/{query}")
def get_query(
    query: uuid.UUID, session: SessionDep, principal: PrincipalDep
) -> QueryView:
    """Return one query."""
    row = access.load(session, principal, Query, query, Role.VIEWER)
    return _views(session, [row])[0]


@router.get("/queries/{query}/tiles")
def list_ranks(
    query: uuid.UUID,
    session: SessionDep,
    principal: PrincipalDep,
    cursor: Cursor = None,
    limit: Limit = 50,
) -> Page[QueryTileView]:
    """List the head of a query by rank: score, its parts, the reason."""
    row = access.load(session, principal, Query, query, Role.VIEWER)
    found = session.execute(
        select(QueryTile, Tile)
        .join(Tile, Tile.id == QueryTile.tile_id)
        .where(QueryTile.query_id == row.id, QueryTile.rank > _rank(cursor))
        .order_by(QueryTile.rank)
        .limit(limit + 1)
    ).all()
    shown = found[:limit]
    more = len(found) > limit
    return Page(
        items=[_rank_view(ranked, tile) for ranked, tile in shown],
        next=str(shown[-1][0].rank) if more else None,
    )


def _rank(cursor: str | None) -> int:
    if cursor is None:
        return 0
    if not cursor.isascii() or not cursor.isdigit() or len(cursor) > 9:
        raise Invalid(
            "This cursor is not one this service gave out; start without it.",
            field="cursor",
        )
    return int(cursor)


@router.post("/projects/{project}/queries", status_code=status.HTTP_201_CREATED)
def choose(
    project: Key,
    body: NewQuery,
    session: SessionDep,
    principal: PrincipalDep,
    response: Response,
) -> QueryView:
    """Serve these tiles from now on, in this order (reviewer)."""
    row = access.project(session, principal, project, Role.REVIEWER)
    query = choices.choose(session, principal, row, body.tiles, body.complete_for)
    session.refresh(query)
    response.headers["Location"] = f"/api/v1/queries/{query.id}"
    return _views(session, [query])[0]


@router.post("/projects/{project}/queries/rerank", status_code=status.HTTP_202_ACCEPTED)
def rerank(
    project: Key, session: SessionDep, principal: PrincipalDep, response: Response
) -> JobView:
    """Score the pool again with the live version (reviewer)."""
    row = access.project(session, principal, project, Role.REVIEWER)
    version = models.live(session, row.id)
    if version is None:
        raise Conflict("No version is live yet, so nothing can score: train first.")
    job = queries.request_score(session, version, principal.id)
    response.headers["Location"] = f"/api/v1/jobs/{job.id}"
    return JobView.model_validate(job)


@router.get("/projects/{project}/queue")
def get_queue(
    project: Key, session: SessionDep, principal: PrincipalDep, store: StoreDep
) -> QueueView:
    """Return what waits, in whose hands it is, and when it is ordered anew.

    Who holds what and at which pace people annotate is shown to reviewers.
    """
    row = access.project(session, principal, project, Role.VIEWER)
    return queueviews.view(session, principal, row, store)


@router.get("/projects/{project}/tiles")
def list_tiles(
    project: Key,
    session: SessionDep,
    principal: PrincipalDep,
    image: Annotated[
        uuid.UUID | None, Parameter(description="Only this image's tiles.")
    ] = None,
    split: Split | None = None,
    state: TileState | None = None,
    cursor: Cursor = None,
    limit: Limit = 50,
) -> Page[TileStateView]:
    """List tiles and what has become of each, those of the newest images first."""
    row = access.project(session, principal, project, Role.VIEWER)
    statement = select(Tile).where(Tile.project_id == row.id)
    if image is not None:
        statement = statement.where(Tile.image_id == image)
    if split is not None:
        statement = statement.where(Tile.split == split)
    if state is not None:
        statement = statement.where(tilestates.stand(row.id, state))
    found, following = pages.page(session, statement, Tile, cursor, limit)
    return Page(items=_tile_views(session, found), next=following)


@router.get("/tiles/{tile}")
def get_tile(
    tile: uuid.UUID, session: SessionDep, principal: PrincipalDep
) -> TileStateView:
    """Return one tile and what has become of it."""
    row = access.load(session, principal, Tile, tile, Role.VIEWER)
    return _tile_views(session, [row])[0]


def _tile_views(session: Session, tiles: Sequence[Tile]) -> list[TileStateView]:
    states = tilestates.of(session, [tile.id for tile in tiles])
    return [
        TileStateView(
            **taskviews.tile_view(tile).model_dump(),
            state=states[tile.id].state,
            annotation_id=states[tile.id].annotation_id,
        )
        for tile in tiles
    ]


def _rank_view(ranked: QueryTile, tile: Tile) -> QueryTileView:
    parts = dict(ranked.parts)
    component = str(parts.pop("component"))
    return QueryTileView.model_validate(
        {
            "rank": ranked.rank,
            "tile": taskviews.tile_view(tile),
            "score": ranked.score,
            "component": component,
            "parts": parts,
            "reason": ranked.reason,
        }
    )


def _views(session: Session, rows: Sequence[Query]) -> list[QueryView]:
    sizes = dict(
        session.execute(
            select(QueryTile.query_id, func.count())
            .where(QueryTile.query_id.in_([row.id for row in rows]))
            .group_by(QueryTile.query_id)
        ).all()
    )
    return [
        QueryView(
            id=row.id,
            project_id=row.project_id,
            strategy=row.strategy,
            parameters=row.parameters,
            seed=row.seed,
            model_version_id=row.model_version_id,
            state=row.state,
            size=sizes.get(row.id, 0),
            created_at=row.created_at,
        )
        for row in rows
    ]
