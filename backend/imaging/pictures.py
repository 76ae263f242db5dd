"""Small pictures that people upload to look at: decoded within limits, made anew.

What is stored is a PNG of our own, so nothing of the file but its pixels is passed on.
"""

import io
import struct
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageOps

from backend.domain.errors import TooLarge, UnsupportedImage

MAX_BYTES = 4 * 2**20
MAX_PIXELS = 16_000_000
MAX_EDGE = 640
"""A picture in a panel needs no more; larger ones are made smaller."""

_BROKEN = (OSError, SyntaxError, ValueError, struct.error, Image.DecompressionBombError)


class SmallPicture(NamedTuple):
    """A PNG, grey or RGB with 8 bits, and its size in pixels."""

    png: bytes
    width: int
    height: int


def small_picture(data: bytes) -> SmallPicture:
    """Return a PNG or JPEG file as a PNG no edge of which exceeds `MAX_EDGE`.

    Raises TooLarge or UnsupportedImage; nothing is decoded before its size is known.
    """
    if len(data) > MAX_BYTES:
        raise TooLarge(
            f"An example picture may have at most {MAX_BYTES // 2**20} MiB: cut out "
            "what matters.",
            field="body",
        )
    try:
        with Image.open(io.BytesIO(data), formats=("PNG", "JPEG")) as image:
            if image.width * image.height > MAX_PIXELS:
                raise TooLarge(
                    f"The picture has {image.width} x {image.height} pixels: cut out "
                    "what matters.",
                    field="body",
                )
            # how a camera was held; it would go with the other metadata
            upright = ImageOps.exif_transpose(image)
            shown = _eight_bits(upright)
            shown.thumbnail((MAX_EDGE, MAX_EDGE))
            clean = Image.new(shown.mode, shown.size)
            clean.paste(shown)
            buffer = io.BytesIO()
            clean.save(buffer, "PNG", optimize=True)
    except _BROKEN as error:
        raise UnsupportedImage(
            "This is no picture that can be read: send a PNG or JPEG file.",
            field="body",
        ) from error
    return SmallPicture(buffer.getvalue(), clean.width, clean.height)


def _eight_bits(image: Image.Image) -> Image.Image:
    """Return it as 8-bit grey or RGB; 16-bit grey is stretched to its own range."""
    if image.mode.startswith("I"):
        wide = np.asarray(image.convert("I"), np.float32)
        wide -= wide.min()
        return Image.fromarray((wide * (255 / max(wide.max(), 1))).astype(np.uint8))
    if image.mode in ("1", "L", "LA"):
        return image.convert("L")
    return image.convert("RGB")
