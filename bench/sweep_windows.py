"""Window, overlap and flips of a sweep: what each costs and what it gains.

    python -m bench.sweep_windows --model <folder> [--model <folder> …]

Every setting sweeps the test sections of the nerve cord with models that have learnt
it, on one thread; seconds are the processor's own, so that other work on the machine
does not count. Beside them stands stock nnU-Net: its predictor, fp32, a window of one
patch, step 0.5, four flips.
"""

import argparse
import itertools
import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np
import torch
from nnunetv2.inference.predict_from_raw_data import nnUNetPredictor
from numpy.typing import NDArray

from backend.domain.labels import UNKNOWN
from backend.domain.states import Split
from bench.places import ROOT, SPLITS, commit, data, machine
from bench.subjects import SCHEMA, U1, section
from worker.nnunet.model import Model, open_model
from worker.nnunet.resampling import WorkingImage
from worker.nnunet.windows import FLIPS, Ensemble, bands, starts

WINDOWS = (128, 192, 256, 384, 512, 1024)
OVERLAPS = (0.5, 0.25, 0.125)
CLASSES = len(SCHEMA.labels) + 1
OUT = ROOT / "docs/results/sweep-windows.json"


class Tally:
    """Pixels per label and seconds."""

    def __init__(self) -> None:
        self.counts = np.zeros((len(SCHEMA.labels), 2), np.int64)
        self.seconds = 0.0

    def add(self, decided: NDArray[Any], truth: U1, seconds: float) -> None:
        known = truth != UNKNOWN
        for number, label in enumerate(SCHEMA.labels):
            said, true = (decided == number + 1) & known, truth == label.value
            self.counts[number] += 2 * (said & true).sum(), said.sum() + true.sum()
        self.seconds += seconds

    def record(self) -> dict[str, Any]:
        dice = self.counts[:, 0] / self.counts[:, 1]
        named = zip(SCHEMA.names, dice.tolist(), strict=True)
        return {
            **{f"dice_{name}": round(value, 4) for name, value in named},
            "dice_mean": round(float(dice.mean()), 4),
            "seconds": round(self.seconds, 3),
        }


def main() -> int:
    """Measure every setting with every model; returns the exit status."""
    asked = arguments()
    source = data(asked.data)
    torch.set_num_threads(1)
    rows: list[dict[str, Any]] = []
    for folder, number in itertools.product(asked.model, SPLITS[Split.TEST]):
        grey, truth = section(source, number)
        here = {"model": folder.name, "section": number}
        stock = Tally()
        stock.add(*stock_says(folder, grey, truth))
        rows.append({**here, "setting": "stock", **stock.record()})
        model, seen = open_model(folder), set()
        for window, overlap in itertools.product(WINDOWS, OVERLAPS):
            corners = window, *starts(len(grey), window, overlap)
            if corners in seen:
                continue  # the larger overlap needs as many windows
            seen.add(corners)
            found = setting(model, grey, truth, window, overlap)
            rows += [{**here, **row} for row in found]
            print(*map(json.dumps, found), sep="\n", flush=True)
    rows = [*others(asked), *rows]
    result = {
        "command": "python -m bench.sweep_windows --model <each of the models>",
        "commit": commit(),
        "machine": machine(),
        "threads": 1,
        "means": means(rows),
        "rows": rows,
    }
    asked.out.write_text(json.dumps(result, indent=1) + "\n")
    return 0


def others(asked: argparse.Namespace) -> list[dict[str, Any]]:
    """Return the rows that earlier runs wrote of other models."""
    if not asked.out.exists():
        return []
    measured = {folder.name for folder in asked.model}
    rows: list[dict[str, Any]] = json.loads(asked.out.read_text())["rows"]
    return [row for row in rows if row["model"] not in measured]


def means(rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Return each setting's means where all models and sections were measured."""
    groups: dict[str, list[dict[str, Any]]] = {}
    for row in rows:
        groups.setdefault(row["setting"], []).append(row)
    whole = {(row["model"], row["section"]) for row in rows}
    return {
        name: {
            figure: round(fmean(row[figure] for row in group), 4)
            for figure in ("dice_mean", "seconds")
        }
        for name, group in groups.items()
        if {(row["model"], row["section"]) for row in group} == whole
    }


def setting(
    model: Model, grey: U1, truth: U1, window: int, overlap: float
) -> list[dict[str, Any]]:
    """Return a row for the first one, the first two and all four flips."""
    image = WorkingImage(grey, float(grey.mean()), float(grey.std()), 1.0)
    total, seconds, rows = np.zeros((CLASSES, *grey.shape), np.float32), 0.0, []
    for number in range(len(FLIPS)):
        ensemble = one_flip(model.ensemble, number)
        began = time.process_time()
        found = bands(ensemble, image, (window, window), overlap)
        total += np.concatenate([*found], axis=1)[:CLASSES]
        seconds += time.process_time() - began
        flips = number + 1
        if flips in (1, 2, 4):
            tally = Tally()
            tally.add(total.argmax(0), truth, seconds)
            name = f"window {window}, overlap {overlap}, flips {flips}"
            rows.append({"setting": name, **tally.record()})
    return rows


def one_flip(ensemble: Ensemble, number: int) -> Ensemble:
    """Return the ensemble's first network with one flip, its form chosen."""
    found = ensemble.reduced([(0, FLIPS[number])])
    found.look(torch.zeros(1, 1, 256, 256))
    return found


def stock_says(folder: Path, grey: U1, truth: U1) -> tuple[NDArray[Any], U1, float]:
    """Return what stock nnU-Net decides, the truth and the seconds it took."""
    predictor = nnUNetPredictor(
        device=torch.device("cpu"), perform_everything_on_device=False
    )
    predictor.initialize_from_trained_model_folder(
        str(folder), (0,), "checkpoint_final.pth"
    )
    began = time.process_time()
    pixels = (grey.astype(np.float32) - grey.mean()) / grey.std()
    logits = predictor.predict_logits_from_preprocessed_data(
        torch.from_numpy(pixels.astype(np.float32))[None, None]
    )
    decided = logits[:, 0].argmax(0).numpy()
    return decided, truth, time.process_time() - began


def arguments() -> argparse.Namespace:
    """Return the command line's wishes."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--model", type=Path, action="append", required=True)
    parser.add_argument("--data", type=Path, help="the nerve cord's folder")
    parser.add_argument("--out", type=Path, default=OUT)
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
