"""One training, from tiles to a model's folder."""

import json
import logging
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

from nnunetv2.paths import nnUNet_preprocessed, nnUNet_raw

from worker.nnunet import checkpoints
from worker.nnunet.dataset import build, manifest_of, refuse_hopeless
from worker.nnunet.loop import Emit, fit
from worker.nnunet.model import DESCRIPTION, read_json, warm_weights
from worker.nnunet.planner import DATASET, find_profile, patch_of, plan
from worker.nnunet.trainer import TileTrainer
from worker.segmenter import Budget, Progress, SegmenterError, TrainingData

_log = logging.getLogger(__name__)


def train(
    data: TrainingData,
    into: Path,
    start_from: Path | None,
    profile: str,
    budget: Budget,
    emit: Emit,
    stopping: Callable[[], bool],
) -> dict[str, Any] | None:
    """Train into `into` and return settings and metrics; None if stopped, state saved.

    The plans of an earlier model are kept: a project has one set for all its versions.
    A training that had already ended is not repeated. The environment names nnU-Net's
    folders.
    """
    fold = into / "fold_0"
    described = into / DESCRIPTION
    if checkpoints.is_whole(fold / checkpoints.FINAL):
        found = read_json(described)
        return {"settings": found["settings"], "metrics": found["metrics"]}
    refuse_hopeless(data)
    raw, preprocessed = Path(nnUNet_raw), Path(nnUNet_preprocessed)
    emit(Progress(f"preparing {len(data.tiles)} tiles"))
    if (into / "plans.json").exists():
        plans = read_json(into / "plans.json")
    elif earlier := start_from or data.plans:
        plans = read_json(earlier / "plans.json")
    else:
        plans = plan(data, find_profile(profile), raw, preprocessed)
    dataset = build(data, preprocessed, patch_of(plans))
    dataset_json = read_json(preprocessed / DATASET / "dataset.json")
    into.mkdir(parents=True, exist_ok=True)
    _write(into / "plans.json", plans)
    _write(into / "dataset.json", dataset_json)
    _write(into / "manifest.json", manifest_of(dataset))
    trainer = TileTrainer.prepare(plans, dataset_json, dataset, data.seed)
    if start_from is not None:
        _warm(trainer, start_from, data.schema.values)
    course = fit(trainer, data.schema.names, budget, fold, emit, stopping)
    if course is None:
        return None
    learnt = dataset.identifiers(learnt=True)
    settings = {
        "segmenter": "nnunet",
        "nnunetv2": version("nnunetv2"),
        "torch": version("torch"),
        "profile": profile,
        "patch": patch_of(plans),
        "batch": trainer.batch_size,
        "device": trainer.device.type,
        "working_nm": data.working_nm,
        "seed": data.seed,
        "warm_start": start_from is not None,
        "budget": {"steps": budget.steps, "minutes": budget.minutes},
        "tiles": len(learnt),
        "tiles_without_labels": len(data.tiles) - len(learnt),
    }
    metrics = {
        "steps": course.step,
        "seconds": round(course.seconds, 1),
        "last": course.curve[-1],
        "curve": course.curve,
    }
    # Both before the checkpoint whose presence says that the training has ended.
    _write(
        described,
        {
            "values": list(data.schema.values),
            "names": list(data.schema.names),
            "working_nm": data.working_nm,
            "settings": settings,
            "metrics": metrics,
        },
    )
    checkpoints.save(trainer.inference_state(), fold / checkpoints.FINAL)
    checkpoints.clear_steps(fold)
    return {"settings": settings, "metrics": metrics}


def _warm(trainer: TileTrainer, start_from: Path, values: tuple[int, ...]) -> None:
    """Start from another model's weights, label by label."""
    path = start_from / "fold_0" / checkpoints.FINAL
    if not path.exists():
        raise SegmenterError(
            "The model to start from has no finished checkpoint; start without it.",
            retryable=False,
        )
    trained = checkpoints.load(path, trainer.device)["network_weights"]
    before = read_json(start_from / DESCRIPTION)["values"]
    fresh = trainer.network.state_dict()
    trainer.network.load_state_dict(warm_weights(fresh, trained, values, before))


def _write(path: Path, value: Any) -> None:
    """Write JSON whole or not at all."""
    part = path.with_suffix(".part")
    part.write_text(json.dumps(value, indent=2))
    part.replace(path)
