"""Which networks plans may name.

nnU-Net imports whatever class a plans.json names and calls it. Plans travel with
models, so the names are held against the few that nnU-Net's planner writes for two
dimensions; nothing else is imported.
"""

import json
from pathlib import Path
from typing import Any

from nnunetv2.utilities.get_network_from_plans import get_network_from_plans
from torch import nn

from worker.nnunet.planner import CONFIGURATION
from worker.segmenter import SegmenterError

_UNETS = "dynamic_network_architectures.architectures.unet"
NETWORKS = frozenset({f"{_UNETS}.PlainConvUNet", f"{_UNETS}.ResidualEncoderUNet"})
OPERATIONS: dict[str, frozenset[str | None]] = {
    "conv_op": frozenset({"torch.nn.modules.conv.Conv2d"}),
    "norm_op": frozenset({"torch.nn.modules.instancenorm.InstanceNorm2d"}),
    "dropout_op": frozenset({None}),
    "nonlin": frozenset({"torch.nn.LeakyReLU"}),
}


def read_plans(folder: Path) -> dict[str, Any]:
    """Read a model folder's plans.json; SegmenterError if it names a foreign class."""
    plans: dict[str, Any] = json.loads((folder / "plans.json").read_text())
    check_plans(plans)
    return plans


def check_plans(plans: dict[str, Any]) -> None:
    """Raise SegmenterError if the plans would import anything but a known network."""
    try:
        planned = plans["configurations"][CONFIGURATION]["architecture"]
        name, kwargs = planned["network_class_name"], planned["arch_kwargs"]
        imported = list(planned["_kw_requires_import"])
        named = {key: kwargs.get(key) for key in imported}
        strange = [key for key in named if key not in OPERATIONS]
        strange += [
            str(value)
            for key, value in named.items()
            if value not in OPERATIONS.get(key, frozenset({value}))
        ]
        strange += [] if name in NETWORKS else [str(name)]
    except (AttributeError, KeyError, TypeError):
        raise SegmenterError(
            "The plans of this model describe no 2D network; train it again here.",
            retryable=False,
        ) from None
    if strange:
        raise SegmenterError(
            f"The plans of this model name {', '.join(strange)}, which is not one of "
            "the networks that Cisterna builds; train the model again here.",
            retryable=False,
        )


def build_network(plans: dict[str, Any], outputs: int) -> nn.Module:
    """Build the network of checked plans, without deep supervision."""
    check_plans(plans)
    planned = plans["configurations"][CONFIGURATION]["architecture"]
    network: nn.Module = get_network_from_plans(
        planned["network_class_name"],
        planned["arch_kwargs"],
        planned["_kw_requires_import"],
        1,
        outputs,
        allow_init=True,
        deep_supervision=False,
    )
    return network
