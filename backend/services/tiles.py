"""Tiles under people's hands: held while somebody's work on them is stored."""

import uuid

from sqlalchemy.orm import Session

from backend.domain.errors import Conflict
from backend.domain.states import ImageState
from backend.models import Image, Tile


def hold(session: Session, tile_id: uuid.UUID) -> Tile:
    """Lock a tile's row; Conflict if its image is gone, perhaps with its consent.

    Erasing an image takes the rows of its tiles, so it comes wholly before or after.
    """
    tile = session.get_one(Tile, tile_id, with_for_update=True)
    image = session.get_one(Image, tile.image_id, populate_existing=True)
    if image.state is ImageState.DELETED:
        raise Conflict("The image of this tile was deleted; nothing of it is kept.")
    return tile
