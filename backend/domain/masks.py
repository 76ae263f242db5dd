"""Masks as values: COCO run lengths, what a raster may hold, training targets.

A raster is a (rows, columns) uint8 array: 0 *none of the labels this revision is
complete for*, 1-254 label values, 255 *unknown*.
"""

import zlib
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from backend.domain.errors import Invalid
from backend.domain.geometry import Box
from backend.domain.labels import BACKGROUND, UNKNOWN, LabelSchema

Raster = npt.NDArray[np.uint8]
Binary = npt.NDArray[np.bool_]
Counts = Sequence[int] | str

_LISTED = 10


@dataclass(frozen=True, slots=True)
class LabelRuns:
    """The pixels of one raster value as COCO run lengths.

    `counts` are the lengths of alternating runs of 0 and 1 in column-major order,
    beginning with a run of 0 (which may be empty), as a list or COCO's string.
    """

    value: int
    counts: Counts


def encode_runs(mask: Binary) -> list[int]:
    """Return COCO's uncompressed counts of a (rows, columns) binary mask."""
    flat = np.asarray(mask, dtype=bool).ravel(order="F")
    edges = np.flatnonzero(flat[1:] != flat[:-1]) + 1
    runs = np.diff(edges, prepend=0, append=flat.size).tolist()
    return [0, *runs] if flat.size and flat[0] else runs


def decode_runs(
    counts: Counts, shape: tuple[int, int], field: str = "counts"
) -> Binary:
    """Return the (rows, columns) bool mask of COCO counts, list or string.

    Raises Invalid, naming `field`, unless the runs fill the shape exactly.
    """
    area = shape[0] * shape[1]
    if isinstance(counts, str):
        counts = expand_counts(counts, field)
    if len(counts) > area + 1:
        raise Invalid(
            f"There are {len(counts)} runs for {area} pixels: "
            "merge neighbouring runs of the same value.",
            field=field,
        )
    if any(not isinstance(run, int) or not 0 <= run <= area for run in counts):
        raise Invalid(
            f"Run lengths must be whole numbers from 0 to the mask's {area} pixels.",
            field=field,
        )
    if sum(counts) != area:
        raise Invalid(
            f"The runs cover {sum(counts)} pixels but the mask has "
            f"{_size(shape)} = {area}: encode the whole tile.",
            field=field,
        )
    values = np.arange(len(counts)) % 2 == 1
    return np.repeat(values, counts).reshape(shape, order="F")


def compress_counts(counts: Sequence[int]) -> str:
    """Return COCO's string form of counts.

    Source: the COCO mask format. From the fourth run on the difference to the run two
    before is stored; each number as little-endian groups of 5 bits, bit 5 saying that
    more follow, bit 4 of the last group being the sign, plus 48.
    """
    letters = []
    for index, run in enumerate(counts):
        number = run - counts[index - 2] if index > 2 else run
        more = True
        while more:
            group = number & 0x1F
            number >>= 5
            more = number != (-1 if group & 0x10 else 0)
            letters.append(chr(48 + group + (0x20 if more else 0)))
    return "".join(letters)


def expand_counts(text: str, field: str = "counts") -> list[int]:
    """Return the counts of COCO's string form; raises Invalid if it is damaged."""
    counts: list[int] = []
    number = shift = 0
    for letter in text:
        group = ord(letter) - 48
        # Ten groups hold every area there is; more would only build huge integers.
        if not 0 <= group < 64 or shift > 45:
            raise Invalid(
                "The string is not COCO RLE: send it as pycocotools writes it.",
                field=field,
            )
        number |= (group & 0x1F) << shift
        shift += 5
        if group & 0x20:
            continue
        if group & 0x10:
            number -= 1 << shift
        counts.append(number + counts[-2] if len(counts) > 2 else number)
        number = shift = 0
    if shift:
        raise Invalid("The COCO RLE string ends within a number.", field=field)
    return counts


def encode_labels(raster: Raster) -> list[LabelRuns]:
    """Return the runs of every value of a raster but 0, rising; counts as strings."""
    return [
        LabelRuns(int(value), compress_counts(encode_runs(raster == value)))
        for value in np.unique(raster)
        if value != BACKGROUND
    ]


def decode_labels(
    items: Sequence[LabelRuns], shape: tuple[int, int], field: str = "rle"
) -> Raster:
    """Return the uint8 raster of all items over 0; raises Invalid where two overlap."""
    raster = np.zeros(shape, np.uint8)
    for index, item in enumerate(items):
        if not 1 <= item.value <= UNKNOWN:
            raise Invalid(
                f"{item.value} is no raster value: use 1-254 for labels, "
                "255 for unknown.",
                field=f"{field}/{index}/value",
            )
        mask = decode_runs(item.counts, shape, f"{field}/{index}/counts")
        taken = raster[mask]
        if taken.any():
            raise Invalid(
                f"{np.count_nonzero(taken)} pixels of value {item.value} already have "
                "another value: give each pixel one label.",
                field=f"{field}/{index}/counts",
            )
        raster[mask] = item.value
    return raster


def validate(
    mask: npt.NDArray[Any],
    box: Box,
    schema: LabelSchema,
    complete_for: Collection[int],
) -> None:
    """Raise Invalid unless `mask` is a raster of the box in values of the schema.

    `complete_for` holds label values. A label may be painted without being in it: some
    of it was marked, not all of it.
    """
    if mask.shape != (box.h, box.w):
        raise Invalid(
            f"The mask is {_size(mask.shape)} but the tile is {box.h} x {box.w}: "
            "send one value per pixel of the tile, row by row.",
            field="mask",
        )
    if mask.dtype != np.uint8:
        raise Invalid(
            f"The mask holds {mask.dtype} values: send unsigned 8-bit label values.",
            field="mask",
        )
    known = (BACKGROUND, *schema.values, UNKNOWN)
    strangers = sorted(set(np.unique(mask).tolist()) - set(known))
    if strangers:
        raise Invalid(
            f"The mask holds {_listed(strangers)}, which the project does not know: "
            f"use {_listed(schema.values)} for labels, 0 for none, 255 for unknown.",
            field="mask",
        )
    strangers = sorted(set(complete_for) - set(schema.values))
    if strangers:
        raise Invalid(
            f"complete_for names {_listed(strangers)}, which the project does not "
            f"know: choose among {_listed(schema.values)}.",
            field="complete_for",
        )


def training_target(
    mask: Raster, complete_for: Collection[int], schema: LabelSchema
) -> Raster:
    """Return what a revision teaches those who know one class per pixel, or none.

    A 0 is background only if the revision is complete for every label; otherwise the
    pixel may still be one of the labels nobody looked for, and becomes 255, never
    trained on. Our own trainers lose less: they learn what a 0 may be.
    """
    if zero_may_be(complete_for, schema.values) == {BACKGROUND}:
        return mask.copy()
    return np.where(mask == BACKGROUND, np.uint8(UNKNOWN), mask)


def zero_may_be(
    complete_for: Collection[int], values: Collection[int]
) -> frozenset[int]:
    """Return the classes a 0 may stand for, of all label values and background (0).

    Background is always among them, and every label nobody looked for.
    """
    return frozenset({BACKGROUND, *values}) - frozenset(complete_for)


def never_ruled_out(
    revisions: Iterable[tuple[Raster, frozenset[int]]], values: Collection[int]
) -> frozenset[int]:
    """Return the classes that every pixel of these revisions may be.

    A revision is its raster and what a 0 in it may be. If some class is left, whoever
    always answers it is never wrong, so there is nothing to learn; if all are left,
    nothing is annotated.
    """
    left = frozenset({BACKGROUND, *values})
    for mask, may_be in revisions:
        for value in np.unique(mask).tolist():
            if value == BACKGROUND:
                left &= may_be
            elif value != UNKNOWN:
                left &= {value}
    return left


def apply_value_map(
    raster: npt.NDArray[np.unsignedinteger[Any]], mapping: Mapping[int, int]
) -> Raster:
    """Return an imported raster with every value replaced by `mapping[value]`.

    Raises Invalid that lists the values the map leaves out; nothing is guessed.
    """
    wrong = sorted(value for value in mapping.values() if not 0 <= value <= UNKNOWN)
    if wrong:
        raise Invalid(
            f"The value map leads to {_listed(wrong)}: map to a label value, "
            "0 (none) or 255 (unknown).",
            field="value_map",
        )
    found, position = np.unique(raster, return_inverse=True)
    missing = [value for value in found.tolist() if value not in mapping]
    if missing:
        raise Invalid(
            f"The value map says nothing of {_listed(missing)}: map each to a label "
            "value, 0 (none) or 255 (unknown).",
            field="value_map",
        )
    table = np.array([mapping[value] for value in found.tolist()], np.uint8)
    return table[position].reshape(raster.shape)


def pack(mask: Raster) -> bytes:
    """Return a raster compressed for the database."""
    return zlib.compress(np.ascontiguousarray(mask, np.uint8).data, level=6)


def unpack(data: bytes, shape: tuple[int, int]) -> Raster:
    """Return the (rows, columns) raster that `pack` made; ValueError if damaged."""
    size = shape[0] * shape[1]
    inflater = zlib.decompressobj()
    try:
        raw = inflater.decompress(data, size + 1)
    except zlib.error as error:
        raise ValueError(f"the stored raster is damaged: {error}") from error
    if len(raw) != size or not inflater.eof:
        raise ValueError(f"the stored raster does not hold {_size(shape)} pixels")
    return np.frombuffer(raw, np.uint8).reshape(shape).copy()


def _size(shape: tuple[int, ...]) -> str:
    return " x ".join(map(str, shape)) or "a single number"


def _listed(values: Sequence[int]) -> str:
    shown = ", ".join(map(str, values[:_LISTED])) or "nothing"
    rest = len(values) - _LISTED
    return f"{shown} and {rest} more" if rest > 0 else shown
