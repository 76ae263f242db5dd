"""Trainings, model versions and their quality, predictions as arrays and pictures."""

import uuid
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy.typing as npt

from backend.client.images import array
from backend.client.jobs import save
from backend.client.transport import Transport
from backend.domain.states import Split
from backend.schemas.job import JobView
from backend.schemas.metric import MetricsView
from backend.schemas.model import CurvesView, LessonView, ModelView, NewTraining
from backend.schemas.package import NewPackage, PackageFormat
from backend.schemas.prediction import NewPrediction, PredictionView


class Trainings:
    """Trainings, which are jobs that make model versions."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def start(self, project: str, body: NewTraining | None = None) -> JobView:
        """Queue a training on every accepted annotation of the pool."""
        path = f"projects/{project}/trainings"
        return self._transport.post(path, JobView, body or NewTraining())


class Models:
    """Model versions of a project; the ordinal is the round."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def list(self, project: str) -> Iterator[ModelView]:
        """Yield a project's versions, newest first."""
        return self._transport.pages(f"projects/{project}/models", ModelView)

    def get(self, model: uuid.UUID) -> ModelView:
        """Return one version and how good it is."""
        return self._transport.get(f"models/{model}", ModelView)

    def metrics(self, project: str) -> MetricsView:
        """Return the quality of all rounds, oldest first."""
        return self._transport.get(f"projects/{project}/metrics", MetricsView)

    def precision_recall(
        self, project: str, model: uuid.UUID, split: Split = Split.VALIDATION
    ) -> CurvesView:
        """Return precision over recall of each label, and where a version serves."""
        path = f"projects/{project}/models/{model}/precision-recall"
        return self._transport.get(path, CurvesView, {"split": split})

    def training_set(self, model: uuid.UUID) -> Iterator[LessonView]:
        """Yield the annotations a version learnt from."""
        return self._transport.pages(f"models/{model}/training-set", LessonView)

    def promote(self, model: uuid.UUID) -> ModelView:
        """Make a version the live one."""
        return self._transport.post(f"models/{model}/promote", ModelView)

    def reject(self, model: uuid.UUID) -> ModelView:
        """Set a candidate aside for good."""
        return self._transport.post(f"models/{model}/reject", ModelView)

    def rollback(self, project: str) -> ModelView:
        """Make the previously live version live again."""
        return self._transport.post(f"projects/{project}/rollback", ModelView)

    def download(
        self,
        model: uuid.UUID,
        into: Path,
        on_bytes: Callable[[int], None] | None = None,
        format: Literal["folder", "nnunet"] = "folder",
    ) -> int:
        """Write a version's files as one archive; returns its size in bytes.

        `nnunet` is laid out as nnU-Net's own commands install it.
        """
        path = f"models/{model}/download"
        return save(self._transport.download(path, {"format": format}), into, on_bytes)

    def package(self, model: uuid.UUID, format: PackageFormat) -> JobView:
        """Queue the packing of a version as one file for other tools."""
        body = NewPackage(format=format)
        return self._transport.post(f"models/{model}/packages", JobView, body)

    def download_package(
        self, job: uuid.UUID, into: Path, on_bytes: Callable[[int], None] | None = None
    ) -> int:
        """Write the file of a finished package; returns its size in bytes."""
        path = f"packages/{job}/download"
        return save(self._transport.download(path), into, on_bytes)


class Predictions:
    """Sweeps of versions over images."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def start(self, model: uuid.UUID, images: Sequence[uuid.UUID]) -> JobView:
        """Queue sweeps of chosen images."""
        body = NewPrediction(image_ids=list(images))
        return self._transport.post(f"models/{model}/predictions", JobView, body)

    def of_model(self, model: uuid.UUID) -> Iterator[PredictionView]:
        """Yield a version's predictions."""
        return self._transport.pages(f"models/{model}/predictions", PredictionView)

    def of_image(self, image: uuid.UUID) -> Iterator[PredictionView]:
        """Yield an image's predictions, newest first."""
        return self._transport.pages(f"images/{image}/predictions", PredictionView)

    def get(self, prediction: uuid.UUID) -> PredictionView:
        """Return one prediction."""
        return self._transport.get(f"predictions/{prediction}", PredictionView)

    def raster(
        self, prediction: uuid.UUID, layer: str, **where: int | str
    ) -> npt.NDArray[Any]:
        """Return a layer as a (rows, columns) array.

        `labels` holds uint8 label values, `entropy` and `information` float16 nats,
        `probability` (with `label=`) uint8, 255 being certain. `where` may name y, x,
        h, w and level.
        """
        path = f"predictions/{prediction}/{layer}"
        params = {**where, "format": "raw"}
        return array(self._transport.request("GET", path, params=params))

    def picture(self, prediction: uuid.UUID, layer: str, **where: int | str) -> bytes:
        """Return a layer, or the `overlay` on the image, as a PNG file's bytes."""
        path = f"predictions/{prediction}/{layer}"
        return self._transport.request("GET", path, params=where).content
