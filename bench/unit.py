"""Which score finds the missed pixels? The unit metric of the ranker, per seed.

    python -m bench.unit        (or `make bench-unit`)

For each seed a model learns 24 random tiles of the nerve cord's pool and sweeps the
rest of it, whose every pixel is known. Each score puts these tiles in an order, and of
all pixels of a label that the model missed `capture` is the share that lies in the
tenth of the tiles ranked highest, `spearman` the rank correlation with the true misses.
What a live project knows may enter a score: 24 random tiles of the validation sections,
and where lessons are compared the tiles that a query asked for.

Training and sweeps are kept in `data/unit`, so scoring again takes seconds; runs that
are not asked for stay in the result.
"""

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

import numpy as np
from numpy.typing import NDArray

from backend.domain.states import Split
from backend.ranker.capture import capture, spearman
from bench.peers import RESULTS, facts
from bench.pictures import captures
from bench.places import ROOT, commit, data
from bench.results import Record, keep
from bench.subjects import SCHEMA
from bench.unit_models import ENGINES, Learnt, learnt
from bench.unit_scores import after_asking, scores
from bench.unit_tiles import Judged, chosen, judged
from bench.vnc import Cord


def main() -> int:
    """Run what is asked for; returns the exit status."""
    asked = arguments()
    cord = Cord(data(None), asked.work / "cord")
    for steps in asked.steps:
        for seed in asked.seeds:
            model = learnt(cord, asked.work, asked.engine, seed, steps, asked.tiles)
            run = one_run(cord, model, asked.validation) | {"made": facts(seed)}
            runs = {**known_runs(asked.out, seed), name_of(model): run}
            found = keep(asked.out, {"seed": seed, "runs": runs}, summary)
            print(json.dumps(summary(found), indent=1), flush=True)
            captures(found, asked.out.with_suffix(".png"))
    return 0


def arguments() -> argparse.Namespace:
    """Return the command line's wishes."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2, 3])
    parser.add_argument("--steps", type=int, nargs="+", default=[600, 1500])
    parser.add_argument("--tiles", type=int, default=24, help="tiles to learn")
    parser.add_argument("--validation", type=int, default=24, help="tiles to know")
    parser.add_argument("--engine", choices=ENGINES, default="nnunet")
    parser.add_argument("--work", type=Path, default=ROOT / "data/unit" / commit())
    parser.add_argument("--out", type=Path, default=RESULTS / "unit.json")
    return parser.parse_args()


def name_of(model: Learnt) -> str:
    """Return what the runs of one kind of model are called."""
    if model.engine == "forest":
        return f"forest, {len(model.places)} tiles"
    return f"nnU-Net, {len(model.places)} tiles, {model.steps} steps"


def known_runs(out: Path, seed: int) -> dict[str, Any]:
    """Return the runs of a seed that were written before."""
    found = json.loads(out.read_text())["records"] if out.exists() else []
    runs: dict[str, Any] = next((r["runs"] for r in found if r["seed"] == seed), {})
    return runs


def one_run(cord: Cord, model: Learnt, validation: int) -> Record:
    """Return how well each score finds what one model missed, by label."""
    pool = judged(cord, model, Split.POOL)
    known = chosen(judged(cord, model, Split.VALIDATION), validation, model.seed)
    return {
        "training": model.facts,
        "tiles": len(pool),
        "known_tiles": len(known),
        "labels": {
            label.name: of_a_label(pool, known, column, model.seed)
            for column, label in enumerate(SCHEMA.labels)
        },
    }


def of_a_label(pool: Judged, known: Judged, column: int, seed: int) -> Record:
    """Return what a model is worth for a label, and what the scores find of it."""
    taught = after_asking(pool, known, column, seed)
    return {
        **of_the_model(pool, column),
        "scores": {
            name: figures(pool, column, score)
            for name, score in scores(pool, known, column, seed).items()
        },
        "lessons": {
            formula: {
                name: figures(rest, column, score)
                for name, (rest, score) in rows.items()
            }
            for formula, rows in taught.items()
        },
    }


def figures(tiles: Judged, column: int, score: NDArray[np.float64]) -> Record:
    """Return the figures of one score; `wrong` is the capture of all wrong pixels."""
    missed, wrong = tiles.missed[:, column], tiles.wrong[:, column]
    return {
        "capture": round(capture(score, missed), 4),
        "spearman": round(spearman(score, missed), 4),
        "wrong": round(capture(score, wrong), 4),
    }


def of_the_model(pool: Judged, column: int) -> dict[str, Any]:
    """Return what the model is worth on the pool: pixels missed, recall, precision."""
    missed = float(pool.missed[:, column].sum())
    true, decided = (float(a[:, column].sum()) for a in (pool.true, pool.decided))
    hit = true - missed
    return {
        "missed": round(missed),
        "expected_missed": round(float(pool.statistics.p_missed[:, column].sum())),
        "recall": round(hit / true, 4),
        "precision": round(hit / decided, 4),
    }


def summary(records: Sequence[Record]) -> dict[str, Any]:
    """Return mean and spread over seeds of each capture, by run and label."""
    names = dict.fromkeys(name for record in records for name in record["runs"])
    return {
        "meaning": "capture: share of all missed pixels of a label in the tenth of the "
        "tiles ranked highest, 0.1 by chance; spearman: rank correlation of score and "
        "missed pixels; wrong: as capture, of all pixels of the label that are missed "
        "or invented; lessons: the same on what a query of 24 tiles leaves, before and "
        "after learning from them; mean and standard deviation over seeds",
        "runs": {
            name: over_seeds([r["runs"][name] for r in records if name in r["runs"]])
            for name in names
        },
    }


def over_seeds(runs: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return the figures of one kind of run over its seeds, best capture first."""
    found: dict[str, Any] = {"seeds": len(runs)}
    for label in runs[0]["labels"]:
        here = [run["labels"][label] for run in runs]
        rows = {
            name: averages([seed["scores"][name] for seed in here])
            for name in here[0]["scores"]
        }
        ordered = sorted(rows.items(), key=lambda row: -row[1]["capture"]["mean"])
        lessons = {
            formula: {
                name: averages([seed["lessons"][formula][name] for seed in here])
                for name in found_by
            }
            for formula, found_by in here[0]["lessons"].items()
        }
        found[label] = {"scores": dict(ordered), "lessons": lessons}
    return found


def averages(seeds: Sequence[Mapping[str, float]]) -> dict[str, Any]:
    """Return each figure's spread over seeds."""
    return {name: spread([seed[name] for seed in seeds]) for name in seeds[0]}


def spread(values: Sequence[float]) -> dict[str, Any]:
    """Return mean and standard deviation; none of a single value."""
    sd = round(stdev(values), 4) if len(values) > 1 else None
    return {"mean": round(fmean(values), 4), "sd": sd}


if __name__ == "__main__":
    sys.exit(main())
