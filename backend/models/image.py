"""Images, their tiles, and the stored bytes behind everything."""

import datetime as dt
import uuid

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    ForeignKey,
    Index,
    String,
    UniqueConstraint,
    text,
)
from sqlalchemy.orm import Mapped, mapped_column

from backend.domain.geometry import Box
from backend.domain.states import ImageState, PixelSource, Split
from backend.models.base import Json, Row, state_column


class Artifact(Row):
    """A stored blob, or a prefix with a manifest {name: {"sha256": …, "bytes": …}}."""

    __tablename__ = "artifacts"

    project_id: Mapped[uuid.UUID | None] = mapped_column(
        ForeignKey("projects.id", ondelete="CASCADE"), index=True
    )
    key: Mapped[str] = mapped_column(String(300), unique=True)
    manifest: Mapped[Json | None]
    """None for a single blob."""
    bytes: Mapped[int] = mapped_column(BigInteger)
    sha256: Mapped[str | None] = mapped_column(String(64))
    deleted_at: Mapped[dt.datetime | None]


class Image(Row):
    """A source raster; `mean` and `sd` are in grey values, set by ingest."""

    __tablename__ = "images"
    __table_args__ = (
        Index(
            "uq_images_project_id_sha256",
            "project_id",
            "sha256",
            unique=True,
            postgresql_where=text("state <> 'deleted' AND state <> 'rejected'"),
        ),
        CheckConstraint("pixel_nm > 0", name="pixel_nm"),
        CheckConstraint(
            "state <> 'ready' OR (height > 0 AND width > 0 AND pyramid_id IS NOT NULL)",
            name="ready_is_complete",
        ),
    )

    project_id: Mapped[uuid.UUID] = mapped_column(
        ForeignKey("projects.id", ondelete="CASCADE"), index=True
    )
    name: Mapped[str] = mapped_column(String(300))
    sha256: Mapped[str] = mapped_column(String(64))
    bytes: Mapped[int] = mapped_column(BigInteger)
    state: Mapped[ImageState] = mapped_column(state_column(ImageState))
    error: Mapped[str | None]
    split: Mapped[Split] = mapped_column(state_column(Split), default=Split.POOL)
    height: Mapped[int | None]
    width: Mapped[int | None]
    dtype: Mapped[str | None] = mapped_column(String(10))
    levels: Mapped[int | None]
    mean: Mapped[float | None]
    sd: Mapped[float | None]
    pixel_nm: Mapped[float | None]
    pixel_source: Mapped[PixelSource] = mapped_column(
        state_column(PixelSource), default=PixelSource.UNKNOWN
    )
    donor: Mapped[str | None] = mapped_column(String(100))
    group: Mapped[str | None] = mapped_column(String(100))
    original_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("artifacts.id"))
    pyramid_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("artifacts.id"))
    uploaded_by: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("users.id"))
    deleted_at: Mapped[dt.datetime | None]
    version: Mapped[int] = mapped_column(default=1)

    __mapper_args__ = {"version_id_col": version}  # noqa: RUF012


class Tile(Row):
    """A fixed box of an image's grid: the unit ranked, claimed and annotated."""

    __tablename__ = "tiles"
    __table_args__ = (
        UniqueConstraint("image_id", "position"),
        # what training_set_items points at, so that a learnt tile cannot change split
        UniqueConstraint("id", "split"),
        # ids are random: a range of them is a sample of a project's tiles
        Index("ix_tiles_project_id_split_id", "project_id", "split", "id"),
    )

    project_id: Mapped[uuid.UUID] = mapped_column(
        ForeignKey("projects.id", ondelete="CASCADE")
    )
    image_id: Mapped[uuid.UUID] = mapped_column(
        ForeignKey("images.id", ondelete="CASCADE")
    )
    position: Mapped[int]
    """row * columns + column in the image's TileGrid."""
    y: Mapped[int]
    x: Mapped[int]
    h: Mapped[int]
    w: Mapped[int]
    split: Mapped[Split] = mapped_column(state_column(Split))

    @property
    def box(self) -> Box:
        """The tile's box in pixels of level 0."""
        return Box(self.y, self.x, self.h, self.w)
