"""Learning: which pixels each member sees, and the trees it grows from them."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import joblib  # type: ignore[import-untyped]
import numpy as np
from numpy.typing import NDArray
from sklearn.ensemble import ExtraTreesClassifier

from backend.domain.labels import UNKNOWN
from worker.forest.features import F4
from worker.segmenter import SegmenterError

Trees: TypeAlias = ExtraTreesClassifier

MEMBERS = 4
TREES = 16
PIXELS_PER_CLASS = 10_000
_MIN_LEAF = 8
_MAX_DEPTH = 18
_MANY = 1 << 17
"""Pixels from which on threads are worth it: joblib looks for their end every 10 ms."""
_FILE = "forest.joblib"


@dataclass(frozen=True, slots=True)
class Sample:
    """The pixels one member learns from.

    `tile` (N,) position of the tile, `pixel` (N,) flat index inside it, `value` (N,)
    its label value, `weight` (N,) the pixels it stands for.
    """

    tile: NDArray[np.intp]
    pixel: NDArray[np.intp]
    value: NDArray[np.uint8]
    weight: NDArray[np.float64]


def count_values(targets: list[NDArray[np.uint8]]) -> NDArray[np.int64]:
    """Return (T, 255): how many pixels each tile has of every value but *unknown*."""
    return np.array(
        [np.bincount(t.ravel(), minlength=UNKNOWN + 1)[:UNKNOWN] for t in targets]
    )


def draw_sample(targets: list[NDArray[np.uint8]], rng: np.random.Generator) -> Sample:
    """Draw one member's pixels: equally many of each class, however rare.

    Tiles get random weights (Bayesian bootstrap; Rubin, Ann. Statist. 9:130, 1981), so
    members disagree where the few tiles at hand do, yet no class is ever lost. Each
    pixel's weight restores how common its class is in the annotated tiles: without it
    rare classes would be predicted as often as common ones.
    """
    tile_weight = rng.exponential(size=len(targets))
    mass = count_values(targets) * tile_weight[:, None]
    parts = []
    for value in np.flatnonzero(mass.sum(axis=0)):
        total = mass[:, value].sum()
        places = [np.flatnonzero(t.ravel() == value) for t in targets]
        size = min(PIXELS_PER_CLASS, sum(map(len, places)))
        quota = rng.multinomial(size, mass[:, value] / total)
        pixel = [
            place[rng.integers(0, max(len(place), 1), n)]
            for place, n in zip(places, quota, strict=True)
        ]
        parts.append(
            (
                np.repeat(np.arange(len(targets)), quota),
                np.concatenate(pixel),
                np.full(size, value, np.uint8),
                np.full(size, total / size),
            )
        )
    return Sample(*map(np.concatenate, zip(*parts, strict=True)))


def grow(features: F4, sample: Sample, seed: int) -> Trees:
    """Fit one member to the features (N, F) of its sample."""
    trees = ExtraTreesClassifier(
        TREES,
        max_depth=_MAX_DEPTH,
        min_samples_leaf=_MIN_LEAF,
        n_jobs=-1,
        random_state=seed,
    )
    trees.fit(features, sample.value, sample_weight=sample.weight)
    return trees


@dataclass(frozen=True, slots=True)
class Forest:
    """Grown trees: `first` see texture alone, the members also what those believe."""

    first: Trees
    members: list[Trees]


def save(forest: Forest, folder: Path) -> None:
    """Write the trees into a model folder.

    joblib files are code to whoever reads them. That is fair here alone: this service
    writes and reads its model folders itself, and no route takes one in.
    """
    joblib.dump(forest, folder / _FILE, compress=3)


def written(folder: Path) -> int:
    """Return when `save` wrote into this folder, in nanoseconds."""
    try:
        return (folder / _FILE).stat().st_mtime_ns
    except FileNotFoundError:
        text = "An earlier version of Cisterna made this forest: train it anew."
        raise SegmenterError(text, retryable=False) from None


def load(folder: Path) -> Forest:
    """Read what `save` wrote."""
    forest: Forest = joblib.load(folder / _FILE)
    return forest


@dataclass(frozen=True, slots=True)
class Belief:
    """What the ensemble thinks of (h, w) pixels; C labels, background first in `mean`.

    `mean` (C + 1, h, w) probabilities; `entropy` and `information` (h, w) and
    `class_information` (C, h, w) in nats, all float32.
    """

    mean: F4
    entropy: F4
    information: F4
    class_information: F4


def believe(
    members: list[Trees],
    values: tuple[int, ...],
    features: F4,
    breathe: Callable[[], None],
) -> Belief:
    """Ask every member about (h, w, F) features; `values` are the label values.

    Mutual information is the entropy of the mean minus the mean of the entropies
    (Houlsby et al., arXiv:1112.5745), per pixel and for "this label or not".
    `breathe` is called between members and may raise.
    """
    height, width, _ = features.shape
    mean = np.zeros((len(values) + 1, height, width), np.float32)
    expected = np.zeros((height, width), np.float32)
    class_expected = np.zeros((len(values), height, width), np.float32)
    for member in members:
        breathe()
        p = answer(member, values, features)
        mean += p / len(members)
        expected += _entropy(p).sum(axis=0) / len(members)
        class_expected += (_entropy(p[1:]) + _entropy(1 - p[1:])) / len(members)
    entropy = _entropy(mean).sum(axis=0)
    class_entropy = _entropy(mean[1:]) + _entropy(1 - mean[1:])
    return Belief(
        mean=mean,
        entropy=entropy,
        information=np.maximum(entropy - expected, 0),
        class_information=np.maximum(class_entropy - class_expected, 0),
    )


def answer(member: Trees, values: tuple[int, ...], features: F4) -> F4:
    """Return one member's probabilities (C + 1, h, w) for (h, w, F) features."""
    height, width, count = features.shape
    p = np.zeros((len(values) + 1, height, width), np.float32)
    known = [(0, *values).index(value) for value in member.classes_]
    member.n_jobs = -1 if height * width >= _MANY else 1
    said = member.predict_proba(features.reshape(-1, count))
    p[known] = said.T.reshape(-1, height, width)
    return p


def _entropy(p: F4) -> F4:
    """Return −p ln p, 0 where p is 0 (or below it by rounding)."""
    positive = np.maximum(p, np.float32(1e-12))
    return -p * np.log(positive) * (p > 0)
