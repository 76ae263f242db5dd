"""What the ranker knows of an image: a few sums per tile, gathered in one sweep.

The arrays are all the ranker ever reads. They are written once per prediction
(`tiles.npz`) and make a query over thousands of images a matter of megabytes.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import scipy.special
from numpy.typing import NDArray

from backend.domain.geometry import TileGrid

F8 = NDArray[np.float64]
Rows = NDArray[np.floating]

LOGIT_EDGES: F8 = np.arange(-9.0, 6.0)
"""The 15 inner edges of the 16 bins of logit p, one unit apart: bin 0 holds
logit p < −9 (p below 0.00012), bin b holds b − 10 ≤ logit p < b − 9, and bin 15 holds
logit p ≥ 5 (p above 0.9933). Pixels not decided for a class lie mostly below 0."""
BINS = len(LOGIT_EDGES) + 1
PROBABILITY_EDGES = (1 / (1 + np.exp(-LOGIT_EDGES))).astype(np.float32)


@dataclass(frozen=True, slots=True, eq=False)
class TileStatistics:
    """Sums over the pixels of T tiles for C labels, background not among them.

    Tiles are in the order of their grid, labels in the order of the schema. p is the
    ensemble's mean probability, H its entropy in nats, "decided" the label the model
    settled on. Divide by `valid` for means over a tile. No value is ever NaN or
    infinite.
    """

    values: NDArray[np.uint8]
    """(C,) label values, rising."""
    boxes: NDArray[np.int32]
    """(T, 4) y, x, h, w in pixels."""
    valid: NDArray[np.int64]
    """(T,) pixels seen, at least 1."""
    area: NDArray[np.int64]
    """(T, C) pixels decided for the label."""
    p_sum: F8
    """(T, C) Σ p, the expected area in pixels."""
    p_missed: F8
    """(T, C) Σ p over pixels decided for something else: expected missed pixels."""
    logit_histogram: NDArray[np.int32]
    """(T, C, 16) how many pixels not decided for the label fall in each bin of logit p
    (`LOGIT_EDGES`)."""
    entropy_sum: F8
    """(T,) Σ H, nats."""
    class_entropy: F8
    """(T, C) Σ H·p, nats."""
    label_entropy: F8
    """(T, C) Σ h(p), the entropy of "this label or not" of the mean, nats."""
    information_sum: F8
    """(T,) Σ mutual information between label and ensemble member, nats."""
    class_information: F8
    """(T, C) Σ mutual information of "this label or not", nats."""
    boundary: F8
    """(T, C) Σ |∇p|, the expected length of the label's outline in pixels."""
    embedding: NDArray[np.float32]
    """(T, D) what the network's deepest layer says of the tile; D may be 0."""

    def __post_init__(self) -> None:
        tiles, labels = len(self.boxes), len(self.values)
        shapes = {
            "boxes": (tiles, 4),
            "valid": (tiles,),
            "entropy_sum": (tiles,),
            "information_sum": (tiles,),
            "logit_histogram": (tiles, labels, BINS),
            "embedding": (tiles, *self.embedding.shape[1:2]),
            "values": (labels,),
        }
        for name, array in self._arrays().items():
            if array.shape != shapes.get(name, (tiles, labels)):
                raise ValueError(f"tile statistics: {name} has shape {array.shape}")
        self.check_numbers()

    def check_numbers(self) -> None:
        """Raise ValueError if a number is NaN or infinite, or a tile has no pixels."""
        for name, array in self._arrays().items():
            if array.dtype.kind == "f" and not _finite(array):
                raise ValueError(f"tile statistics: {name} holds NaN or infinity")
        if (self.valid < 1).any():
            raise ValueError("tile statistics: a tile has no pixels")

    def __len__(self) -> int:
        return len(self.boxes)

    def take(self, tiles: NDArray[np.intp]) -> "TileStatistics":
        """Return the statistics of these tiles, in this order."""
        arrays = self._arrays()
        values = arrays.pop("values")
        return TileStatistics(values, *(array[tiles] for array in arrays.values()))

    def save(self, path: Path) -> None:
        """Write a compressed .npz file."""
        with path.open("wb") as file:
            np.savez_compressed(file, **self._arrays())  # type: ignore[arg-type]

    @classmethod
    def load(cls, path: Path) -> "TileStatistics":
        """Read what `save` wrote; ValueError if an earlier release did, with less."""
        with np.load(path, allow_pickle=False) as file:
            missing = [field.name for field in fields(cls) if field.name not in file]
            if missing:
                raise ValueError(
                    f"The tile statistics lack {', '.join(missing)}: they are of an "
                    "earlier release. Start a training to have them made anew."
                )
            return cls(*(file[field.name] for field in fields(cls)))

    @classmethod
    def concatenate(cls, parts: Sequence["TileStatistics"]) -> "TileStatistics":
        """Join the tiles of several images of one model, in the given order."""
        if not parts:
            raise ValueError("no tile statistics to join")
        first, *rest = (part._arrays() for part in parts)
        values = first.pop("values")
        if any(not np.array_equal(values, other.pop("values")) for other in rest):
            raise ValueError("tile statistics of models with different labels")
        joined = (
            np.concatenate([array, *(other[name] for other in rest)])
            for name, array in first.items()
        )
        return cls(values, *joined)

    def _arrays(self) -> dict[str, NDArray[Any]]:
        return {field.name: getattr(self, field.name) for field in fields(self)}


class TileAccumulator:
    """Gathers the statistics of one image from bands of rows, from top to bottom.

    Bands may have any height: only the sums and one row of pixels are kept.
    """

    def __init__(self, grid: TileGrid, values: Sequence[int]) -> None:
        self._grid = grid
        self._values = np.asarray(values, dtype=np.uint8)
        self._starts = np.arange(0, grid.width, grid.tile)
        tiles, labels = (grid.rows, grid.columns), len(values)
        self._area = np.zeros((*tiles, labels), np.int64)
        self._histogram = np.zeros((*tiles, labels, BINS), np.int32)
        self._plain = np.zeros((*tiles, 2))
        self._classes = np.zeros((*tiles, labels, 6))
        self._rows = 0
        self._above: NDArray[np.float32] | None = None

    def add_rows(
        self,
        y0: int,
        probabilities: NDArray[np.float32],
        decided: NDArray[np.uint8],
        entropy: Rows,
        information: Rows,
        class_information: Rows,
    ) -> None:
        """Add the rows y0..y0+h of the image.

        `probabilities` (C + 1, h, width) with the background first, each pixel summing
        to 1; `decided` (h, width) index into them, 0..C; `entropy` and `information`
        (h, width) and `class_information` (C, h, width) in nats.
        """
        labels, height, width = len(self._values), decided.shape[0], self._grid.width
        plane = (height, width)
        pairs: list[tuple[NDArray[Any], tuple[int, ...]]] = [
            (probabilities, (labels + 1, *plane)),
            (decided, plane),
            (entropy, plane),
            (information, plane),
            (class_information, (labels, *plane)),
        ]
        if any(rows.shape != shape for rows, shape in pairs):
            raise ValueError(f"rows of {[rows.shape for rows, _ in pairs]}")
        if y0 != self._rows or y0 + height > self._grid.height:
            raise ValueError(f"expected row {self._rows}, got {y0}..{y0 + height}")
        while self._rows < y0 + height:
            row = self._rows // self._grid.tile
            end = min((row + 1) * self._grid.tile, y0 + height)
            part = slice(self._rows - y0, end - y0)
            self._plain[row] += np.stack(
                [self._sum(entropy[part]), self._sum(information[part])], axis=-1
            )
            for label in range(labels):
                self._add_label(
                    (row, label),
                    probabilities[label + 1, part],
                    decided[part] == label + 1,
                    entropy[part],
                    class_information[label, part],
                )
            self._above = probabilities[1:, end - y0 - 1].copy()
            self._rows = end

    def finish(self, embedding: NDArray[np.float32] | None) -> TileStatistics:
        """Return the statistics once every row was added; `embedding` is (T, D)."""
        if self._rows != self._grid.height:
            raise ValueError(f"{self._rows} of {self._grid.height} rows were added")
        tiles, labels = len(self._grid), len(self._values)
        boxes = np.array([(b.y, b.x, b.h, b.w) for b in self._grid], np.int32)
        entropy, information = self._plain.reshape(tiles, 2).T
        classes = np.moveaxis(self._classes.reshape(tiles, labels, 6), -1, 0).copy()
        p_sum, p_missed, class_entropy, label_entropy = classes[:4]
        class_information, boundary = classes[4:]
        if embedding is None:
            embedding = np.zeros((tiles, 0), np.float32)
        return TileStatistics(
            values=self._values,
            boxes=boxes,
            valid=boxes[:, 2].astype(np.int64) * boxes[:, 3],
            area=self._area.reshape(tiles, labels),
            p_sum=p_sum,
            p_missed=p_missed,
            logit_histogram=self._histogram.reshape(tiles, labels, BINS),
            entropy_sum=entropy.copy(),
            class_entropy=class_entropy,
            label_entropy=label_entropy,
            information_sum=information.copy(),
            class_information=class_information,
            boundary=boundary,
            embedding=np.asarray(embedding, np.float32),
        )

    def _add_label(
        self,
        at: tuple[int, int],
        p: NDArray[np.float32],
        decided: NDArray[np.bool_],
        entropy: Rows,
        information: Rows,
    ) -> None:
        """Add rows of one label that lie within one row of tiles."""
        row, label = at
        above = p[:1] if self._above is None else self._above[None, label]
        down = np.diff(p, axis=0, prepend=above)
        across = np.diff(p, axis=1, prepend=p[:, :1])
        sums = [
            p,
            np.where(decided, np.float32(0), p),
            entropy * p,
            _binary_entropy(p),
            information,
            np.sqrt(down * down + across * across),
        ]
        self._classes[row, :, label] += np.stack([*map(self._sum, sums)], axis=-1)
        area = self._sum(decided).astype(np.int64)
        self._area[row, :, label] += area
        # Most pixels lie in bin 0 for most labels: only the others are looked up.
        likely = np.flatnonzero((p >= PROBABILITY_EDGES[0]) & ~decided)
        bins = np.digitize(p.reshape(-1)[likely], PROBABILITY_EDGES)
        bins += likely % p.shape[1] // self._grid.tile * BINS
        counts = np.bincount(bins, minlength=self._grid.columns * BINS)
        counts = counts.reshape(-1, BINS)
        widths = np.diff(self._starts, append=p.shape[1])
        counts[:, 0] = len(p) * widths - area - counts.sum(axis=1)
        self._histogram[row, :, label] += counts.astype(np.int32)

    def _sum(self, rows: NDArray[np.generic]) -> F8:
        """Sum (h, width) over the tile columns, giving (columns,)."""
        return np.add.reduceat(rows.sum(axis=0, dtype=np.float64), self._starts)


def _finite(array: NDArray[Any]) -> bool:
    """Whether all numbers are finite: then their sum is, unless it overflows."""
    with np.errstate(over="ignore", invalid="ignore"):
        return bool(np.isfinite(array.sum()) or np.isfinite(array).all())


def _binary_entropy(p: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return −p ln p − (1 − p) ln (1 − p), 0 at both ends."""
    q = 1 - p
    entropy: NDArray[np.float32] = -(
        scipy.special.xlogy(p, p) + scipy.special.xlogy(q, q)
    )
    return np.maximum(entropy, np.float32(0))
