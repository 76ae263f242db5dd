"""Smooth random fields, distances to shapes, and strokes drawn from distances.

Everything in the phantom is painted from signed distances in pixels (negative inside),
so edges and membranes are finer than the pixel grid and the ground truth is exact.
"""

from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.ndimage import gaussian_filter
from scipy.sparse import csr_array

Field = npt.NDArray[np.floating[Any]]
Shape = tuple[int, int]

# Mean over one knot interval of the sum of squared cubic B-spline weights.
_SPLINE_POWER = 151 / 315


def _spline(rng: np.random.Generator, length: int, scale: float) -> csr_array:
    """Interpolate from knots `scale` pixels apart: (length, knots), cubic B-spline."""
    position = (np.arange(length) + rng.uniform(0, scale)) / scale
    knot = np.floor(position).astype(np.int64)
    t = position - knot
    weights = (
        np.stack(
            [
                (1 - t) ** 3,
                3 * t**3 - 6 * t**2 + 4,
                -3 * t**3 + 3 * t**2 + 3 * t + 1,
                t**3,
            ],
            axis=1,
        )
        / 6
    )
    columns = knot[:, None] + np.arange(4)
    starts = np.arange(0, 4 * length + 1, 4)
    return csr_array(
        (weights.ravel(), columns.ravel(), starts), shape=(length, knot[-1] + 4)
    )


def smooth(rng: np.random.Generator, shape: Shape, scale: float) -> Field:
    """White noise on knots `scale` pixels apart, interpolated; mean 0, SD 1.

    Returns (height, width) float32. Sparse products keep it fast and, unlike threaded
    dense ones, give the same bits on any number of cores.
    """
    rows, columns = (_spline(rng, length, scale) for length in shape)
    knots = rng.standard_normal((rows.shape[1], columns.shape[1]))
    field = (columns @ (rows @ knots).T).T / _SPLINE_POWER
    return np.ascontiguousarray(field, dtype=np.float32)


def specks(rng: np.random.Generator, density: Field, sigma: float) -> Field:
    """Gaussian dots of peak 0.5 to 1, `density` (height, width) of them per pixel."""
    hit = rng.random(density.shape, dtype=np.float32) < density
    impulses = np.where(hit, rng.uniform(0.5, 1, density.shape), 0).astype(np.float32)
    dots: Field = gaussian_filter(impulses, sigma, truncate=3)
    return dots * np.float32(2 * np.pi * sigma**2)


def cover(distance: Field) -> Field:
    """How much of each pixel lies inside the shape, 0 to 1 (an antialiased edge)."""
    inside: Field = np.clip(0.5 - distance, 0, 1)
    return inside


def stroke(distance: Field, at: float, width: float) -> Field:
    """Coverage of a line `width` pixels wide drawn where the distance equals `at`."""
    line: Field = np.clip(0.5 + width / 2 - np.abs(distance - at), 0, min(1.0, width))
    return line


def blend(grey: Field, tone: Field | float, alpha: Field) -> None:
    """Paint `tone` over `grey` in place with opacity `alpha`, both 0 to 1."""
    grey += alpha * (tone - grey)


def grid(window: tuple[slice, slice]) -> tuple[Field, Field]:
    """Row and column numbers of a window as broadcastable float32 arrays."""
    rows, columns = window
    return (
        np.arange(rows.start, rows.stop, dtype=np.float32)[:, None],
        np.arange(columns.start, columns.stop, dtype=np.float32)[None, :],
    )


def window(
    points: npt.NDArray[np.float64], reach: float, shape: Shape
) -> tuple[slice, slice]:
    """The part of the canvas within `reach` pixels of `points` (n, 2) row, column."""
    low = np.floor(points.min(axis=0) - reach).astype(int)
    high = np.ceil(points.max(axis=0) + reach).astype(int) + 1
    (top, left), (bottom, right) = np.maximum(low, 0), np.minimum(high, shape)
    return slice(int(top), int(bottom)), slice(int(left), int(right))


def ellipse(y: Field, x: Field, radii: tuple[float, float], angle: float) -> Field:
    """Approximate signed distance to an ellipse around the origin, in pixels.

    First order in the implicit function, k0 (k0 - 1) / k1 with k0 = |p / r| and
    k1 = |p / r²|: exact on the outline and its normal, which is where we draw.
    """
    u = np.cos(angle) * x + np.sin(angle) * y
    v = np.cos(angle) * y - np.sin(angle) * x
    k0 = np.hypot(u / radii[0], v / radii[1])
    k1 = np.hypot(u / radii[0] ** 2, v / radii[1] ** 2)
    distance: Field = (k0 * (k0 - 1) / np.maximum(k1, 1e-6)).astype(np.float32)
    return distance


def along(
    y: Field, x: Field, spine: npt.NDArray[np.float64]
) -> tuple[Field, Field, Field]:
    """Distance to a polyline `spine` (n, 2), arc length there, and signed side offset.

    All in pixels; arrays of the window's shape, float32.
    """
    shape = np.broadcast_shapes(y.shape, x.shape)
    nearest = np.full(shape, np.inf, np.float32)
    arc, side = np.zeros(shape, np.float32), np.zeros(shape, np.float32)
    walked = 0.0
    for (y0, x0), (y1, x1) in pairwise(spine):
        length = max(float(np.hypot(y1 - y0, x1 - x0)), 1e-6)
        dy, dx = (y1 - y0) / length, (x1 - x0) / length
        onward = (y - y0) * dy + (x - x0) * dx
        aside = (y - y0) * dx - (x - x0) * dy
        distance = np.hypot(onward - np.clip(onward, 0, length), aside)
        closer = distance < nearest
        nearest = np.where(closer, distance, nearest).astype(np.float32)
        arc = np.where(closer, walked + onward, arc).astype(np.float32)
        side = np.where(closer, aside, side).astype(np.float32)
        walked += length
    return nearest, arc, side
