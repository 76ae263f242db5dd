"""Files on their way in, piece by piece, until they are images."""

import datetime as dt
import uuid

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from backend.models.base import Json, Row


class ResumableUpload(Row):
    """A file of which `received` of `size` bytes lie in the store, as parts."""

    __tablename__ = "uploads"
    __table_args__ = (
        CheckConstraint("received BETWEEN 0 AND size", name="received"),
        CheckConstraint("image_id IS NULL OR received = size", name="image_is_whole"),
    )

    project_id: Mapped[uuid.UUID] = mapped_column(
        ForeignKey("projects.id", ondelete="CASCADE"), index=True
    )
    author_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("users.id"))
    about: Mapped[Json]
    """What is said of the image: the fields of NewImage."""
    size: Mapped[int] = mapped_column(BigInteger)
    received: Mapped[int] = mapped_column(BigInteger, default=0)
    parts: Mapped[list[str]] = mapped_column(JSONB, default=list)
    """Keys of the parts, in their order."""
    image_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("images.id"))
    expires_at: Mapped[dt.datetime] = mapped_column(index=True)
