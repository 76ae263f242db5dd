"""A model as a BioImage.IO package: a zip that other tools can run and check.

    rdf.yaml            the description, bioimageio.spec 0.5 (JSON, which is YAML)
    weights.onnx        the network
    README.md           what it learnt from and how good it is
    test_input.npy, test_output.npy

The test image is made, not taken: no pixel of the project leaves with the model.
"""

import hashlib
import json
import re
import unicodedata
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from backend.domain.operating import RULE
from worker.nnunet.graph import INPUT, NORMALISATION, OUTPUT, Network, write_graph

FORMAT = "0.5.12"
_EPSILON = 1e-6  # what the format's normalisation adds to the standard deviation
_NNUNET = {
    "text": "Isensee et al.: nnU-Net, a self-configuring method for deep "
    "learning-based biomedical image segmentation. Nature Methods 18 (2021)",
    "doi": "10.1038/s41592-020-01008-z",
}


def write_package(network: Network, about: Mapping[str, Any], path: Path) -> None:
    """Write the zip; `about` is backend.schemas.package.About as plain values."""
    with (
        TemporaryDirectory() as parts,
        zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive,
    ):
        folder = Path(parts)
        _write_parts(network, about, folder)
        for part in sorted(folder.iterdir()):
            archive.write(part, part.name)


def _write_parts(network: Network, about: Mapping[str, Any], folder: Path) -> None:
    opset = write_graph(network, folder / "weights.onnx")
    grey = test_image(network.patch)
    np.save(folder / "test_input.npy", grey)
    np.save(folder / "test_output.npy", _answer(network, grey))
    (folder / "README.md").write_text(document(network, about), encoding="utf-8")
    described = describe(network, about, opset, folder)
    text = json.dumps(described, indent=2, ensure_ascii=False)
    (folder / "rdf.yaml").write_text(text, encoding="utf-8")


def test_image(shape: tuple[int, int]) -> NDArray[np.float32]:
    """Return (1, 1, height, width) float32 grey values 0..255: soft grain."""
    grain = gaussian_filter(np.random.default_rng(0).normal(size=shape), 3)
    grey = np.clip(128 + 40 * grain / grain.std(), 0, 255)
    whole: NDArray[np.float32] = np.rint(grey).astype(np.float32)
    return whole[None, None]


def _answer(network: Network, grey: NDArray[np.float32]) -> NDArray[np.float32]:
    scores = (grey - grey.mean()) / (grey.std() + _EPSILON)
    with torch.inference_mode():
        found: NDArray[np.float32] = network.module(torch.from_numpy(scores)).numpy()
    return found


def describe(
    network: Network, about: Mapping[str, Any], opset: int, folder: Path
) -> dict[str, Any]:
    """Return the resource description of the files in `folder`."""
    authors = [{"name": name.replace("/", " ")} for name in about["authors"]]
    return {
        "type": "model",
        "format_version": FORMAT,
        "name": _name(about["project"], about["round"]),
        "description": (
            "2D U-Net trained by nnU-Net in Cisterna on electron micrographs; gives "
            f"each pixel's probability of {len(network.names)} labels and background."
        ),
        "version": str(about["round"]),
        "timestamp": about["trained_at"],
        "authors": authors,
        "cite": [_NNUNET],
        "tags": [
            "electron-microscopy",
            "organelles",
            "semantic-segmentation",
            "2d",
            "unet",
            "nnunet",
        ],
        "documentation": _file(folder / "README.md"),
        "inputs": [_input(network, folder)],
        "outputs": [_output(network, folder)],
        "weights": {
            "onnx": {
                **_file(folder / "weights.onnx"),
                "opset_version": opset,
                "comment": network.facts["network"],
            }
        },
        "config": {"cisterna": {**network.facts, "training": network.settings}},
    }


def _space(network: Network) -> dict[str, Any]:
    if network.pixel_nm is None:
        return {"type": "space"}
    return {"type": "space", "unit": "nanometer", "scale": network.pixel_nm}


def _input(network: Network, folder: Path) -> dict[str, Any]:
    sizes = [{"min": edge, "step": network.stride} for edge in network.patch]
    return {
        "id": INPUT,
        "description": "Grey values of an electron micrograph",
        "axes": [
            {"type": "batch", "size": 1},
            {"type": "channel", "channel_names": ["EM"]},
            {"id": "y", "size": sizes[0], **_space(network)},
            {"id": "x", "size": sizes[1], **_space(network)},
        ],
        "data": {"type": "float32"},
        "preprocessing": [
            {"id": "zero_mean_unit_variance", "kwargs": {"axes": ["channel", "y", "x"]}}
        ],
        "test_tensor": _file(folder / "test_input.npy"),
    }


def _output(network: Network, folder: Path) -> dict[str, Any]:
    return {
        "id": OUTPUT,
        "description": "Probability of background and of each label",
        "axes": [
            {"type": "batch", "size": 1},
            {"type": "channel", "channel_names": ["background", *network.names]},
            *(
                {
                    "id": axis,
                    "size": {"tensor_id": INPUT, "axis_id": axis},
                    **_space(network),
                }
                for axis in "yx"
            ),
        ],
        "data": {"type": "float32", "range": [0, 1]},
        "test_tensor": _file(folder / "test_output.npy"),
    }


def document(network: Network, about: Mapping[str, Any]) -> str:
    """Return the package's README in Markdown."""
    settings = network.settings
    scale = f"{network.pixel_nm:g} nm per pixel" if network.pixel_nm else "not stated"
    channels = [
        f"| {number} | {value} | {name} |"
        for number, (value, name) in enumerate(
            zip((0, *network.values), ("background", *network.names), strict=True)
        )
    ]
    lines = [
        f"# {about['project']}, round {about['round']}",
        "",
        f"A 2D U-Net trained with nnU-Net {settings.get('nnunetv2')} in Cisterna on "
        f"{about['tiles']} annotated tiles of electron micrographs in "
        f"{network.steps} optimiser steps.",
        "",
        "## Use",
        "",
        f"- Pixel size: {scale}. Bring images to it first.",
        f"- Grey values: {NORMALISATION}. A part of an image takes the figures of the "
        "whole image; tools that normalise each block come out slightly different.",
        f"- Height and width: multiples of {network.stride}; it learnt from patches of "
        f"{network.patch[0]} × {network.patch[1]}.",
        f"- Network: {network.facts['network']}. Cisterna itself averages the "
        "probabilities of all networks, of flips and of overlapping windows.",
        "",
        "| channel | label value | label |",
        "| --- | --- | --- |",
        *channels,
        "",
        *_decision(network),
        "## Validation",
        "",
        *_quality(about["dice"]),
        "",
        "To validate it on data of your own, compare the class taken for each pixel "
        "with labels that no model has seen. `test_input.npy` is made, not a "
        "micrograph; it checks that the network computes the same elsewhere.",
        "",
        "No licence was stated; ask the authors before you pass the model on.",
    ]
    return "\n".join(lines) + "\n"


def _decision(network: Network) -> list[str]:
    if not network.offsets:
        return ["Per pixel, take the most probable channel, as Cisterna does.", ""]
    named = ", ".join(f"{name} {offset:g}" for name, offset in network.offsets.items())
    return [
        f"Cisterna serves it with logit offsets: {named}. To get the same labels, "
        f"{RULE}. The channels are probabilities without offset.",
        "",
    ]


def _quality(dice: Mapping[str, Mapping[str, float | None]]) -> list[str]:
    measured = {split: figures for split, figures in dice.items() if figures}
    if not measured:
        return ["No tiles were held out, so nothing is known of its quality."]
    labels = list(dict.fromkeys(name for table in measured.values() for name in table))
    return [
        "Dice from pooled pixel counts of tiles it did not learn from, all networks "
        "and flips together:",
        "",
        f"| label | {' | '.join(measured)} |",
        f"| --- |{' --- |' * len(measured)}",
        *(
            _row(name, [table.get(name) for table in measured.values()])
            for name in labels
        ),
    ]


def _row(name: str, figures: Sequence[float | None]) -> str:
    shown = ["–" if figure is None else f"{figure:.3f}" for figure in figures]
    return f"| {name} | {' | '.join(shown)} |"


def _name(project: str, number: int) -> str:
    """Return a name in the few signs the format allows."""
    plain = unicodedata.normalize("NFKD", project)
    kept = " ".join(re.sub(r"[^A-Za-z0-9_+\-() ]", "", plain).split())
    return f"{kept[:40]} Cisterna round {number}".strip()


def _file(path: Path) -> dict[str, str]:
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    return {"source": path.name, "sha256": digest}
