"""Ranking up to a million tiles, beside a plain sort of one score of theirs.

    python -m bench.ranker        (or `make bench-ranker`)

Per size a process of its own makes the arrays of a pool (6 labels, 64 features), and
then `er-gap` with every part switched on puts it in order: from the arrays in memory to
the head with its reasons. The peer is what no ranking does without: the sum of two
arrays and an argsort. Both take turns; seconds are medians, and memory is the process's
peak, arrays included. Beside other work `cpu_seconds`, of all threads, tell more.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import time
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from backend.domain.labels import Label, LabelSchema
from backend.ranker import (
    Knowledge,
    Parameters,
    Platt,
    Pool,
    TileStatistics,
    class_needs,
    rank,
)
from backend.ranker.score import numbered
from backend.ranker.statistics import BINS
from bench import peers

SIZES = (10_000, 100_000, 1_000_000)
LABELS, FEATURES, TILE, PER_IMAGE, DONORS = 6, 64, 512, 400, 12
QUERY, RESERVE = 10, 40
TARGETS = {"seconds": 2.0, "peak_gib": 2.0, "growth": 1.5}
"""None may be exceeded: of the largest pool, and from any size to the next."""
TURNS = 3


def main() -> int:
    """Measure every size and write the result; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--sizes", type=int, nargs="+", default=SIZES)
    parser.add_argument("--alone", type=int, help="measure this size in this process")
    parser.add_argument("--out", type=Path, default=peers.RESULTS)
    asked = parser.parse_args()
    if asked.alone:
        print(json.dumps(measure(asked.alone)))
        return 0
    facts = peers.facts(seed=0)
    rows = [in_its_own_process(size) for size in asked.sizes]
    peers.publish("ranker", summary(rows) | facts, asked.out)
    return 0


def in_its_own_process(size: int) -> dict[str, Any]:
    """Measure one size where no other has raised the peak."""
    command = [sys.executable, "-m", "bench.ranker", "--alone", str(size)]
    # one thread: beside other work those of a matrix product wait for each other
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        command, capture_output=True, text=True, check=True, env=environment
    )
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def measure(size: int) -> dict[str, Any]:
    """Return the seconds of both sides and the peak of this process."""
    pool = made(size)
    labels = [Label(n, f"label {n}", "#888888") for n in range(1, LABELS)]
    labels.append(Label(LABELS, "ER", "#228833", priority=1.5))
    needs = class_needs(LabelSchema(tuple(labels)), {})
    known = Knowledge(calibration={n: Platt(0.8, -0.5) for n in range(1, LABELS + 1)})
    dials = Parameters(label_entropy=0.5, cost=0.5, diversity=0.5, noise=1)
    ours, spent, sort = [], [], []
    for _ in range(TURNS):
        began, begun = time.perf_counter(), time.process_time()
        checked = replace(pool)  # as from arrays: its checks count
        head = rank("er-gap", checked, QUERY, RESERVE, 0, needs, known, dials)
        ours.append(time.perf_counter() - began)
        spent.append(time.process_time() - begun)
        assert len(head) == QUERY + RESERVE
        began = time.perf_counter()
        np.argsort(pool.statistics.entropy_sum + pool.statistics.information_sum)  # type: ignore[union-attr]
        sort.append(time.perf_counter() - began)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    return {
        "tiles": size,
        "seconds": round(median(ours), 4),
        "cpu_seconds": round(median(spent), 4),
        "sort_seconds": round(median(sort), 5),
        "ratio_to_sort": round(median(ours) / median(sort), 1),
        "peak_gib": round(peak, 3),
    }


def made(size: int) -> Pool:
    """Return a pool of random numbers, a hundred of whose tiles are annotated."""
    rng = np.random.default_rng(0)
    columns = int(PER_IMAGE**0.5)
    place = np.arange(size) % PER_IMAGE
    edges = np.full(size, TILE)
    boxes = np.stack([place // columns * TILE, place % columns * TILE, edges, edges])

    def sums() -> np.ndarray[Any, np.dtype[np.float64]]:
        return rng.gamma(1, 100, (size, LABELS))

    missed = sums()
    statistics = TileStatistics(
        values=np.arange(1, LABELS + 1, dtype=np.uint8),
        boxes=boxes.T.astype(np.int32),
        valid=np.full(size, TILE * TILE),
        area=rng.integers(0, 5000, (size, LABELS)),
        p_sum=2 * missed,
        p_missed=missed,
        logit_histogram=rng.integers(0, 200, (size, LABELS, BINS), np.int32),
        entropy_sum=rng.gamma(2, 900, size),
        class_entropy=sums(),
        label_entropy=sums(),
        information_sum=rng.gamma(2, 90, size),
        class_information=sums(),
        boundary=sums(),
        embedding=rng.standard_normal((size, FEATURES), np.float32),
    )
    annotated = np.zeros(size, bool)
    annotated[rng.choice(size, 100, replace=False)] = True
    return Pool(
        keys=numbered(size),
        images=np.arange(size) // PER_IMAGE,
        boxes=statistics.boxes,
        excluded=annotated,
        annotated=annotated,
        groups=np.arange(size) // PER_IMAGE // 5,
        donors=np.arange(size) // PER_IMAGE % DONORS,
        statistics=statistics,
    )


def summary(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Say what the sizes together mean."""
    largest = rows[-1]
    steps = [
        round((b["seconds"] / a["seconds"]) / (b["tiles"] / a["tiles"]), 2)
        for a, b in pairwise(rows)
    ]
    figures = {
        "seconds": largest["seconds"],
        "peak_gib": largest["peak_gib"],
        "growth": max(steps),
    }
    reached = {name: figures[name] <= most for name, most in TARGETS.items()}
    return {
        "ratio": largest["ratio_to_sort"],
        "of": "seconds for the largest pool, ours over a sort of one score",
        "meaning": "seconds from a pool's arrays in memory to the ordered head of "
        f"{QUERY + RESERVE} tiles, er-gap with every part",
        "targets": TARGETS,
        "reached_each": reached,
        "reached": all(reached.values()),
        "growth": steps,
        "growth_meaning": "seconds per tile from one size to the next, 1 is linear",
        "sizes": rows,
    }


if __name__ == "__main__":
    sys.exit(main())
