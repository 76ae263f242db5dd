"""The training step beside stock nnU-Net's: the same network and the same batches.

    python -m bench.step        (or `make bench-step`)

First steps per second, in blocks that take turns in one process, each side with its own
optimizer. Then the loss over some steps from the same weights with stock's optimizer
and rate on both sides: what our number format changes, beside what another seed
changes. The batches are augmented beforehand, so augmentation is not counted.
"""

import argparse
import os
import shutil
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass
from itertools import combinations, cycle
from pathlib import Path
from statistics import fmean, median
from typing import Any

import numpy as np
from numpy.typing import NDArray

from backend.domain.states import Split
from bench import peers
from bench.places import SPLITS, data
from bench.subjects import HOME, LEARNT_TILE, SCHEMA, U1, examples, section

EDGE, BATCH, FEATURES = 256, 2, 32
STEPS, SEEDS = 60, (0, 1, 2)
BLOCKS, BLOCK = 6, 4
SMOOTH = 10
OUR_RATE = 1e-3
TARGET = 1.5
Curve = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Size:
    """The network and the batch: patch edge in pixels, patches, features."""

    edge: int = EDGE
    batch: int = BATCH
    features: int = FEATURES


def main() -> int:
    """Measure both; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--data", type=Path, help="the folder of the nerve cord")
    parser.add_argument("--out", type=Path, default=peers.RESULTS)
    asked = parser.parse_args()
    peers.ends_on_sigterm()
    source = data(asked.data)
    facts = peers.facts(seed=SEEDS[0])
    pairs = [section(source, number) for number in SPLITS[Split.POOL][:3]]
    with redirect_stdout(sys.stderr):  # nnU-Net prints; stdout is for the result
        bench = Bench(pairs, Size(), HOME / "step")
        record = bench.speed(BLOCKS, BLOCK)
        print(record)  # the curves take long
        record["curve"] = bench.curves(STEPS, SEEDS)
    peers.publish("step", summary(facts | record), asked.out)
    return 0


class Bench:
    """Plans, prepared batches, and trainers of both sides."""

    def __init__(
        self,
        pairs: Sequence[tuple[U1, U1]],
        size: Size,
        home: Path,
        batches: int = 30,
    ) -> None:
        shutil.rmtree(home, ignore_errors=True)
        for name in ("raw", "preprocessed", "results"):
            os.environ[f"nnUNet_{name}"] = str(home / name)
        from worker.nnunet.dataset import build
        from worker.nnunet.model import read_json
        from worker.nnunet.planner import DATASET, Profile, plan

        learnt = examples(pairs, SCHEMA, LEARNT_TILE, home / "examples")
        profile = Profile(8, size.features, size.edge, size.batch)
        raw, preprocessed = home / "raw", home / "preprocessed"
        self._plans = plan(learnt, profile, raw, preprocessed)
        self._dataset = build(learnt, preprocessed, (size.edge, size.edge))
        self._described = read_json(preprocessed / DATASET / "dataset.json")
        self._size = size
        trainer = self.ours(0)
        trainer.start(0)
        self._batches = [next(trainer.dataloader_train) for _ in range(batches)]

    def ours(self, seed: int) -> Any:
        """Return our trainer with fresh weights."""
        from worker.nnunet.trainer import TileTrainer

        return TileTrainer.prepare(self._plans, self._described, self._dataset, seed)

    def stock(self, weights: dict[str, Any]) -> Any:
        """Return the stock trainer, its own optimizer included, with these weights."""
        import torch
        from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer

        trainer = nnUNetTrainer(
            {**self._plans, "continue_training": False},
            "2d",
            0,
            self._described,
            torch.device("cpu"),
        )
        trainer.initialize()
        trainer.set_deep_supervision_enabled(True)
        trainer.network.load_state_dict(weights)
        return trainer

    def pair(self, seed: int) -> dict[str, Any]:
        """Return both sides' trainers with the same weights."""
        ours = self.ours(seed)
        return {"peer": self.stock(ours.network.state_dict()), "ours": ours}

    def speed(self, blocks: int, steps: int) -> dict[str, Any]:
        """Return both sides' steps per second, in blocks that take turns.

        Medians, because whatever else the machine does comes and goes.
        """
        from worker.nnunet.device import pick_device, precision

        sides = self.pair(0)
        stock, ours = sides["peer"], sides["ours"]
        ours.start(0)
        stock_batches = cycle(self._batches)
        ours.dataloader_train = cycle(self._batches)
        stock.network.train()
        steps_of: dict[str, Callable[[], Any]] = {
            "peer": lambda: stock.train_step(next(stock_batches)),
            "ours": lambda: ours.step(OUR_RATE),
        }
        paces: dict[str, list[float]] = {name: [] for name in sides}
        cpu = dict.fromkeys(sides, 0.0)
        for number in range(-1, blocks):  # the first block warms up
            for name in sides:
                began, spent = time.monotonic(), time.process_time()
                for _ in range(steps):
                    steps_of[name]()
                if number >= 0:
                    paces[name].append((time.monotonic() - began) / steps)
                    cpu[name] += (time.process_time() - spent) / steps / blocks
        turns = zip(paces["peer"], paces["ours"], strict=True)
        pace = {name: median(found) for name, found in paces.items()}
        best = {name: min(found) for name, found in paces.items()}
        with precision(pick_device())():
            form = self.number_format(ours.network)
        parameters = sum(p.numel() for p in ours.network.parameters())
        return {
            "network": {
                "patch": [self._size.edge] * 2,
                "batch": self._size.batch,
                "features": self._size.features,
                "parameters": parameters,
            },
            "peer": {
                "step": "nnUNetTrainer.train_step with its defaults, as called by "
                "`nnUNetv2_train 1 2d 0 -device cpu`",
                "number_format": "float32",
                "steps_per_second": round(1 / pace["peer"], 4),
                "seconds_per_step_by_block": [round(p, 3) for p in paces["peer"]],
                "cpu_seconds_per_step": round(cpu["peer"], 3),
            },
            "ours": {
                "step": "TileTrainer.step, its moving average included",
                "number_format": form,
                "steps_per_second": round(1 / pace["ours"], 4),
                "seconds_per_step_by_block": [round(p, 3) for p in paces["ours"]],
                "cpu_seconds_per_step": round(cpu["ours"], 3),
            },
            "ratio": round(median(peer / mine for peer, mine in turns), 3),
            "ratio_of_best_blocks": round(best["peer"] / best["ours"], 3),
        }

    def number_format(self, network: Any) -> str:
        """Return the number format in which a network answers here and now."""
        import torch

        with torch.inference_mode():
            answer = network(self._batches[0]["data"])
        return str(answer[0].dtype).removeprefix("torch.")

    def curves(self, steps: int, seeds: Sequence[int]) -> dict[str, Any]:
        """Return how far apart the losses are: of the two sides, and of seeds.

        A distance is the mean over steps of the absolute difference between losses that
        were smoothed over ten steps. A seed draws weights and the order of batches.
        """
        found: dict[str, list[Curve]] = {"peer": [], "ours": []}
        for seed in seeds:
            order = np.random.default_rng(seed).integers(len(self._batches), size=steps)
            for name, trainer in self.pair(seed).items():
                found[name].append(self._curve(trainer, order))
                print(f"seed {seed}, {name}: loss {found[name][-1][-1]:.4f}")
        between_sides = [
            distance(a, b) for a, b in zip(found["peer"], found["ours"], strict=True)
        ]
        between_seeds = [distance(a, b) for a, b in combinations(found["peer"], 2)]
        return {
            "optimizer": "stock's SGD, Nesterov momentum 0.99, polynomial rate",
            "steps": steps,
            "seeds": list(seeds),
            "between_sides": [round(d, 5) for d in between_sides],
            "between_seeds": [round(d, 5) for d in between_seeds],
            "same_within_seeds": max(between_sides) <= fmean(between_seeds),
            "last_losses": {
                name: [round(float(smoothed(c)[-1]), 4) for c in each]
                for name, each in found.items()
            },
        }

    def _curve(self, trainer: Any, order: NDArray[np.int64]) -> Curve:
        """Train with stock's optimizer and polynomial rate; returns the losses."""
        from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer

        configure: Callable[..., Any] = nnUNetTrainer.configure_optimizers
        trainer.optimizer, _ = configure(trainer)
        trainer.network.train()
        losses = []
        for step, number in enumerate(order):
            for group in trainer.optimizer.param_groups:
                group["lr"] = trainer.initial_lr * (1 - step / len(order)) ** 0.9
            losses.append(float(trainer.train_step(self._batches[number])["loss"]))
        return np.array(losses)


def smoothed(curve: Curve) -> Curve:
    """Return the moving average over ten steps, of whole windows only."""
    width = min(SMOOTH, len(curve))
    return np.convolve(curve, np.full(width, 1 / width), "valid")


def distance(one: Curve, other: Curve) -> float:
    """Return the mean absolute difference of two smoothed curves."""
    return float(np.abs(smoothed(one) - smoothed(other)).mean())


def summary(record: dict[str, Any]) -> dict[str, Any]:
    """Return the ratio first, and whether it and the curve are as wanted."""
    same = record["curve"]["same_within_seeds"]
    reached = {"ratio": record["ratio"] >= TARGET, "same_within_seeds": same}
    return {
        "ratio": record.pop("ratio"),
        "of": "steps per second, ours over the peer's, the median over turns",
        "targets": {"ratio": TARGET, "same_within_seeds": True},
        "reached_each": reached,
        "reached": all(reached.values()),
        **record,
    }


if __name__ == "__main__":
    sys.exit(main())
