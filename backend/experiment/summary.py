"""What the records of an experiment mean together."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from backend.client import ClientError
from backend.experiment.plan import FULL, Plan
from backend.experiment.records import Record
from backend.experiment.statistics import (
    F8,
    aubc,
    estimate,
    holm,
    paired,
    penalties,
    pooled_sd,
    reached,
)

SAVINGS = (0.9, 0.95)
AXES = ("tiles", "foreground_pixels", "priority_pixels", "minutes")


@dataclass(frozen=True)
class Curves:
    """The finished runs of an experiment; `rounds` counts the start set too."""

    plan: Plan
    rounds: int
    seeds: Mapping[str, list[int]]
    """Finished seeds by strategy."""
    records: Mapping[tuple[str, int], Sequence[Record]]
    full: Mapping[int, Record]
    repeats: Sequence[Sequence[Record]]
    """Trainings on the same labels, a group for each set of labels."""

    @property
    def strategies(self) -> list[str]:
        """The strategies with at least one finished seed, as the plan orders them."""
        return [s.name for s in self.plan.strategies if self.seeds.get(s.name)]

    @property
    def metrics(self) -> list[str]:
        """The figures that were measured of every label."""
        first = next(iter(self.records.values()))[0]
        return list(next(iter(first["test"].values())))

    def scores(self, strategy: str, label: str, metric: str) -> F8:
        """Return the scores of a strategy's finished seeds, (seeds, rounds)."""
        return self._rows(strategy, lambda record: score(record, label, metric))

    def budgets(self, strategy: str, axis: str) -> F8:
        """Return what a strategy's rounds cost, (seeds, rounds)."""
        return self._rows(strategy, lambda record: float(record[axis]))

    def _rows(self, strategy: str, figure: Any) -> F8:
        return np.array(
            [
                [figure(record) for record in self.records[strategy, seed]]
                for seed in self.seeds[strategy]
            ]
        )

    def shared(self, one: str, other: str) -> tuple[list[int], list[int]]:
        """Return the rows of the seeds that both strategies have finished."""
        both = [seed for seed in self.seeds[one] if seed in self.seeds[other]]
        return (
            [self.seeds[one].index(seed) for seed in both],
            [self.seeds[other].index(seed) for seed in both],
        )


def score(record: Record, label: str, metric: str) -> float:
    """Return a figure of a label; what was never drawn or found scores nothing."""
    found = record["test"][label][metric]
    return 0.0 if found is None else float(found)


def gather(plan: Plan, runs: Sequence[Sequence[Record]]) -> Curves:
    """Sort the runs; those that are shorter than the longest are not finished yet.

    Raises ClientError if no run has a round after the start set.
    """
    full: dict[int, Record] = {}
    repeats: dict[tuple[str, int], list[Record]] = defaultdict(list)
    played: dict[tuple[str, int], Sequence[Record]] = {}
    names = {strategy.name for strategy in plan.strategies}
    for records in runs:
        if not records or records[0]["seed"] not in plan.seeds:
            continue
        first = records[0]
        key = first["strategy"], first["seed"]
        if first["strategy"] == FULL:
            full[first["seed"]] = first
        elif first["kind"] == "repeat":
            repeats[key].append(first)
        elif first["strategy"] in names:
            played[key] = records
    rounds = max((len(records) for records in played.values()), default=0)
    if rounds < 2:
        raise ClientError("No run has finished a round after its start set yet.")
    seeds = {
        name: [s for s in plan.seeds if len(played.get((name, s), ())) == rounds]
        for name in names
    }
    return Curves(plan, rounds, seeds, played, full, list(repeats.values()))


def summarise(curves: Curves) -> dict[str, Any]:
    """Return all numbers of the report as plain values."""
    plan = curves.plan
    labels = list(plan.names.values())
    return {
        "experiment": plan.name,
        "priority": plan.priority,
        "baseline": plan.baseline,
        "rounds": curves.rounds,
        "seeds": {name: curves.seeds[name] for name in curves.strategies},
        "aubc": {
            label: {metric: _areas(curves, label, metric) for metric in curves.metrics}
            for label in labels
        },
        "last": {
            label: {
                metric: {
                    name: asdict(estimate(curves.scores(name, label, metric)[:, -1]))
                    for name in curves.strategies
                }
                for metric in curves.metrics
            }
            for label in labels
        },
        "full": {
            label: {
                metric: asdict(
                    estimate([score(r, label, metric) for r in curves.full.values()])
                )
                for metric in curves.metrics
            }
            for label in labels
            if curves.full
        },
        "censored": plan.stop.until is not None and not is_through(curves),
        "retraining_sd": {
            label: {metric: spread(curves, label, metric) for metric in curves.metrics}
            for label in labels
        },
        "penalties": _penalties(curves),
        "savings": {label: _savings(curves, label) for label in labels},
    }


def spread(curves: Curves, label: str, metric: str) -> float | None:
    """Return the SD of a score over trainings on the same labels; None if unknown."""
    return pooled_sd(
        [[score(r, label, metric) for r in group] for group in curves.repeats]
    )


def is_through(curves: Curves) -> bool:
    """Whether the last seed of the baseline has come as far as the plan wants it to."""
    plan = curves.plan
    if plan.stop.until is None or not curves.full or not curves.seeds[plan.baseline]:
        return False
    top = float(np.mean([score(r, plan.priority, "ap") for r in curves.full.values()]))
    best = curves.scores(plan.baseline, plan.priority, "ap").max(axis=1)
    return bool((best >= plan.stop.until * top).all())


def _areas(curves: Curves, label: str, metric: str) -> dict[str, Any]:
    areas = {
        name: np.array([aubc(row) for row in curves.scores(name, label, metric)])
        for name in curves.strategies
    }
    effects = {}
    if curves.plan.baseline in areas:
        theirs = areas[curves.plan.baseline]
        for name in curves.strategies:
            one, other = curves.shared(name, curves.plan.baseline)
            if name != curves.plan.baseline and one:
                effects[name] = paired(areas[name][one], theirs[other])
    corrected = holm({name: effect.p for name, effect in effects.items()})
    return {
        name: {
            "area": asdict(estimate(area)),
            "by_seed": dict(zip(map(str, curves.seeds[name]), area, strict=True)),
            "effect": asdict(effects[name]) if name in effects else None,
            "p_holm": corrected.get(name),
        }
        for name, area in areas.items()
    }


def _penalties(curves: Curves) -> dict[str, Any]:
    """Compare on the seeds that every strategy has finished."""
    names = curves.strategies
    common = [
        seed
        for seed in curves.plan.seeds
        if all(seed in curves.seeds[name] for name in names)
    ]
    scores = {}
    for name in names:
        rows = [curves.seeds[name].index(seed) for seed in common]
        scores[name] = curves.scores(name, curves.plan.priority, "ap")[rows]
    matrix = penalties(scores).tolist() if len(common) > 1 else None
    return {"strategies": names, "seeds": common, "matrix": matrix}


def _savings(curves: Curves, label: str) -> dict[str, Any]:
    """Return at how many tiles the mean curves reach shares of the full-label score.

    `saving` is 1 − tiles / baseline's tiles; null if a curve is `censored`, that is,
    ends before it reaches the goal.
    """
    if not curves.full:
        return {}
    top = float(np.mean([score(r, label, "ap") for r in curves.full.values()]))
    found: dict[str, Any] = {}
    for share in SAVINGS:
        tiles = {
            name: reached(
                curves.budgets(name, "tiles").mean(axis=0).tolist(),
                curves.scores(name, label, "ap").mean(axis=0).tolist(),
                share * top,
            )
            for name in curves.strategies
        }
        base = tiles.get(curves.plan.baseline)
        found[f"{share:.2f}"] = {
            name: {
                "goal": share * top,
                "tiles": needed,
                "censored": needed is None,
                "saving": 1 - needed / base if needed and base else None,
            }
            for name, needed in tiles.items()
        }
    return found
