"""The first order of a project's tiles, made before there is a model."""

import uuid
from contextlib import suppress

import numpy as np
from sqlalchemy import select
from sqlalchemy.orm import Session

from backend.domain.errors import Conflict
from backend.domain.states import ImageState, QueryState, Split
from backend.models import Image, Project, Query, Tile
from backend.ranker import Pool, keys_of, rank
from backend.schemas.loop import RankedTile
from backend.services import models, orders, queries
from backend.services.access import Principal

START = "start"
"""The strategy that needs no model."""
CANDIDATES = 2048
"""Of how many tiles at most `start` chooses."""


def make(session: Session, project: Project) -> Query | None:
    """Order the pool without a model; None if no tile of it is left to ask for."""
    reserve = orders.RESERVE * project.query_size
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
    orders.store(
        session,
        query,
        [
            RankedTile(
                tiles[r.tile].id, r.rank, r.score, r.component, r.parts, r.reason
            )
            for r in ranked
        ],
    )
    orders.make_live(session, query)
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
            Tile.id.not_in(orders.unranked(project.id)),
        )
        .order_by(Tile.id)
    )
    begin = uuid.uuid5(project.id, str(project.seed))
    tiles = list(session.scalars(free.where(Tile.id >= begin).limit(most)))
    if len(tiles) < most:
        rest = free.where(Tile.id < begin).limit(most - len(tiles))
        tiles += session.scalars(rest)
    return tiles


def refill(session: Session, principal: Principal, project: Project) -> bool:
    """Order what is left once a head that no model made is used up; False if none.

    After tiles that somebody chose the live version's order follows, by a job. A head
    made by a model is not refilled: the next training brings a better one.
    """
    live = session.scalar(
        select(Query.strategy).where(
            Query.project_id == project.id, Query.state == QueryState.LIVE
        )
    )
    if live == orders.CHOSEN and (version := models.live(session, project.id)):
        with suppress(Conflict):  # asked for already
            queries.request_score(session, version, principal.id)
        return False
    if live not in (None, START, orders.CHOSEN):
        return False
    return make(session, project) is not None
