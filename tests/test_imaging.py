"""The imaging room: headers and limits, readers, pyramids, PNGs, ingest."""

import io
import itertools
import json
import struct
import subprocess
import sys
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import obstore
import pytest
import tifffile
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from obstore.store import LocalStore, MemoryStore
from PIL import Image

from backend.domain.errors import DomainError, Invalid, TooLarge, UnsupportedImage
from backend.domain.geometry import Box
from backend.domain.labels import LIVER
from backend.domain.states import PixelSource
from backend.imaging import limits, pngs, pyramid, readers
from backend.imaging.ingest import ingest_file

Array = npt.NDArray[Any]
RNG = np.random.default_rng(7)
GREY8 = RNG.integers(0, 256, (70, 90), np.uint8)
GREY16 = RNG.integers(0, 65536, (70, 90), np.uint16)


def png(pixels: Array, **options: Any) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG", **options)
    return buffer.getvalue()


def tiff(pixels: Array, **options: Any) -> bytes:
    buffer = io.BytesIO()
    tifffile.imwrite(buffer, pixels, **{"photometric": "minisblack", **options})
    return buffer.getvalue()


def rgb(pixels: Array, alpha: bool = False) -> Array:
    channels = [pixels] * 3 + [np.full_like(pixels, np.iinfo(pixels.dtype).max)] * alpha
    return np.stack(channels, axis=-1)


def png_chunks(
    width: int,
    height: int,
    bits: int,
    colour: int,
    raw: bytes,
    *more: tuple[bytes, bytes],
) -> bytes:
    """A PNG of given header and scan lines; `more` chunks come before the pixels."""
    header = struct.pack(">IIBBBBB", width, height, bits, colour, 0, 0, 0)
    chunks = [(b"IHDR", header), *more, (b"IDAT", zlib.compress(raw)), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(body)) + kind + body
        + struct.pack(">I", zlib.crc32(kind + body))
        for kind, body in chunks
    )  # fmt: skip


def tiff_tags(
    tags: dict[int, int | list[int]], data: bytes = b"", at: int = 8
) -> bytes:
    """A little-endian TIFF of LONG tags, `data` at offset 8, the tags behind it."""
    tags = {256: 8, 257: 8, 258: 8, 259: 1, 262: 1, 273: at, 277: 1, 279: 64} | tags
    ifd, extra = 8 + len(data), b""
    extra_at = ifd + 2 + 12 * len(tags) + 4
    table = struct.pack("<H", len(tags))
    for code, value in sorted(tags.items()):
        if isinstance(value, int):
            table += struct.pack("<HHII", code, 4, 1, value)
        else:
            table += struct.pack("<HHII", code, 4, len(value), extra_at + len(extra))
            extra += struct.pack(f"<{len(value)}I", *value)
    return struct.pack("<2sHI", b"II", 42, ifd) + data + table + bytes(4) + extra


def with_thumbnail() -> bytes:
    buffer = io.BytesIO()
    with tifffile.TiffWriter(buffer) as writer:
        writer.write(GREY8, photometric="minisblack")
        writer.write(GREY8[::4, ::4], photometric="minisblack", subfiletype=1)
    return buffer.getvalue()


def loop_of_directories() -> bytes:
    data = bytearray(tiff_tags({}, bytes(64)))
    data[-4:] = struct.pack("<I", 8 + 64)
    return bytes(data)


def many_tags() -> bytes:
    count = limits.MAX_TAGS + 1
    return struct.pack("<2sHIH", b"II", 42, 8, count) + bytes(12 * count + 4)


@pytest.fixture
def saved(tmp_path: Path) -> Callable[[bytes], Path]:
    names = itertools.count()

    def save(data: bytes) -> Path:
        path = tmp_path / f"upload-{next(names)}"
        path.write_bytes(data)
        return path

    return save


# Readers: what is accepted is pixel-exact

ACCEPTED = {
    "png 8": (png(GREY8), GREY8),
    "png 16": (png(GREY16), GREY16),
    "png rgb": (png(rgb(GREY8)), GREY8),
    "png rgba": (png(rgb(GREY8, alpha=True)), GREY8),
    "png grey and alpha": (png(np.stack([GREY8, GREY8[::-1]], axis=-1)), GREY8),
    "png rgb 16": (
        png_chunks(90, 70, 16, 2, np.pad(
            rgb(GREY16).astype(">u2").reshape(70, -1).view(np.uint8), ((0, 0), (1, 0))
        ).tobytes()),
        GREY16,
    ),
    "png with trailing bytes": (png(GREY8) + b"tail", GREY8),
    "tiff 8": (tiff(GREY8), GREY8),
    "tiff 16": (tiff(GREY16), GREY16),
    "tiff 16 big-endian": (tiff(GREY16, byteorder=">"), GREY16),
    "bigtiff": (tiff(GREY16, bigtiff=True), GREY16),
    "bigtiff big-endian": (tiff(GREY8, bigtiff=True, byteorder=">"), GREY8),
    "tiff strips": (tiff(GREY16, rowsperstrip=16), GREY16),
    "tiff tiles": (tiff(GREY8, tile=(32, 32)), GREY8),
    "tiff rgb": (tiff(rgb(GREY8), photometric="rgb"), GREY8),
    "tiff rgba": (tiff(rgb(GREY16, alpha=True), photometric="rgb"), GREY16),
    "tiff rgb planes": (
        tiff(np.stack([GREY16] * 3), photometric="rgb", planarconfig="separate"),
        GREY16,
    ),
    "tiff white is zero": (tiff(~GREY16, photometric="miniswhite"), GREY16),
    "tiff with a thumbnail": (with_thumbnail(), GREY8),
} | {
    f"tiff {codec} {name} {sorted(options)}": (
        tiff(grey, compression=codec, **options), grey,
    )
    for codec in ("lzw", "zlib", "deflate", "zstd", "packbits")
    for name, grey in (("8", GREY8), ("16", GREY16))
    for options in ({}, {"tile": (32, 48)}, {"bigtiff": True, "rowsperstrip": 9})
} | {
    f"tiff {codec} predictor": (tiff(GREY16, compression=codec, predictor=2), GREY16)
    for codec in ("lzw", "zlib", "zstd")
}  # fmt: skip


@pytest.mark.parametrize("name", ACCEPTED)
def test_accepted_files_are_read_pixel_exact(
    name: str, saved: Callable[[bytes], Path]
) -> None:
    data, expected = ACCEPTED[name]
    path = saved(data)
    header = readers.inspect(path)
    assert (header.height, header.width) == expected.shape
    grey = readers.read_grey(path)
    assert header.dtype == grey.dtype == expected.dtype
    assert grey.dtype.isnative
    assert grey.flags.writeable
    assert np.array_equal(grey, expected)


def test_own_limit_counts_and_not_the_one_of_pillow(
    saved: Callable[[bytes], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1000)
    monkeypatch.setattr(readers, "_BAND_PIXELS", 900)
    path = saved(png(GREY8))
    with pytest.raises(Image.DecompressionBombError):
        Image.open(path)
    assert np.array_equal(readers.read_grey(path), GREY8)
    with pytest.raises(TooLarge, match="6299"):
        readers.read_grey(path, max_pixels=70 * 90 - 1)


# Readers: what is refused says how to mend it

RAW = bytes(64)
COLOUR = rgb(GREY8) // np.array([1, 1, 2], np.uint8)
PALETTE = Image.fromarray(GREY8 % 7).convert("P")


def _pillow(image: Image.Image, kind: str) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind)
    return buffer.getvalue()


REFUSED: dict[str, tuple[bytes, type[DomainError], str]] = {
    "empty": (b"", UnsupportedImage, "empty: upload it again"),
    "text": (b"not an image at all", UnsupportedImage, "neither a PNG nor a TIFF"),
    "jpeg": (_pillow(Image.fromarray(GREY8), "JPEG"), UnsupportedImage, "neither"),
    "gif": (_pillow(Image.fromarray(GREY8), "GIF"), UnsupportedImage, "neither"),
    "svg": (b"<svg xmlns='http://www.w3.org/2000/svg'/>", UnsupportedImage, "neither"),
    "png signature only": (png(GREY8)[:8], UnsupportedImage, "cut off"),
    "tiff signature only": (tiff(GREY8)[:4], UnsupportedImage, "cut off"),
    "png palette": (_pillow(PALETTE, "PNG"), UnsupportedImage, "palette.*greyscale"),
    "tiff palette": (_pillow(PALETTE, "TIFF"), UnsupportedImage, "palette.*greyscale"),
    "png colour": (png(COLOUR), UnsupportedImage, "colours: convert it"),
    "tiff colour": (tiff(COLOUR, photometric="rgb"), UnsupportedImage, "colours: conv"),
    "tiff cmyk": (
        tiff(rgb(GREY8, alpha=True), photometric="separated"), UnsupportedImage,
        "neither greyscale nor RGB",
    ),
    "png 1 bit": (png(GREY8 > 9), UnsupportedImage, "1 bits per pixel.*8- or 16-bit"),
    "tiff 1 bit": (tiff(GREY8 > 9), UnsupportedImage, "1 bits per pixel.*8- or 16-bit"),
    "tiff 32 bit": (tiff(GREY16.astype(np.uint32)), UnsupportedImage, "32 bits"),
    "tiff float": (tiff(GREY8.astype(np.float32)), UnsupportedImage, "floating-point"),
    "tiff signed": (tiff(GREY8.astype(np.int16)), UnsupportedImage, "signed numbers"),
    "tiff jpeg": (tiff_tags({259: 7}, RAW), UnsupportedImage, "JPEG loses detail"),
    "png zero": (png_chunks(0, 9, 8, 0, b""), UnsupportedImage, "0 x 9 pixels"),
    "tiff zero": (tiff_tags({257: 0}, RAW), UnsupportedImage, "8 x 0 pixels"),
    "tiff without a size": (
        struct.pack("<2sHIHI", b"II", 42, 8, 0, 0), UnsupportedImage, "0 x 0 pixels",
    ),
    "tiff without pages": (
        struct.pack("<2sHI", b"II", 42, 0), UnsupportedImage, "holds no image",
    ),
    "pages": (
        tiff(np.stack([GREY8, GREY8])), UnsupportedImage,
        "2 images.*`cisterna image add --pages`",
    ),
    "animated png": (
        png_chunks(8, 8, 8, 0, bytes(72), (b"acTL", struct.pack(">II", 3, 0))),
        UnsupportedImage, "3 images",
    ),
    "imagej stack in one directory": (
        tiff(np.stack([GREY8] * 5), imagej=True, truncate=True),
        UnsupportedImage, "stack of 5 planes.*Image Sequence",
    ),
    "shaped stack in one directory": (
        tiff(np.stack([GREY8] * 5), truncate=True), UnsupportedImage, "5 planes",
    ),
    "png header damaged": (
        png(GREY8).replace(struct.pack(">II", 90, 70), struct.pack(">II", 91, 70)),
        UnsupportedImage, "checksum",
    ),
    "tiff circle": (loop_of_directories(), UnsupportedImage, "circle"),
    "tiff tags": (many_tags(), TooLarge, "4097 tags"),
    "tiff strip beyond the end": (
        tiff_tags({273: 900}, RAW), UnsupportedImage, "cut off",
    ),
    "tiff strip too short": (tiff_tags({279: 63}, RAW), UnsupportedImage, "cut off"),
    "tiff strips missing": (
        tiff_tags({278: 1}, RAW), UnsupportedImage, "do not cover the image",
    ),
    "tiff rows per strip zero": (tiff_tags({278: 0}, RAW), UnsupportedImage, "no size"),
    "tiff tile without height": (
        tiff_tags({322: 16, 323: 0, 324: 8, 325: 64}, RAW), UnsupportedImage, "no size",
    ),
    "tiff deflate damaged": (
        tiff_tags({259: 8}, b"\xff" * 64), UnsupportedImage, "cannot be decoded",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_bad_files_are_refused_with_the_mend(
    name: str, saved: Callable[[bytes], Path]
) -> None:
    data, kind, says = REFUSED[name]
    with pytest.raises(kind, match=says) as caught:
        readers.read_grey(saved(data))
    assert caught.value.field == "file"


DEEP = zlib.compress(bytes(2**26), 9)
BOMBS = {
    "37 GiB of a TIFF of 322 bytes": tiff_tags(
        {256: 200_000, 257: 200_000, 279: 64}, bytes(322 - 110)
    ),
    "16 GiB within the limit, no strips": tiff_tags({256: 2**16, 257: 2**16}, RAW),
    "deflate TIFF 1000:1": tiff_tags(
        {256: 2**13, 257: 2**13, 259: 8, 278: 2**13, 279: len(DEEP)}, DEEP
    ),
    "deflate TIFF 1000:1 in strips": tiff(
        np.zeros((2**13, 2**13), np.uint8), compression="zlib", rowsperstrip=4096
    ),
    "strips that share their bytes": tiff_tags(
        {256: 2**14, 257: 2**14, 259: 8, 278: 16,
         273: [8] * 1024, 279: [2**16] * 1024}, bytes(2**16)
    ),
    "PNG 1000:1": png_chunks(2**13, 2**13, 8, 0, bytes((2**13 + 1) * 2**13)),
    "PNG of 4 x 10^9 squared": png_chunks(2**32 - 1, 2**32 - 1, 16, 0, b""),
}  # fmt: skip


@pytest.mark.parametrize("name", BOMBS)
def test_bombs_are_refused_before_anything_is_decoded(
    name: str, saved: Callable[[bytes], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(*_: object) -> None:
        raise AssertionError("decoded")

    monkeypatch.setattr(readers, "_decode", never)
    with pytest.raises((TooLarge, UnsupportedImage)):
        readers.read_grey(saved(BOMBS[name]))


def test_the_small_bomb_is_as_small_as_it_says() -> None:
    assert len(BOMBS["37 GiB of a TIFF of 322 bytes"]) <= 322


def test_an_honest_blank_picture_is_no_bomb(saved: Callable[[bytes], Path]) -> None:
    blank = np.full((2048, 2048), 40, np.uint8)
    for data in (png(blank), tiff(blank, compression="zlib")):
        assert len(data) * limits.MAX_RATIO < blank.nbytes
        assert np.array_equal(readers.read_grey(saved(data)), blank)


@pytest.mark.parametrize(
    "data",
    [
        png(GREY8[:9, :9]),
        png(GREY16[:9, :9]),
        tiff(GREY8[:9, :9], metadata=None),
        tiff(GREY16[:9, :9], metadata=None, compression="lzw"),
        tiff(GREY8[:9, :9], metadata=None, bigtiff=True, compression="zlib"),
    ],
    ids=["png 8", "png 16", "tiff", "tiff lzw", "bigtiff deflate"],
)
def test_a_file_cut_anywhere_is_refused(
    data: bytes, saved: Callable[[bytes], Path]
) -> None:
    path = saved(data)
    readers.read_grey(path)
    for length in range(len(data)):
        path.write_bytes(data[:length])
        with pytest.raises(UnsupportedImage):
            readers.read_grey(path)


SEEDS = [
    png(GREY8[:9, :9]),
    tiff(GREY16[:20, :20], compression="lzw", tile=(16, 16)),
    tiff(GREY8[:9, :9], bigtiff=True, compression="zlib", rowsperstrip=4),
    tiff(np.stack([GREY8[:9, :9]] * 3), photometric="rgb", planarconfig="separate"),
]


@settings(
    max_examples=400,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    st.sampled_from(SEEDS),
    st.lists(st.tuples(st.integers(0, 10**6), st.integers(0, 255)), max_size=6),
)
def test_mutated_files_are_an_image_or_a_plain_refusal(
    tmp_path: Path, seed: bytes, changes: list[tuple[int, int]]
) -> None:
    data = bytearray(seed)
    for position, value in changes:
        data[position % len(data)] = value
    path = tmp_path / "mutated"
    path.write_bytes(data)
    try:
        grey = readers.read_grey(path, max_pixels=10**6)
    except DomainError:
        return
    assert grey.ndim == 2
    assert grey.dtype in (np.uint8, np.uint16)


def test_pages_are_read_one_by_one_when_asked(saved: Callable[[bytes], Path]) -> None:
    path = saved(tiff(np.stack([GREY16, GREY16[::-1], GREY16 // 2])))
    for page, expected in enumerate((GREY16, GREY16[::-1], GREY16 // 2)):
        assert readers.inspect(path, page).pages == 3
        assert np.array_equal(readers.read_grey(path, page), expected)
    for page in (-1, 3):
        with pytest.raises(UnsupportedImage, match="file holds 3") as caught:
            readers.read_grey(path, page)
        assert caught.value.field == "page"


# Pixel size


def ome(x: str, y: str, unit: str) -> str:
    size = f'PhysicalSizeX="{x}" PhysicalSizeY="{y}"'
    return f'<?xml version="1.0"?><OME><Image><Pixels {size} {unit}/></Image></OME>'


def described(text: str, **options: Any) -> bytes:
    return tiff(GREY8, description=text.encode(), metadata=None, **options)


PIXEL_SIZES: dict[str, tuple[bytes, float | None]] = {
    "nothing": (tiff(GREY8), None),
    "cm": (tiff(GREY8, resolution=(2e6, 2e6), resolutionunit="centimeter"), 5.0),
    "inch": (tiff(GREY8, resolution=(2.54e6, 2.54e6), resolutionunit="inch"), 10.0),
    "72 dpi": (tiff(GREY8, resolution=(72, 72), resolutionunit="inch"), None),
    "no unit": (tiff(GREY8, resolution=(2e6, 2e6), resolutionunit="none"), None),
    "not square": (tiff(GREY8, resolution=(2e6, 3e6), resolutionunit=3), None),
    "imagej nm": (
        tiff(GREY8, imagej=True, resolution=(0.2, 0.2), metadata={"unit": "nm"}), 5.0,
    ),
    "imagej micron": (
        tiff(GREY8, imagej=True, resolution=(200, 200), metadata={"unit": "micron"}),
        5.0,
    ),
    "imagej µm escaped": (
        described("ImageJ=1.53t\nunit=\\u00B5m\n", resolution=(200, 200)), 5.0,
    ),
    "imagej without unit": (
        described("ImageJ=1.53t\n", resolution=(200, 200), resolutionunit=1), None,
    ),
    "ome nm": (described(ome("4.6", "4.6", 'PhysicalSizeXUnit="nm" '
                             'PhysicalSizeYUnit="nm"')), 4.6),
    "ome default": (described(ome("0.0046", "0.0046", "")), 4.6),
    "ome not square": (described(ome("0.0046", "0.009", "")), None),
    "ome nonsense": (described(ome("many", "4", "")), None),
    "ome nan": (described(ome("nan", "nan", "")), None),
    "png": (png(GREY8, dpi=(2.54e6, 2.54e6)), 10.0),
    "png 72 dpi": (png(GREY8, dpi=(72, 72)), None),
    "png without unit": (
        png_chunks(
            8, 8, 8, 0, bytes(72), (b"pHYs", struct.pack(">IIB", 10**8, 10**8, 0))
        ),
        None,
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", PIXEL_SIZES)
def test_pixel_size_is_what_the_file_says_or_unknown(
    name: str, saved: Callable[[bytes], Path]
) -> None:
    data, expected = PIXEL_SIZES[name]
    found = readers.inspect(saved(data)).pixel_nm
    assert found == (None if expected is None else pytest.approx(expected, rel=1e-3))


# Label images

LABELS = GREY8 % 6


def test_label_images_give_values_and_never_colours(
    saved: Callable[[bytes], Path],
) -> None:
    palette = Image.fromarray(LABELS)
    palette.putpalette([200, 0, 0, 0, 200, 0, 0, 0, 200, 9, 9, 9, 8, 8, 8, 7, 7, 7])
    small = LABELS % 4
    wide = np.pad(small, ((0, 0), (0, 2)))
    rows = wide[:, ::4] << 6 | wide[:, 1::4] << 4 | wide[:, 2::4] << 2 | wide[:, 3::4]
    two_bits = png_chunks(90, 70, 2, 0, np.pad(rows, ((0, 0), (1, 0))).tobytes())
    files = {
        "palette png": (_pillow(palette, "PNG"), LABELS),
        "palette tiff": (_pillow(palette, "TIFF"), LABELS),
        "grey png": (png(LABELS), LABELS),
        "grey rgb png": (png(rgb(LABELS)), LABELS),
        "lzw tiff": (tiff(LABELS, compression="lzw"), LABELS),
        "16-bit tiff": (tiff(LABELS.astype(np.uint16)), LABELS),
        "1-bit png": (png(LABELS > 2), (LABELS > 2).astype(np.uint8)),
        "2-bit grey png": (two_bits, small),
    }
    for name, (data, expected) in files.items():
        labels = readers.read_labels(saved(data))
        assert labels.dtype == np.uint8, name
        assert np.array_equal(labels, expected), name


def test_a_mostly_empty_label_image_is_no_bomb(saved: Callable[[bytes], Path]) -> None:
    labels = np.zeros((4500, 4500), np.uint8)
    labels[7, 9] = 4
    assert np.array_equal(readers.read_labels(saved(png(labels))), labels)


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (png(COLOUR), "colours"),
        (tiff(GREY16), "one value from 0 to 255 per class"),
        (tiff(GREY8.astype(np.int32)), "signed"),
        (tiff(GREY8.astype(np.float32)), "floating-point"),
        (tiff(GREY8, photometric="miniswhite"), "0 is white"),
        (tiff(np.stack([GREY8, GREY8])), "2 images"),
    ],
)
def test_ambiguous_label_images_are_refused(data: bytes, says: str) -> None:
    with pytest.raises(Invalid, match=says) as caught:
        readers.read_labels(data)
    assert caught.value.field == "file"


# Pyramids


def block_means(image: Array) -> Array:
    """2 x 2 means one by one, rounded half up."""
    rows, columns = -(-image.shape[0] // 2), -(-image.shape[1] // 2)
    means = np.empty((rows, columns), image.dtype)
    for y in range(rows):
        for x in range(columns):
            block = image[2 * y : 2 * y + 2, 2 * x : 2 * x + 2].astype(float)
            means[y, x] = np.floor(block.mean() + 0.5)
    return means


@settings(
    max_examples=25,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    hnp.arrays(
        st.sampled_from([np.dtype(np.uint8), np.dtype(np.uint16)]),
        st.tuples(st.integers(1, 45), st.integers(1, 45)),
    ),
    st.data(),
)
def test_levels_are_block_means_and_regions_are_slices(
    monkeypatch: pytest.MonkeyPatch, image: Array, data: st.DataObject
) -> None:
    monkeypatch.setattr(pyramid, "CHUNK", 4)
    monkeypatch.setattr(pyramid, "SHARD", 8)
    store = MemoryStore()
    written = pyramid.write_pyramid(store, image, None)
    assert written.mean == pytest.approx(image.mean())
    assert written.sd == pytest.approx(image.std())
    shapes = pyramid.levels(store)
    assert len(shapes) == written.levels
    expected = image
    for level, shape in enumerate(shapes):
        assert expected.shape == shape
        whole = pyramid.read_region(store, level, Box(0, 0, *shape))
        assert whole.dtype == image.dtype
        assert np.array_equal(whole, expected)
        y = data.draw(st.integers(0, shape[0] - 1))
        x = data.draw(st.integers(0, shape[1] - 1))
        h = data.draw(st.integers(1, shape[0] - y))
        w = data.draw(st.integers(1, shape[1] - x))
        part = pyramid.read_region(store, level, Box(y, x, h, w))
        assert np.array_equal(part, expected[y : y + h, x : x + w])
        if level + 1 < len(shapes):
            assert max(shape) > 4
            expected = block_means(expected)
    assert max(shapes[-1]) <= 4


@pytest.mark.parametrize("kind", ["folder", "local store"])
def test_a_real_sized_pyramid_is_sharded_ome_zarr(tmp_path: Path, kind: str) -> None:
    image = RNG.integers(0, 65536, (700, 5000), np.uint16)
    folder = tmp_path / "pyramid"
    folder.mkdir()
    store = folder if kind == "folder" else LocalStore(folder)
    written = pyramid.write_pyramid(store, image, 4.6)
    shapes = ((700, 5000), (350, 2500), (175, 1250), (88, 625), (44, 313))
    assert pyramid.levels(store) == shapes
    assert written.levels == 5
    box = Box(100, 4000, 600, 1000)
    assert np.array_equal(pyramid.read_region(store, 0, box), image[box.slices])

    ome = json.loads((folder / "zarr.json").read_text())["attributes"]["ome"]
    assert ome["version"] == "0.5"
    (multiscale,) = ome["multiscales"]
    assert [axis["unit"] for axis in multiscale["axes"]] == ["nanometer"] * 2
    third = multiscale["datasets"][2]["coordinateTransformations"]
    assert third[0]["scale"] == pytest.approx([18.4, 18.4])
    assert third[1]["translation"] == pytest.approx([6.9, 6.9])

    array = json.loads((folder / "0" / "zarr.json").read_text())
    assert array["zarr_format"] == 3
    assert array["dimension_names"] == ["y", "x"]
    assert array["chunk_grid"]["configuration"]["chunk_shape"] == [1024, 4096]
    (sharding,) = array["codecs"]
    assert sharding["configuration"]["chunk_shape"] == [512, 512]
    shards = [path for path in (folder / "0" / "c").rglob("*") if path.is_file()]
    assert len(shards) == 2

    copy = np.load(pyramid.copy_level0(store, tmp_path / "image.npy"), mmap_mode="r")
    assert copy.dtype == np.uint16
    assert np.array_equal(copy, image)


def test_a_pyramid_without_pixel_size_names_no_unit() -> None:
    store = MemoryStore()
    pyramid.write_pyramid(store, GREY8, None)
    document = json.loads(bytes(obstore.get(store, "zarr.json").bytes()))
    (multiscale,) = document["attributes"]["ome"]["multiscales"]
    assert [axis.get("unit") for axis in multiscale["axes"]] == [None, None]


def test_regions_outside_name_what_is_there() -> None:
    store = MemoryStore()
    pyramid.write_pyramid(store, GREY8, None)
    with pytest.raises(Invalid, match="no level 1") as caught:
        pyramid.read_region(store, 1, Box(0, 0, 1, 1))
    assert caught.value.field == "level"
    with pytest.raises(Invalid, match="has 70 x 90 pixels") as caught:
        pyramid.read_region(store, 0, Box(0, 0, 71, 90))
    assert caught.value.field == "region"


def test_writing_again_replaces_what_a_broken_attempt_left(tmp_path: Path) -> None:
    big = RNG.integers(0, 256, (600, 1100), np.uint8)
    pyramid.write_pyramid(tmp_path, big, None)
    pyramid.write_pyramid(tmp_path, GREY8, None)
    assert pyramid.levels(tmp_path) == (GREY8.shape,)
    assert not (tmp_path / "1").exists()


# PNGs


def opened(data: bytes) -> Array:
    return np.asarray(Image.open(io.BytesIO(data)))


def test_windows_map_low_to_black_and_high_to_white() -> None:
    region = np.array([[0, 1000, 1500], [2000, 3000, 65535]], np.uint16)
    shown = opened(pngs.grey_png(region, (1000, 2000)))
    assert shown.tolist() == [[0, 0, 128], [255, 255, 255]]
    assert opened(pngs.grey_png(region)).tolist() == [[0, 4, 6], [8, 12, 255]]
    assert np.array_equal(opened(pngs.grey_png(GREY8)), GREY8)
    with pytest.raises(Invalid, match="window is empty") as caught:
        pngs.grey_png(region, (5, 5))
    assert caught.value.field == "window"


def test_raw_bytes_are_little_endian_rows() -> None:
    assert pngs.raw_bytes(np.array([[1, 2]], np.uint8)) == b"\x01\x02"
    values = np.array([[1, 0x1234]], ">u2")
    assert pngs.raw_bytes(values) == b"\x01\x00\x34\x12"
    assert pngs.raw_bytes(values.T.astype(np.uint16).T) == b"\x01\x00\x34\x12"


@given(hnp.arrays(np.uint8, hnp.array_shapes(min_dims=2, max_dims=2, max_side=20)))
def test_masks_survive_as_png(mask: Array) -> None:
    shape = (mask.shape[0], mask.shape[1])
    assert np.array_equal(pngs.read_mask(pngs.mask_png(mask), shape), mask)


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (png(LABELS.T), "is 90 x 70 but the tile is 70 x 90"),
        (png_chunks(2**20, 2**20, 8, 0, b""), "pixels"),
        (png(COLOUR), "colours"),
        (tiff(LABELS), "no PNG"),
        (png(LABELS)[:-30], "cut off"),
        (b"", "empty"),
        (png(GREY16), "0 to 255"),
    ],
)
def test_wrong_mask_pngs_name_field_and_mend(data: bytes, says: str) -> None:
    with pytest.raises(Invalid, match=says) as caught:
        pngs.read_mask(data, (70, 90))
    assert caught.value.field == "mask"


def test_overlays_colour_labels_only_and_tell_shares() -> None:
    grey = np.full((300, 200), 100, np.uint8)
    labels = np.zeros((300, 200), np.uint8)
    labels[:75] = 4
    labels[75:150] = 255
    shares = pngs.pixel_shares(labels, LIVER)
    assert shares["ER"] == pytest.approx(1 / 3)
    assert shares["nucleus"] == 0
    picture = opened(pngs.overlay_png(grey, labels, LIVER, opacity=0.5))
    assert picture.shape[0] == 300
    assert picture.shape[1] > 200
    assert picture[10, 10].tolist() == [67, 118, 76]  # half of 100, half of #228833
    assert (picture[75:300, :200] == 100).all()
    # Where the shares differ, the legend must.
    labels[:74] = 0
    other = opened(pngs.overlay_png(grey, labels, LIVER, opacity=0.5))
    assert not np.array_equal(other[:, 200:], picture[:, 200:])
    nothing = np.full_like(labels, 255)
    assert set(pngs.pixel_shares(nothing, LIVER).values()) == {None}
    pngs.overlay_png(grey, nothing, LIVER)


def test_heat_maps_run_from_dark_to_bright() -> None:
    values = np.array([[-1, 0, 0.5], [1, 9, np.nan]], np.float16)
    shown = opened(pngs.heat_png(values, 0, 1))
    assert shown[0, 0].tolist() == shown[0, 1].tolist() == [0x44, 0x01, 0x54]
    assert shown[1, 0].tolist() == shown[1, 1].tolist() == [0xFD, 0xE7, 0x25]
    assert shown[1, 2].tolist() == [128, 128, 128]
    ramp = opened(pngs.heat_png(np.linspace(0, 1, 256)[None], 0, 1))[0]
    luminance = ramp @ np.array([0.2126, 0.7152, 0.0722])
    assert (np.diff(luminance) > -0.5).all()
    pngs.heat_png(np.zeros((2, 2), np.float32), 0, 0)


# Ingest


@pytest.mark.parametrize(
    ("stated", "pixel_nm", "source"),
    [(8.0, 8.0, PixelSource.STATED), (None, 5.0, PixelSource.FILE)],
)
def test_ingest_reports_what_it_stored(
    saved: Callable[[bytes], Path],
    stated: float | None,
    pixel_nm: float,
    source: PixelSource,
) -> None:
    path = saved(tiff(GREY16, resolution=(2e6, 2e6), resolutionunit="centimeter"))
    store = MemoryStore()
    result = ingest_file(path, store, stated_pixel_nm=stated)
    assert (result.height, result.width, result.dtype) == (70, 90, "uint16")
    assert result.mean == pytest.approx(GREY16.mean())
    assert result.sd == pytest.approx(GREY16.std())
    assert result.pixel_nm == pytest.approx(pixel_nm)
    assert result.pixel_source is source
    assert result.levels == 1
    whole = pyramid.read_region(store, 0, Box(0, 0, 70, 90))
    assert np.array_equal(whole, GREY16)


def test_an_unknown_pixel_size_stays_unknown(saved: Callable[[bytes], Path]) -> None:
    result = ingest_file(saved(png(GREY8)), MemoryStore())
    assert result.pixel_nm is None
    assert result.pixel_source is PixelSource.UNKNOWN


@pytest.mark.parametrize("stated", [0.0, -1.0, float("nan"), float("inf")])
def test_impossible_pixel_sizes_are_refused(
    saved: Callable[[bytes], Path], stated: float
) -> None:
    with pytest.raises(Invalid, match="above 0") as caught:
        ingest_file(saved(png(GREY8)), MemoryStore(), stated_pixel_nm=stated)
    assert caught.value.field == "pixel_nm"


def test_a_refused_file_leaves_nothing_behind(
    saved: Callable[[bytes], Path], tmp_path: Path
) -> None:
    into = tmp_path / "pyramid"
    with pytest.raises(UnsupportedImage):
        ingest_file(saved(png(COLOUR)), into)
    assert not into.exists()


LIMITED = """
import resource, sys
from pathlib import Path
from backend.imaging.ingest import ingest_file
from backend.imaging.readers import inspect
source, into = Path(sys.argv[1]), Path(sys.argv[2])
room = 2 * 2**30 + inspect(source).decoding_bytes
resource.setrlimit(resource.RLIMIT_AS, (room, room))
print(ingest_file(source, into).levels)
"""


@pytest.mark.parametrize("options", [{}, {"compression": "lzw", "predictor": 2}])
def test_ingest_fits_into_the_limits_of_its_child(
    tmp_path: Path, options: dict[str, Any]
) -> None:
    image = np.tile(GREY16, (60, 70))  # 4200 x 6300: four shards
    path = tmp_path / "section.tif"
    tifffile.imwrite(path, image, photometric="minisblack", **options)
    done = subprocess.run(
        [sys.executable, "-c", LIMITED, str(path), str(tmp_path / "pyramid")],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "5"
    box = Box(4090, 4090, 100, 100)
    region = pyramid.read_region(tmp_path / "pyramid", 0, box)
    assert np.array_equal(region, image[box.slices])
