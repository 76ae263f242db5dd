"""Tiles that somebody chose, instead of the ranker."""

import uuid
from collections.abc import Sequence

from sqlalchemy import select
from sqlalchemy.orm import Session

from backend.domain.errors import Conflict, Invalid
from backend.domain.states import QueryState, Split, TaskSource
from backend.models import Project, Query, Tile
from backend.schemas.loop import RankedTile
from backend.services import audit, models, orders
from backend.services.access import Principal


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
    kept_out = orders.excluded(session, project.id)
    taken = [str(id) for id in tile_ids if id in kept_out]
    if taken:
        raise Conflict(
            f"Annotated, skipped or held already: {', '.join(taken[:5])}.",
            field="tiles",
        )
    version = models.live(session, project.id)
    asked = {orders.ASKED_FOR: sorted(set(complete_for))} if complete_for else {}
    query = Query(
        project_id=project.id,
        strategy=orders.CHOSEN,
        parameters=asked,
        seed=project.seed,
        model_version_id=version.id if version else None,
        state=QueryState.SUPERSEDED,
    )
    head = [
        RankedTile(
            tile_id=id,
            rank=rank_,
            score=0.0,
            component=orders.CHOSEN,
            parts={},
            reason=f"Chosen by {principal.name}.",
        )
        for rank_, id in enumerate(tile_ids, start=1)
    ]
    orders.store(session, query, head)
    orders.make_live(session, query, TaskSource.CHOSEN)
    audit.record(session, principal, "choose", "query", query.id, project_id=project.id)
    return query
