"""One pass over one image: labels, uncertainty and the ranker's statistics.

Members are networks × flips; their results are reduced window by window and written
band by band, so that memory does not grow with the height of the image.
"""

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from backend.domain.geometry import TileGrid
from backend.ranker.statistics import TileAccumulator
from worker.crops import CropFiles
from worker.nnunet.files import SweepFiles
from worker.nnunet.model import Model
from worker.nnunet.resampling import WorkingImage, stretch
from worker.nnunet.windows import bands, window_edge
from worker.segmenter import NO_OFFSETS, Crops, ImageData

OVERLAP = 0.25
"""Share of a window that the next one sees again; with half as much Dice falls."""
WINDOW = 256
"""Edge of a window in working pixels, unless the training patch was larger.

Larger ones are faster, but lose Dice: the norms were trained on a patch's figures."""


def sweep(
    model: Model,
    image: ImageData,
    tile: int,
    into: Path,
    progress: Callable[[float], None],
    check: Callable[[], None],
    *,
    offsets: Mapping[int, float] = NO_OFFSETS,
    crops: Crops | None = None,
    window: int = WINDOW,
    overlap: float = OVERLAP,
    smaller: bool = False,
) -> int:
    """Write a Sweep's files into `into` and return the number of members.

    `offsets` and `crops` are those of `Segmenter.predict`.

    `progress` takes the share of rows done after each band; `check` is called at each
    window and may raise to end the sweep. `smaller` halves the window where memory was
    short, below the training patch too: less context is better than no sweep.
    """
    into.mkdir(parents=True, exist_ok=True)
    working = WorkingImage.open(image, model.working_nm)
    height, width = working.pixels.shape
    count = len(model.values) + 1
    edges = window_of(model, working.shape, window, overlap, part=2 if smaller else 1)
    grid = TileGrid(height, width, tile)
    statistics = TileAccumulator(grid, model.values)
    embedding = TileEmbedding(grid, working.shape, edges)

    def look(y: int, x: int, deepest: Tensor) -> None:
        check()
        embedding.add(y, x, deepest)

    found = bands(model.ensemble, working, edges, overlap, look)
    top = 0
    kept = CropFiles(crops)
    with SweepFiles(into, (height, width), model.values, offsets) as files:
        for planes in stretch(found, working.shape, (height, width)):
            decided = files.add_rows(planes)
            mean, entropy, information, by_class = np.split(
                planes, [count, count + 1, count + 2]
            )
            statistics.add_rows(
                top, mean, decided, entropy[0], information[0], by_class
            )
            kept.add_rows(top, mean)
            top += len(decided)
            progress(top / height)
    statistics.finish(embedding.mean()).save(into / "tiles.npz")
    return len(model.ensemble)


def window_of(
    model: Model,
    shape: tuple[int, int],
    wanted: int = WINDOW,
    overlap: float = OVERLAP,
    part: int = 1,
) -> tuple[int, int]:
    """Return the (height, width) of the windows over an image of this shape.

    They are at least a patch and else `wanted`, or one `part`th of that.
    """
    height, width = (
        window_edge(length, patch // part, wanted // part, overlap, model.stride)
        for length, patch in zip(shape, model.patch, strict=True)
    )
    return height, width


class TileEmbedding:
    """Mean of the deepest features over each tile, weighted by shared area."""

    def __init__(
        self, grid: TileGrid, working: tuple[int, int], window: tuple[int, int]
    ) -> None:
        lengths = ((grid.rows, grid.height), (grid.columns, grid.width))
        self._edges = [
            np.minimum(np.arange(n + 1) * grid.tile, length) * (there / length)
            for (n, length), there in zip(lengths, working, strict=True)
        ]
        self._window = window
        self._sum: NDArray[np.float64] | None = None
        self._area = np.zeros((grid.rows, grid.columns))

    def add(self, y: int, x: int, deepest: Tensor) -> None:
        """Add the (F, h', w') feature map of the window that starts at (y, x)."""
        features = deepest.numpy()
        if self._sum is None:
            self._sum = np.zeros((*self._area.shape, len(features)))
        (first_row, rows), (first_column, columns) = (
            _shared(self._edges[d], start, self._window[d], features.shape[d + 1])
            for d, start in enumerate((y, x))
        )
        here = np.s_[
            first_row : first_row + len(rows),
            first_column : first_column + len(columns),
        ]
        self._sum[here] += np.einsum(
            "ra,fab,cb->rcf", rows, features, columns, optimize=True
        )
        self._area[here] += np.outer(rows.sum(1), columns.sum(1))

    def mean(self) -> NDArray[np.float32] | None:
        """Return (T, F) in the order of the grid."""
        if self._sum is None:
            return None
        means = self._sum / self._area[..., None]
        return means.reshape(-1, means.shape[-1]).astype(np.float32)


def _shared(
    edges: NDArray[np.float64], start: int, window: int, cells: int
) -> tuple[int, NDArray[np.float64]]:
    """Return the first tile a window touches and (tiles, cells) of shared lengths."""
    bounds = start + np.arange(cells + 1) * (window / cells)
    low = np.maximum(edges[:-1, None], bounds[:-1])
    high = np.minimum(edges[1:, None], bounds[1:])
    shared = np.maximum(0, high - low)
    touched = np.flatnonzero(shared.any(axis=1))
    return int(touched[0]), shared[touched[0] : touched[-1] + 1]
