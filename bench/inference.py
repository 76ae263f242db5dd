"""Prediction beside stock nnU-Net: the same checkpoint, the same images.

    python -m bench.inference        (or `make bench-inference`)

First whole processes from the shell, then both in one process with the model loaded;
each with flips and without. Ours also works out uncertainties and the ranker's
statistics, which the peer does not. `--parts` runs some of it; the other parts stay in
the result as they were.
"""

import os
import shutil
import sys
import time
from collections.abc import Mapping
from contextlib import redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np
from PIL import Image

from backend.domain.states import Split
from bench import peers
from bench.places import SPLITS, TILE, data
from bench.subjects import (
    HOME,
    SCHEMA,
    U1,
    decoded,
    dice,
    mosaic,
    section,
    stored,
    vnc_model,
)

EDGE = 4096
SCENES = ("vnc", "mosaic")
PARTS = tuple(f"{s}-{way}" for s in SCENES for way in ("mirrored", "plain"))
TARGETS = {"ratio": 3.0, "ratio_in_process": 1.8, "worse_by": 0.005}


@dataclass(frozen=True, slots=True)
class Scene:
    """Images by name, and what is known of them (nothing, or a truth for each)."""

    images: Mapping[str, U1]
    truths: Mapping[str, U1]


def main() -> int:
    """Measure what is asked for; returns the exit status."""
    asked = peers.arguments(__doc__.partition("\n")[0], PARTS)
    peers.ends_on_sigterm()
    source = data(asked.data)
    model = vnc_model(source)
    for part in peers.only(PARTS, asked.parts):
        name, _, way = part.partition("-")
        facts = peers.facts(seed=0)
        made = scene(name, source)
        with redirect_stdout(sys.stderr):
            record = compare(model, made, HOME / part, mirror=way == "mirrored")
        parts = peers.earlier("inference", asked.out) | {part: facts | record}
        peers.publish("inference", summary(parts), asked.out)
    return 0


def scene(name: str, source: Path) -> Scene:
    """Return the test sections, or one large image made of other sections."""
    if name == "mosaic":
        pieces = [section(source, number)[0] for number in SPLITS[Split.POOL]]
        return Scene({f"mosaic-{EDGE}": mosaic(pieces, EDGE)}, {})
    numbers = SPLITS[Split.TEST]
    pairs = {f"section-{number}": section(source, number) for number in numbers}
    return Scene(
        {name: image for name, (image, _) in pairs.items()},
        {name: truth for name, (_, truth) in pairs.items()},
    )


def compare(model: Path, scene: Scene, home: Path, *, mirror: bool) -> dict[str, Any]:
    """Return both sides' seconds and ratios, their labels' agreement and Dice."""
    shutil.rmtree(home, ignore_errors=True)
    source = peers.folder_of_images(scene.images, home / "images")
    command = peers.stock_predict(model, source, home / "stock", mirror=mirror)
    stock = peers.run(command)
    command = peers.our_predict(model, source, home / "ours", mirror=mirror)
    ours = peers.run(command)
    inside = in_process(model, scene, home, mirror=mirror)
    said = {
        "peer": [answer(home / "stock", name) for name in scene.images],
        "ours": [np.load(home / "ours" / n / "labels.npy") for n in scene.images],
    }
    same = [np.mean(a == b) for a, b in zip(*said.values(), strict=True)]
    record = {
        "images": {name: list(image.shape) for name, image in scene.images.items()},
        "mirroring": mirror,
        "peer": stock.record(),
        "ours": ours.record(),
        "ratio": round(stock.seconds / ours.seconds, 3),
        "in_process": inside,
        "ratio_in_process": round(inside["peer_seconds"] / inside["ours_seconds"], 3),
        "labels_agree": round(float(np.mean(same)), 5),
    }
    if scene.truths:
        known = list(scene.truths.values())
        found = {side: dice(labels, known, SCHEMA) for side, labels in said.items()}
        means = {side: fmean(each.values()) for side, each in found.items()}
        record["dice"], record["mean_dice"] = found, means
        record["difference"] = round(means["ours"] - means["peer"], 5)
    return record


def answer(folder: Path, name: str) -> U1:
    """Return the labels that the peer wrote for an image."""
    return decoded(np.array(Image.open(folder / f"{name}.png")), SCHEMA)


def in_process(
    model: Path, scene: Scene, home: Path, *, mirror: bool
) -> dict[str, Any]:
    """Return both sides' seconds with the model loaded, image by image in turn.

    The peer answers with an array; ours writes its files, as always.
    """
    for name in ("raw", "preprocessed", "results"):
        os.environ.setdefault(f"nnUNet_{name}", str(home / name))
    import torch
    from nnunetv2.inference.predict_from_raw_data import nnUNetPredictor

    from bench.unmirrored import unmirrored
    from worker.nnunet.model import open_model
    from worker.nnunet.sweep import sweep

    cores = os.cpu_count() or 1  # what nnUNetv2_predict sets on a processor
    predictor = nnUNetPredictor(
        use_mirroring=mirror, device=torch.device("cpu"), allow_tqdm=False
    )
    predictor.initialize_from_trained_model_folder(str(model), (0,))
    opened = open_model(model) if mirror else unmirrored(open_model(model))

    def peers_way(name: str, pixels: U1) -> None:
        torch.set_num_threads(cores)  # ours tries out how many are best
        read = pixels[None, None].astype(np.float32)
        predictor.predict_single_npy_array(read, {"spacing": [999, 1, 1]})

    def our_way(name: str, pixels: U1) -> None:
        image = stored(pixels, name, home / "in-process")
        into = home / "in-process" / name
        sweep(opened, image, TILE, into, lambda fraction: None, lambda: None)

    seconds = dict.fromkeys((peers_way, our_way), 0.0)
    cpu_seconds = dict(seconds)
    first = next(iter(scene.images.values()))[:512, :512]
    for way in seconds:
        way("warm-up", first)
    for name, pixels in scene.images.items():
        for way in seconds:
            began, spent = time.monotonic(), time.process_time()
            way(name, pixels)
            seconds[way] += time.monotonic() - began
            cpu_seconds[way] += time.process_time() - spent
    return {
        "peer": "nnUNetPredictor.predict_single_npy_array",
        "ours": "worker.nnunet.sweep.sweep",
        "peer_seconds": round(seconds[peers_way], 2),
        "ours_seconds": round(seconds[our_way], 2),
        "peer_cpu_seconds": round(cpu_seconds[peers_way], 2),
        "ours_cpu_seconds": round(cpu_seconds[our_way], 2),
    }


def summary(parts: Mapping[str, Any]) -> dict[str, Any]:
    """Return the worst of all parts beside the targets."""
    found = {
        key: min(part[key] for part in parts.values())
        for key in ("ratio", "ratio_in_process")
    }
    gaps = [part["difference"] for part in parts.values() if "difference" in part]
    worse = max(0.0, -min(gaps, default=0.0))
    reached = {
        "ratio": found["ratio"] >= TARGETS["ratio"],
        "ratio_in_process": found["ratio_in_process"] >= TARGETS["ratio_in_process"],
        "worse_by": bool(gaps) and worse <= TARGETS["worse_by"],
    }
    return {
        **found,
        "worse_by": worse if gaps else None,
        "of": "the smallest ratio of all parts, and the most mean Dice lost in one",
        "targets": TARGETS,
        "reached_each": reached,
        "reached": all(reached.values()) and set(parts) == set(PARTS),
        "parts": dict(sorted(parts.items())),
    }


if __name__ == "__main__":
    sys.exit(main())
