"""What people say of a revision, about one of its pixels or all of it."""

import datetime as dt
import uuid

from sqlalchemy import (
    CheckConstraint,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    String,
)
from sqlalchemy.orm import Mapped, mapped_column

from backend.models.base import Row


class Comment(Row):
    """A remark on a revision, pinned to a pixel of its tile if it has one."""

    __tablename__ = "comments"
    __table_args__ = (
        ForeignKeyConstraint(
            ["annotation_id", "tile_id"],
            ["annotations.id", "annotations.tile_id"],
            ondelete="CASCADE",
        ),
        Index("ix_comments_tile_id_created_at", "tile_id", "created_at"),
        CheckConstraint("(y IS NULL) = (x IS NULL)", name="whole_pin"),
        CheckConstraint("y >= 0 AND x >= 0", name="pin_in_tile"),
        CheckConstraint(
            "(resolved_at IS NULL) = (resolved_by IS NULL)",
            name="resolved_by_somebody",
        ),
    )

    project_id: Mapped[uuid.UUID] = mapped_column(
        ForeignKey("projects.id", ondelete="CASCADE")
    )
    tile_id: Mapped[uuid.UUID] = mapped_column(
        ForeignKey("tiles.id", ondelete="CASCADE")
    )
    annotation_id: Mapped[uuid.UUID] = mapped_column(index=True)
    author_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("users.id"))
    y: Mapped[int | None]
    x: Mapped[int | None]
    """Pixel of the tile, from its top left; None speaks of the whole tile."""
    text: Mapped[str] = mapped_column(String(2000))
    resolved_at: Mapped[dt.datetime | None]
    resolved_by: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("users.id"))
