"""Memory of a prediction beside stock nnU-Net: the peak of all processes together.

    python -m bench.memory        (or `make bench-memory`)

Both predict the same image of 8192² with six classes from the shell, without flips;
then ours alone sweeps one of 16384². Memory does not depend on what the weights say, so
the network has learnt nothing. `--parts` runs some of it; the other parts stay in the
result as they were.
"""

import os
import shutil
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from backend.domain.states import Split
from bench import peers
from bench.places import SPLITS, TILE, data
from bench.predict import Unmirrored
from bench.subjects import HOME, U1, Quiet, mosaic, section, stored, untaught_model

EDGE, LARGE, LABELS = 8192, 16384, 5
PARTS = ("beside", "alone")
TARGETS = {"share": 1 / 3, "over_model_mib": 1536}


def main() -> int:
    """Measure what is asked for; returns the exit status."""
    asked = peers.arguments(__doc__.partition("\n")[0], PARTS)
    peers.ends_on_sigterm()
    source = data(asked.data)
    model = untaught_model(LABELS, HOME)
    sections = [section(source, number)[0] for number in SPLITS[Split.POOL]]
    for part in peers.only(PARTS, asked.parts):
        facts = peers.facts(seed=0)
        edge, work = (EDGE, beside) if part == "beside" else (LARGE, alone)
        record = work(model, mosaic(sections, edge), HOME / f"memory-{part}")
        parts = peers.earlier("memory", asked.out) | {part: facts | record}
        peers.publish("memory", summary(parts), asked.out)
    return 0


def beside(model: Path, pixels: U1, home: Path) -> dict[str, Any]:
    """Return the peaks of both commands on one image, and ours as a share."""
    shutil.rmtree(home, ignore_errors=True)
    source = peers.folder_of_images({"large": pixels}, home / "images")
    command = peers.stock_predict(model, source, home / "stock", mirror=False)
    stock = peers.run(command, weigh=True)
    command = peers.our_predict(model, source, home / "ours", mirror=False)
    ours = peers.run(command, weigh=True)
    assert stock.peak is not None
    assert ours.peak is not None
    record = {
        "image": list(pixels.shape),
        "weights": "random: memory does not depend on them",
        "mirroring": False,
        "peer": stock.record(),
        "ours": ours.record(),
        "ratio": round(stock.peak / ours.peak, 3),
        "share": round(ours.peak / stock.peak, 4),
    }
    shutil.rmtree(home)
    return record


def alone(model: Path, pixels: U1, home: Path) -> dict[str, Any]:
    """Return what our child's peak adds to the child with its model loaded."""
    shutil.rmtree(home, ignore_errors=True)
    segmenter = Unmirrored("cpu", home / "scratch")
    small = stored(pixels[:TILE, :TILE], "small", home)
    segmenter.predict(model, small, TILE, home / "small", Quiet())
    loaded = sum(map(peers.pss, peers.descendants(os.getpid())))
    large = stored(pixels, "large", home)
    began = time.monotonic()
    with peers.peak(os.getpid(), itself=False) as samples:
        segmenter.predict(model, large, TILE, home / "large", Quiet())
    seconds = time.monotonic() - began
    segmenter.close()
    shutil.rmtree(home)
    return {
        "image": list(pixels.shape),
        "weights": "random: memory does not depend on them",
        "mirroring": False,
        "seconds": round(seconds, 2),
        "loaded_model_mib": round(loaded / 2**20),
        "peak_pss_mib": round(max(samples) / 2**20),
        "over_model_mib": round((max(samples) - loaded) / 2**20),
    }


def summary(parts: Mapping[str, Any]) -> dict[str, Any]:
    """Return the figures that have targets beside them."""
    found = {
        "ratio": parts.get("beside", {}).get("ratio"),
        "share": parts.get("beside", {}).get("share"),
        "over_model_mib": parts.get("alone", {}).get("over_model_mib"),
    }
    reached = {
        key: found[key] is not None and found[key] <= target
        for key, target in TARGETS.items()
    }
    return {
        **found,
        "of": "the peer's peak of summed PSS against ours",
        "targets": TARGETS,
        "reached_each": reached,
        "reached": all(reached.values()),
        "parts": dict(sorted(parts.items())),
    }


if __name__ == "__main__":
    sys.exit(main())
