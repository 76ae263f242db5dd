"""Pictures that show what a label looks like."""

import uuid

from sqlalchemy import ForeignKey, String
from sqlalchemy.orm import Mapped, mapped_column

from backend.models.base import Row


class Example(Row):
    """A small picture in a label's guideline: of how it is painted, or how not."""

    __tablename__ = "examples"

    project_id: Mapped[uuid.UUID] = mapped_column(
        ForeignKey("projects.id", ondelete="CASCADE"), index=True
    )
    label_id: Mapped[uuid.UUID] = mapped_column(
        ForeignKey("labels.id", ondelete="CASCADE"), index=True
    )
    caption: Mapped[str] = mapped_column(String(300), default="")
    good: Mapped[bool] = mapped_column(default=True)
    """False for a picture of what is not the label, or of how it is not painted."""
    width: Mapped[int]
    height: Mapped[int]
    png: Mapped[bytes] = mapped_column(deferred=True)
