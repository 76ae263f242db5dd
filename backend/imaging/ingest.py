"""One image file becomes a pyramid; runs in the limited child that decodes files."""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from backend.domain.errors import Invalid
from backend.domain.states import PixelSource
from backend.imaging.limits import MAX_PIXELS
from backend.imaging.pyramid import Store, write_pyramid
from backend.imaging.readers import inspect, read_grey


@dataclass(frozen=True, slots=True)
class IngestResult:
    """What an image turned out to be; `mean` and `sd` are in grey values."""

    height: int
    width: int
    dtype: Literal["uint8", "uint16"]
    mean: float
    sd: float
    pixel_nm: float | None
    pixel_source: PixelSource
    levels: int


def ingest_file(
    source: Path,
    into: Store,
    max_pixels: int = MAX_PIXELS,
    stated_pixel_nm: float | None = None,
    page: int | None = None,
) -> IngestResult:
    """Check, decode and write one page of `source` as a pyramid `into` a store.

    A stated pixel size (nm) beats the file's own. Raises UnsupportedImage, TooLarge or
    Invalid before anything is written.
    """
    if stated_pixel_nm is not None and not 0 < stated_pixel_nm < math.inf:
        raise Invalid(
            "The pixel size must be a number of nanometres above 0: leave it out if "
            "nobody knows it.",
            field="pixel_nm",
        )
    header = inspect(source, page, max_pixels)
    image = read_grey(source, page, max_pixels)
    if stated_pixel_nm is not None:
        pixel_nm, pixel_source = stated_pixel_nm, PixelSource.STATED
    elif header.pixel_nm is not None:
        pixel_nm, pixel_source = header.pixel_nm, PixelSource.FILE
    else:
        pixel_nm, pixel_source = None, PixelSource.UNKNOWN
    written = write_pyramid(into, image, pixel_nm)
    return IngestResult(
        height=header.height,
        width=header.width,
        dtype="uint8" if header.bits == 8 else "uint16",
        mean=written.mean,
        sd=written.sd,
        pixel_nm=pixel_nm,
        pixel_source=pixel_source,
        levels=written.levels,
    )
