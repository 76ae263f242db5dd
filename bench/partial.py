"""What a label for one class is worth: tiles complete for one label, in turn.

    python -m bench.partial        (or `make bench-partial`)

For each seed tiles of the nerve cord are annotated for one label each, mitochondria and
membrane in turn. `sets` learns from them what they say: "mitochondria" or "not
mitochondria". `ignored` learns from the same tiles what is painted and ignores the
rest. `complete` learns half as many tiles, annotated for both labels: as many pixels
times classes looked at. All train from scratch for the same number of steps and are
measured on the test sections. What is done is kept in `data/partial`.
"""

import argparse
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np

from backend.domain.labels import BACKGROUND, UNKNOWN
from backend.domain.masks import training_target
from bench.forgetting import interval
from bench.peers import RESULTS
from bench.places import ROOT, commit, data
from bench.results import Record, keep
from bench.subjects import SCHEMA, Quiet
from bench.vnc import Cord, train
from worker.nnunet.segmenter import NNUNetSegmenter
from worker.segmenter import Budget, Segmenter, TrainingData, TrainingTile

ARMS = ("sets", "ignored", "complete")


def main() -> int:
    """Run what is asked for; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2, 3])
    parser.add_argument("--tiles", type=int, default=16, help="of one label each")
    parser.add_argument("--steps", type=int, default=600)
    parser.add_argument("--work", type=Path, default=ROOT / "data/partial" / commit())
    parser.add_argument("--out", type=Path, default=RESULTS / "partial.json")
    asked = parser.parse_args()
    source = data(None)
    for seed in asked.seeds:
        cord = Cord(source, asked.work / f"{asked.tiles}-{asked.steps}-{seed}")
        segmenter = NNUNetSegmenter("cpu", cord.folder / "scratch")
        try:
            record = one_seed(cord, segmenter, seed, asked.tiles, asked.steps)
        finally:
            segmenter.close()
        print(summary(keep(asked.out, record, summary)), flush=True)
    return 0


def one_seed(
    cord: Cord, segmenter: Segmenter, seed: int, tiles: int, steps: int
) -> Record:
    """Train all arms and return what each is worth."""
    record: Record = {"seed": seed}
    for name in ARMS:
        lessons = lessons_of(name, cord, seed, tiles)
        into = cord.folder / name
        found = train(cord, segmenter, lessons, into, None, Budget(steps), Quiet())
        labels = len(SCHEMA.values) if name == "complete" else 1
        looked_at = labels * sum(tile.box.area for tile in lessons.tiles)
        worth = {
            label: round(1e6 * dice / looked_at, 4)
            for label, dice in found["test"].items()
        }
        record[name] = {
            **found,
            "pixel_classes": looked_at,
            "dice_per_million_pixel_classes": worth,
        }
        print(f"seed {seed}, {name}: {record[name]}", flush=True)
    return record


def lessons_of(name: str, cord: Cord, seed: int, tiles: int) -> TrainingData:
    """Return what an arm learns from; all arms draw the same tiles in one order."""
    places = cord.draw(seed, tiles)
    if name == "complete":
        return cord.data(places[: tiles // 2], seed)
    lessons = cord.data(places, seed)
    values = SCHEMA.values
    folder = cord.folder / name
    folder.mkdir(exist_ok=True)
    return replace(
        lessons,
        tiles=tuple(
            one_label(tile, values[number % len(values)], folder, name)
            for number, tile in enumerate(lessons.tiles)
        ),
    )


def one_label(tile: TrainingTile, value: int, folder: Path, name: str) -> TrainingTile:
    """Return a tile as somebody leaves it who was asked for one label only."""
    truth = np.load(tile.target)
    mask = np.where((truth == value) | (truth == UNKNOWN), truth, np.uint8(BACKGROUND))
    complete: tuple[int, ...] | None = (value,)
    if name == "ignored":
        mask, complete = training_target(mask, (value,), SCHEMA), None
    path = folder / f"{tile.annotation_id}.npy"
    np.save(path, mask)
    return replace(tile, target=path, complete_for=complete)


def summary(records: Sequence[Record]) -> dict[str, Any]:
    """Return the Dice of each arm and what sets are worth beside the others."""
    labels = records[0]["sets"]["test"]

    def over(label: str, other: str) -> Any:
        mine = [r["sets"]["test"][label] - r[other]["test"][label] for r in records]
        return interval(mine)

    return {
        "meaning": "test Dice by label; differences are `sets` minus the other, paired "
        "by seed, with a 95 % interval (Student's t)",
        "dice": {
            arm: {
                label: round(fmean(r[arm]["test"][label] for r in records), 4)
                for label in labels
            }
            for arm in ARMS
        },
        "over_ignored": {label: over(label, "ignored") for label in labels},
        "over_complete": {label: over(label, "complete") for label in labels},
    }


if __name__ == "__main__":
    sys.exit(main())
