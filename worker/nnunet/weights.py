"""A network's weights as safetensors: what Cisterna itself loads.

The format holds tensors and text; reading it runs no code, whoever wrote the file. The
checkpoint beside it is for nnU-Net's own commands, which unpickle.
"""

import json
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save as packed
from torch import Tensor

from worker.nnunet import checkpoints
from worker.segmenter import SegmenterError

FILE = "weights.safetensors"
_SAME = "same"


def save(weights: Mapping[str, Tensor], path: Path) -> None:
    """Write a network's state, whole or not at all, and its hash beside it.

    nnU-Net's networks hold some tensors under several names: each is stored once.
    """
    first: dict[tuple[object, ...], str] = {}
    same: dict[str, str] = {}
    for name, tensor in weights.items():
        place = tensor.untyped_storage().data_ptr(), tensor.storage_offset()
        look = tensor.shape, tensor.stride(), tensor.dtype
        kept = first.setdefault((*place, *look), name)
        if kept != name:
            same[name] = kept
    kept_once = {
        name: tensor.detach().cpu().clone(memory_format=torch.contiguous_format)
        for name, tensor in weights.items()
        if name not in same
    }
    content = packed(kept_once, {"format": "pt", _SAME: json.dumps(same)})
    checkpoints.write_whole(path, lambda file: file.write(content))


def load(path: Path, device: torch.device) -> dict[str, Tensor]:
    """Read a network's state; SegmenterError if the file is damaged or not ours."""
    if not checkpoints.is_whole(path):
        raise SegmenterError(
            f"The weights {path.parent.name}/{path.name} are missing or not what was "
            "written; train the model again.",
            retryable=False,
        )
    try:
        with safe_open(path, "pt", device=str(device)) as file:
            weights = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            same: dict[str, str] = json.loads((file.metadata() or {}).get(_SAME, "{}"))
            return weights | {name: weights[kept] for name, kept in same.items()}
    except (SafetensorError, ValueError, KeyError) as error:
        raise SegmenterError(
            f"The file {path.parent.name}/{path.name} is not a network's weights; "
            "train the model again.",
            retryable=False,
        ) from error
