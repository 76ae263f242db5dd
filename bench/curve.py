"""Quality against seconds of training: full, quick and stock nnU-Net on the same tiles.

    python -m bench.curve        (or `make bench-curve`)

For each seed 24 tiles of the nerve cord. The rate of `full` and `quick` falls to the
end of their budget, so each budget is a training of its own, measured at its end;
`quick` goes on from a model of the first 12 tiles, which got the largest budget of
`full`, not counted. Stock nnU-Net plans for 1000 epochs, so one training is measured on
the way: with its own plans, and with ours, which are made for a processor. Seconds
count from the start of the process that trains; measuring is left out. What is done is
kept in `data/curve`, so a run that was stopped goes on where it was; seeds that are not
asked for stay in the result.
"""

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

from bench.loop_real import GOALS
from bench.peers import RESULTS
from bench.places import ROOT, commit, data
from bench.results import Record, keep, write
from bench.stock import Stock, write_raw
from bench.subjects import Quiet
from bench.vnc import Cord, train
from worker.nnunet.segmenter import NNUNetSegmenter
from worker.segmenter import Budget, Segmenter

FULL, QUICK = (150, 300, 600, 1000, 1500), (75, 150, 300, 600)
"""Steps of each training."""
KNOWN = 12
"""Tiles that the model has learnt from which `quick` goes on."""
CURVES = {
    "full": "full, from scratch",
    "quick": "quick, on from 12 of the tiles",
    "stock": "stock nnU-Net, its plans",
    "stock, our plans": "stock nnU-Net, our plans",
}


def main() -> int:
    """Run what is asked for; returns the exit status."""
    asked = arguments()
    source = data(None)
    for seed in asked.seeds:
        cord = Cord(source, asked.work / str(seed))
        segmenter = NNUNetSegmenter("cpu", cord.folder / "scratch")
        try:
            curves = ours(cord, segmenter, seed, asked)
        finally:
            segmenter.close()
        record: Record = {"seed": seed, "curves": curves}
        found = keep(asked.out, record, summary)
        if asked.minutes:
            record |= stock(cord, seed, asked, curves)
            found = keep(asked.out, record, summary)
        draw(found, asked.out.with_suffix(".png"))
    print(json.dumps(summary(found), indent=1), flush=True)
    return 0


def arguments(words: Sequence[str] | None = None) -> argparse.Namespace:
    """Return the command line's wishes."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--tiles", type=int, default=24)
    parser.add_argument("--full", type=int, nargs="+", default=FULL, help="steps")
    parser.add_argument("--quick", type=int, nargs="+", default=QUICK, help="steps")
    parser.add_argument(
        "--minutes", type=float, default=20, help="of each stock training; 0 for none"
    )
    parser.add_argument("--every", type=float, default=120, help="seconds to a mark")
    parser.add_argument("--work", type=Path, default=ROOT / "data/curve" / commit())
    parser.add_argument("--out", type=Path, default=RESULTS / "curve.json")
    return parser.parse_args(words)


def ours(
    cord: Cord, segmenter: Segmenter, seed: int, asked: argparse.Namespace
) -> dict[str, list[Record]]:
    """Return the curves of `full` and `quick`: one training for each budget."""
    places = cord.draw(seed, asked.tiles)
    known = places[:KNOWN]
    report = Quiet()
    before = cord.folder / "known"
    learnt = cord.data(known, seed)
    train(cord, segmenter, learnt, before, None, Budget(max(asked.full)), report)
    curves: dict[str, list[Record]] = {"full": [], "quick": []}
    for name, many in (("full", asked.full), ("quick", asked.quick)):
        quick = name == "quick"
        learnt = cord.data(places, seed, known if quick else ())
        start = before / "model" if quick else None
        for steps in many:
            into = cord.folder / f"{name}-{steps}"
            budget = Budget(steps)
            found = train(cord, segmenter, learnt, into, start, budget, report)
            print(f"seed {seed}, {name}: {found}", flush=True)
            curves[name].append(found)
    return curves


def stock(
    cord: Cord,
    seed: int,
    asked: argparse.Namespace,
    curves: Mapping[str, list[Record]],
) -> Record:
    """Return our curves with those of the stock trainer, and what was run for them."""
    done = cord.folder / f"stock-{asked.minutes:g}.json"
    if not done.exists():
        peer = Stock(cord.folder / "stock", say)
        write_raw(cord, cord.draw(seed, asked.tiles), peer.raw)
        peer.plan()
        how = ("--every-seconds", str(asked.every))
        own = peer.train("nnUNetPlans", seed, asked.minutes, *how)
        peer.borrow(cord.folder / "known" / "model" / "plans.json")
        lent = peer.train("cisterna", seed, asked.minutes, *how)
        write(
            done,
            {
                "stock": own,
                "stock, our plans": lent,
                "ran": peer.ran,
                "plans": peer.planned(),
            },
        )
    found = json.loads(done.read_text())
    about = {"plans": found.pop("plans"), "commands": found.pop("ran")}
    return {"curves": {**curves, **found}, "stock": about}


def say(line: str) -> None:
    """Print a line of the stock side."""
    print(f"   stock | {line}", flush=True)


def summary(records: Sequence[Record]) -> dict[str, Any]:
    """Return what the file shows, and each curve's last point as a mean over seeds."""
    ends: dict[str, dict[str, Any]] = {}
    for name in CURVES:
        last = [r["curves"][name][-1] for r in records if r["curves"].get(name)]
        if last:
            ends[name] = {
                "seeds": len(last),
                "seconds": round(fmean(point["seconds"] for point in last), 1),
                "mean_dice": round(fmean(point["test"]["mean"] for point in last), 4),
            }
    return {"meaning": CURVES, "ends": ends}


def draw(records: Sequence[Record], into: Path) -> None:
    """Write test Dice against seconds: a colour per curve, a line per seed."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(12, 3.8), layout="constrained")
    panels = figure.subplots(1, 1 + len(GOALS), sharey=True)
    for panel, label in zip(panels, ("mean", *GOALS), strict=True):
        for number, (name, meaning) in enumerate(CURVES.items()):
            legend: str | None = meaning
            for record in records:
                points = record["curves"].get(name, [])
                seconds = [point["seconds"] for point in points]
                dice = [point["test"][label] for point in points]
                panel.plot(seconds, dice, ".-", color=f"C{number}", lw=1, label=legend)
                legend = None
        panel.set(title=label, xlabel="seconds of training", ylim=(0, 1), xscale="log")
        panel.grid(alpha=0.3)
    panels[0].set_ylabel("Dice on three held-out sections")
    lines, meanings = panels[0].get_legend_handles_labels()
    figure.legend(lines, meanings, loc="outside lower center", ncols=len(CURVES))
    figure.savefig(into, dpi=120)


if __name__ == "__main__":
    sys.exit(main())
