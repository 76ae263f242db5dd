"""How much each class needs new annotations: the weights that share out a batch.

A class is wanted the more, the further its recall and Dice on validation tiles lie
below the owner's target, times the owner's priority. The one priority class of a
project, whatever it is, keeps a floor and a cap.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from backend.domain.labels import LabelSchema

MIN_TILES = 8
"""Validation tiles that must contain a class before its figures are believed."""
SHRINK_TILES = 5
"""A class seen in n tiles is drawn towards the mean of all by this many more."""
BASE_GAP = 0.05
"""What a class at its target still counts, so that it is not forgotten."""
FLOOR, PRIORITY_FLOOR, PRIORITY_CAP = 0.05, 0.35, 0.65
"""Least share of any class; of the priority class below its target; its greatest."""
PRIORITY_FLOOR_AT_TARGET = 0.10
PRIORITY_PATCHES = 0.5
"""Share of the patches a training draws for the priority class."""


@dataclass(frozen=True, slots=True)
class Measured:
    """Figures of one label pooled over validation tiles, None where undefined.

    `tiles` counts the validation tiles that contain the label.
    """

    recall: float | None
    dice: float | None
    tiles: int


@dataclass(frozen=True, slots=True)
class ClassNeed:
    """One label's share of a batch and the figures it rests on.

    `weight` is 0..1, all weights sum to 1. `recall` is the measured figure as it is
    published, None while the label is in fewer than 8 validation tiles.
    """

    value: int
    name: str
    weight: float
    target_recall: float
    recall: float | None
    tiles: int
    balance: float = 0.0
    """Measured precision − recall, −1..1; 0 while it is not known."""


def class_needs(
    schema: LabelSchema, measured: Mapping[int, Measured]
) -> tuple[ClassNeed, ...]:
    """Weigh the labels of a schema, in its order.

    For a measured label the raw weight is priority x gap with
    gap = max(0, R* − R) + ½ max(0, D* − D) + 0.05, where R and D are shrunk towards
    the mean over the measured labels, (n R + 5 R̄) / (n + 5), and the label's target
    recall serves as R* and as D*. A label that is not measured gets its part of the
    summed priorities, and the measured ones share the rest by their raw weights.
    """
    labels = schema.labels
    if not labels:
        raise ValueError("a schema without labels has no needs")
    priority = np.array([label.priority for label in labels], float)
    target = np.array([label.target_recall for label in labels], float)
    seen = [measured.get(label.value, Measured(None, None, 0)) for label in labels]
    known = np.array([_believed(figures) for figures in seen])
    n = np.array([figures.tiles for figures in seen], float)
    recall = _shrunk([figures.recall for figures in seen], n, known)
    dice = _shrunk([figures.dice for figures in seen], n, known)
    if not np.isfinite([priority, target, recall, dice]).all() or (priority < 0).any():
        raise ValueError("priorities, targets and figures must be finite numbers")

    if not priority.any():
        priority = np.ones_like(priority)
    share = priority / priority.sum()
    gap = np.maximum(0, target - recall) + np.maximum(0, target - dice) / 2 + BASE_GAP
    raw = np.where(known, priority * gap, share)
    if raw[known].any():
        raw[known] *= share[known].sum() / raw[known].sum()

    least = np.where(priority > 0, min(FLOOR, 0.5 / len(labels)), 0.0)
    most = np.ones_like(least)
    first = schema.priority_label
    if first is not None and len(labels) > 1:
        at = labels.index(first)
        reached = known[at] and recall[at] >= target[at]
        least[at] = PRIORITY_FLOOR_AT_TARGET if reached else PRIORITY_FLOOR
        most[at] = PRIORITY_CAP
    weights = _bounded_shares(raw, least, most)
    return tuple(
        ClassNeed(
            value=label.value,
            name=label.name,
            weight=float(weight),
            target_recall=label.target_recall,
            recall=figures.recall if believed else None,
            tiles=figures.tiles,
            balance=_balance(figures) if believed else 0.0,
        )
        for label, weight, figures, believed in zip(
            labels, weights, seen, known, strict=True
        )
    )


def patch_shares(
    schema: LabelSchema, needs: Sequence[ClassNeed], present: Collection[int]
) -> dict[int, float]:
    """Return the share of training patches to draw for each label that is annotated.

    The priority class of the schema gets half, the others share the rest by need. The
    shares sum to 1; without a label in `present` there are none.
    """
    weights = {need.value: need.weight for need in needs if need.value in present}
    first = schema.priority_label
    head: dict[int, float] = {}
    if first is not None and first.value in weights and len(weights) > 1:
        head[first.value] = PRIORITY_PATCHES
        del weights[first.value]
    total, rest = sum(weights.values()), 1 - sum(head.values())
    shares = {
        value: rest * (weight / total if total else 1 / len(weights))
        for value, weight in weights.items()
    }
    return dict(sorted((head | shares).items()))


def _believed(figures: Measured) -> bool:
    """Whether a label's figures rest on enough tiles to be used."""
    defined = figures.recall is not None and figures.dice is not None
    return defined and figures.tiles >= MIN_TILES


def _balance(figures: Measured) -> float:
    """Return precision − recall; precision follows from D = 2 P R / (P + R)."""
    recall, dice = figures.recall or 0.0, figures.dice or 0.0
    if not recall:
        return 0.0
    precision = (
        min(1.0, dice * recall / (2 * recall - dice)) if dice < 2 * recall else 1
    )
    return precision - recall


def _shrunk(
    figures: Sequence[float | None], n: NDArray[np.float64], known: NDArray[np.bool_]
) -> NDArray[np.float64]:
    """Draw the known figures towards their mean; the unknown ones become 0."""
    filled = np.where(known, [0.0 if f is None else f for f in figures], 0.0)
    middle = filled[known].mean() if known.any() else 0.0
    return np.where(known, (n * filled + SHRINK_TILES * middle) / (n + SHRINK_TILES), 0)


def _bounded_shares(
    raw: NDArray[np.float64], least: NDArray[np.float64], most: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Scale the raw weights by one factor so that, clipped to bounds, they sum to 1.

    Bisection: the sum of clip(factor x raw) never falls as the factor grows.
    """
    if np.where(raw > 0, most, least).sum() < 1:
        # The cap binds and nobody else may take the rest: bounds give way.
        least, most = np.zeros_like(raw), np.ones_like(raw)
    low, high = 0.0, 1 / raw[raw > 0].min()
    for _ in range(100):
        factor = (low + high) / 2
        if np.clip(factor * raw, least, most).sum() < 1:
            low = factor
        else:
            high = factor
    shares: NDArray[np.float64] = np.clip(high * raw, least, most)
    shares /= shares.sum()
    return shares
