"""Measured quality of model versions, read from their pooled counts."""

import uuid
from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import cast

import numpy as np
from sqlalchemy import select
from sqlalchemy.orm import Session, undefer

from backend.domain.metrics import Counts, CurvePoint, mean, precision_recall
from backend.domain.states import Split
from backend.models import Evaluation, Label, ModelVersion, Project
from backend.schemas.model import (
    CurvePointView,
    CurvesView,
    LabelCurveView,
    OperatingPointView,
)

ENDS = ("dice_low", "dice_high", "recall_low", "recall_high")
"""Columns of the intervals."""


def of_version(
    session: Session, version_id: uuid.UUID, split: Split
) -> list[Evaluation]:
    """Return a version's counts in one split, ordered by label value."""
    return list(
        session.scalars(
            select(Evaluation)
            .where(Evaluation.model_version_id == version_id, Evaluation.split == split)
            .order_by(Evaluation.value)
        )
    )


def of_versions(
    session: Session, project: Project, version_ids: Iterable[uuid.UUID]
) -> dict[uuid.UUID, dict[Split, dict[str, dict[str, float | None]]]]:
    """Return the scores of versions of a project, by version and split."""
    grouped: dict[tuple[uuid.UUID, Split], list[Evaluation]] = defaultdict(list)
    for row in session.scalars(
        select(Evaluation)
        .where(Evaluation.model_version_id.in_(list(version_ids)))
        .order_by(Evaluation.value)
    ):
        grouped[row.model_version_id, row.split].append(row)
    tables: dict[uuid.UUID, dict[Split, dict[str, dict[str, float | None]]]]
    tables = defaultdict(dict)
    for (id, split), rows in grouped.items():
        tables[id][split] = scores(project, rows)
    return tables


def curves(
    session: Session, project: Project, version: ModelVersion, split: Split
) -> CurvesView:
    """Return precision over recall of each label a version was measured by."""
    rows = session.scalars(
        select(Evaluation)
        .where(Evaluation.model_version_id == version.id, Evaluation.split == split)
        .options(undefer(Evaluation.positives), undefer(Evaluation.negatives))
        .order_by(Evaluation.value)
    )
    labels = {label.value: label for label in project.labels}
    return CurvesView(
        model_version_id=version.id,
        round=version.ordinal,
        split=split,
        labels=[_curve(labels[row.value], version, row) for row in rows],
    )


def _curve(label: Label, version: ModelVersion, row: Evaluation) -> LabelCurveView:
    pooled = counts(row)
    points: list[CurvePoint] = []
    if row.positives and row.negatives:
        points = precision_recall(np.array(row.positives), np.array(row.negatives))
    return LabelCurveView(
        value=label.value,
        name=label.name,
        colour=label.colour,
        tiles=row.tiles,
        average_precision=row.average_precision,
        precision_floor=label.precision_floor,
        operating_point=OperatingPointView(
            offset=served_offsets(version).get(label.value, 0.0),
            precision=pooled.precision,
            recall=pooled.recall,
        ),
        points=[CurvePointView.model_validate(point) for point in points],
    )


def served_offsets(version: ModelVersion) -> dict[int, float]:
    """Return the logit offsets that a version is served with, by label value."""
    kept = cast("dict[str, float]", version.offsets)
    return {int(value): offset for value, offset in kept.items()}


def counts(row: Evaluation) -> Counts:
    """Return a row's pooled counts."""
    return Counts(row.tp, row.fp, row.fn)


def scores(
    project: Project, rows: Sequence[Evaluation]
) -> dict[str, dict[str, float | None]]:
    """Return {label name: the figures of schemas.model.Figures} and their "mean".

    0..1; None where undefined, and for the ends of the mean's intervals.
    """
    names = {label.value: label.name for label in project.labels}
    table: dict[str, dict[str, float | None]] = {}
    for row in rows:
        pooled = counts(row)
        table[names[row.value]] = {
            "dice": pooled.dice,
            "iou": pooled.iou,
            "f1": pooled.f1,
            "precision": pooled.precision,
            "recall": pooled.recall,
            "ap": row.average_precision,
            **{end: getattr(row, end) for end in ENDS},
        }
    if table:
        rows_of_labels = list(table.values())
        table["mean"] = {
            **{
                figure: mean(scores[figure] for scores in rows_of_labels)
                for figure in ("dice", "iou", "f1", "precision", "recall", "ap")
            },
            **dict.fromkeys(ENDS),
        }
    return table
