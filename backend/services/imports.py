"""Imports: label images made elsewhere become accepted annotations of tiles."""

import hashlib
import json
import uuid
from collections.abc import Collection
from dataclasses import dataclass

import numpy as np
from sqlalchemy import func, select
from sqlalchemy.orm import Session, undefer

from backend.domain import masks
from backend.domain.errors import Conflict, Invalid
from backend.domain.geometry import Box
from backend.domain.labels import BACKGROUND, UNKNOWN, LabelSchema
from backend.domain.masks import Raster
from backend.domain.states import ImageState
from backend.models import Annotation, Image, Project, Tile
from backend.services import annotations, audit
from backend.services.access import Principal

MAX_PIXELS = 2**26
"""Largest label image taken at once; larger ones come in regions."""
_WORDS = {"background": BACKGROUND, "none": BACKGROUND, "unknown": UNKNOWN}


@dataclass(frozen=True, slots=True)
class Imported:
    """What came of a label image; `pixels` counts the values brought in.

    `annotations` are the accepted ones of the tiles; `unchanged` of them said all of it
    before.
    """

    annotations: tuple[uuid.UUID, ...]
    unchanged: int
    complete_for: tuple[int, ...]
    pixels: dict[str, int]


def value_map(text: str | None, schema: LabelSchema) -> dict[int, int]:
    """Parse `2=mitochondria,5=membrane`, or the same as a JSON object.

    Targets are label names or values, `background` or `unknown`. 0 and 255 stay what
    they are (none, unknown) unless they are mapped. Without a text the values are the
    project's own.
    """
    own = {BACKGROUND: BACKGROUND, UNKNOWN: UNKNOWN}
    if text is None or not text.strip():
        return own | {value: value for value in schema.values}
    return own | {
        _value(source): _target(target, schema) for source, target in _pairs(text)
    }


def _pairs(text: str) -> list[tuple[str, str]]:
    if text.lstrip().startswith("{"):
        try:
            items = json.loads(text).items()
        except ValueError:
            raise _bad_map("is no JSON object") from None
        return [(str(source), str(target)) for source, target in items]
    pairs = [part.partition("=") for part in text.split(",") if part.strip()]
    if any(not sign for _, sign, _ in pairs):
        raise _bad_map("has a part without =")
    return [(source.strip(), target.strip()) for source, _, target in pairs]


def _value(text: str) -> int:
    if not text.isascii() or not text.isdigit() or int(text) > UNKNOWN:
        raise _bad_map(f"starts from {text!r}, which is no value from 0 to 255")
    return int(text)


def _target(text: str, schema: LabelSchema) -> int:
    if text in schema.names:
        return schema.named(text).value
    if text in _WORDS:
        return _WORDS[text]
    if text.isascii() and text.isdigit() and int(text) in schema.values:
        return int(text)
    known = ", ".join((*schema.names, "background", "unknown"))
    raise _bad_map(f"leads to {text!r}; choose among {known}")


def _bad_map(what: str) -> Invalid:
    return Invalid(
        f"The value map {what}. Write it like 2=mitochondria,5=membrane.",
        field="value_map",
    )


def labels_named(text: str | None, schema: LabelSchema) -> tuple[int, ...] | None:
    """Parse `complete_for`: names or values with commas, or `all`; None stays None."""
    if text is None:
        return None
    if text.strip() == "all":
        return schema.values
    found = set()
    for part in (part.strip() for part in text.split(",")):
        if part in schema.names:
            found.add(schema.named(part).value)
        elif part.isascii() and part.isdigit() and int(part) in schema.values:
            found.add(int(part))
        elif part:
            raise Invalid(
                f"The project has no label {part!r}; choose among "
                f"{', '.join(schema.names)}, or say all.",
                field="complete_for",
            )
    return tuple(sorted(found))


def accept(
    session: Session,
    principal: Principal,
    image: Image,
    raster: Raster,
    at: tuple[int, int],
    complete_for: Collection[int],
) -> Imported:
    """Add a raster in the project's values, its corner at (y, x), to the image's tiles.

    Each tile it touches gets one accepted revision that starts from the tile's last
    one, so that passes for different labels add up. What the raster does not cover
    stays as it was, or unknown. A tile that would stay as it is gets no revision, so
    sending the same again changes nothing.
    """
    if image.state is not ImageState.READY:
        raise Conflict(
            f"This image is {image.state}; only a ready one can be labelled."
        )
    area = Box(*at, *raster.shape)
    height, width = image.height or 0, image.width or 0
    if not area.within(height, width):
        raise Invalid(
            f"The label image ends at row {area.y + area.h}, column "
            f"{area.x + area.w}, but the image has {height} x {width} pixels: send a "
            "label image of the image's size, or say with y and x where it lies.",
            field="file",
        )
    schema = session.get_one(Project, image.project_id).schema
    masks.validate(raster, area, schema, complete_for)
    tiles = session.scalars(
        select(Tile)
        .where(
            Tile.image_id == image.id,
            Tile.y < area.y + area.h,
            Tile.y + Tile.h > area.y,
            Tile.x < area.x + area.w,
            Tile.x + Tile.w > area.x,
        )
        .order_by(Tile.id)
        .with_for_update()
    ).all()
    revisions = [
        _revise(session, principal, tile, raster, area, complete_for) for tile in tiles
    ]
    made = sum(is_new for _, is_new in revisions)
    if made:
        audit.record(
            session,
            principal,
            "import",
            "image",
            image.id,
            project_id=image.project_id,
            tiles=made,
            complete_for=sorted(complete_for),
        )
        session.flush()
    counts = np.bincount(raster.ravel(), minlength=UNKNOWN + 1)
    return Imported(
        annotations=tuple(id for id, _ in revisions),
        unchanged=len(revisions) - made,
        complete_for=tuple(sorted(complete_for)),
        pixels={str(value): int(counts[value]) for value in np.flatnonzero(counts)},
    )


def _revise(
    session: Session,
    principal: Principal,
    tile: Tile,
    raster: Raster,
    area: Box,
    complete_for: Collection[int],
) -> tuple[uuid.UUID, bool]:
    """Return the tile's accepted revision after the import, and whether it is new."""
    top, left = max(tile.y, area.y), max(tile.x, area.x)
    bottom = min(tile.y + tile.h, area.y + area.h)
    right = min(tile.x + tile.w, area.x + area.w)
    news = np.full((tile.h, tile.w), UNKNOWN, np.uint8)
    news[top - tile.y : bottom - tile.y, left - tile.x : right - tile.x] = raster[
        top - area.y : bottom - area.y, left - area.x : right - area.x
    ]
    last = session.scalar(
        select(Annotation)
        .where(
            Annotation.tile_id == tile.id,
            Annotation.accepted_at.is_not(None),
            Annotation.retracted_at.is_(None),
            Annotation.erased_at.is_(None),
        )
        .order_by(Annotation.revision.desc())
        .limit(1)
        .options(undefer(Annotation.raster))
    )
    mask, complete = news, set(complete_for)
    if last is not None and last.raster is not None:
        before = masks.unpack(last.raster, (tile.h, tile.w))
        mask = added(before, last.complete_for, news, complete_for)
        complete |= set(last.complete_for)
    digest = hashlib.sha256(mask.tobytes()).hexdigest()
    if last is not None and (last.sha256, set(last.complete_for)) == (digest, complete):
        return last.id, False
    newest = session.scalar(
        select(func.max(Annotation.revision)).where(Annotation.tile_id == tile.id)
    )
    row = Annotation(
        project_id=tile.project_id,
        tile_id=tile.id,
        revision=(newest or 0) + 1,
        author_id=principal.id,
        raster=masks.pack(mask),
        sha256=digest,
        complete_for=sorted(complete),
        imported=True,
    )
    session.add(row)
    session.flush()
    annotations.accept(session, principal, row)
    return row.id, True


def added(
    before: Raster,
    complete_before: Collection[int],
    news: Raster,
    complete_for: Collection[int],
) -> Raster:
    """Return what two passes over the same pixels say together, (rows, columns) uint8.

    The result is complete for the labels of both. A painted label of the news wins.
    Where only one pass knows a pixel to hold none of its labels, the pixel becomes
    unknown unless the other pass looked for nothing more.
    """
    mask = news.copy()
    first, second = set(complete_before), set(complete_for)
    none, silent = news == BACKGROUND, news == UNKNOWN
    # a label the news did not look for cannot be denied by it
    kept = none & (before != BACKGROUND) & (before != UNKNOWN)
    kept &= ~np.isin(before, sorted(second))
    mask[kept | silent] = before[kept | silent]
    if not first <= second:
        mask[none & (before == UNKNOWN)] = UNKNOWN
    if not second <= first:
        mask[silent & (before == BACKGROUND)] = UNKNOWN
    return mask
