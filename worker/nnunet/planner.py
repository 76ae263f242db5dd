"""Fingerprint and plans: how large the network, its patch and its batch are.

The planning is nnU-Net's own; a profile only bounds it. Plans are made once and then
handed from version to version, so that the versions of a project stay comparable.
"""

import json
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from nnunetv2.experiment_planning.experiment_planners import default_experiment_planner
from nnunetv2.imageio.natural_image_reader_writer import NaturalImage2DIO

from backend.domain.labels import UNKNOWN, LabelSchema
from worker.nnunet.resampling import WorkingImage
from worker.segmenter import ImageData, SegmenterError, TrainingData

DATASET = "Dataset001_cisterna"
CONFIGURATION = "2d"
FINGERPRINT = "dataset_fingerprint.json"
_PLENTY = 1e15  # pixels
_PROCESSES = "nnUNet_n_proc_DA"
_FINER, _BRIGHTER = 1.5, 2.0  # factors to what was planned that are worth a warning


@dataclass(frozen=True, slots=True)
class Profile:
    """Bounds for the planner: `batch` None means as many as `memory_gb` allows."""

    memory_gb: float
    features: int
    edge: int
    batch: int | None


def find_profile(name: str, tile: int) -> Profile:
    """Return the profile `cpu` or `gpu-<memory>gb`; `tile` is the largest tile's edge
    in pixels."""
    if name == "cpu" and tile <= 128:  # a patch as large learns less (ADR 0025)
        return Profile(memory_gb=8, features=16, edge=96, batch=8)
    if name == "cpu":
        return Profile(memory_gb=8, features=16, edge=128, batch=4)
    if match := re.fullmatch(r"gpu-([1-9]\d{0,2})gb", name):
        return Profile(memory_gb=int(match[1]), features=32, edge=512, batch=None)
    raise SegmenterError(
        f"There is no nnU-Net profile “{name}”; use cpu, gpu-8gb or gpu-24gb.",
        retryable=False,
    )


def describe_dataset(schema: LabelSchema, cases: int) -> dict[str, Any]:
    """Return nnU-Net's dataset.json: labels renumbered 1..C, `ignore` on top."""
    labels = {"background": 0}
    for number, label in enumerate(schema.labels, start=1):
        labels[f"{label.value} {label.name}"] = number
    return {
        "channel_names": {"0": "EM"},
        "labels": labels | {"ignore": len(labels)},
        "numTraining": cases,
        "file_ending": ".png",
        "overwrite_image_reader_writer": NaturalImage2DIO.__name__,
    }


def fingerprint(data: TrainingData) -> dict[str, Any]:
    """Return nnU-Net's dataset fingerprint of the images that carry training tiles.

    Spacings count working pixels, the unit of everything nnU-Net sees. `images` is
    ours: what `drift` compares later images with.
    """
    used = dict.fromkeys(tile.image_id for tile in data.tiles)
    shapes = [WorkingImage.open(data.images[i], data.working_nm).shape for i in used]
    return {
        "spacings": [[999.0, 1.0, 1.0] for _ in shapes],
        "shapes_after_crop": [[1, *shape] for shape in shapes],
        "foreground_intensity_properties_per_channel": {"0": _intensities(data)},
        "median_relative_size_after_cropping": 1.0,
        "images": [
            {"mean": data.images[i].mean, "sd": data.images[i].sd} for i in used
        ],
    }


def frozen_fingerprint(*folders: Path | None) -> dict[str, Any]:
    """Return the fingerprint in the first of these folders that has one, or nothing."""
    for folder in folders:
        if folder is not None and (folder / FINGERPRINT).exists():
            found: dict[str, Any] = json.loads((folder / FINGERPRINT).read_text())
            return found
    return {}


def drift(
    fingerprint: Mapping[str, Any], data: TrainingData, patch: tuple[int, int]
) -> list[str]:
    """Return what no longer fits the plans, a sentence each that says what to do.

    `fingerprint` is of the data that was planned for. Grey values are compared by mean
    over SD, which scaling to other bit depths does not change.
    """
    planned = [i["mean"] / i["sd"] for i in fingerprint.get("images", ()) if i["sd"]]
    usual = float(np.median(planned)) if planned else 0.0
    nm = data.working_nm

    def odd_size(image: ImageData) -> bool:
        if image.pixel_nm is None or nm is None:
            return False
        return not 1 / _FINER <= image.pixel_nm / nm <= _FINER

    def odd_grey(image: ImageData) -> bool:
        if usual <= 0 or image.sd <= 0:
            return False
        return not 1 / _BRIGHTER <= image.mean / image.sd / usual <= _BRIGHTER

    def small(image: ImageData) -> bool:
        height, width = WorkingImage.open(image, nm).shape
        return height < patch[0] or width < patch[1]

    checks: tuple[tuple[Callable[[ImageData], bool], str], ...] = (
        (
            odd_size,
            f"pixel size far from the {nm or 0:.3g} nm of the plans: correct it if it "
            "is wrong, else replan or keep such images in a project of their own",
        ),
        (
            lambda image: nm is not None and image.pixel_nm is None,
            f"no pixel size, so they are taken to have the {nm or 0:.3g} nm of the "
            "plans: state it",
        ),
        (
            odd_grey,
            "mean grey value, in SDs, far from that of the images planned for: look "
            "for inverted contrast or an empty margin, and upload them mended",
        ),
        (
            small,
            f"less than a patch of {patch[0]} x {patch[1]} working pixels, so the "
            "network sees little but padding: upload larger regions",
        ),
    )
    return [
        f"{_named(found)}: {text}."
        for is_odd, text in checks
        if (found := [image for image in data.images.values() if is_odd(image)])
    ]


def _named(images: list[ImageData]) -> str:
    names = ", ".join(image.name or image.id for image in images[:3])
    more = f" and {len(images) - 3} more" if len(images) > 3 else ""
    return names + more


def largest(data: TrainingData) -> int:
    """Return the edge of the largest tile, in pixels."""
    return max(max(tile.box.h, tile.box.w) for tile in data.tiles)


def plan(
    data: TrainingData, profile: Profile, raw: Path, preprocessed: Path
) -> dict[str, Any]:
    """Let nnU-Net plan; writes its inputs under `raw` and `preprocessed`."""
    for folder in (raw / DATASET, preprocessed / DATASET):
        folder.mkdir(parents=True, exist_ok=True)
    described = describe_dataset(data.schema, len(data.tiles))
    # The empty "dataset" keeps the planner from looking for raw images: there are none.
    _write(raw / DATASET / "dataset.json", described | {"dataset": {}})
    _write(preprocessed / DATASET / FINGERPRINT, fingerprint(data))
    before = os.environ.get(_PROCESSES, "0")
    os.environ[_PROCESSES] = "1"  # the planner sets torch's threads to it: never 0
    try:
        edge = min(profile.edge, max(128, 2 * largest(data)))
        _Planner(profile, edge).plan_experiment()
    finally:
        os.environ[_PROCESSES] = before
    plans: dict[str, Any] = json.loads(
        (preprocessed / DATASET / "nnUNetPlans.json").read_text()
    )
    return plans


def patch_of(plans: Mapping[str, Any]) -> tuple[int, int]:
    """Return the (height, width) of a training patch in working pixels."""
    height, width = plans["configurations"][CONFIGURATION]["patch_size"]
    return height, width


class _Planner(default_experiment_planner.ExperimentPlanner):  # type: ignore[misc]
    """nnU-Net's planner, told how much memory there is and how far labels reach."""

    def __init__(self, profile: Profile, edge: int) -> None:
        super().__init__(DATASET, gpu_memory_target_in_gb=profile.memory_gb)
        self.UNet_base_num_features = profile.features
        self._batch, self._edge = profile.batch, edge

    def determine_reader_writer(self) -> type[Any]:
        return NaturalImage2DIO  # type: ignore[no-any-return]

    def get_plans_for_configuration(
        self,
        spacing: Any,
        median_shape: Any,
        data_identifier: str,
        approximate_n_voxels_dataset: float,
        _cache: dict[str, Any],
    ) -> dict[str, Any]:
        # A patch far larger than a tile would be mostly unlabelled. The size of the
        # data is left out: plans outlive the few tiles a project starts with.
        shape = np.minimum(median_shape, self._edge)
        planned: dict[str, Any] = super().get_plans_for_configuration(
            spacing, shape, data_identifier, _PLENTY, _cache
        )
        if self._batch is not None:
            planned["batch_size"] = self._batch
        return planned


def _intensities(data: TrainingData) -> dict[str, float]:
    """Grey values under all labels, as nnU-Net's fingerprint wants them."""
    parts = []
    for tile in data.tiles:
        target = np.load(tile.target, allow_pickle=False)
        pixels = np.load(data.images[tile.image_id].path, mmap_mode="r")
        parts.append(pixels[tile.box.slices][(target > 0) & (target != UNKNOWN)])
    grey = np.concatenate(parts).astype(np.float64)
    if not len(grey):
        grey = np.zeros(1)
    low, median, high = np.percentile(grey, (0.5, 50, 99.5))
    return {
        "max": float(grey.max()),
        "mean": float(grey.mean()),
        "median": float(median),
        "min": float(grey.min()),
        "percentile_00_5": float(low),
        "percentile_99_5": float(high),
        "std": float(grey.std()),
    }


def _write(path: Path, value: Mapping[str, Any]) -> None:
    path.write_text(json.dumps(value, indent=2))
