"""What a trial of the training may change: one thing about what the worker does."""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import Any
from unittest import mock

import numpy as np
import torch
from batchgeneratorsv2.transforms.spatial.mirroring import MirrorTransform
from batchgeneratorsv2.transforms.spatial.rot90 import Rot90Transform
from batchgeneratorsv2.transforms.spatial.spatial import SpatialTransform
from batchgeneratorsv2.transforms.utils.random import RandomTransform

from worker.nnunet.losses import SetLoss
from worker.nnunet.planner import Profile, find_profile
from worker.nnunet.schedule import FULL, HOLD, Schedule
from worker.segmenter import TrainingData

MITOCHONDRIA, MEMBRANE = 2, 5


@dataclass(frozen=True, slots=True)
class Cosine(Schedule):
    """One cycle: up over the first tenth, then down along a cosine (Smith and Topin,
    Super-convergence, 2018)."""

    def rate(self, used: float, turn: float = HOLD) -> float:
        """See Schedule."""
        return self.peak * max(1e-3, _cycle(used))


@dataclass(frozen=True, slots=True)
class Cycles(Schedule):
    """A cycle of two thirds and one of half the height, from whose start a snapshot
    would be taken (Huang et al., Snapshot Ensembles, 2017)."""

    def rate(self, used: float, turn: float = HOLD) -> float:
        """See Schedule."""
        first = 0.65
        if used < first:
            return self.peak * max(1e-3, _cycle(used / first))
        return self.peak / 2 * max(1e-3, _cycle((used - first) / (1 - first)))


def _cycle(part: float) -> float:
    if part < 0.1:
        return 0.04 + 0.96 * (1 - math.cos(math.pi * part / 0.1)) / 2
    return (1 + math.cos(math.pi * min(1.0, (part - 0.1) / 0.9))) / 2


SCHEDULES: Mapping[str, Schedule] = {
    "hold": FULL,
    "cosine": Cosine(FULL.peak, FULL.rise),
    "cycles": Cycles(FULL.peak, FULL.rise),
    "steeper": replace(FULL, peak=2 * FULL.peak),
    "flatter": replace(FULL, peak=FULL.peak / 2),
}
EMPHASES: Mapping[str, Mapping[int, float]] = {
    "mitochondria": {MITOCHONDRIA: 0.75, MEMBRANE: 0.25},
}
WEIGHTED = "weighted"
OURS = find_profile("cpu", 512)
PROFILES: Mapping[str, Profile] = {
    "batch-2": replace(OURS, batch=2),
    "batch-8": replace(OURS, batch=8),
    # about as many pixels a step
    "patch-64": replace(OURS, edge=64, batch=16),
    "patch-128": OURS,
    "patch-96": replace(OURS, edge=96, batch=8),
    "patch-192": replace(OURS, edge=192, batch=2),
}


def only_mirrored(parts: list[Any]) -> list[Any]:
    """Leave nothing of the augmentation but reflections."""
    for part in parts:
        if isinstance(part, SpatialTransform):
            part.p_rotation = part.p_scaling = 0
    return [part for part in parts if not isinstance(part, RandomTransform)]


def quarter_turned(parts: list[Any]) -> list[Any]:
    """Add quarter turns, which need no interpolation."""
    turn = Rot90Transform(1, (0, 1, 2, 3), {0, 1})
    at = [isinstance(part, MirrorTransform) for part in parts].index(True)
    return [*parts[:at], turn, *parts[at:]]


def all_turned(parts: list[Any]) -> list[Any]:
    """Turn every patch by any angle in place of every fifth."""
    for part in parts:
        if isinstance(part, SpatialTransform):
            part.p_rotation = 1
    return parts


AUGMENTATIONS: Mapping[str, Callable[[list[Any]], list[Any]]] = {
    "only-mirrored": only_mirrored,
    "quarter-turned": quarter_turned,
    "all-turned": all_turned,
}
VARIANTS = (*SCHEDULES, *EMPHASES, WEIGHTED, *PROFILES, *AUGMENTATIONS)


class WeightedLoss(SetLoss):
    """The worker's loss, with weights of classes in its cross entropy.

    A class of a share f of the labelled pixels weighs f^-½, and the mean pixel 1.
    """

    weights: torch.Tensor

    def __init__(self, *args: Any, shares: Sequence[float], **known: Any) -> None:
        super().__init__(*args, **known)
        share = torch.tensor(shares)
        weights = share.clamp(min=1e-6).rsqrt()
        self.register_buffer("weights", weights / (weights * share).sum())

    def surprise(self, log_p: torch.Tensor, codes: torch.Tensor) -> torch.Tensor:
        """See SetLoss."""
        single = self.single[codes]
        weight = torch.where(single >= 0, self.weights[single.clamp(min=0)], 1.0)
        return super().surprise(log_p, codes) * weight


def shares(tiles: TrainingData) -> list[float]:
    """Return the share of each class, background first, in the annotated pixels."""
    classes = (0, *tiles.schema.values)
    rasters = [np.load(tile.target) for tile in tiles.tiles]
    counts = [sum(int((raster == c).sum()) for raster in rasters) for c in classes]
    return [count / sum(counts) for count in counts]


@contextmanager
def changed(variant: str, tiles: TrainingData) -> Iterator[None]:
    """Let trainings differ in what the variant says."""
    from worker.nnunet import networks, trainer, training

    stock = trainer.TileTrainer.get_training_transforms

    def transforms(*args: Any, **known: Any) -> Any:
        whole = stock(*args, **known)
        whole.transforms = AUGMENTATIONS[variant](whole.transforms)
        return whole

    with ExitStack() as stack:
        if variant in SCHEDULES:
            schedule = SCHEDULES[variant]
            stack.enter_context(mock.patch.object(networks, "FULL", schedule))
        if variant == WEIGHTED:
            loss = partial(WeightedLoss, shares=shares(tiles))
            stack.enter_context(mock.patch.object(trainer, "SetLoss", loss))
        if variant in PROFILES:
            found = mock.Mock(return_value=PROFILES[variant])
            stack.enter_context(mock.patch.object(training, "find_profile", found))
        if variant in AUGMENTATIONS:
            name, other = "get_training_transforms", staticmethod(transforms)
            kind = trainer.TileTrainer
            stack.enter_context(mock.patch.object(kind, name, other))
        yield
