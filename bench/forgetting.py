"""Does quick training forget? Four warm starts in a row beside one full training.

    python -m bench.forgetting        (or `make forgetting`)

For each seed 30 tiles of the nerve cord come six at a time. One line of versions learns
the first six in full and then, four times, six more by a warm start from the version
before; another version learns all 30 from scratch. The difference in test Dice, last
quick minus full, is paired by seed. What is done is kept in `data/forgetting`, so a run
that was stopped goes on where it was; seeds that are not asked for stay in the result.
"""

import argparse
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

from scipy import stats

from backend.schemas.project import Training
from bench.peers import RESULTS
from bench.places import ROOT, commit, data
from bench.results import Record, keep
from bench.subjects import Quiet
from bench.vnc import Cord, train
from worker.nnunet.segmenter import NNUNetSegmenter
from worker.segmenter import Budget, Segmenter

ROUNDS = 4
MARGIN = -0.03
"""The lower end of each interval has to stay above it."""


def main() -> int:
    """Run what is asked for; returns the exit status."""
    asked = arguments()
    source = data(None)
    full, quick = (Budget(n, plateau=True) for n in (asked.full, asked.quick))
    for seed in asked.seeds:
        cord = Cord(source, asked.work / f"{asked.full}-{asked.quick}-{seed}")
        segmenter = NNUNetSegmenter("cpu", cord.folder / "scratch")
        try:
            record = one_seed(cord, segmenter, seed, asked.tiles, full, quick)
        finally:
            segmenter.close()
        found = keep(asked.out, record, summary)
        print(summary(found), flush=True)
    return 0


def arguments() -> argparse.Namespace:
    """Return the command line's wishes."""
    usual = Training()
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2, 3])
    parser.add_argument("--tiles", type=int, default=6, help="new tiles per round")
    parser.add_argument("--full", type=int, default=usual.steps, help="most steps")
    parser.add_argument("--quick", type=int, default=usual.quick_steps)
    parser.add_argument(
        "--work", type=Path, default=ROOT / "data/forgetting" / commit()
    )
    parser.add_argument("--out", type=Path, default=RESULTS / "forgetting.json")
    return parser.parse_args()


def one_seed(
    cord: Cord, segmenter: Segmenter, seed: int, tiles: int, full: Budget, quick: Budget
) -> Record:
    """Train both lines of versions and return what each version is worth."""
    places = cord.draw(seed, tiles * (ROUNDS + 1))
    report = Quiet()

    def version(name: str, count: int, before: str | None, budget: Budget) -> Record:
        known = places[: count - tiles] if before else ()
        start = cord.folder / before / "model" if before else None
        learnt = cord.data(places[:count], seed, known)
        into = cord.folder / name
        found = train(cord, segmenter, learnt, into, start, budget, report)
        print(f"seed {seed}, {name}, {count} tiles: {found}", flush=True)
        return found

    line = [version("quick-0", tiles, None, full)]
    for number in range(1, ROUNDS + 1):
        before = f"quick-{number - 1}"
        count = tiles * (number + 1)
        line.append(version(f"quick-{number}", count, before, quick))
    scratch = version("full", len(places), None, full)
    return {"seed": seed, "quick": line, "full": scratch}


def summary(records: Sequence[Record]) -> dict[str, Any]:
    """Return the difference per label, last quick version minus full, and the times."""
    ends = [(record["quick"][-1], record["full"]) for record in records]
    labels = ends[0][0]["test"]
    differences = {
        label: interval([q["test"][label] - f["test"][label] for q, f in ends])
        for label in labels
    }
    lows = [row["low"] for name, row in differences.items() if name != "mean"]
    rounds = [version["seconds"] for r in records for version in r["quick"][1:]]
    return {
        "meaning": "test Dice after four quick rounds minus that of a full training "
        "on the same tiles, paired by seed, with its 95 % interval (Student's t)",
        "difference": differences,
        "target": f"every label's lower end above {MARGIN}",
        "reached": None if None in lows else min(lows) > MARGIN,
        "seconds_of_a_quick_round": round(fmean(rounds), 1),
        "seconds_of_full": round(fmean(f["seconds"] for _, f in ends), 1),
    }


def interval(values: Sequence[float]) -> Mapping[str, Any]:
    """Return the mean of paired differences and the ends of its 95 % interval.

    mean ± t(0.975, n − 1) · s / √n; without ends for a single value.
    """
    found: dict[str, Any] = {"n": len(values), "mean": round(fmean(values), 4)}
    if len(values) < 2:
        return found | {"low": None, "high": None}
    width = float(stats.t.ppf(0.975, len(values) - 1))
    half = width * stdev(values) / len(values) ** 0.5
    mean = fmean(values)
    return found | {"low": round(mean - half, 4), "high": round(mean + half, 4)}


if __name__ == "__main__":
    sys.exit(main())
