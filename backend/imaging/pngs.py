"""PNG and raw bytes for viewers and clients: grey, masks, overlays, heat maps."""

import io
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageColor, ImageDraw, ImageFont

from backend.domain.errors import Invalid
from backend.domain.labels import UNKNOWN, LabelSchema
from backend.domain.masks import Raster
from backend.imaging.headers import open_source, scan
from backend.imaging.limits import MAX_PIXELS
from backend.imaging.readers import Grey, read_labels

Floats = npt.NDArray[np.floating[Any]]

# Seventeen equidistant stops of viridis (matplotlib, CC0), interpolated to 256.
_VIRIDIS = bytes.fromhex(
    "440154 48186a 472d7b 424086 3b528b 33638d 2c728e 26828e 21918c "
    "1f9f88 27ad81 3dbc74 5cc863 81d34d aadc32 d5e21a fde725"
)
_NOT_A_NUMBER = (128, 128, 128)
_FONT_SIZE, _PADDING = 14, 8


def grey_png(region: Grey, window: tuple[float, float] | None = None) -> bytes:
    """Return an 8-bit grey PNG of a (rows, columns) region.

    `window` holds the grey values shown as black and as white; the whole range of the
    type if None.
    """
    return _png(Image.fromarray(_windowed(region, window)))


def raw_bytes(region: Grey) -> bytes:
    """Return the grey values row by row, 16-bit ones little-endian."""
    return region.astype(region.dtype.newbyteorder("<"), copy=False).tobytes()


def mask_png(mask: Raster) -> bytes:
    """Return an 8-bit grey PNG whose values are the raster's own."""
    return _png(Image.fromarray(mask))


def read_mask(data: bytes, shape: tuple[int, int]) -> Raster:
    """Return the uint8 raster of an index PNG (grey or palette) of the given shape.

    Raises Invalid, naming `mask`; nothing is decoded unless the shape is right.
    """
    height, width = shape
    try:
        with open_source(data) as file:
            header = scan(file, MAX_PIXELS, None)
        if header.format != "PNG":
            raise Invalid("The mask is no PNG: send an 8-bit index PNG.")
        if (header.height, header.width) != shape:
            raise Invalid(
                f"The mask is {header.height} x {header.width} but the tile is "
                f"{height} x {width}: send one value per pixel of the tile."
            )
        return read_labels(data, height * width)
    except Invalid as error:
        error.field = "mask"
        raise


def pixel_shares(labels: Raster, schema: LabelSchema) -> dict[str, float | None]:
    """Return each label's share (0..1) of the pixels that are not unknown.

    None for all if every pixel is unknown.
    """
    counts = np.bincount(labels.ravel(), minlength=256)
    known = labels.size - int(counts[UNKNOWN])
    return {
        label.name: int(counts[label.value]) / known if known else None
        for label in schema.labels
    }


def overlay_png(
    region: Grey,
    labels: Raster,
    schema: LabelSchema,
    opacity: float = 0.4,
    window: tuple[float, float] | None = None,
) -> bytes:
    """Return an RGB PNG of labels over grey, with a legend of pixel shares beside it.

    `region` and `labels` are (rows, columns) of one shape; 0 and 255 stay grey.
    `opacity` is 0..1. The image part is as wide and high as the region.
    """
    grey = np.repeat(_windowed(region, window)[..., None], 3, axis=2).astype(np.float32)
    for label in schema.labels:
        where = labels == label.value
        colour = np.array(ImageColor.getrgb(label.colour)[:3], np.float32)
        grey[where] = (1 - opacity) * grey[where] + opacity * colour
    picture = Image.fromarray(np.rint(grey).astype(np.uint8))
    legend = _legend(schema, pixel_shares(labels, schema))
    height = max(picture.height, legend.height)
    sheet = Image.new("RGB", (picture.width + legend.width, height), "white")
    sheet.paste(picture, (0, 0))
    sheet.paste(legend, (picture.width, 0))
    return _png(sheet)


def heat_png(values: Floats, low: float, high: float) -> bytes:
    """Return an RGB PNG of a (rows, columns) float map in viridis colours.

    `low` and `high` get the ends of the scale; NaN is grey.
    """
    stops = np.frombuffer(_VIRIDIS, np.uint8).reshape(-1, 3)
    at = np.linspace(0, 255, len(stops))
    table = np.stack(
        [np.interp(np.arange(256), at, stops[:, channel]) for channel in range(3)], 1
    )
    table = np.vstack([np.rint(table), _NOT_A_NUMBER]).astype(np.uint8)
    position = (values.astype(np.float32) - low) / max(high - low, 1e-12) * 255
    index = np.where(np.isnan(position), 256, np.clip(position, 0, 255).round())
    return _png(Image.fromarray(table[index.astype(np.int16)]))


def _windowed(
    region: Grey, window: tuple[float, float] | None
) -> npt.NDArray[np.uint8]:
    low, high = window or (0, float(np.iinfo(region.dtype).max))
    if not low < high:
        raise Invalid(
            "The window is empty: its low end must lie below its high end.",
            field="window",
        )
    # A table of all grey values is smaller than a float copy of the region.
    values = np.arange(np.iinfo(region.dtype).max + 1, dtype=np.float64)
    table = np.clip((values - low) / (high - low) * 255, 0, 255)
    shown: npt.NDArray[np.uint8] = np.rint(table).astype(np.uint8)[region]
    return shown


def _legend(schema: LabelSchema, shares: Mapping[str, float | None]) -> Image.Image:
    font = ImageFont.load_default(_FONT_SIZE)
    lines = []
    for label in schema.labels:
        share = shares[label.name]
        lines.append(f"{label.name}  {'-' if share is None else f'{share:.1%}'}")
    row = _FONT_SIZE + _PADDING
    longest = max((font.getlength(line) for line in lines), default=0)
    size = (int(longest) + row + 2 * _PADDING, len(lines) * row + _PADDING)
    legend = Image.new("RGB", size, "white")
    draw = ImageDraw.Draw(legend)
    for index, (label, line) in enumerate(zip(schema.labels, lines, strict=True)):
        top = _PADDING + index * row
        square = (_PADDING, top, _PADDING + _FONT_SIZE, top + _FONT_SIZE)
        draw.rectangle(square, fill=label.colour, outline="black")
        draw.text((_PADDING + row, top - 1), line, fill="black", font=font)
    return legend


def _png(image: Image.Image) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "PNG", compress_level=1)
    return buffer.getvalue()
