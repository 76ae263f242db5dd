"""A Sweep's arrays, written to disk from top to bottom.

Plain writes, not memory maps: the pages of a written map count as the process's memory
until the kernel chooses to clean them.
"""

from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Self

import numpy as np
import torch
from numpy.lib.format import dtype_to_descr, write_array_header_1_0
from numpy.typing import DTypeLike, NDArray

from backend.domain.operating import decide, plane_offsets
from worker.nnunet.numbering import Numbering
from worker.nnunet.resampling import F4
from worker.segmenter import NO_OFFSETS

U1 = NDArray[np.uint8]


class SweepFiles:
    """The arrays of a `Sweep` in a folder, open for writing."""

    def __init__(
        self,
        folder: Path,
        shape: tuple[int, int],
        values: tuple[int, ...],
        offsets: Mapping[int, float] = NO_OFFSETS,
    ) -> None:
        self._offsets = plane_offsets(values, offsets)
        self._numbering, self._planes = Numbering(values), len(values) + 1
        self._labels = _Rows(folder / "labels.npy", np.uint8, shape)
        self._probabilities = _Rows(
            folder / "probabilities.npy", np.uint8, (self._planes, *shape)
        )
        self._entropy = _Rows(folder / "entropy.npy", np.float16, shape)
        self._information = _Rows(folder / "information.npy", np.float16, shape)

    def add_rows(self, planes: F4) -> U1:
        """Write the next rows of `bands` and return (h, width) decided 0..C."""
        mean, rest = planes[: self._planes], torch.from_numpy(planes[self._planes :])
        decided = decide(mean, self._offsets)
        self._labels.add(self._numbering.decode(decided))
        share = torch.from_numpy(mean).mul(255).round_().to(torch.uint8)
        self._probabilities.add(share.numpy())
        self._entropy.add(rest[0].half().numpy())
        self._information.add(rest[1].half().numpy())
        return decided

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        rows = (self._labels, self._probabilities, self._entropy, self._information)
        for each in rows:
            each.close()


class _Rows:
    """A .npy file of shape (…, height, width) that is written row by row."""

    def __init__(self, path: Path, dtype: DTypeLike, shape: tuple[int, ...]) -> None:
        self._dtype, self._shape, self._done = np.dtype(dtype), shape, 0
        self._file: BinaryIO = path.open("wb")
        header: dict[str, Any] = {
            "descr": dtype_to_descr(self._dtype),
            "fortran_order": False,
            "shape": shape,
        }
        write_array_header_1_0(self._file, header)
        self._start = self._file.tell()

    def add(self, rows: NDArray[Any]) -> None:
        """Write the next rows, (…, h, width)."""
        height, width = self._shape[-2:]
        for number, plane in enumerate(rows.reshape(-1, *rows.shape[-2:])):
            pixels = (number * height + self._done) * width
            self._file.seek(self._start + pixels * self._dtype.itemsize)
            self._file.write(np.ascontiguousarray(plane, self._dtype).data)
        self._done += rows.shape[-2]

    def close(self) -> None:
        """Close the file."""
        self._file.close()
