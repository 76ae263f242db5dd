"""What the first trees believe around a pixel: context for the members.

Texture alone takes a vesicle for a mitochondrion, and the ER for a cell boundary. So a
few trees look at texture, and the members see texture and what those trees believe in
squares around the pixel: auto-context (Tu and Bai, IEEE TPAMI 32:1744, 2010).
"""

from collections import deque
from collections.abc import Iterable, Iterator

import numpy as np
from scipy.ndimage import uniform_filter

from backend.domain.geometry import Box
from worker.forest.ensemble import Trees, answer
from worker.forest.features import COUNT, F4, of_image, scale_of
from worker.segmenter import ImageData

HALVES = (7, 14, 28)
"""From the middle of each square to its edge, in pixels of the working size."""


def count(labels: int) -> int:
    """Return how many features a member sees of a pixel."""
    return COUNT + labels * len(HALVES)


class Sight:
    """Sees pixels of one image as the members do.

    `image` says where the grey values lie, `first` are trees grown on texture, `values`
    the label values, `working_nm` the project's pixel size; `size` is the image's
    height and width.
    """

    def __init__(
        self,
        image: ImageData,
        working_nm: float | None,
        first: Trees,
        values: tuple[int, ...],
    ) -> None:
        self._image, self._working_nm = image, working_nm
        self._first, self._values = first, values
        self._scale = scale_of(image, working_nm)
        self._margin = max(map(self._half, HALVES))
        height, width = np.load(image.path, mmap_mode="r", allow_pickle=False).shape
        self.size: tuple[int, int] = (height, width)

    def of_box(self, box: Box) -> F4:
        """Return the features (box.h, box.w, F): texture first, then context."""
        wide = box.grown(self._margin, *self.size)
        texture, belief = self._look(wide)
        inner = Box(box.y - wide.y, box.x - wide.x, box.h, box.w)
        return np.dstack([texture[inner.slices], self._around(belief)[inner.slices]])

    def of_bands(self, bands: Iterable[Box]) -> Iterator[tuple[Box, F4]]:
        """Yield bands of full width with what `of_box` returns for them.

        The bands follow one another from the first row to the last, so every row is
        looked at once, however wide the squares are.
        """
        waiting: deque[tuple[Box, F4]] = deque()
        believed: F4 | None = None
        top = 0
        for band in bands:
            texture, belief = self._look(band)
            waiting.append((band, texture))
            before = belief[:, :0] if believed is None else believed
            believed = np.concatenate([before, belief], axis=1)
            known = band.y + band.h
            while waiting:
                next_, texture = waiting[0]
                end = next_.y + next_.h + self._margin
                if known < min(end, self.size[0]):
                    break
                waiting.popleft()
                drop = max(next_.y - self._margin - top, 0)
                believed, top = believed[:, drop:], top + drop
                rows = slice(next_.y - top, next_.y - top + next_.h)
                around = self._around(believed[:, : end - top])[rows]
                yield next_, np.dstack([texture, around])

    def _look(self, box: Box) -> tuple[F4, F4]:
        """Return texture (h, w, COUNT) and the first belief (C + 1, h, w)."""
        texture = of_image(self._image, box, self._working_nm)
        return texture, answer(self._first, self._values, texture)

    def _around(self, belief: F4) -> F4:
        """Return (h, w, C · squares): the mean belief in each label around a pixel."""
        _, height, width = belief.shape
        planes = [
            uniform_filter(plane, 2 * self._half(half) + 1)
            for plane in belief[1:]
            for half in HALVES
        ]
        return (
            np.array(planes, np.float32).reshape(-1, height, width).transpose(1, 2, 0)
        )

    def _half(self, nominal: int) -> int:
        return round(nominal * self._scale)
