"""Measured quality as a flat table: one row per round, split and label."""

from collections.abc import Iterator

from backend.schemas.agreement import AgreementView
from backend.schemas.base import View
from backend.schemas.metric import MetricsView
from backend.schemas.model import CurvesView, Figures, Quality

COLUMNS = "round segmenter state tiles split label dice iou f1 precision recall ap"


class Measured(Figures):
    """Figures of one label."""

    split: str
    label: str


class RoundMeasured(Measured):
    """Figures of one label in one round."""

    round: int
    segmenter: str
    state: str
    tiles: int


def flat(metrics: MetricsView) -> Iterator[View]:
    """Yield the figures of all rounds, oldest first."""
    for row in metrics.rounds:
        for measured in measures(row.quality):
            yield RoundMeasured(
                **measured.model_dump(),
                round=row.round,
                segmenter=row.segmenter,
                state=row.state,
                tiles=row.tiles,
            )


def measures(quality: Quality) -> Iterator[Measured]:
    """Yield the figures of one version by split and label."""
    for split, labels in quality.items():
        for label, figures in labels.items():
            yield Measured(**figures.model_dump(), split=split, label=label)


class CurveRow(View):
    """Precision of one label where it is served, or at some recall."""

    label: str
    at: str
    recall: float | None
    precision: float | None
    probability: float | None
    offset: float | None
    floor: float | None
    ap: float | None


def curve(found: CurvesView) -> Iterator[View]:
    """Yield where each label is served, then its curve at every tenth of recall.

    The point at a recall is the most precise that has at least this recall.
    """
    for label in found.labels:
        served = label.operating_point
        yield CurveRow(
            label=label.name,
            at="served",
            recall=served.recall,
            precision=served.precision,
            probability=None,
            offset=served.offset,
            floor=label.precision_floor,
            ap=label.average_precision,
        )
        for tenth in range(1, 11):
            reached = [point for point in label.points if point.recall >= tenth / 10]
            if reached:
                best = max(reached, key=lambda point: point.precision)
                yield CurveRow(
                    label=label.name,
                    at=f"recall {tenth / 10:.1f}",
                    **best.model_dump(),
                    offset=None,
                    floor=None,
                    ap=None,
                )


class Agreed(View):
    """Agreement of somebody with something on one label."""

    against: str
    who: str
    label: str
    dice: float | None
    tiles: int


def agreed(found: AgreementView) -> Iterator[View]:
    """Yield all agreement by label, and of the pre-label over all of them."""
    parts = [("second", "all", found.second), ("gold", "all", found.gold)]
    parts += [("gold", person.name, person) for person in found.people]
    for against, who, agreement in parts:
        for label, on in agreement.labels.items():
            yield Agreed(
                against=against, who=who, label=label, dice=on.dice, tiles=on.tiles
            )
    for who, arm in (
        ("shown", found.anchoring.shown),
        ("blind", found.anchoring.blind),
    ):
        yield Agreed(
            against="pre-label", who=who, label="mean", dice=arm.dice, tiles=arm.tiles
        )


def text(labels: dict[str, Figures]) -> list[str]:
    """Return Dice, IoU and F1 per label as lines of an aligned table."""
    width = max(map(len, labels), default=0)
    lines = [f"{'':{width}}   Dice    IoU     F1  recall"]
    for label, row in labels.items():
        cells = (row.dice, row.iou, row.f1, row.recall)
        shown = "  ".join("  -  " if v is None else f"{v:.3f}" for v in cells)
        lines.append(f"{label:{width}}  {shown}")
    return lines
