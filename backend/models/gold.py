"""Tiles whose truth is settled, to measure people against."""

import uuid

from sqlalchemy import ForeignKey, ForeignKeyConstraint
from sqlalchemy.orm import Mapped, mapped_column

from backend.models.base import Row


class GoldTile(Row):
    """A tile and the revision of it that is taken as the truth; one per tile."""

    __tablename__ = "gold_tiles"
    __table_args__ = (
        ForeignKeyConstraint(
            ["annotation_id", "tile_id"],
            ["annotations.id", "annotations.tile_id"],
            ondelete="CASCADE",
        ),
    )

    project_id: Mapped[uuid.UUID] = mapped_column(
        ForeignKey("projects.id", ondelete="CASCADE"), index=True
    )
    tile_id: Mapped[uuid.UUID] = mapped_column(
        ForeignKey("tiles.id", ondelete="CASCADE"), unique=True
    )
    annotation_id: Mapped[uuid.UUID]
    made_by: Mapped[uuid.UUID] = mapped_column(ForeignKey("users.id"))
    practice: Mapped[bool] = mapped_column(default=False)
    """Whether people see its truth to learn from; it measures nobody then."""
