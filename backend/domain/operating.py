"""Operating points: logit offsets that raise a label's recall at a precision floor.

A pixel is served as the class with the greatest log p + δ. δ is 0 for background and
for labels without a precision floor; for the others it is chosen on validation pixels
(logit adjustment: Menon et al. 2021, arXiv 2007.07314, whose −τ log π is one such δ).
p stays as it is. δ is never negative: who asks for a floor asks for recall, and a
label that misses its floor anyway would only be drawn less.
"""

import math
from collections.abc import (
    Callable,
    Collection,
    Iterable,
    Iterator,
    Mapping,
    Sequence,
)
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from backend.domain.labels import LabelSchema
from backend.domain.metrics import known_others

Raster = NDArray[np.uint8]
Planes = NDArray[np.float32]
"""(C + 1, h, w) probabilities, background first, then labels by rising value."""
Crossings = NDArray[np.int64]
"""(F, 2, STEPS + 2) pixels, see `crossings`."""

RULE = (
    "per pixel, take the class with the greatest log(probability) + offset; offsets "
    "were chosen on validation tiles, and classes that are not named have 0"
)
"""How to apply offsets, for whoever uses a model elsewhere."""
STEP, STEPS = 0.1, 40
"""Offsets that are tried: 0, 0.1 … 4.0."""
MIN_TILES = 8
"""Validation tiles that must hold a label before an offset is chosen for it."""


class Seen(NamedTuple):
    """One annotated tile and what a model says there."""

    p: Planes
    truth: Raster
    complete_for: Collection[int]


def plane_offsets(
    values: Sequence[int], offsets: Mapping[int, float]
) -> tuple[float, ...]:
    """Return δ of each plane, background first, from δ by label value."""
    return (0.0, *(offsets.get(value, 0.0) for value in values))


def decide(p: Planes, offsets: Sequence[float] = ()) -> Raster:
    """Return (h, w) which plane has the greatest log p + δ; the first of equals.

    p·e^δ is compared, which needs no logarithm and without offsets is p itself.
    """
    scores = _scores(p, offsets or (0.0,) * len(p))
    decided = np.zeros(p.shape[1:], np.uint8)
    most = next(scores).copy()
    for number, score in enumerate(scores, start=1):
        np.copyto(decided, np.uint8(number), where=score > most)
        np.maximum(most, score, out=most)
    return decided


def choose(
    tiles: Callable[[], Iterable[Seen]], schema: LabelSchema, values: Sequence[int]
) -> dict[int, float]:
    """Return δ by label value, those of 0 left out.

    `tiles` are the validation tiles, read once per label with a floor; `values` are the
    planes a model has. Labels come one after the other, the one of highest priority
    first: each takes the offset of greatest recall that keeps its own floor, given the
    offsets chosen before it, and breaks none that was kept so far; where the label's
    target recall can be had, the least that gives it. So all floors that gave an offset
    hold when all offsets are applied at once. It is 0 if nothing keeps the floor, and
    if fewer than 8 tiles hold the label.
    """
    asked = sorted(schema.labels, key=lambda label: -label.priority)
    floors = {
        label.value: label.precision_floor
        for label in asked
        if label.precision_floor is not None and label.value in values
    }
    targets = {label.value: label.target_recall for label in asked}
    offsets: dict[int, float] = {}
    for value in floors:
        watched = (value, *(other for other in floors if other != value))
        found, holding = np.zeros((len(watched), 2, STEPS + 2), np.int64), 0
        for tile in tiles():
            found += crossings(tile, values, offsets, watched)
            holding += bool((tile.truth == value).any())
        step = best_step(found, [floors[other] for other in watched], targets[value])
        if step and holding >= MIN_TILES:
            offsets[value] = step_offset(step)
    return offsets


def crossings(
    tile: Seen,
    values: Sequence[int],
    offsets: Mapping[int, float],
    watched: Sequence[int],
) -> Crossings:
    """Count at which step of its offset the first of `watched` takes each pixel.

    At step STEPS + 1 stand those it never takes. Row 0 counts pixels of the label
    itself, [0] its own and [1] those known not to be; row f counts pixels that
    `watched[f]` has while the first does not, likewise. The margin that decides is
    log p_c − max over k ≠ c of (log p_k + δ_k). Counts of many tiles may be added.
    """
    target = values.index(watched[0]) + 1
    before, after, holder = _rivals(tile.p, plane_offsets(values, offsets), target)
    steps = _steps(tile.p[target], before, after)
    counts = [_by_step(tile, watched[0], steps, slice(None))]
    for value in watched[1:]:
        held = holder == values.index(value) + 1
        counts.append(_by_step(tile, value, steps[held], held))
    return np.array(counts)


def best_step(found: Crossings, floors: Sequence[float], target: float) -> int:
    """Return the step that keeps the first floor, breaks none and recalls the most.

    It is the least that reaches the target recall, or else the least of those with the
    greatest one; 0 if no step is allowed. `floors` are in the order of `found`.
    """
    taken = found.cumsum(axis=2)[:, :, :-1]
    left = found[1:].sum(axis=2, keepdims=True) - taken[1:]
    hits = taken[0, 0]
    allowed = _kept(taken[0], floors[0])
    for counts, floor in zip(left, floors[1:], strict=True):
        kept = _kept(counts, floor)
        if kept[0]:
            allowed &= kept
    reaching = hits >= target * found[0, 0].sum()
    if reaching[0]:
        return 0
    if (allowed & reaching).any():
        return int((allowed & reaching).argmax())
    return int(np.where(allowed, hits, 0).argmax())


def step_offset(step: int) -> float:
    """Return δ of a step."""
    return round(step * STEP, 1)


def _kept(counts: NDArray[np.int64], floor: float) -> NDArray[np.bool_]:
    """Tell per step whether (2, S) hits and wrongs have this precision."""
    hits, wrongs = counts
    precision = np.divide(hits, hits + wrongs, out=np.zeros(len(hits)), where=hits > 0)
    kept: NDArray[np.bool_] = (hits > 0) & (precision >= floor)
    return kept


def _weight(offset: float) -> np.float32:
    return np.float32(math.exp(offset))


_WEIGHTS = np.array([_weight(step_offset(step)) for step in range(STEPS + 1)])


def _scores(p: Planes, offsets: Sequence[float]) -> Iterator[Planes]:
    """Yield p·e^δ plane by plane."""
    return (
        plane * _weight(offset) if offset else plane
        for plane, offset in zip(p, offsets, strict=True)
    )


def _rivals(
    p: Planes, offsets: Sequence[float], target: int
) -> tuple[Planes, Planes, Raster]:
    """Return the best scores before and after the target's plane, and who has them.

    Of equals the first decides: the target must exceed what stands before it, but only
    reach what stands after it.
    """
    best = [np.full(p.shape[1:], -1, np.float32) for _ in range(2)]
    holder = np.zeros(p.shape[1:], np.uint8)
    for number, score in enumerate(_scores(p, offsets)):
        if number != target:
            leads = score > np.maximum(*best)
            np.copyto(holder, np.uint8(number), where=leads)
            side = best[number > target]
            np.maximum(side, score, out=side)
    return best[0], best[1], holder


def _steps(p: Planes, before: Planes, after: Planes) -> NDArray[np.intp]:
    """Return the first step at which the target takes each pixel, by bisection."""
    steps = np.full(p.shape, STEPS + 1)
    reached = np.nonzero(_takes(p, before, after, _WEIGHTS[STEPS]))
    p, before, after = p[reached], before[reached], after[reached]
    low, high = np.zeros(len(p), np.intp), np.full(len(p), STEPS)
    while (low < high).any():
        middle = (low + high) // 2
        takes = _takes(p, before, after, _WEIGHTS[middle])
        high = np.where(takes, middle, high)
        low = np.where(takes, low, middle + 1)
    steps[reached] = low
    return steps


def _takes(
    p: Planes, before: Planes, after: Planes, weight: Planes | np.float32
) -> NDArray[np.bool_]:
    score = p * weight
    takes: NDArray[np.bool_] = (score > before) & (score >= after)
    return takes


def _by_step(
    tile: Seen,
    value: int,
    steps: NDArray[np.intp],
    where: NDArray[np.bool_] | slice,
) -> list[NDArray[np.intp]]:
    truth = tile.truth[where]
    others = np.zeros(256, bool)
    others[known_others(value, tile.complete_for)] = True
    return [
        np.bincount(steps[chosen], minlength=STEPS + 2)
        for chosen in (truth == value, others[truth])
    ]
