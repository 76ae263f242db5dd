"""What a project knows about its tiles beyond a model's statistics, as plain values.

The ranker weighs tiles by it: which are annotated, how long people took, and what
earlier versions missed on the tiles they asked for.
"""

import uuid
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import asdict
from typing import Any, cast

from sqlalchemy import ColumnElement, Select, and_, func, select
from sqlalchemy.dialects.postgresql import aggregate_order_by, distinct_on
from sqlalchemy.orm import Session, undefer

from backend.domain.states import ImageState, Split, TaskKind, TaskState
from backend.models import (
    Annotation,
    Artifact,
    Image,
    ModelVersion,
    Prediction,
    Query,
    QueryTile,
    Task,
    Tile,
)
from backend.models.base import Json
from backend.schemas.loop import (
    Answer,
    Answered,
    LessonOfTile,
    LessonsOfTile,
    Measured,
    PoolImage,
    TimedTile,
)
from backend.schemas.stored import Manifest, StoredTree
from backend.services import annotations, artifacts, quality


def images(session: Session, version: ModelVersion) -> tuple[PoolImage, ...]:
    """Return every image the version has swept, with its tiles in grid order."""
    swept = session.execute(
        select(Image.id, Image.group, Image.donor, Artifact.key, Artifact.manifest)
        .join(Prediction, Prediction.image_id == Image.id)
        .join(Artifact, Artifact.id == Prediction.artifact_id)
        .where(
            Prediction.model_version_id == version.id, Image.state == ImageState.READY
        )
        .order_by(Image.created_at, Image.id)
    ).all()
    # in one statement: a pool may have a million tiles in ten thousand images
    in_order = func.array_agg(aggregate_order_by(Tile.id, Tile.position))
    tiles = dict(
        session.execute(
            select(Tile.image_id, in_order)
            .where(Tile.project_id == version.project_id)
            .group_by(Tile.image_id)
        ).all()
    )
    return tuple(
        PoolImage(
            image_id=id,
            sweep=StoredTree(key, cast("Manifest", manifest)),
            tiles=tuple(tiles[id]),
            group=group,
            donor=donor,
        )
        for id, group, donor, key, manifest in swept
    )


def measured(session: Session, version: ModelVersion) -> tuple[Measured, ...]:
    """Return what the version's evaluation counted on validation tiles."""
    rows = quality.of_version(session, version.id, Split.VALIDATION)
    return tuple(
        Measured(
            split=row.split,
            value=row.value,
            counts=quality.counts(row),
            tiles=row.tiles,
            average_precision=row.average_precision,
            undecided_missed=tuple(row.undecided_missed or ()),
            undecided_others=tuple(row.undecided_others or ()),
        )
        for row in rows
    )


def annotated(session: Session, project_id: uuid.UUID) -> frozenset[uuid.UUID]:
    """Return the pool tiles that have an accepted annotation."""
    newest = annotations.newest_accepted(project_id, Split.POOL)
    rows = session.scalars(newest.with_only_columns(Annotation.tile_id))
    return frozenset(rows)


def timed(session: Session, project_id: uuid.UUID) -> tuple[TimedTile, ...]:
    """Return what people took for tiles of the ranker, from the pre-label to the mask.

    Control tiles are painted on a blank tile, which takes longer: they do not count,
    nor do corrections of a mask that was sent before.
    """
    first = (
        select(Annotation.id)
        .join(Task, Task.id == Annotation.task_id)
        .where(
            Annotation.project_id == project_id,
            Annotation.active_seconds > 0,
            ~Annotation.late,
            _stands(),
            Task.kind == TaskKind.ANNOTATE,
            ~Task.blind,
        )
        .ext(distinct_on(Annotation.task_id))
        .order_by(Annotation.task_id, Annotation.revision)
    )
    rows = session.execute(
        select(QueryTile.parts, Annotation.active_seconds)
        .join(Task, Task.id == Annotation.task_id)
        .join(QueryTile, _asked_by(Task))
        .where(Annotation.id.in_(first))
        .order_by(Annotation.created_at, Annotation.id)
    )
    return tuple(
        TimedTile(_numbers(parts), (seconds or 0.0) / 60) for parts, seconds in rows
    )


def lessons(
    session: Session, project_id: uuid.UUID
) -> dict[int, tuple[LessonOfTile, ...]]:
    """Return what was learnt from tiles whose annotation still stands, by label."""
    rows = session.scalars(
        select(QueryTile.lessons)
        .join(Query, Query.id == QueryTile.query_id)
        .where(
            Query.project_id == project_id,
            QueryTile.lessons.is_not(None),
            QueryTile.tile_id.in_(
                select(Annotation.tile_id).where(
                    Annotation.project_id == project_id, _stands()
                )
            ),
        )
        .order_by(Query.created_at, QueryTile.query_id, QueryTile.rank)
    )
    found: dict[int, list[LessonOfTile]] = defaultdict(list)
    for kept in rows:
        for value, lesson in cast("dict[str, Any]", kept).items():
            found[int(value)].append(LessonOfTile(**lesson))
    return {value: tuple(of_label) for value, of_label in found.items()}


def answered(session: Session, project_id: uuid.UUID) -> tuple[Answered, ...]:
    """Return the answers that lessons can still be drawn from.

    That takes the sweep of the version that asked, which is kept while the version is
    live or was so last.
    """
    found: dict[uuid.UUID, list[Answer]] = defaultdict(list)
    rows = session.execute(_answers(project_id).options(undefer(Annotation.raster)))
    for annotation, tile, query_id, key, manifest in rows:
        found[query_id].append(
            Answer(
                tile_id=tile.id,
                box=tile.box,
                raster=annotation.raster or b"",
                complete_for=tuple(annotation.complete_for),
                sweep=StoredTree(key, cast("Manifest", manifest)),
            )
        )
    scores = dict(
        session.execute(
            select(Query.id, Query.scores_id).where(Query.id.in_(found))
        ).all()
    )
    return tuple(
        Answered(id, artifacts.tree(session, scores_id), tuple(found[id]))
        for id, scores_id in scores.items()
        if scores_id is not None
    )


def _answers(
    project_id: uuid.UUID,
) -> Select[Annotation, Tile, uuid.UUID, str, Json | None]:
    """Select the newest mask of each tile a ranking asked for and nobody learnt from.

    A reviewer may have painted it: the task is the tile's, not the annotation's.
    """
    newest = annotations.newest_accepted(project_id, Split.POOL, Split.VALIDATION)
    return (
        select(Annotation, Tile, Query.id, Artifact.key, Artifact.manifest)
        .join(Tile, Tile.id == Annotation.tile_id)
        .join(
            Task,
            and_(
                Task.tile_id == Tile.id,
                Task.kind == TaskKind.ANNOTATE,
                Task.slot == 0,
                Task.state == TaskState.ACCEPTED,
            ),
        )
        .join(QueryTile, _asked_by(Task))
        .join(Query, Query.id == QueryTile.query_id)
        .join(
            Prediction,
            and_(
                Prediction.model_version_id == Query.model_version_id,
                Prediction.image_id == Tile.image_id,
            ),
        )
        .join(Artifact, Artifact.id == Prediction.artifact_id)
        .where(
            Annotation.id.in_(newest.with_only_columns(Annotation.id)),
            Query.scores_id.is_not(None),
            QueryTile.lessons.is_(None),
            Artifact.manifest.is_not(None),
        )
        .ext(distinct_on(QueryTile.query_id, QueryTile.tile_id))
        .order_by(QueryTile.query_id, QueryTile.tile_id)
    )


def keep(session: Session, taught: Iterable[LessonsOfTile]) -> None:
    """Store what answers taught, so that it outlives the sweeps it was drawn from."""
    for tile in taught:
        row = session.scalar(
            select(QueryTile).where(
                QueryTile.query_id == tile.query_id, QueryTile.tile_id == tile.tile_id
            )
        )
        if row is not None:
            row.lessons = {
                str(value): asdict(lesson) for value, lesson in tile.lessons.items()
            }
    session.flush()


def _asked_by(task: type[Task]) -> ColumnElement[bool]:
    return and_(QueryTile.query_id == task.query_id, QueryTile.tile_id == task.tile_id)


def _stands() -> ColumnElement[bool]:
    return and_(
        Annotation.accepted_at.is_not(None),
        Annotation.retracted_at.is_(None),
        Annotation.erased_at.is_(None),
    )


def _numbers(parts: dict[str, object]) -> dict[str, float]:
    """Return the score parts among what a rank keeps."""
    return {name: part for name, part in parts.items() if isinstance(part, int | float)}
