"""Annotations: the immutable revisions of tiles' masks."""

import uuid

from sqlalchemy import Select, select
from sqlalchemy.orm import Session, undefer

from backend.domain.states import ImageState, Split
from backend.models import Annotation, Image, Tile
from backend.schemas.loop import AnnotatedTile


def newest_accepted(project_id: uuid.UUID, *splits: Split) -> Select[Annotation, Tile]:
    """Select the newest accepted, unretracted revision of each tile of these splits."""
    return (
        select(Annotation, Tile)
        .join(Tile, Tile.id == Annotation.tile_id)
        .join(Image, Image.id == Tile.image_id)
        .where(
            Annotation.project_id == project_id,
            Annotation.accepted_at.is_not(None),
            Annotation.retracted_at.is_(None),
            Annotation.erased_at.is_(None),
            Image.state == ImageState.READY,
            Tile.split.in_(splits),
        )
        .distinct(Annotation.tile_id)
        .order_by(Annotation.tile_id, Annotation.revision.desc())
    )


def annotated(
    session: Session, project_id: uuid.UUID, *splits: Split
) -> list[AnnotatedTile]:
    """Return what people know of the tiles of these splits, rasters included."""
    rows = session.execute(
        newest_accepted(project_id, *splits).options(undefer(Annotation.raster))
    )
    return [
        AnnotatedTile(
            annotation_id=annotation.id,
            image_id=tile.image_id,
            box=tile.box,
            raster=annotation.raster or b"",
            complete_for=tuple(annotation.complete_for),
            split=tile.split,
        )
        for annotation, tile in rows
    ]
