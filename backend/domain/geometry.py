"""Boxes and the fixed tile grid of an image."""

from collections.abc import Iterator
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, order=True)
class Box:
    """A half-open rectangle of level 0 pixels: rows y..y+h, columns x..x+w."""

    y: int
    x: int
    h: int
    w: int

    def __post_init__(self) -> None:
        if min(self.y, self.x) < 0 or min(self.h, self.w) < 1:
            raise ValueError(f"not a box inside an image: {self}")

    @property
    def slices(self) -> tuple[slice, slice]:
        """Index of the box in a (rows, columns) array."""
        return slice(self.y, self.y + self.h), slice(self.x, self.x + self.w)

    @property
    def area(self) -> int:
        """Pixels inside."""
        return self.h * self.w

    @property
    def centre(self) -> tuple[float, float]:
        """Centre as (y, x)."""
        return self.y + self.h / 2, self.x + self.w / 2

    def grown(self, margin: int, height: int, width: int) -> "Box":
        """Return the box with `margin` more on each side, clipped to the image."""
        top, left = max(0, self.y - margin), max(0, self.x - margin)
        bottom = min(height, self.y + self.h + margin)
        right = min(width, self.x + self.w + margin)
        return Box(top, left, bottom - top, right - left)

    def within(self, height: int, width: int) -> bool:
        """Whether the whole box lies inside an image of this size."""
        return self.y + self.h <= height and self.x + self.w <= width


@dataclass(frozen=True, slots=True)
class TileGrid:
    """The fixed grid of square tiles of an image; edge tiles are smaller."""

    height: int
    width: int
    tile: int

    def __post_init__(self) -> None:
        if min(self.height, self.width, self.tile) < 1:
            raise ValueError(f"not a grid: {self}")

    @property
    def rows(self) -> int:
        """Number of tile rows."""
        return -(-self.height // self.tile)

    @property
    def columns(self) -> int:
        """Number of tile columns."""
        return -(-self.width // self.tile)

    def __len__(self) -> int:
        return self.rows * self.columns

    def box(self, row: int, column: int) -> Box:
        """Return the box of the tile at (row, column)."""
        y, x = row * self.tile, column * self.tile
        return Box(
            y, x, min(self.tile, self.height - y), min(self.tile, self.width - x)
        )

    def __iter__(self) -> Iterator[Box]:
        """Yield all boxes row by row; the position is row * columns + column."""
        for row in range(self.rows):
            for column in range(self.columns):
                yield self.box(row, column)
