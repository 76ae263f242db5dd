"""What is worth it in a training: variants on the nerve cord, at equal cost.

    OMP_NUM_THREADS=1 python -m bench.trials --variant hold --seconds 300

For each seed 24 tiles of 128², or the same area in tiles of another edge, trained in
full for a number of steps or of the processor's own seconds in one thread, and the Dice
on the test sections. A variant changes one thing about `hold`, which is what the worker
does: the schedule, the emphasis on a label, weights of classes in the loss, the batch,
the patch or the augmentation.
Each trial is a line of `docs/results/training-trials.json` and replaces the line of the
same variant, seed, edge and budget.
"""

import argparse
import json
import os
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest import mock

import torch

from bench.peers import RESULTS, facts
from bench.places import ROOT, TILE, data
from bench.results import write
from bench.subjects import Quiet
from bench.variants import EMPHASES, VARIANTS, changed
from bench.vnc import Cord
from worker.nnunet.segmenter import NNUNetSegmenter
from worker.segmenter import Budget, TrainingData

AREA = 24 * TILE**2  # pixels that are annotated
EDGES = (64, TILE, 256)  # of tiles, a whole number of which is that area


def main() -> int:
    """Run what is asked for; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--variant", choices=VARIANTS, default="hold")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1])
    parser.add_argument("--steps", type=int, default=600)
    parser.add_argument("--seconds", type=float, help="the processor's, not steps")
    parser.add_argument("--edge", type=int, choices=EDGES, default=TILE)
    parser.add_argument("--work", type=Path, default=ROOT / "data/trials")
    parser.add_argument("--out", type=Path, default=RESULTS / "training-trials.json")
    asked = parser.parse_args()
    source = data(None)
    budget = {"steps": asked.steps}
    if asked.seconds:
        budget = {"processor_seconds": asked.seconds}
    for seed in asked.seeds:
        of = (asked.variant, asked.edge, *budget.values(), seed)
        named = "-".join(map(str, of))
        work = asked.work / named
        work.mkdir(parents=True, exist_ok=True)
        cord = Cord(source, work, asked.edge)
        places = cord.draw(seed, AREA // asked.edge**2)
        emphasis = EMPHASES.get(asked.variant, {})
        tiles = replace(cord.data(places, seed), emphasis=emphasis)
        done = train(tiles, work, asked.variant, budget)
        segmenter = NNUNetSegmenter("cpu", work / "scratch")
        try:
            dice = cord.test(segmenter, work / "model", Quiet())
        finally:
            segmenter.close()
        line = {
            "variant": asked.variant,
            "seed": seed,
            "edge": asked.edge,
            **budget,
            "took": {name: done["metrics"][name] for name in ("steps", "seconds")},
            "test": dice,
            "made": facts(seed),
        }
        note(asked.out, line)
        print(line, flush=True)
    return 0


def train(
    tiles: TrainingData, work: Path, variant: str, budget: Mapping[str, float]
) -> dict[str, Any]:
    """Train in this process, where everything can be another."""
    os.environ.update(nnUNet_n_proc_DA="0")
    for name in ("raw", "preprocessed", "results"):
        os.environ[f"nnUNet_{name}"] = str(work / "nnunet" / name)
    from worker.nnunet import training

    seconds = budget.get("processor_seconds")
    steps = int(budget.get("steps", 1e6))
    with changed(variant, tiles), processor_time() if seconds else ExitStack():
        done = training.train(
            tiles,
            work / "model",
            None,
            "cpu",
            Budget(steps, minutes=seconds / 60 if seconds else None),
            lambda progress: None,
            lambda: False,
        )
    assert done is not None
    return done


@contextmanager
def processor_time() -> Iterator[None]:
    """Let the training's clock count what one thread of it computes."""
    from worker.nnunet import loop

    if torch.get_num_threads() > 1:
        raise SystemExit("Set OMP_NUM_THREADS=1: seconds count one thread.")
    clock = SimpleNamespace(monotonic=time.process_time)
    with mock.patch.object(loop, "time", clock):
        yield


def note(out: Path, line: Mapping[str, Any]) -> None:
    """Write a trial among the others."""
    before = json.loads(out.read_text()) if out.exists() else {}
    same = ("variant", "seed", "edge", "steps", "processor_seconds")
    others = [
        one
        for one in before.get("trials", [])
        if "made" not in one or any(one.get(name) != line.get(name) for name in same)
    ]
    write(out, {**before, "trials": [*others, line]})


if __name__ == "__main__":
    sys.exit(main())
