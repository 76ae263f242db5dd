"""How a training request travels to the child: plain values there and back."""

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from backend.domain.geometry import Box
from backend.domain.labels import Label, LabelSchema
from worker.segmenter import ImageData, TrainingData, TrainingTile


def pack_training(data: TrainingData) -> dict[str, Any]:
    """Turn training data into plain values; paths become absolute text."""
    return {
        "labels": [asdict(label) for label in data.schema.labels],
        "images": [pack_image(image) for image in data.images.values()],
        "tiles": [_pack_tile(tile) for tile in data.tiles],
        "validation": [_pack_tile(tile) for tile in data.validation],
        "working_nm": data.working_nm,
        "seed": data.seed,
        "plans": _pack_path(data.plans),
        "emphasis": {str(value): share for value, share in data.emphasis.items()},
        "fresh": sorted(data.fresh),
        "cases": _pack_path(data.cases),
    }


def unpack_training(packed: Mapping[str, Any]) -> TrainingData:
    """Undo `pack_training`."""
    images = [unpack_image(image) for image in packed["images"]]
    return TrainingData(
        schema=LabelSchema(tuple(Label(**label) for label in packed["labels"])),
        images={image.id: image for image in images},
        tiles=tuple(map(_unpack_tile, packed["tiles"])),
        validation=tuple(map(_unpack_tile, packed["validation"])),
        working_nm=packed["working_nm"],
        seed=packed["seed"],
        plans=_unpack_path(packed["plans"]),
        emphasis={int(value): share for value, share in packed["emphasis"].items()},
        fresh=frozenset(packed["fresh"]),
        cases=_unpack_path(packed["cases"]),
    )


def pack_image(image: ImageData) -> dict[str, Any]:
    """Turn one image's address and figures into plain values."""
    return asdict(image) | {"path": str(image.path.absolute())}


def unpack_image(packed: Mapping[str, Any]) -> ImageData:
    """Undo `pack_image`."""
    return ImageData(**{**packed, "path": Path(packed["path"])})


def _pack_tile(tile: TrainingTile) -> dict[str, Any]:
    return asdict(tile) | {"target": str(tile.target.absolute())}


def _unpack_tile(packed: Mapping[str, Any]) -> TrainingTile:
    complete = packed["complete_for"]
    return TrainingTile(
        annotation_id=packed["annotation_id"],
        image_id=packed["image_id"],
        box=Box(**packed["box"]),
        target=Path(packed["target"]),
        complete_for=None if complete is None else tuple(complete),
    )


def _pack_path(path: Path | None) -> str | None:
    return str(path.absolute()) if path else None


def _unpack_path(packed: str | None) -> Path | None:
    return Path(packed) if packed else None
