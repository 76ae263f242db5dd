"""How far people agree: with each other, with gold, and with what they were shown."""

import uuid
from collections import defaultdict
from collections.abc import Mapping, Sequence

from sqlalchemy import ColumnElement, Select, func, or_, select
from sqlalchemy.dialects.postgresql import distinct_on
from sqlalchemy.orm import Session, undefer

from backend.domain.agreement import Opinion, by_label, compared, of_tile
from backend.domain.errors import NotFound
from backend.domain.masks import unpack
from backend.domain.metrics import Counts, mean
from backend.domain.states import (
    CHECKS,
    ImageState,
    Split,
    TaskKind,
    TaskSource,
    TaskState,
)
from backend.models import (
    Annotation,
    GoldTile,
    Image,
    ModelVersion,
    Prediction,
    Project,
    Task,
    Tile,
)
from backend.schemas.agreement import (
    AgreementOn,
    AgreementView,
    Anchoring,
    Arm,
    LabelAgreementView,
    PersonAgreement,
)
from backend.services import annotations, annotationviews, checks, maps
from backend.storage import ArtifactStore

NEWEST = 100
"""Tiles of each part: rasters are read and compared while somebody waits."""
Tiles = list[Mapping[int, Counts]]


def view(session: Session, project: Project, store: ArtifactStore) -> AgreementView:
    """Return the project's agreement, each part over its newest tiles."""
    answers = _answers(session, project, TaskSource.GOLD)
    truths = _truths(session, project, {row.tile_id for row in answers})
    by_person: dict[uuid.UUID, Tiles] = defaultdict(list)
    gold: Tiles = []
    for row in answers:
        if row.tile_id in truths and row.author_id is not None:
            counts = _compared(project, *truths[row.tile_id], row)
            gold.append(counts)
            by_person[row.author_id].append(counts)
    names = annotationviews.names_of(session, set(by_person))
    return AgreementView(
        gold_tiles=session.scalar(
            select(func.count()).select_from(checks.listed(project).subquery())
        )
        or 0,
        second=_on(project, _seconds(session, project)),
        gold=_on(project, gold),
        people=[
            PersonAgreement(
                user_id=id, name=names[id], **_on(project, tiles).model_dump()
            )
            for id, tiles in sorted(by_person.items(), key=lambda kv: names[kv[0]])
        ],
        anchoring=Anchoring(
            shown=_arm(session, project, store, shown=True),
            blind=_arm(session, project, store, shown=False),
        ),
    )


def _seconds(session: Session, project: Project) -> Tiles:
    answers = _answers(session, project, TaskSource.SECOND)
    firsts = session.execute(
        annotations.newest_accepted(project.id, *Split)
        .where(Annotation.tile_id.in_({row.tile_id for row in answers}))
        .options(undefer(Annotation.raster))
    )
    accepted = {tile.id: (first, tile) for first, tile in firsts}
    return [
        _compared(project, *accepted[row.tile_id], row)
        for row in answers
        if row.tile_id in accepted
        # after a retraction the second person may have been given the tile itself
        and accepted[row.tile_id][0].author_id != row.author_id
    ]


def _answers(
    session: Session, project: Project, source: TaskSource
) -> Sequence[Annotation]:
    """Return what was submitted to checks of one source, newest first."""
    return session.scalars(
        select(Annotation)
        .join(Task, Task.id == Annotation.task_id)
        .where(
            Task.project_id == project.id,
            Task.source == source,
            Task.state == TaskState.ACCEPTED,
            Annotation.author_id == Task.assignee_id,
            ~Annotation.late,
            _usable(),
        )
        .order_by(Annotation.created_at.desc(), Annotation.id)
        .limit(NEWEST)
        .options(undefer(Annotation.raster))
    ).all()


def _truths(
    session: Session, project: Project, tile_ids: set[uuid.UUID]
) -> dict[uuid.UUID, tuple[Annotation, Tile]]:
    rows = session.execute(
        select(Annotation, Tile)
        .join(GoldTile, GoldTile.annotation_id == Annotation.id)
        .join(Tile, Tile.id == GoldTile.tile_id)
        .where(
            GoldTile.project_id == project.id,
            GoldTile.tile_id.in_(tile_ids),
            _usable(),
        )
        .options(undefer(Annotation.raster))
    )
    return {tile.id: (gold, tile) for gold, tile in rows}


def _usable() -> ColumnElement[bool]:
    return Annotation.retracted_at.is_(None) & Annotation.erased_at.is_(None)


def _compared(
    project: Project, truth: Annotation, tile: Tile, row: Annotation
) -> dict[int, Counts]:
    values = project.schema.values
    return compared(_opinion(truth, tile), _opinion(row, tile), values)


def _opinion(row: Annotation, tile: Tile) -> Opinion:
    return Opinion(unpack(row.raster or b"", (tile.h, tile.w)), row.complete_for)


def _on(project: Project, tiles: Tiles) -> AgreementOn:
    agreed = by_label(tiles)
    return AgreementOn(
        tiles=len(tiles),
        labels={
            label.name: LabelAgreementView.model_validate(agreed[label.value])
            for label in project.labels
            if label.value in agreed
        },
    )


def _arm(
    session: Session, project: Project, store: ArtifactStore, *, shown: bool
) -> Arm:
    """Return the mean Dice of people's first masks of tiles with the prediction."""
    scores = []
    for row, tile in session.execute(_firsts(project, shown=shown)):
        prediction = _prediction(session, row, tile)
        if prediction is None:
            continue
        version = session.get_one(ModelVersion, prediction.model_version_id)
        known = version.settings.get("values")
        window = maps.Window(0, tile.y, tile.x, tile.h, tile.w)
        try:
            region = maps.read(session, store, prediction, maps.MapKind.LABELS, window)
        except NotFound:  # collected since
            continue
        values = known if isinstance(known, list) else project.schema.values
        counts = compared(
            _opinion(row, tile), Opinion(region.values, values), project.schema.values
        )
        scores.append(of_tile(counts))
    return Arm(dice=mean(scores), tiles=sum(score is not None for score in scores))


def _firsts(project: Project, *, shown: bool) -> Select[Annotation, Tile]:
    """Select the first mask of each annotate task, with or without a pre-label."""
    blind = or_(Task.blind, Task.source.in_(CHECKS | {TaskSource.CONTROL}))
    said = Annotation.prediction_id.is_not(None)
    first = (
        select(Annotation.id)
        .join(Task, Task.id == Annotation.task_id)
        .where(Task.project_id == project.id, Task.kind == TaskKind.ANNOTATE)
        .where(said if shown else blind & ~said)
        .ext(distinct_on(Annotation.task_id))
        .order_by(Annotation.task_id, Annotation.revision)
    )
    return (
        select(Annotation, Tile)
        .join(Tile, Tile.id == Annotation.tile_id)
        .join(Image, Image.id == Tile.image_id)
        .where(Annotation.id.in_(first), Image.state == ImageState.READY, _usable())
        .order_by(Annotation.created_at.desc(), Annotation.id)
        .limit(NEWEST)
        .options(undefer(Annotation.raster))
    )


def _prediction(session: Session, row: Annotation, tile: Tile) -> Prediction | None:
    """Return what was shown, or would have been: before anybody painted the tile."""
    if row.prediction_id is not None:
        return session.get_one(Prediction, row.prediction_id)
    painted = select(func.min(Annotation.created_at)).where(
        Annotation.tile_id == tile.id
    )
    return session.scalar(
        select(Prediction)
        .join(ModelVersion, ModelVersion.id == Prediction.model_version_id)
        .where(
            Prediction.image_id == tile.image_id,
            ModelVersion.created_at < painted.scalar_subquery(),
        )
        .order_by(ModelVersion.ordinal.desc())
        .limit(1)
    )
