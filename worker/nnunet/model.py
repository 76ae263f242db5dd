"""A model's folder: nnU-Net's own layout plus one file that says what is whose.

`plans.json`, `dataset.json` and `fold_*/checkpoint_final.pth` are what stock nnU-Net
reads; `fold_*/weights.safetensors` are what is read here, and `model.json` keeps the
label values and the working pixel size.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from worker.nnunet import weights
from worker.nnunet.architecture import build_network, read_plans
from worker.nnunet.device import keep_memory, pick_device
from worker.nnunet.planner import CONFIGURATION, patch_of
from worker.nnunet.windows import Ensemble
from worker.segmenter import SegmenterError

DESCRIPTION = "model.json"


@dataclass(frozen=True, slots=True)
class Model:
    """A trained model, ready to look at windows."""

    ensemble: Ensemble
    values: tuple[int, ...]
    working_nm: float | None
    patch: tuple[int, int]
    stride: int


def open_model(folder: Path) -> Model:
    """Load all networks of a model's folder onto this machine's device."""
    paths = sorted(folder.glob(f"fold_*/{weights.FILE}"))
    if not paths or not (folder / DESCRIPTION).exists():
        raise SegmenterError(
            "The model's folder is not complete; train the model again.",
            retryable=False,
        )
    described = read_json(folder / DESCRIPTION)
    plans = read_plans(folder)
    keep_memory()
    device = pick_device()
    networks = []
    for path in paths:
        network = build_network(plans, 1 + len(described["values"]))
        network.load_state_dict(weights.load(path, device))
        networks.append(network)
    kwargs = plans["configurations"][CONFIGURATION]["architecture"]["arch_kwargs"]
    return Model(
        ensemble=Ensemble(networks, device),
        values=tuple(described["values"]),
        working_nm=described["working_nm"],
        patch=patch_of(plans),
        stride=prod(max(step) for step in kwargs["strides"]),
    )


def warm_weights(
    fresh: Mapping[str, Tensor],
    trained: Mapping[str, Tensor],
    values: Sequence[int],
    trained_values: Sequence[int],
) -> dict[str, Tensor]:
    """Return trained weights for a network whose labels may differ.

    The output layers are carried over label by label; a new label keeps its fresh ones.
    """
    pairs = [(0, 0)]
    for number, value in enumerate(values, start=1):
        if value in trained_values:
            pairs.append((number, 1 + list(trained_values).index(value)))
    to, source = (torch.tensor(side) for side in zip(*pairs, strict=True))
    carried = {}
    for name, old in trained.items():
        if ".seg_layers." in name:
            carried[name] = fresh[name].clone()
            carried[name][to] = old[source].to(fresh[name])
        else:
            carried[name] = old
    return carried


def read_json(path: Path) -> dict[str, Any]:
    """Read one JSON object."""
    found: dict[str, Any] = json.loads(path.read_text())
    return found


def write_json(path: Path, value: Any) -> None:
    """Write JSON whole or not at all."""
    part = path.with_suffix(".part")
    part.parent.mkdir(parents=True, exist_ok=True)
    part.write_text(json.dumps(value, indent=2))
    part.replace(path)
