"""Regions of stored .npy arrays by byte ranges: an image's sweep may exceed memory."""

import io
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import obstore
from obstore.store import ObjectStore

from backend.domain.geometry import Box

BAND = 256
"""Rows fetched at a time."""


@dataclass(frozen=True, slots=True)
class StoredArray:
    """A C-ordered (rows, columns) or (planes, rows, columns) array at a key."""

    root: ObjectStore
    key: str
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    offset: int

    def size(self, level: int) -> tuple[int, int]:
        """Return (rows, columns) at a level; each halves the one before, rounded up."""
        height, width = self.shape[-2:]
        return -(-height >> level), -(-width >> level)

    def read(self, box: Box, level: int = 0, plane: int = 0) -> npt.NDArray[Any]:
        """Return the values in `box`, which is in pixels of `level`.

        A pixel of level n is the middle one of 2^n x 2^n pixels, since label values
        and uncertainties near an edge have no meaningful mean. Only rows of the box
        are read. Raises ValueError if the box leaves the level.
        """
        if not box.within(*self.size(level)):
            raise ValueError(f"{box} is not inside level {level} of {self.shape}")
        height, width = self.shape[-2:]
        rows = _middles(box.y, box.h, level, height)
        columns = _middles(box.x, box.w, level, width)
        left = int(columns[0])
        span = int(columns[-1]) - left + 1
        first = self.offset + (plane * height * width + left) * self.dtype.itemsize
        into = np.empty((box.h, box.w), self.dtype)
        for start in range(0, box.h, BAND):
            band = rows[start : start + BAND]
            blocks = obstore.get_ranges(
                self.root,
                self.key,
                starts=[first + int(y) * width * self.dtype.itemsize for y in band],
                lengths=[span * self.dtype.itemsize] * len(band),
            )
            for number, block in enumerate(blocks, start):
                into[number] = np.frombuffer(memoryview(block), self.dtype)[
                    columns - left
                ]
        return into


def open_array(root: ObjectStore, key: str) -> StoredArray:
    """Read the header of the .npy file at `key`; FileNotFoundError if there is none."""
    head = bytes(obstore.get_range(root, key, start=0, length=12))
    version = np.lib.format.read_magic(io.BytesIO(head))
    # the length of the header: two bytes in version 1, four later
    end = 10 if version == (1, 0) else 12
    offset = end + int.from_bytes(head[8:end], "little")
    file = io.BytesIO(bytes(obstore.get_range(root, key, start=0, length=offset)))
    np.lib.format.read_magic(file)
    read = (
        np.lib.format.read_array_header_1_0
        if version == (1, 0)
        else np.lib.format.read_array_header_2_0
    )
    shape, fortran, dtype = read(file)
    if fortran or dtype.hasobject or len(shape) not in (2, 3):
        raise ValueError(f"{key} is no C-ordered image: {shape} {dtype}")
    return StoredArray(root, key, shape, dtype, offset)


def _middles(start: int, count: int, level: int, side: int) -> npt.NDArray[np.intp]:
    at = np.arange(start, start + count, dtype=np.intp)
    middles: npt.NDArray[np.intp] = (at << level) + ((1 << level) >> 1)
    return np.minimum(middles, side - 1)
