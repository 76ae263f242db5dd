"""Bodies of trainings and model versions."""

import datetime as dt
import uuid
from typing import Literal

from pydantic import Field

from backend.domain.states import ModelState, Schedule, Split
from backend.schemas.base import Body, View


class NewTraining(Body):
    """A training to start; what is left out comes from the project."""

    segmenter: Literal["nnunet", "forest"] | None = Field(None, examples=["nnunet"])
    steps: int | None = Field(
        None, ge=1, le=1_000_000, description="Optimiser steps.", examples=[1500]
    )
    minutes: float | None = Field(
        None,
        gt=0,
        le=1_000_000,
        description="Stop after so many minutes.",
        examples=[30],
    )
    schedule: Schedule | None = Field(
        None,
        description="quick goes on from the live version, full starts from scratch, "
        "auto chooses.",
        examples=["full"],
    )
    stop_at_plateau: bool | None = Field(
        None, description="Stop before that when validation no longer gains."
    )
    folds: int | None = Field(
        None, ge=1, le=5, description="Networks of a full training."
    )
    replan: bool = Field(
        False,
        description="Let nnU-Net plan anew from the data of today: a full training, "
        "and every later one keeps to the new plans.",
    )


class Figures(View):
    """Quality of one label from pooled pixel counts, 0..1; null where undefined."""

    dice: float | None
    iou: float | None
    f1: float | None
    precision: float | None
    recall: float | None
    ap: float | None = Field(description="Average precision of the probabilities.")
    dice_low: float | None = Field(
        description="Lower end of Dice's 95 % interval from 1000 resamples of the "
        "measured tiles: it covers which tiles were measured, not what another "
        "training would give. Null for the mean, where fewer than two tiles hold the "
        "label, and in rounds measured before intervals were kept."
    )
    dice_high: float | None = Field(description="Its upper end.")
    recall_low: float | None = Field(
        description="Lower end of the recall's 95 % interval, likewise."
    )
    recall_high: float | None = Field(description="Its upper end.")


class CurvePointView(View):
    """Precision and recall if every pixel of at least a probability were drawn."""

    probability: float
    precision: float
    recall: float


class OperatingPointView(View):
    """How a label is served: its logit offset and what was measured with it."""

    offset: float = Field(
        description="Added to the label's log p before the largest class is taken; "
        "chosen on validation tiles, 0 without a precision floor."
    )
    precision: float | None
    recall: float | None


class LabelCurveView(View):
    """One label's precision and recall on the tiles of a split."""

    value: int
    name: str
    colour: str
    tiles: int = Field(description="Measured tiles that hold the label.")
    average_precision: float | None
    precision_floor: float | None = Field(description="The label's floor of today.")
    operating_point: OperatingPointView
    points: list[CurvePointView] = Field(
        description="By rising recall, at most 256; empty if no measured pixel is the "
        "label's, and in rounds measured before curves were kept."
    )


class CurvesView(View):
    """Precision-recall curves of a version, from pooled pixel counts."""

    model_version_id: uuid.UUID
    round: int
    split: Split
    labels: list[LabelCurveView]


Quality = dict[Split, dict[str, Figures]]
"""By split and label name; `mean` is the mean over the labels that are defined."""


class ModelView(View):
    """A model version: what it learnt from, how good it is, whether it serves."""

    id: uuid.UUID
    project_id: uuid.UUID
    ordinal: int = Field(description="The round.")
    state: ModelState
    segmenter: str
    settings: dict[str, object]
    metrics: dict[str, object] = Field(description="What the training said of itself.")
    schedule: str | None = Field(description="quick or full; null before it is known.")
    schedule_reason: str | None
    plans_version: int | None = Field(
        description="Which of the project's plans it keeps to, counted from 1."
    )
    warnings: list[str] = Field(description="What no longer fits those plans.")
    quality: Quality = Field(description="Of the labels as they are served.")
    offsets: dict[str, float] = Field(
        description="By label name, added to log p before the largest class is taken; "
        "labels left out have 0. Chosen on validation tiles."
    )
    parent_id: uuid.UUID | None
    training_set_id: uuid.UUID
    tiles: int = Field(description="Annotated tiles it learnt from.")
    predictions: int = Field(description="Images it has swept.")
    tainted_at: dt.datetime | None = Field(
        description="When data it learnt from was withdrawn."
    )
    created_at: dt.datetime
    promoted_at: dt.datetime | None
    retired_at: dt.datetime | None


class LessonView(View):
    """One annotation of a TrainingSet."""

    annotation_id: uuid.UUID
    revision: int
    tile_id: uuid.UUID
    image_id: uuid.UUID
    author_id: uuid.UUID | None
    author: str | None
    active_seconds: float | None
    imported: bool
    created_at: dt.datetime
    retracted_at: dt.datetime | None
    erased_at: dt.datetime | None
