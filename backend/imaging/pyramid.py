"""Images as OME-Zarr 0.5 pyramids: written shard by shard, read by region.

Level 0 is the image; each pixel of the next level is the mean of 2 x 2 pixels (of those
there are, at odd edges), until the larger side is at most one chunk. A store is a local
folder or an obstore store rooted at the pyramid.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
import numpy.typing as npt
import zarr
from obstore.store import ObjectStore
from zarr.codecs import ZstdCodec
from zarr.storage import LocalStore
from zarr.storage import ObjectStore as ZarrObjectStore

from backend.domain.errors import Invalid
from backend.domain.geometry import Box
from backend.imaging.readers import Grey

CHUNK = 512
SHARD = 4096

Store = Path | ObjectStore


@dataclass(frozen=True, slots=True)
class Written:
    """What writing learnt: `mean` and `sd` of level 0, in grey values."""

    mean: float
    sd: float
    levels: int


def write_pyramid(store: Store, image: Grey, pixel_nm: float | None) -> Written:
    """Write all levels of a (rows, columns) uint8 or uint16 image; a memmap will do.

    Beside the image itself, memory holds a few shards. `pixel_nm` is the size of a
    pixel of level 0 in nm; without it the metadata names no unit.
    """
    shapes = _shapes(image.shape[0], image.shape[1])
    group = zarr.create_group(
        _zarr(store),
        overwrite=True,
        attributes={"ome": _metadata(len(shapes), pixel_nm)},
    )
    histogram = np.zeros(np.iinfo(image.dtype).max + 1, np.int64)
    source: Any = image
    for level, shape in enumerate(shapes):
        array = group.create_array(
            str(level),
            shape=shape,
            dtype=image.dtype,
            chunks=(CHUNK, CHUNK),
            # A small image gets a shard of its own size, in whole chunks.
            shards=tuple(min(SHARD, -(-side // CHUNK) * CHUNK) for side in shape),
            compressors=ZstdCodec(level=1, checksum=True),
            fill_value=0,
            dimension_names=("y", "x"),
        )
        for box in _boxes(shape, SHARD):
            if level == 0:
                block = np.asarray(source[box.slices])
                for row in range(0, box.h, CHUNK):
                    band = block[row : row + CHUNK].ravel()
                    histogram += np.bincount(band, minlength=histogram.size)
            else:
                rows = slice(2 * box.y, 2 * (box.y + box.h))
                columns = slice(2 * box.x, 2 * (box.x + box.w))
                block = halved(source[rows, columns])
            array[box.slices] = block
        source = array
    mean, sd = _moments(histogram)
    return Written(mean, sd, len(shapes))


def halved(block: Grey) -> Grey:
    """Return the 2 x 2 means of a (rows, columns) block, rounded half up."""
    odd = [(0, side % 2) for side in block.shape]
    # Repeating the last row or column leaves the mean of what is there.
    padded = np.pad(block, odd, mode="edge") if np.any(odd) else block
    total = np.full((padded.shape[0] // 2, padded.shape[1] // 2), 2, np.uint32)
    for y in (0, 1):
        for x in (0, 1):
            total += padded[y::2, x::2]
    return cast(Grey, (total >> 2).astype(block.dtype))


def levels(store: Store) -> tuple[tuple[int, int], ...]:
    """Return (rows, columns) of every level, full size first."""
    group = zarr.open_group(_zarr(store), mode="r")
    ome = cast(dict[str, Any], group.attrs["ome"])
    paths = [dataset["path"] for dataset in ome["multiscales"][0]["datasets"]]
    return tuple(cast(tuple[int, int], _array(store, path).shape) for path in paths)


def read_region(store: Store, level: int, box: Box) -> Grey:
    """Return the values in `box`, which is in pixels of `level` here.

    Raises Invalid if the level does not exist or the box leaves it.
    """
    try:
        array = _array(store, str(level))
    except FileNotFoundError as error:
        raise Invalid(
            f"The image has no level {level}: choose one of its levels from 0.",
            field="level",
        ) from error
    height, width = array.shape
    if not box.within(height, width):
        raise Invalid(
            f"The region ends at row {box.y + box.h}, column {box.x + box.w}, but "
            f"level {level} has {height} x {width} pixels: choose a region inside.",
            field="region",
        )
    return cast(Grey, array[box.slices])


def copy_level0(store: Store, path: Path) -> Path:
    """Copy level 0 shard by shard into a .npy file that can be memory-mapped."""
    array = _array(store, "0")
    copy = np.lib.format.open_memmap(
        path, mode="w+", dtype=array.dtype, shape=array.shape
    )
    for box in _boxes(array.shape, SHARD):
        copy[box.slices] = array[box.slices]
    copy.flush()
    return path


def _zarr(store: Store) -> LocalStore | ZarrObjectStore[Any]:
    return LocalStore(store) if isinstance(store, Path) else ZarrObjectStore(store)


def _array(store: Store, path: str) -> Any:
    return zarr.open_array(_zarr(store), path=path, mode="r")


def _shapes(height: int, width: int) -> list[tuple[int, int]]:
    shapes = [(height, width)]
    while max(shapes[-1]) > CHUNK:
        shapes.append((-(-shapes[-1][0] // 2), -(-shapes[-1][1] // 2)))
    return shapes


def _boxes(shape: tuple[int, int], edge: int) -> Iterator[Box]:
    for y in range(0, shape[0], edge):
        for x in range(0, shape[1], edge):
            yield Box(y, x, min(edge, shape[0] - y), min(edge, shape[1] - x))


def _moments(histogram: npt.NDArray[np.int64]) -> tuple[float, float]:
    values = np.arange(histogram.size)
    count = int(histogram.sum())
    mean = float(np.dot(histogram, values)) / count
    variance = float(np.dot(histogram, (values - mean) ** 2)) / count
    return mean, math.sqrt(variance)


def _metadata(count: int, pixel_nm: float | None) -> dict[str, Any]:
    """Return the `ome` attribute of OME-Zarr 0.5; https://ngff.openmicroscopy.org/0.5/."""
    base = pixel_nm or 1.0
    unit = {} if pixel_nm is None else {"unit": "nanometer"}
    datasets = []
    for level in range(count):
        scale = base * 2**level
        # The centre of a level's first pixel lies between the pixels it was made of.
        shift = (scale - base) / 2
        datasets.append(
            {
                "path": str(level),
                "coordinateTransformations": [
                    {"type": "scale", "scale": [scale, scale]},
                    {"type": "translation", "translation": [shift, shift]},
                ],
            }
        )
    axes = [{"name": name, "type": "space", **unit} for name in ("y", "x")]
    return {
        "version": "0.5",
        "multiscales": [
            {"name": "image", "axes": axes, "datasets": datasets, "type": "mean"}
        ],
    }
