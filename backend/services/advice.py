"""What the rounds of a project advise: which labels more tiles would still teach."""

from collections.abc import Sequence

from sqlalchemy import select
from sqlalchemy.orm import Session

from backend.domain.advice import Measured, advise
from backend.domain.metrics import Interval
from backend.domain.states import ModelState, Split
from backend.models import Evaluation, ModelVersion, Project
from backend.schemas.metric import AdviceView
from backend.services import quality
from backend.services.metrics import Effort


def by_label(
    session: Session, project: Project, rounds: Sequence[tuple[ModelVersion, Effort]]
) -> dict[str, AdviceView]:
    """Return the advice for each label, from the rounds that led to the live one.

    Rounds of another segmenter than the live version's are left out: the difference
    between two segmenters is no gain of tiles.
    """
    live = next((v for v, _ in rounds if v.state is ModelState.LIVE), None)
    served = [
        (version, effort["tiles"])
        for version, effort in rounds
        if live is not None
        and version.promoted_at is not None
        and version.ordinal <= live.ordinal
        and version.segmenter == live.segmenter
    ]
    rows = session.scalars(
        select(Evaluation).where(
            Evaluation.model_version_id.in_([version.id for version, _ in served]),
            Evaluation.split == Split.VALIDATION,
        )
    )
    measured = {(row.model_version_id, row.value): row for row in rows}
    return {
        label.name: AdviceView.model_validate(
            advise(
                [
                    _measured(version, tiles, measured.get((version.id, label.value)))
                    for version, tiles in served
                ],
                label.target_recall,
            )
        )
        for label in project.labels
    }


def _measured(version: ModelVersion, tiles: int, row: Evaluation | None) -> Measured:
    if row is None:
        return Measured(version.ordinal, tiles, None, None, None, None)
    counts = quality.counts(row)
    return Measured(
        round=version.ordinal,
        tiles=tiles,
        dice=counts.dice,
        dice_interval=_interval(row.dice_low, row.dice_high),
        recall=counts.recall,
        recall_interval=_interval(row.recall_low, row.recall_high),
    )


def _interval(low: float | None, high: float | None) -> Interval | None:
    return None if low is None or high is None else Interval(low, high)
