"""What an image file may ask of us, judged from its header before it is decoded."""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from backend.domain.errors import TooLarge, UnsupportedImage

MAX_PIXELS = 2**32
MAX_RATIO = 200
MAX_SEGMENT_BYTES = 64 * 2**20
MAX_TAGS = 4096
MAX_PAGES = 65_536

# A file that unpacks to no more than this harms nobody, and an honest blank test
# picture compresses better than any bomb.
_HARMLESS_BYTES = 16 * 2**20
_RESAVE = "save it as 8- or 16-bit greyscale PNG or TIFF"

Colours = Literal["grey", "colour", "palette", "other"]
Numbers = Literal["unsigned", "signed", "float", "other"]


@dataclass(frozen=True, slots=True)
class ImageHeader:
    """What a file says of its image.

    `bits` are bits per sample, `samples` per pixel. `largest_segment` is the decoded
    size in bytes of the largest strip or tile, `encoded_bytes` what all of them take in
    the file. `page` is the position of the chosen page in a TIFF's chain of
    directories. `pixel_nm` is the pixel size in nm, None if the file does not say.
    """

    format: Literal["PNG", "TIFF"]
    height: int
    width: int
    bits: int
    samples: int
    colours: Colours
    numbers: Numbers
    compression: str
    encoded_bytes: int
    largest_segment: int
    pages: int
    page: int
    pixel_nm: float | None
    white_is_zero: bool = False

    @property
    def dtype(self) -> np.dtype[np.uint8] | np.dtype[np.uint16]:
        """Grey values as they are decoded."""
        return np.dtype(np.uint8) if self.bits <= 8 else np.dtype(np.uint16)

    @property
    def decoded_bytes(self) -> int:
        """Size of all samples, decoded."""
        return self.height * self.width * self.samples * self.dtype.itemsize

    @property
    def decoding_bytes(self) -> int:
        """Memory that decoding needs at most: the result and what the decoder holds."""
        pixels = self.height * self.width
        # Pillow keeps colour as 4 bytes per pixel, whatever the file has.
        size = self.dtype.itemsize
        return pixels * (size + max(4, self.samples * size))


def check_size(height: int, width: int, max_pixels: int) -> None:
    """Raise unless the image has pixels, and no more than `max_pixels`."""
    if height < 1 or width < 1:
        raise UnsupportedImage(
            f"The image is {width} x {height} pixels, so there is nothing in it: "
            "export it again.",
            field="file",
        )
    if height * width > max_pixels:
        raise TooLarge(
            f"The image claims {width} x {height} pixels, more than the {max_pixels} "
            "allowed here: cut it into parts, or ask for a higher "
            "CISTERNA_MAX_IMAGE_PIXELS.",
            field="file",
        )


def check_pages(header: ImageHeader, page: int | None) -> None:
    """Raise if the file holds several images and none was chosen."""
    if page is None and header.pages > 1:
        raise UnsupportedImage(
            f"The file holds {header.pages} images: add each page as an image of its "
            "own with `cisterna image add --pages`.",
            field="file",
        )


def check_grey(header: ImageHeader) -> None:
    """Raise unless the file can hold an 8- or 16-bit grey image and is no bomb.

    Colour passes here: only the pixels tell whether it is grey stored as colour.
    """
    if header.colours == "palette":
        raise _refused("uses a colour palette, so its numbers are no grey values")
    _check_numbers(header)
    if header.bits not in (8, 16):
        raise _refused(f"has {header.bits} bits per pixel and channel")
    if (
        header.compression != "none"
        and header.decoded_bytes > _HARMLESS_BYTES
        and header.decoded_bytes > MAX_RATIO * header.encoded_bytes
    ):
        raise TooLarge(
            f"The file would unpack to {header.decoded_bytes // 2**20} MiB, more than "
            f"{MAX_RATIO} times its size: save it without compression if it is honest.",
            field="file",
        )


def check_labels(header: ImageHeader) -> None:
    """Raise unless the file can hold label values (palette positions count as values).

    No ratio is asked for: an honest label image of a whole section is mostly one value.
    """
    _check_numbers(header)
    if header.white_is_zero:
        raise UnsupportedImage(
            "The label image says that 0 is white, so its values could mean two "
            "things: save it with 0 as black.",
            field="file",
        )
    few = (1, 2, 4) if header.format == "PNG" else ()
    if header.bits not in (*few, 8, 16):
        raise _refused(f"has {header.bits} bits per pixel and channel")


def _check_numbers(header: ImageHeader) -> None:
    if header.numbers != "unsigned":
        kind = {"signed": "signed", "float": "floating-point"}.get(
            header.numbers, "odd"
        )
        raise _refused(f"holds {kind} numbers, whose range only you know")
    if header.colours == "other" or header.samples > 4:
        raise _refused("is neither greyscale nor RGB")
    if header.compression == "other":
        raise UnsupportedImage(
            "The file is compressed in a way that is not accepted here (JPEG loses "
            "detail): save it with LZW, deflate, zstd, packbits or no compression.",
            field="file",
        )
    if header.compression != "none" and header.largest_segment > MAX_SEGMENT_BYTES:
        raise TooLarge(
            f"A single compressed strip unpacks to {header.largest_segment // 2**20} "
            "MiB: save the file in smaller strips or tiles, or without compression.",
            field="file",
        )


def _refused(what: str) -> UnsupportedImage:
    return UnsupportedImage(f"The image {what}: {_RESAVE}.", field="file")
