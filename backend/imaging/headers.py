"""Reads what PNG and TIFF files say of themselves, without decoding a pixel.

The scan is our own, so that no general parser sees a file before its sizes, offsets and
counts are known to be sane: every read is bounded and lies inside the file.
"""

import io
import math
import re
import struct
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from backend.domain.errors import TooLarge, UnsupportedImage
from backend.imaging import pixelsize
from backend.imaging.limits import (
    MAX_PAGES,
    MAX_TAGS,
    Colours,
    ImageHeader,
    Numbers,
    check_size,
)

_PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
# colour type -> (samples per pixel, kind)
_PNG_COLOURS: dict[int, tuple[int, Colours]] = {
    0: (1, "grey"),
    2: (3, "colour"),
    3: (1, "palette"),
    4: (2, "grey"),
    6: (4, "colour"),
}

_COMPRESSIONS = {
    1: "none",
    5: "LZW",
    8: "deflate",
    32946: "deflate",
    50000: "zstd",
    32773: "packbits",
}
# PhotometricInterpretation -> (kind, samples it may have: alpha or not)
_PHOTOMETRICS: dict[int, tuple[Colours, tuple[int, ...]]] = {
    0: ("grey", (1, 2)),
    1: ("grey", (1, 2)),
    2: ("colour", (3, 4)),
    3: ("palette", (1,)),
}
_NUMBERS: dict[int, Numbers] = {1: "unsigned", 2: "signed", 3: "float"}
_INTEGERS = {1: "B", 3: "H", 4: "I", 13: "I", 16: "Q"}
_ASCII, _RATIONAL = 2, 5
_DESCRIPTION_BYTES = 2**20
_MAX_SEGMENTS = 2**24
_MAX_TAGS_IN_ALL = 2**20
_REDUCED_OR_MASK = 0b101


def open_source(source: Path | bytes) -> BinaryIO:
    """Open a file, or bytes at hand, for reading."""
    return io.BytesIO(source) if isinstance(source, bytes) else source.open("rb")


def scan(file: BinaryIO, max_pixels: int, page: int | None) -> ImageHeader:
    """Return the header of an open PNG or TIFF file.

    `page` counts full images from 0; None stands for the first. Raises UnsupportedImage
    or TooLarge.
    """
    size = file.seek(0, io.SEEK_END)
    file.seek(0)
    magic = file.read(8)
    if not magic:
        raise UnsupportedImage("The file is empty: upload it again.", field="file")
    try:
        if magic == _PNG_SIGNATURE:
            header = _png(file, size, max_pixels)
        elif magic[:4] in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"):
            header = _Tiff(file, size).header(max_pixels, page or 0)
        else:
            raise UnsupportedImage(
                "This is neither a PNG nor a TIFF file: save the image as 8- or 16-bit "
                "greyscale PNG or TIFF.",
                field="file",
            )
    except struct.error as error:  # less came back than the structure needs
        raise _truncated() from error
    if page is not None and not 0 <= page < header.pages:
        raise UnsupportedImage(
            f"There is no page {page}: the file holds {header.pages}, counted from 0.",
            field="page",
        )
    return header


def _png(file: BinaryIO, size: int, max_pixels: int) -> ImageHeader:
    length, kind = struct.unpack(">I4s", file.read(8))
    body = file.read(13)
    (checksum,) = struct.unpack(">I", file.read(4))
    if length != 13 or kind != b"IHDR" or checksum != zlib.crc32(kind + body):
        raise _damaged("its PNG header does not match its checksum")
    width, height, bits, colour, *_ = struct.unpack(">IIBBBBB", body)
    check_size(height, width, max_pixels)
    if colour not in _PNG_COLOURS or bits not in (1, 2, 4, 8, 16):
        raise _damaged("its PNG header names no known kind of pixel")
    samples, colours = _PNG_COLOURS[colour]

    encoded, frames, pixel_nm, at = 0, 1, None, file.tell()
    while kind != b"IEND":
        length, kind = struct.unpack(">I4s", file.read(8))
        if at + 12 + length > size:
            raise _truncated()
        if kind == b"IDAT":
            encoded += length
        elif kind == b"acTL":
            (frames,) = struct.unpack(">I", file.read(4))
        elif kind == b"pHYs":
            x, y, unit = struct.unpack(">IIB", file.read(9))
            pixel_nm = pixelsize.from_png(x, y) if unit == 1 else None
        at += 12 + length
        file.seek(at)
    if not encoded:
        raise _truncated()
    return ImageHeader(
        format="PNG",
        height=height,
        width=width,
        bits=bits,
        samples=samples,
        colours=colours,
        numbers="unsigned",
        compression="deflate",
        encoded_bytes=encoded,
        largest_segment=0,  # decoded row by row
        pages=max(1, frames),
        page=0,
        pixel_nm=pixel_nm,
    )


@dataclass(frozen=True, slots=True)
class _Tag:
    type: int
    count: int
    inline: bytes


class _Tiff:
    """The chain of directories of a TIFF or BigTIFF file (TIFF 6.0; BigTIFF 43)."""

    def __init__(self, file: BinaryIO, size: int) -> None:
        self.file, self.size = file, size
        file.seek(0)
        self.order = "<" if file.read(2) == b"II" else ">"
        (version,) = self._unpack("H", file.read(2))
        self.big = version == 43
        if self.big and self._unpack("HH", file.read(4)) != (8, 0):
            raise _damaged("its BigTIFF header is wrong")

    def header(self, max_pixels: int, page: int) -> ImageHeader:
        """Return the header of full image number `page`; thumbnails are not counted."""
        full = self._full_images()
        if not full:
            raise _damaged("it holds no image")
        # A page outside is answered by the caller, who then knows how many there are.
        index, at = full[min(max(page, 0), len(full) - 1)]
        tags, _ = self._directory(at)
        return self._describe(tags, index, len(full), max_pixels)

    def _full_images(self) -> list[tuple[int, int]]:
        """Return (position in the chain, offset) of all but thumbnails and masks."""
        seen: set[int] = set()
        found = []
        tags_seen = 0
        at = self._offset(self.file.read(8 if self.big else 4))
        while at:
            if at in seen:
                raise _damaged("its directories run in a circle")
            if len(seen) >= MAX_PAGES:
                raise TooLarge(
                    f"The file has more than {MAX_PAGES} pages: split it.", field="file"
                )
            seen.add(at)
            tags, following = self._directory(at)
            tags_seen += len(tags)
            # Directories may overlap, so a small file could keep us reading for long.
            if tags_seen > _MAX_TAGS_IN_ALL:
                raise TooLarge(f"The file has too many tags: {_EXPORT}.", field="file")
            if not self._integer(tags, 254, 0) & _REDUCED_OR_MASK:
                found.append((len(seen) - 1, at))
            at = following
        return found

    def _directory(self, at: int) -> tuple[dict[int, _Tag], int]:
        self._seek(at, 8 if self.big else 2)
        if self.big:
            (count,) = self._unpack("Q", self.file.read(8))
        else:
            (count,) = self._unpack("H", self.file.read(2))
        if count > MAX_TAGS:
            raise TooLarge(
                f"A TIFF directory has {count} tags, more than {MAX_TAGS}: {_EXPORT}.",
                field="file",
            )
        step, form = (20, "HHQ8s") if self.big else (12, "HHI4s")
        table = self.file.read(count * step)
        tags: dict[int, _Tag] = {}
        for start in range(0, count * step, step):
            code, kind, n, inline = self._unpack(form, table[start : start + step])
            tags.setdefault(code, _Tag(kind, n, inline))
        return tags, self._offset(self.file.read(8 if self.big else 4))

    def _describe(
        self, tags: dict[int, _Tag], index: int, pages: int, max_pixels: int
    ) -> ImageHeader:
        width, height = self._integer(tags, 256, 0), self._integer(tags, 257, 0)
        check_size(height, width, max_pixels)
        samples = self._integer(tags, 277, 1)
        bits = set(self._integers(tags, 258, 64)) or {1}
        numbers = set(self._integers(tags, 339, 64)) or {1}
        photometric = self._integer(tags, 262, -1)
        colours, counts = _PHOTOMETRICS.get(photometric, ("other", ()))
        if samples not in counts or len(bits) > 1:
            colours = "other"
        compression = _COMPRESSIONS.get(self._integer(tags, 259, 1), "other")
        depth = max(bits)
        encoded, largest = self._segments(
            tags, height, width, samples, depth, compression
        )
        description = self._text(tags, 270)
        planes = _planes(description, height * width * samples)
        if planes > pages:
            raise UnsupportedImage(
                f"The file is a stack of {planes} planes with a directory for {pages} "
                "only: save the planes as single files (in ImageJ: Save As > Image "
                "Sequence).",
                field="file",
            )
        return ImageHeader(
            format="TIFF",
            height=height,
            width=width,
            bits=depth,
            samples=samples,
            colours=colours,
            numbers=_NUMBERS.get(numbers.pop(), "other")
            if len(numbers) == 1
            else "other",
            compression=compression,
            encoded_bytes=encoded,
            largest_segment=largest,
            pages=pages,
            page=index,
            pixel_nm=pixelsize.from_tiff(
                description,
                self._rational(tags, 282),
                self._rational(tags, 283),
                self._integer(tags, 296, 2),
            ),
            white_is_zero=photometric == 0,
        )

    def _segments(
        self,
        tags: dict[int, _Tag],
        height: int,
        width: int,
        samples: int,
        bits: int,
        compression: str,
    ) -> tuple[int, int]:
        """Return (encoded bytes, decoded bytes of the largest strip or tile).

        Raises unless there are as many as the image needs and all lie inside the file.
        """
        separate = self._integer(tags, 284, 1) == 2
        tiled = 322 in tags
        if tiled:
            across, down = self._integer(tags, 322, 0), self._integer(tags, 323, 0)
        else:
            across, down = width, min(self._integer(tags, 278, height), height)
        if not across or not down:
            raise _damaged("its strips or tiles have no size")
        row_bytes = -(-across * (1 if separate else samples) * bits // 8)
        grid = -(-width // across) * -(-height // down)
        expected = grid * (samples if separate else 1)
        if expected > _MAX_SEGMENTS:
            raise TooLarge(
                f"The file is cut into {expected} strips or tiles: save it with larger "
                "ones.",
                field="file",
            )
        offsets = self._integers(tags, 324 if tiled else 273, expected)
        counts = self._integers(tags, 325 if tiled else 279, expected)
        if not counts and expected == 1 and compression == "none":
            counts = (row_bytes * down,)  # the tag was optional once
        if not len(offsets) == len(counts) == expected:
            raise _damaged("its strips or tiles do not cover the image")
        for position, (offset, count) in enumerate(zip(offsets, counts, strict=True)):
            if offset + count > self.size or not count:
                raise _truncated()
            if compression == "none":
                top = 0 if tiled else position % grid * down
                if count < row_bytes * min(down, height - top):
                    raise _truncated()
        # Segments may share bytes, so their sum proves nothing beyond the file's size.
        return min(sum(counts), self.size), row_bytes * down

    def _integers(self, tags: dict[int, _Tag], code: int, most: int) -> Sequence[int]:
        """Return all numbers of an integer tag; empty if absent or of another type."""
        tag = tags.get(code)
        if tag is None or tag.type not in _INTEGERS:
            return ()
        if tag.count > most:
            raise _damaged(f"its tag {code} holds {tag.count} numbers")
        form = f"{tag.count}{_INTEGERS[tag.type]}"
        return self._unpack(form, self._bytes(tag, struct.calcsize("=" + form)))

    def _integer(self, tags: dict[int, _Tag], code: int, absent: int) -> int:
        numbers = self._integers(tags, code, 64)
        return numbers[0] if numbers else absent

    def _rational(self, tags: dict[int, _Tag], code: int) -> float | None:
        tag = tags.get(code)
        if tag is None or tag.type != _RATIONAL or tag.count != 1:
            return None
        above, below = self._unpack("II", self._bytes(tag, 8))
        return above / below if below else None

    def _text(self, tags: dict[int, _Tag], code: int) -> str:
        tag = tags.get(code)
        if tag is None or tag.type != _ASCII:
            return ""
        data = self._bytes(tag, min(tag.count, _DESCRIPTION_BYTES))
        # Some writers put Latin-1 where the standard wants ASCII and OME wants UTF-8.
        try:
            return data.rstrip(b"\0").decode()
        except UnicodeDecodeError:
            return data.decode("latin-1")

    def _bytes(self, tag: _Tag, length: int) -> bytes:
        if length <= len(tag.inline):
            return tag.inline[:length]
        self._seek(self._offset(tag.inline), length)
        return self.file.read(length)

    def _seek(self, at: int, length: int) -> None:
        if at + length > self.size:
            raise _truncated()
        self.file.seek(at)

    def _offset(self, data: bytes) -> int:
        return int(self._unpack("Q" if self.big else "I", data)[0])

    def _unpack(self, form: str, data: bytes) -> tuple[Any, ...]:
        return struct.unpack(self.order + form, data)


_EXPORT = "export the image again, e.g. as TIFF from ImageJ"


def _planes(description: str, plane_values: int) -> int:
    """Return how many planes ImageJ or tifffile says there are, 0 if neither."""
    if description.startswith("ImageJ="):
        images = re.search(r"^images=(\d{1,9})\s*$", description, re.MULTILINE)
        return int(images[1]) if images else 0
    shape = re.match(r'\{"shape": \[([\d, ]{1,99})\]', description)
    sizes = re.findall(r"\d+", shape[1]) if shape else ["0"]
    return math.prod(map(int, sizes)) // plane_values


def _truncated() -> UnsupportedImage:
    return UnsupportedImage(
        "The file ends before its image does: upload it again, it was cut off.",
        field="file",
    )


def _damaged(why: str) -> UnsupportedImage:
    return UnsupportedImage(f"The file is damaged ({why}): {_EXPORT}.", field="file")
