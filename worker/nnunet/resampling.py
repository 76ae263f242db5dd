"""An image at the project's working pixel size, and the way back.

A pixel covers an area: the centre of working pixel i lies at (i + 0.5)·r − 0.5 in image
pixels, r being image pixels per working pixel. Nothing here reads a whole image, so the
values of a region never depend on how it was cut.
"""

import mmap
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from math import ceil
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from backend.domain.geometry import Box
from worker.segmenter import ImageData

F4 = NDArray[np.float32]

_SAME = 0.02  # pixel sizes are calibrated no better than this


@dataclass(frozen=True, slots=True)
class WorkingImage:
    """An image as the network sees it: z-scores on working pixels."""

    pixels: NDArray[Any]
    mean: float
    sd: float
    scale: float

    @classmethod
    def open(cls, image: ImageData, working_nm: float | None) -> Self:
        """Open an image; without a pixel size it is taken to have the working size."""
        scale = 1.0
        if image.pixel_nm is not None and working_nm is not None:
            scale = image.pixel_nm / working_nm
        if abs(scale - 1) < _SAME:
            scale = 1.0
        pixels = np.load(image.path, mmap_mode="r", allow_pickle=False)
        return cls(pixels, image.mean, image.sd if image.sd > 0 else 1.0, scale)

    @property
    def shape(self) -> tuple[int, int]:
        """(height, width) in working pixels."""
        height, width = self.pixels.shape
        return max(1, round(height * self.scale)), max(1, round(width * self.scale))

    def box(self, box: Box) -> Box:
        """Return the smallest box of working pixels that covers a box of the image."""
        y, h = _cover(box.y, box.h, self.pixels.shape[0], self.shape[0])
        x, w = _cover(box.x, box.w, self.pixels.shape[1], self.shape[1])
        return Box(y, x, h, w)

    def read(self, box: Box) -> F4:
        """Return (box.h, box.w) z-scores; `box` is in working pixels."""
        if self.shape == self.pixels.shape:
            return self._scores(self.pixels[box.slices].astype(np.float32))
        step = max(n / m for n, m in zip(self.pixels.shape, self.shape, strict=True))
        sigma = max(0.0, (step - 1) / 2)  # without it a coarser grid would alias
        margin = ceil(4 * sigma) + 1
        rows = _centres(box.y, box.h, self.shape[0], self.pixels.shape[0])
        columns = _centres(box.x, box.w, self.shape[1], self.pixels.shape[1])
        top, left = (max(0, int(c[0]) - margin) for c in (rows, columns))
        bottom, right = (int(c[-1]) + 2 + margin for c in (rows, columns))
        values = self.pixels[top:bottom, left:right].astype(np.float32)
        if sigma > 0:
            values = gaussian_filter(values, sigma, mode="nearest", truncate=4)
        values = interpolate(interpolate(values, rows - top, 0), columns - left, 1)
        return self._scores(values)

    def let_go(self) -> None:
        """Let go of the file's pages read so far; they would count as this process's.

        They are read again, from the system's cache, if they are needed again.
        """
        pages = getattr(self.pixels, "_mmap", None)
        if pages is not None and hasattr(mmap, "MADV_DONTNEED"):
            pages.madvise(mmap.MADV_DONTNEED)

    def nearest(self, box: Box) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        """Return the image rows and columns in which the pixels of `box` lie."""
        rows = _centres(box.y, box.h, self.shape[0], self.pixels.shape[0])
        columns = _centres(box.x, box.w, self.shape[1], self.pixels.shape[1])
        return np.rint(rows).astype(np.intp), np.rint(columns).astype(np.intp)

    def _scores(self, values: F4) -> F4:
        """Turn grey values into z-scores, in place."""
        values -= np.float32(self.mean)
        values /= np.float32(self.sd)
        return values


def interpolate(values: F4, at: NDArray[np.float64], axis: int) -> F4:
    """Interpolate linearly along one axis at positions `at`, clamped to the ends."""
    last = values.shape[axis] - 1
    at = np.clip(at, 0, last)
    low = np.floor(at).astype(np.intp)
    shape = [1] * values.ndim
    shape[axis] = -1
    part = (at - low).astype(np.float32).reshape(shape)
    below: F4 = values.take(low, axis)
    above: F4 = values.take(np.minimum(low + 1, last), axis)
    return below + part * (above - below)


def stretch(
    bands: Iterable[F4], working: tuple[int, int], image: tuple[int, int]
) -> Iterator[F4]:
    """Bring bands of working rows (planes, h, width) to the image's own pixels.

    Bands come from top to bottom, and so do the results; together they have the image's
    height. Linear interpolation keeps probabilities summing to 1.
    """
    if working == image:
        yield from bands
        return
    centres = _centres(0, image[0], image[0], working[0])
    columns = _centres(0, image[1], image[1], working[1])
    kept: F4 | None = None
    top = done = 0  # the working row `kept` begins with; image rows given so far
    for band in bands:
        kept = band if kept is None else np.concatenate([kept, band], axis=1)
        bottom = top + kept.shape[1]
        known = (
            image[0] if bottom == working[0] else np.searchsorted(centres, bottom - 1)
        )
        if known > done:
            rows = interpolate(kept, centres[done:known] - top, 1)
            yield interpolate(rows, columns, 2)
            done = int(known)
            first = min(bottom - 1, int(centres[min(done, image[0] - 1)]))
            kept, top = kept[:, first - top :], first


def _centres(start: int, count: int, length: int, other: int) -> NDArray[np.float64]:
    """Return where pixels start..start+count of one grid lie on the other."""
    at = (np.arange(start, start + count) + 0.5) * other / length - 0.5
    return np.clip(at, 0, other - 1)


def _cover(start: int, count: int, length: int, other: int) -> tuple[int, int]:
    low = min(start * other // length, other - 1)
    high = min(other, -(-(start + count) * other // length))
    return low, max(1, high - low)
