"""Reads grey images and label images from PNG and TIFF, the header always first.

Files of strangers are decoded only in a limited child process; whoever calls
`read_grey` or `read_labels` elsewhere holds a file of their own or has a small limit.
"""

from pathlib import Path
from typing import Any, BinaryIO, cast

import imagecodecs
import numpy as np
import numpy.typing as npt
import tifffile
from PIL.PngImagePlugin import PngImageFile

from backend.domain.errors import Invalid, UnsupportedImage
from backend.domain.masks import Raster
from backend.imaging import limits
from backend.imaging.headers import open_source, scan
from backend.imaging.limits import MAX_PIXELS, ImageHeader

Grey = npt.NDArray[np.uint8] | npt.NDArray[np.uint16]
Samples = npt.NDArray[np.unsignedinteger[Any]]

_BAND_PIXELS = 2**24
# Formats within TIFF that tifffile would treat in ways of their own, some of which read
# further files by name.
_PLAIN: dict[str, Any] = {
    f"is_{kind}": False for kind in ("lsm", "ndpi", "ome", "scanimage", "stk")
}


def inspect(
    path: Path, page: int | None = None, max_pixels: int = MAX_PIXELS
) -> ImageHeader:
    """Return the header of a grey image file, or raise UnsupportedImage or TooLarge.

    Nothing is decoded, so whether colour is grey in disguise shows only in `read_grey`.
    `page` counts from 0; None means the only one, and a file of several is refused.
    """
    with open_source(path) as file:
        return _inspect(file, page, max_pixels)


def read_grey(
    path: Path, page: int | None = None, max_pixels: int = MAX_PIXELS
) -> Grey:
    """Return the (rows, columns) uint8 or uint16 grey values of one page.

    The header is checked as by `inspect`. Values where zero is white are turned round.
    """
    with open_source(path) as file:
        header = _inspect(file, page, max_pixels)
        grey = _decode(file, header)
    if header.white_is_zero:
        np.invert(grey, out=grey)
    return grey


def read_labels(source: Path | bytes, max_pixels: int = MAX_PIXELS) -> Raster:
    """Return the (rows, columns) uint8 values of a label image.

    Of a palette image these are the positions in the palette, never its colours. 16-bit
    files are read if no value is above 255.
    """
    with open_source(source) as file:
        header = scan(file, max_pixels, None)
        limits.check_pages(header, None)
        limits.check_labels(header)
        labels = _decode(file, header)
    highest = int(labels.max())
    if highest > 255:
        raise Invalid(
            f"The label image holds values up to {highest}: save one value from 0 to "
            "255 per class, not one per object.",
            field="file",
        )
    if header.format == "PNG" and header.colours == "grey" and header.bits in (2, 4):
        labels //= 255 // (2**header.bits - 1)  # Pillow stretches these to 0..255
    return labels.astype(np.uint8, copy=False)


def _inspect(file: BinaryIO, page: int | None, max_pixels: int) -> ImageHeader:
    header = scan(file, max_pixels, page)
    limits.check_pages(header, page)
    limits.check_grey(header)
    return header


def _decode(file: BinaryIO, header: ImageHeader) -> Grey:
    """Return one channel of a checked file; raise if its channels differ."""
    file.seek(0)
    try:
        if header.format == "TIFF":
            return _tiff(file, header)
        if header.bits == 16 and header.samples > 1:
            # Pillow would cut these to 8 bits.
            return _one_channel(imagecodecs.png_decode(file.read()), header)
        return _png(file, header)
    except (UnsupportedImage, MemoryError):
        raise
    except Exception as error:
        # Each codec has its own way to say it; all mean that the pixels are damaged.
        raise UnsupportedImage(
            f"The pixels cannot be decoded ({error}): export the image again.",
            field="file",
        ) from error


def _tiff(file: BinaryIO, header: ImageHeader) -> Grey:
    with tifffile.TiffFile(file, _multifile=False, **_PLAIN) as tiff:
        page = cast(tifffile.TiffPage, tiff.pages[header.page])
        if page.nbytes != header.decoded_bytes or page.dtype != header.dtype:
            raise UnsupportedImage(
                "The TIFF contradicts itself about its size: export the image again.",
                field="file",
            )
        pixels = page.asarray(maxworkers=1)
        if page.planarconfig == 2 and header.samples > 1:
            pixels = np.moveaxis(pixels, 0, -1)
    return _one_channel(pixels, header)


def _png(file: BinaryIO, header: ImageHeader) -> Grey:
    # The class itself, not Image.open: that would refuse honest sections above a size
    # that is one number for the whole process. Our own limit was checked before.
    with PngImageFile(file) as image:
        grey = np.empty((header.height, header.width), header.dtype)
        band = max(1, _BAND_PIXELS // header.width)
        for top in range(0, header.height, band):
            rows = slice(top, min(top + band, header.height))
            part = np.asarray(image.crop((0, top, header.width, rows.stop)))
            grey[rows] = _one_channel(part, header)
    return grey


def _one_channel(pixels: Samples | npt.NDArray[np.bool_], header: ImageHeader) -> Grey:
    """Return native, writable grey values from (rows, columns[, samples])."""
    if pixels.ndim == 3:
        if header.samples > 2 and not (
            np.array_equal(pixels[..., 0], pixels[..., 1])
            and np.array_equal(pixels[..., 0], pixels[..., 2])
        ):
            raise UnsupportedImage(
                "The image has colours: convert it to 8- or 16-bit greyscale and save "
                "it as PNG or TIFF.",
                field="file",
            )
        pixels = pixels[..., 0]
    return np.require(pixels, header.dtype, ["C", "W"])
