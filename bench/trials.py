"""What is worth it in a training: variants at equal steps on the nerve cord.

    python -m bench.trials --variant hold --seeds 0 1

For each seed 24 tiles, trained in full for a fixed number of steps, and the Dice on the
test sections. A variant changes one thing about `hold`, which is what the worker does:
`weighted` gives rare classes more weight in the cross entropy.
Each trial is a line of `docs/results/training-trials.json` and replaces the line of the
same variant, seed and steps.
"""

import argparse
import json
import math
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import torch

from bench.peers import RESULTS, facts
from bench.places import ROOT, data
from bench.results import write
from bench.subjects import Quiet
from bench.vnc import Cord
from worker.nnunet.losses import SetLoss
from worker.nnunet.schedule import FULL, HOLD, Schedule
from worker.nnunet.segmenter import NNUNetSegmenter
from worker.segmenter import Budget, TrainingData

TILES, MITOCHONDRIA, MEMBRANE = 24, 2, 5


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


def main() -> int:
    """Run what is asked for; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    variants = [*SCHEDULES, *EMPHASES, WEIGHTED]
    parser.add_argument("--variant", choices=variants, default="hold")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1])
    parser.add_argument("--steps", type=int, default=600)
    parser.add_argument("--work", type=Path, default=ROOT / "data/trials")
    parser.add_argument("--out", type=Path, default=RESULTS / "training-trials.json")
    asked = parser.parse_args()
    source = data(None)
    for seed in asked.seeds:
        work = asked.work / f"{asked.variant}-{asked.steps}-{seed}"
        work.mkdir(parents=True, exist_ok=True)
        cord = Cord(source, work)
        emphasis = EMPHASES.get(asked.variant, {})
        tiles = replace(cord.data(cord.draw(seed, TILES), seed), emphasis=emphasis)
        done = train(tiles, work, asked.variant, asked.steps)
        segmenter = NNUNetSegmenter("cpu", work / "scratch")
        try:
            dice = cord.test(segmenter, work / "model", Quiet())
        finally:
            segmenter.close()
        line = {
            "variant": asked.variant,
            "seed": seed,
            "steps": asked.steps,
            "seconds": done["metrics"]["seconds"],
            "test": dice,
            "made": facts(seed),
        }
        note(asked.out, line)
        print(line, flush=True)
    return 0


def train(tiles: TrainingData, work: Path, variant: str, steps: int) -> dict[str, Any]:
    """Train in this process, where schedule and loss can be others."""
    os.environ.update(nnUNet_n_proc_DA="0")
    for name in ("raw", "preprocessed", "results"):
        os.environ[f"nnUNet_{name}"] = str(work / "nnunet" / name)
    from worker.nnunet import networks, trainer, training

    weighted = partial(WeightedLoss, shares=shares(tiles))
    loss = weighted if variant == WEIGHTED else SetLoss
    schedule = SCHEDULES.get(variant, FULL)
    with (
        mock.patch.object(networks, "FULL", schedule),
        mock.patch.object(trainer, "SetLoss", loss),
    ):
        done = training.train(
            tiles,
            work / "model",
            None,
            "cpu",
            Budget(steps),
            lambda progress: None,
            lambda: False,
        )
    assert done is not None
    return done


def note(out: Path, line: Mapping[str, Any]) -> None:
    """Write a trial among the others."""
    before = json.loads(out.read_text()) if out.exists() else {}
    same = ("variant", "seed", "steps")
    others = [
        one
        for one in before.get("trials", [])
        if "made" not in one or any(one[name] != line[name] for name in same)
    ]
    write(out, {**before, "trials": [*others, line]})


if __name__ == "__main__":
    sys.exit(main())
