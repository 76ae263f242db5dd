"""A project and its labels."""

import datetime as dt
import uuid

from sqlalchemy import CheckConstraint, ForeignKey, String, UniqueConstraint
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column, relationship

from backend.domain.labels import Label as LabelValue
from backend.domain.labels import LabelSchema
from backend.domain.states import Promotion
from backend.models.base import Json, Row, state_column
from backend.models.example import Example


class Project(Row):
    """Owns label schema, images, memberships and policies."""

    __tablename__ = "projects"
    __table_args__ = (
        CheckConstraint("query_size BETWEEN 1 AND 1000", name="query_size"),
        CheckConstraint("tile_size BETWEEN 32 AND 4096", name="tile_size"),
        CheckConstraint("second_share BETWEEN 0 AND 1", name="second_share"),
        CheckConstraint("gold_share BETWEEN 0 AND 1", name="gold_share"),
    )

    slug: Mapped[str] = mapped_column(String(80), unique=True)
    name: Mapped[str] = mapped_column(String(200))
    strategy: Mapped[str] = mapped_column(String(40), default="er-gap")
    strategy_parameters: Mapped[Json] = mapped_column(default=dict)
    query_size: Mapped[int] = mapped_column(default=10)
    tile_size: Mapped[int] = mapped_column(default=512)
    seed: Mapped[int] = mapped_column(default=0)
    review: Mapped[bool] = mapped_column(default=False)
    promotion: Mapped[Promotion] = mapped_column(
        state_column(Promotion), default=Promotion.AUTOMATIC
    )
    second_share: Mapped[float] = mapped_column(default=0.0)
    """Share of annotated tiles that a second person annotates unseen."""
    gold_share: Mapped[float] = mapped_column(default=0.0)
    """Share of a person's tasks that are gold tiles."""
    gold_feedback: Mapped[bool] = mapped_column(default=True)
    """Whether who annotated a gold tile learns how well they did."""
    never_touch: Mapped[list[list[int]]] = mapped_column(JSONB, default=list)
    """Pairs of label values that are never neighbours: [[1, 3]]."""
    segmenter: Mapped[str] = mapped_column(String(20), default="nnunet")
    training: Mapped[Json] = mapped_column(default=dict)
    """Profile and budget: {"profile": "cpu", "steps": 1500, "minutes": null}."""
    working_nm: Mapped[float | None]
    time_zone: Mapped[str] = mapped_column(String(60), default="UTC")
    version: Mapped[int] = mapped_column(default=1)
    updated_at: Mapped[dt.datetime | None]

    labels: Mapped[list["Label"]] = relationship(
        order_by="Label.value", lazy="selectin", cascade="all, delete-orphan"
    )

    __mapper_args__ = {"version_id_col": version}  # noqa: RUF012

    @property
    def schema(self) -> LabelSchema:
        """The labels as a pure value."""
        return LabelSchema(tuple(label.as_value() for label in self.labels))


class Label(Row):
    """One class of a project; its value is fixed and never used again."""

    __tablename__ = "labels"
    __table_args__ = (
        UniqueConstraint("project_id", "value"),
        UniqueConstraint("project_id", "name"),
        CheckConstraint("value BETWEEN 1 AND 254", name="value"),
        CheckConstraint(
            "precision_floor > 0 AND precision_floor < 1", name="precision_floor"
        ),
    )

    project_id: Mapped[uuid.UUID] = mapped_column(
        ForeignKey("projects.id", ondelete="CASCADE")
    )
    value: Mapped[int]
    name: Mapped[str] = mapped_column(String(60))
    colour: Mapped[str] = mapped_column(String(7))
    priority: Mapped[float] = mapped_column(default=1.0)
    target_recall: Mapped[float] = mapped_column(default=0.9)
    precision_floor: Mapped[float | None]
    """Precision that served labels keep on validation while recall is raised."""
    guideline: Mapped[str] = mapped_column(String(4000), default="")
    """How to paint it, in plain text."""

    examples: Mapped[list[Example]] = relationship(
        order_by=(Example.created_at, Example.id),
        lazy="selectin",
        cascade="all, delete-orphan",
    )

    def as_value(self) -> LabelValue:
        """Return the label as a pure value."""
        return LabelValue(
            self.value,
            self.name,
            self.colour,
            self.priority,
            self.target_recall,
            self.precision_floor,
        )
