"""One training, from tiles to a model's folder."""

import hashlib
import shutil
from collections.abc import Callable
from dataclasses import asdict, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

from nnunetv2.paths import nnUNet_preprocessed, nnUNet_raw

from worker.nnunet import checkpoints
from worker.nnunet.architecture import read_plans
from worker.nnunet.dataset import Dataset, build, manifest_of, refuse_hopeless
from worker.nnunet.model import DESCRIPTION, read_json, write_json
from worker.nnunet.networks import Ready, Run
from worker.nnunet.planner import (
    CONFIGURATION,
    DATASET,
    FINGERPRINT,
    drift,
    find_profile,
    frozen_fingerprint,
    largest,
    patch_of,
    plan,
)
from worker.nnunet.team import devices
from worker.segmenter import Budget, Progress, TrainingData
from worker.serving import Emit

_ASKED = "asked.json"


def train(
    data: TrainingData,
    into: Path,
    start_from: Path | None,
    profile: str,
    budget: Budget,
    emit: Emit,
    stopping: Callable[[], bool],
    *,
    smaller: bool = False,
) -> dict[str, Any] | None:
    """Train into `into` and return settings and metrics; None if stopped, state saved.

    The plans of an earlier model are kept: a project has one set for all its versions.
    A training that had already ended is not repeated. `smaller` halves the batch, for
    want of memory. The environment names nnU-Net's folders.
    """
    described = into / DESCRIPTION
    _keep_to(_asked(data, start_from, budget), into)
    if _is_done(into):
        found = read_json(described)
        return {"settings": found["settings"], "metrics": found["metrics"]}
    refuse_hopeless(data)
    ready = _prepare(data, into, start_from, profile, emit)
    batch = ready.plans["configurations"][CONFIGURATION]["batch_size"]
    used = min(devices(), batch)  # none of them without a patch
    run = Run(data, into, start_from, budget, ready, smaller, used)
    learnt = ready.dataset.identifiers(learnt=True)
    shares = without_shares(ready.dataset, min(budget.folds, len(learnt)))
    courses = []
    for number, dataset in enumerate(shares):
        told = _part(emit, number, len(shares), budget)
        course = run.network(number, dataset, told, stopping)
        if course is None:
            return None
        courses.append(course)
    settings = {
        "segmenter": "nnunet",
        "nnunetv2": version("nnunetv2"),
        "torch": version("torch"),
        "profile": profile,
        "patch": [*patch_of(ready.plans)],
        "batch": courses[0].pop("batch"),
        "device": courses[0].pop("device"),
        "working_nm": data.working_nm,
        "seed": data.seed,
        "warm_start": start_from is not None,
        "rates": asdict(run.schedule),
        "budget": asdict(budget),
        "tiles": len(learnt),
        "tiles_without_labels": len(data.tiles) - len(learnt),
    }
    metrics = {
        **courses[0],
        "seconds": round(sum(course["seconds"] for course in courses), 1),
        "members": len(courses),
        "prepared": ready.dataset.prepared,
        "reused": ready.dataset.reused,
        "warnings": ready.warnings,
    }
    write_json(
        described,
        {
            "values": list(data.schema.values),
            "names": list(data.schema.names),
            "working_nm": data.working_nm,
            "settings": settings,
            "metrics": metrics,
        },
    )
    return {"settings": settings, "metrics": metrics}


def without_shares(dataset: Dataset, count: int) -> list[Dataset]:
    """Return as many datasets, each without another share of the cases to learn from.

    What one leaves out is monitored if there are no validation cases. One alone keeps
    all cases.
    """
    if count < 2:
        return [dataset]
    learnt = dataset.identifiers(learnt=True)
    watched = bool(dataset.identifiers(learnt=False))
    made = []
    for number in range(count):
        out = set(learnt[number::count])
        cases = (
            replace(case, learnt=False) if case.identifier in out else case
            for case in dataset.cases
            if not (watched and case.identifier in out)
        )
        made.append(replace(dataset, cases=tuple(cases)))
    return made


def _prepare(
    data: TrainingData, into: Path, start_from: Path | None, profile: str, emit: Emit
) -> Ready:
    """Plan, prepare the tiles and write what the model's folder says of them."""
    raw, preprocessed = Path(nnUNet_raw), Path(nnUNet_preprocessed)
    emit(Progress(f"preparing {len(data.tiles)} tiles"))
    if (into / "plans.json").exists():
        plans = read_plans(into)
    elif earlier := start_from or data.plans:
        plans = read_plans(earlier)
    else:
        plans = plan(data, find_profile(profile, largest(data)), raw, preprocessed)
    frozen = frozen_fingerprint(into, start_from, data.plans, preprocessed / DATASET)
    warnings = drift(frozen, data, patch_of(plans))
    for warning in warnings:
        emit(Progress(warning))
    dataset = build(data, preprocessed, patch_of(plans))
    emit(Progress(f"prepared {dataset.prepared} tiles, {dataset.reused} were ready"))
    described = read_json(preprocessed / DATASET / "dataset.json")
    into.mkdir(parents=True, exist_ok=True)
    write_json(into / FINGERPRINT, frozen)
    write_json(into / "plans.json", plans)
    write_json(into / "dataset.json", described)
    write_json(into / "manifest.json", manifest_of(dataset))
    return Ready(plans, described, dataset, warnings)


def _part(emit: Emit, number: int, count: int, budget: Budget) -> Emit:
    """Return how the progress of one network of several is told."""
    if count == 1:
        return emit

    def tell(progress: Progress) -> None:
        fraction, step = progress.fraction or 0.0, progress.step or 0
        message = f"network {number + 1} of {count}: {progress.message}"
        emit(
            replace(
                progress,
                message=message,
                fraction=(number + fraction) / count,
                step=number * budget.steps + step,
            )
        )

    return tell


def _asked(
    data: TrainingData, start_from: Path | None, budget: Budget
) -> dict[str, Any]:
    """Return what may not change between two attempts at one training."""
    tiles = (
        [
            tile.annotation_id,
            hashlib.sha256(tile.target.read_bytes()).hexdigest(),
            sorted(tile.zero_may_be(data.schema.values)),
        ]
        for tile in data.tiles
    )
    return {
        "values": list(data.schema.values),
        "tiles": sorted(tiles),
        "start_from": start_from.name if start_from else None,
        "working_nm": data.working_nm,
        "folds": budget.folds,
    }


def _keep_to(asked: dict[str, Any], into: Path) -> None:
    """Remove what was learnt from other labels or tiles: it would live on unseen.

    A label may be added, or an annotation retracted, while a training waits for its
    next attempt.
    """
    path = into / _ASKED
    if path.exists() and read_json(path) == asked:
        return
    for old in into.glob("*"):
        if old.is_dir():
            shutil.rmtree(old)
        else:
            old.unlink()
    into.mkdir(parents=True, exist_ok=True)
    write_json(path, asked)


def _is_done(into: Path) -> bool:
    """Whether all was written, with all networks whole."""
    if not (into / DESCRIPTION).exists():
        return False
    members: int = read_json(into / DESCRIPTION)["metrics"].get("members", 1)
    return all(
        checkpoints.is_whole(into / f"fold_{number}" / checkpoints.FINAL)
        for number in range(members)
    )
