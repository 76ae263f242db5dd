"""A model's network as an ONNX graph: z-scores in, probabilities out.

One network alone is exported, the final one of its training (`fold_0`): a graph of all
members would cost as many passes as there are, and whoever takes a model elsewhere
chooses flips and windows there. What the graph wants is written into it as metadata.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from backend.domain.operating import RULE
from worker.nnunet import weights
from worker.nnunet.architecture import build_network, read_plans
from worker.nnunet.planner import CONFIGURATION, patch_of
from worker.segmenter import NO_OFFSETS, SegmenterError

INPUT, OUTPUT = "image", "probabilities"
NETWORK = "fold_0"
NORMALISATION = "(grey - mean of the whole image) / its standard deviation"


class Probabilities(nn.Module):
    """A network with the softmax that its loss leaves out."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, image: Tensor) -> Tensor:
        """Return (1, C + 1, H, W) float32 probabilities of (1, 1, H, W) z-scores."""
        return torch.softmax(self.network(image), dim=1)


@dataclass(frozen=True, slots=True)
class Network:
    """The network that travels, and what has to be known to use it.

    `values` and `names` are the labels' in the order of the channels; channel 0 is
    background. H and W are multiples of `stride`. `networks` is how many the model has,
    `steps` how long this one was trained. `offsets` are the logit offsets, by name of
    label, that it is served with; the graph gives probabilities without them.
    """

    module: Probabilities
    values: tuple[int, ...]
    names: tuple[str, ...]
    pixel_nm: float | None
    patch: tuple[int, int]
    stride: int
    networks: int
    steps: int
    settings: dict[str, Any]
    offsets: Mapping[str, float]

    @property
    def facts(self) -> dict[str, str]:
        """What the graph's metadata say, as text."""
        scale = f"{self.pixel_nm:g}" if self.pixel_nm is not None else "unknown"
        return {
            "channels": json.dumps(["background", *self.names], ensure_ascii=False),
            "label_values": json.dumps([0, *self.values]),
            "normalisation": NORMALISATION,
            "pixel_nm": scale,
            "patch": json.dumps(self.patch),
            "multiple_of": str(self.stride),
            "network": f"{NETWORK}, one of {self.networks}; no flips",
            "logit_offsets": json.dumps(dict(self.offsets), ensure_ascii=False),
            "decision": RULE,
        }


def open_network(folder: Path, offsets: Mapping[int, float] = NO_OFFSETS) -> Network:
    """Load the network of a model's folder that travels, on the processor."""
    try:
        described = json.loads((folder / "model.json").read_text())
        plans = read_plans(folder)
    except FileNotFoundError as error:
        raise SegmenterError(
            "The model's folder is not complete; train the model again.",
            retryable=False,
        ) from error
    network = build_network(plans, 1 + len(described["values"]))
    state = weights.load(folder / NETWORK / weights.FILE, torch.device("cpu"))
    network.load_state_dict(state)
    kwargs = plans["configurations"][CONFIGURATION]["architecture"]["arch_kwargs"]
    return Network(
        module=Probabilities(network).eval(),
        values=tuple(described["values"]),
        names=tuple(described["names"]),
        pixel_nm=described["working_nm"],
        patch=patch_of(plans),
        stride=prod(max(step) for step in kwargs["strides"]),
        networks=len(list(folder.glob(f"fold_*/{weights.FILE}"))),
        steps=described["metrics"]["steps"],
        settings=described["settings"],
        offsets={
            name: offsets[value]
            for value, name in zip(described["values"], described["names"], strict=True)
            if value in offsets
        },
    )


def write_graph(network: Network, path: Path) -> int:
    """Write the network as one ONNX file and return its opset."""
    stride = network.stride
    height, width = (torch.export.Dim(name, min=1, max=1 << 16) for name in "hw")
    program = torch.onnx.export(
        network.module,
        # two lengths, so that neither is taken for the other
        (torch.zeros(1, 1, 2 * stride, 3 * stride),),
        dynamo=True,
        dynamic_shapes={INPUT: {2: stride * height, 3: stride * width}},
        input_names=[INPUT],
        output_names=[OUTPUT],
        verbose=False,
    )
    if program is None:
        raise SegmenterError("The network could not be exported.", retryable=False)
    program.model.metadata_props.update(network.facts)
    program.save(path, external_data=False)
    return int(program.model.opset_imports[""])
