"""What versions had missed on tiles they asked for, beside tiles drawn by chance."""

import uuid
from collections import defaultdict
from collections.abc import Iterable
from typing import Any, cast

from sqlalchemy import select
from sqlalchemy.orm import Session

from backend.models import Project, Query, QueryTile
from backend.schemas.metric import FoundView
from backend.services import controls

CHANCE = "random"
"""The strategy whose every tile is drawn at random; others fill up by chance, but only
where their own criterion finds nothing."""


def of_versions(
    session: Session, project: Project, version_ids: Iterable[uuid.UUID]
) -> dict[uuid.UUID, dict[str, FoundView]]:
    """Return what each version missed per label, by version and label name.

    Tiles count once lessons were drawn from them, which the ranking after the next
    training does; a label only where the mask is complete for it.
    """
    rows = session.execute(
        select(
            Query.model_version_id,
            Query.strategy,
            QueryTile.parts["component"].astext,
            QueryTile.lessons,
        )
        .join(Query, Query.id == QueryTile.query_id)
        .where(
            Query.model_version_id.in_(list(version_ids)),
            QueryTile.lessons.is_not(None),
        )
    )
    names = {str(label.value): label.name for label in project.labels}
    found: dict[uuid.UUID, dict[str, FoundView]] = defaultdict(dict)
    for version_id, strategy, component, lessons in rows:
        for value, lesson in cast("dict[str, Any]", lessons).items():
            if version_id is None or value not in names:
                continue
            view = found[version_id].setdefault(names[value], FoundView())
            if strategy == CHANCE or component in controls.COMPONENTS:
                view.chance_tiles += 1
                view.chance_missed += int(lesson["missed"])
            else:
                view.chosen_tiles += 1
                view.chosen_missed += int(lesson["missed"])
    return found
