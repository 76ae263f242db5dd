"""What a simulated annotator paints, how wrong, and what it costs."""

import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from backend.domain.geometry import Box, TileGrid
from backend.domain.labels import BACKGROUND, UNKNOWN
from backend.schemas.task import TaskView

U1 = NDArray[np.uint8]

SHIFT = 1.0, 3.0
"""Pixels by which a careless boundary lies elsewhere, least and most."""
WANDER = 12.0
"""Over how many pixels (SD of a Gaussian) shift and direction stay much the same."""
THIN = 3
"""A structure is thin where no disc of this radius fits."""
PIECE = 32
"""Edge of the squares into which long thin structures are cut."""
MISSED = 0.05
"""Share of thin pieces that the annotator does not see."""

TILE_SECONDS = 10.0
"""To take in a tile and to send it; a round figure, not a measurement."""
BOUNDARY_SECONDS = 0.1
"""To follow one pixel of boundary: a hand at ten screen pixels a second."""


class Oracle(Protocol):
    """Answers every tile."""

    def mask(self, task: TaskView) -> U1:
        """Return the task's tile, (rows, columns) uint8 values of the project."""


@dataclass(frozen=True, slots=True)
class Cost:
    """What painting some tiles took; areas in pixels."""

    foreground: int = 0
    by_value: tuple[tuple[int, int], ...] = ()
    seconds: float = 0.0

    def pixels(self, value: int) -> int:
        """Return the pixels of one label."""
        return dict(self.by_value).get(value, 0)


def cost(mask: U1) -> Cost:
    """Return what painting one tile costs.

    Time grows with the length of the boundaries between labels: pairs of neighbouring
    pixels, to the right and below, of different values of which neither is unknown.
    """
    values, counts = np.unique(mask, return_counts=True)
    drawn = tuple(
        (int(value), int(count))
        for value, count in zip(values, counts, strict=True)
        if value not in (BACKGROUND, UNKNOWN)
    )
    seconds = TILE_SECONDS + BOUNDARY_SECONDS * boundary_length(mask)
    return Cost(sum(count for _, count in drawn), drawn, seconds)


def boundary_length(mask: U1) -> int:
    """Return how many neighbouring pixels differ; unknown differs from nothing."""
    total = 0
    for one, other in ((mask[1:], mask[:-1]), (mask[:, 1:], mask[:, :-1])):
        known = (one != UNKNOWN) & (other != UNKNOWN)
        total += int(((one != other) & known).sum())
    return total


def painted(truth: U1, box: Box, name: str, noise: int | None) -> U1:
    """Return what the annotator paints in a tile of an image.

    `noise` is None for who paints the truth, or the seed of who does not: boundaries
    lie 1 to 3 pixels elsewhere, and of the thin structures 5 % are missing. The same
    tile is always painted alike. What is unknown stays unknown.
    """
    tile = truth[box.slices]
    if noise is None:
        return tile.copy()
    key = zlib.crc32(f"{name} {box.y} {box.x}".encode())
    rng = np.random.default_rng((noise, key))
    mask = _shifted(truth, box, rng)
    for value in np.unique(mask):
        if value not in (BACKGROUND, UNKNOWN):
            mask[_overlooked(mask == value, rng)] = BACKGROUND
    mask[mask == UNKNOWN] = BACKGROUND
    mask[tile == UNKNOWN] = UNKNOWN
    return mask


def whole(truth: U1, tile_size: int, name: str, noise: int | None) -> U1:
    """Return an image of which every tile is painted."""
    mask = truth.copy()
    for box in TileGrid(truth.shape[0], truth.shape[1], tile_size):
        mask[box.slices] = painted(truth, box, name, noise)
    return mask


def _shifted(truth: U1, box: Box, rng: np.random.Generator) -> U1:
    """Look up each pixel 1 to 3 pixels away, in directions that wander slowly.

    A displacement, not a growth: thin structures keep their width.
    """
    # the angle of two smooth fields is smooth and takes all directions alike
    dy, dx, size = (_smooth(rng, box) for _ in range(3))
    far = np.hypot(dy, dx) + 1e-12
    low, high = SHIFT
    length = low + (high - low) * np.clip(0.5 + size / 2, 0, 1)
    rows, columns = np.mgrid[box.slices]
    rows = np.rint(rows + length * dy / far).astype(int)
    columns = np.rint(columns + length * dx / far).astype(int)
    height, width = truth.shape
    shifted: U1 = truth[np.clip(rows, 0, height - 1), np.clip(columns, 0, width - 1)]
    return shifted


def _smooth(rng: np.random.Generator, box: Box) -> NDArray[np.float64]:
    field = ndimage.gaussian_filter(rng.normal(size=(box.h, box.w)), WANDER)
    unit: NDArray[np.float64] = field / (field.std() + 1e-12)
    return unit


def _overlooked(mask: NDArray[np.bool_], rng: np.random.Generator) -> NDArray[np.bool_]:
    """Return the pixels of thin pieces that are not seen."""
    lost = np.zeros_like(mask)
    for piece in thin_pieces(mask):
        if rng.random() < MISSED:
            lost |= piece
    return lost


def thin_pieces(mask: NDArray[np.bool_]) -> Iterator[NDArray[np.bool_]]:
    """Yield the thin structures of a mask, long ones in pieces of 32 pixels."""
    yy, xx = np.mgrid[-THIN : THIN + 1, -THIN : THIN + 1]
    disc = yy**2 + xx**2 <= THIN**2
    # a structure that goes on beyond the tile is as thick as it looks
    framed = np.pad(mask, 2 * THIN, mode="edge")
    thick = ndimage.binary_opening(framed, disc)
    thin = mask & ~thick[2 * THIN : -2 * THIN, 2 * THIN : -2 * THIN]
    found, _ = ndimage.label(thin, np.ones((3, 3)))
    rows, columns = np.indices(mask.shape) // PIECE
    cells = rows * (mask.shape[1] // PIECE + 1) + columns
    pieces = np.where(found > 0, found.astype(np.int64) * (cells.max() + 1) + cells, -1)
    for piece in np.unique(pieces[pieces >= 0]):
        yield pieces == piece
