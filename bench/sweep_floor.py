"""A sweep beside its floor: the network's bare forward passes over the same windows.

    python -m bench.sweep_floor        (or `make bench-sweep-floor`)

Both sides have the model loaded and use the same number format, windows and flips; the
sweep also reads the image, works out uncertainties and the ranker's statistics, and
writes its files. They take turns; the ratio is the median over the turns. Without the
real images noise is swept.
"""

import argparse
import sys
import time
from contextlib import redirect_stdout
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import torch

from bench import peers
from bench.places import TILE, data
from bench.subjects import HOME, section, stored, untaught_model, vnc_model
from worker.nnunet.model import Model, open_model
from worker.nnunet.resampling import WorkingImage
from worker.nnunet.sweep import OVERLAP, sweep, window_of
from worker.nnunet.windows import starts
from worker.segmenter import ImageData

SECTION, EDGE = 17, 1024
TARGET = 1.15
TURNS = 7


def main() -> int:
    """Measure and write the result; returns the exit status."""
    asked = arguments()
    facts = peers.facts(seed=0)
    with redirect_stdout(sys.stderr):
        folder, image, name = subject(asked.data)
        record = compare(open_model(asked.model or folder), image)
    result = {"target": TARGET, "image": name, **record, **facts}
    peers.publish("sweep-floor", result, asked.out)
    return 0


def subject(given: Path | None) -> tuple[Path, ImageData, str]:
    """Return a model, an image and what the image is."""
    try:
        source = data(given)
    except SystemExit:
        noise = np.random.default_rng(0).integers(0, 256, (EDGE, EDGE), np.uint8)
        image = stored(noise, "noise", HOME / "sweep-floor")
        return untaught_model(2, HOME), image, f"noise, {EDGE}²"
    image = stored(section(source, SECTION)[0], "section", HOME / "sweep-floor")
    return vnc_model(source), image, f"nerve cord, section {SECTION}, {EDGE}²"


def compare(model: Model, image: ImageData) -> dict[str, Any]:
    """Return the seconds of both sides and their ratio."""
    working = WorkingImage.open(image, model.working_nm)
    window = window_of(model, working.shape)
    corners = [
        starts(length, edge, OVERLAP)
        for length, edge in zip(working.shape, window, strict=True)
    ]
    count = len(corners[0]) * len(corners[1])
    batch = torch.randn(1, 1, *window)
    into = HOME / "sweep-floor" / "swept"

    def whole() -> None:
        sweep(model, image, TILE, into, lambda fraction: None, lambda: None)

    def bare() -> None:
        for _ in range(count):
            model.ensemble.bare(batch)

    turns: dict[str, list[float]] = {"sweep": [], "bare": []}
    for _ in range(1 + TURNS):
        for name, side in (("sweep", whole), ("bare", bare)):
            began = time.perf_counter()
            side()
            turns[name].append(time.perf_counter() - began)
    swept, floor = turns["sweep"][1:], turns["bare"][1:]  # the first was to warm up
    return {
        "ratio": round(median(a / b for a, b in zip(swept, floor, strict=True)), 3),
        "sweep_seconds": round(median(swept), 3),
        "bare_seconds": round(median(floor), 3),
        "turns": [
            [round(each, 3) for each in pair] for pair in zip(swept, floor, strict=True)
        ],
        "windows": count,
        "window": list(window),
        "passes": count * len(model.ensemble),
        "form": str(model.ensemble.form),
        "labels": len(model.values),
    }


def arguments() -> argparse.Namespace:
    """Return the command line's wishes."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--model", type=Path, help="another model's folder")
    parser.add_argument("--data", type=Path, help="the nerve cord's folder")
    parser.add_argument("--out", type=Path, default=peers.RESULTS)
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
