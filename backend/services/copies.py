"""Images of one project for another one: new rows, the same stored bytes.

The rows are the new project's own, so nothing that happens there shows in the first
one. The artifacts behind them are shared; their bytes go when no image is left that
refers to them.
"""

import uuid
from typing import Any

from sqlalchemy import insert, select
from sqlalchemy.orm import Session

from backend.domain.errors import Conflict, Invalid
from backend.domain.states import ImageState, Split
from backend.models import Image, Project, Tile
from backend.services import audit, images, starts
from backend.services.access import Principal

_OWN = {"id", "project_id", "image_id", "uploaded_by", "version", "split"}
"""What a copy has of its own; `created_at` is copied, so that the order stays."""


def share_images(
    session: Session, principal: Principal, source: Project, into: Project
) -> int:
    """Give `into` the ready images of `source`; returns how many.

    Annotations, predictions and tasks stay where they are. Raises Invalid if the tiles
    differ in size, Conflict if an image of the source is still being read.
    """
    if source.tile_size != into.tile_size:
        raise Invalid(
            f"The images of {source.slug} have tiles of {source.tile_size} pixels; ask "
            "for the same tile_size, or upload the images anew.",
            field="tile_size",
        )
    # an image that is erased meanwhile waits, and then sees that it shares its bytes
    found = session.scalars(
        select(Image)
        .where(
            Image.project_id == source.id,
            Image.state.in_((ImageState.UPLOADED, ImageState.READY)),
        )
        .order_by(Image.created_at, Image.id)
        .with_for_update(read=True)
    ).all()
    if any(image.state is ImageState.UPLOADED for image in found):
        raise Conflict(
            f"Images of {source.slug} are still being read; wait until all are ready.",
            field="images_from",
        )
    for image in found:
        _share(session, principal, image, into)
    audit.record(
        session,
        principal,
        "share",
        "images",
        into.id,
        project_id=into.id,
        source=str(source.id),
        images=len(found),
    )
    if any(image.split is Split.POOL for image in found):
        starts.make(session, into)
    return len(found)


def _share(
    session: Session, principal: Principal, image: Image, into: Project
) -> uuid.UUID:
    copy = Image(
        **_facts(image),
        project_id=into.id,
        split=image.split,
        uploaded_by=principal.id,
    )
    session.add(copy)
    session.flush()
    tiles = session.scalars(
        select(Tile).where(Tile.image_id == image.id).order_by(Tile.position)
    )
    # a tile that left the pool as a control did so for an annotation that stays behind
    own = {"project_id": into.id, "image_id": copy.id, "split": image.split}
    session.execute(insert(Tile), [{**_facts(tile), **own} for tile in tiles])
    images.announce(session, copy)
    return copy.id


def _facts(row: Image | Tile) -> dict[str, Any]:
    names = [column.key for column in row.__mapper__.column_attrs]
    return {name: getattr(row, name) for name in names if name not in _OWN}
