"""Model versions, what they learnt from, how good they are, what they predicted."""

import datetime as dt
import uuid

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    String,
    UniqueConstraint,
    text,
)
from sqlalchemy.orm import Mapped, mapped_column

from backend.domain.states import ModelState, Split
from backend.models.base import Base, Json, Row, state_column


class TrainingSet(Row):
    """The exact list of annotation revisions a version learnt from."""

    __tablename__ = "training_sets"

    project_id: Mapped[uuid.UUID] = mapped_column(
        ForeignKey("projects.id", ondelete="CASCADE"), index=True
    )


class TrainingSetItem(Base):
    """One annotation of a TrainingSet; its tile must be, and stay, in the pool."""

    __tablename__ = "training_set_items"
    __table_args__ = (
        ForeignKeyConstraint(
            ["annotation_id", "tile_id"],
            ["annotations.id", "annotations.tile_id"],
            ondelete="CASCADE",
        ),
        # no ON UPDATE: moving a learnt tile out of the pool is refused
        ForeignKeyConstraint(
            ["tile_id", "split"], ["tiles.id", "tiles.split"], ondelete="CASCADE"
        ),
        CheckConstraint("split = 'pool'", name="pool_only"),
        UniqueConstraint("training_set_id", "tile_id"),
    )

    training_set_id: Mapped[uuid.UUID] = mapped_column(
        ForeignKey("training_sets.id", ondelete="CASCADE"), primary_key=True
    )
    annotation_id: Mapped[uuid.UUID] = mapped_column(primary_key=True, index=True)
    tile_id: Mapped[uuid.UUID]
    split: Mapped[Split] = mapped_column(state_column(Split), default=Split.POOL)


class ModelVersion(Row):
    """Trained weights with their settings; the ordinal in the project is the round."""

    __tablename__ = "model_versions"
    __table_args__ = (
        UniqueConstraint("project_id", "ordinal"),
        Index(
            "uq_model_versions_live",
            "project_id",
            unique=True,
            postgresql_where=text("state = 'live'"),
        ),
        CheckConstraint(
            "state IN ('training', 'failed') OR artifact_id IS NOT NULL",
            name="weights_when_trained",
        ),
    )

    project_id: Mapped[uuid.UUID] = mapped_column(
        ForeignKey("projects.id", ondelete="CASCADE"), index=True
    )
    ordinal: Mapped[int]
    segmenter: Mapped[str] = mapped_column(String(20))
    state: Mapped[ModelState] = mapped_column(state_column(ModelState))
    parent_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("model_versions.id"))
    training_set_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("training_sets.id"))
    artifact_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("artifacts.id"))
    settings: Mapped[Json] = mapped_column(default=dict)
    metrics: Mapped[Json] = mapped_column(default=dict)
    """What the training said of itself; measured quality stands in `evaluations`."""
    offsets: Mapped[Json] = mapped_column(default=dict)
    """{"value": logit offset} of labels served with one; chosen by the evaluation."""
    promoted_at: Mapped[dt.datetime | None]
    retired_at: Mapped[dt.datetime | None]
    tainted_at: Mapped[dt.datetime | None]
    """Set when data the version learnt from was withdrawn."""


class Evaluation(Base):
    """Pooled pixel counts of one version, split and label, and 95 % intervals."""

    __tablename__ = "evaluations"

    model_version_id: Mapped[uuid.UUID] = mapped_column(
        ForeignKey("model_versions.id", ondelete="CASCADE"), primary_key=True
    )
    split: Mapped[Split] = mapped_column(state_column(Split), primary_key=True)
    value: Mapped[int] = mapped_column(primary_key=True)
    tp: Mapped[int] = mapped_column(BigInteger)
    fp: Mapped[int] = mapped_column(BigInteger)
    fn: Mapped[int] = mapped_column(BigInteger)
    tiles: Mapped[int]
    """Tiles of the split that hold the label."""
    average_precision: Mapped[float | None]
    dice_low: Mapped[float | None]
    dice_high: Mapped[float | None]
    recall_low: Mapped[float | None]
    recall_high: Mapped[float | None]
    by_annotation: Mapped[Json | None] = mapped_column(deferred=True)
    """{annotation id: [tp, fp, fn]} of every tile that was measured."""
    positives: Mapped[list[int] | None] = mapped_column(deferred=True)
    """256 counts of the label's pixels, by its probability x 255."""
    negatives: Mapped[list[int] | None] = mapped_column(deferred=True)
    """256 counts of pixels known not to be the label, likewise."""
    undecided_missed: Mapped[list[int] | None]
    """16 counts of the label's pixels served as something else, by logit p
    (backend.ranker.statistics.LOGIT_EDGES)."""
    undecided_others: Mapped[list[int] | None]
    """16 counts of pixels rightly served as something else, likewise."""


class Prediction(Row):
    """A model version's sweep over one image."""

    __tablename__ = "predictions"
    __table_args__ = (UniqueConstraint("model_version_id", "image_id"),)

    project_id: Mapped[uuid.UUID] = mapped_column(
        ForeignKey("projects.id", ondelete="CASCADE"), index=True
    )
    model_version_id: Mapped[uuid.UUID] = mapped_column(
        ForeignKey("model_versions.id", ondelete="CASCADE")
    )
    image_id: Mapped[uuid.UUID] = mapped_column(
        ForeignKey("images.id", ondelete="CASCADE"), index=True
    )
    artifact_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("artifacts.id"))
    members: Mapped[int]
    seconds: Mapped[float]
    label_pixels: Mapped[Json] = mapped_column(default=dict)
    """{"value": pixels}, background under "0"."""
