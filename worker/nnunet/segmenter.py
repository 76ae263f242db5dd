"""nnU-Net as a Segmenter, seen from the worker: everything happens in one child.

The child stays, because importing nnU-Net takes longer than sweeping a small image. It
trains and predicts in turn, so the two never want the device's memory at once.
"""

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from worker.child import Child
from worker.crops import pack_crops, pack_offsets
from worker.messages import pack_image, pack_training
from worker.segmenter import (
    NO_OFFSETS,
    Budget,
    Crops,
    ImageData,
    OutOfMemory,
    Progress,
    Report,
    SegmenterError,
    Sweep,
    TrainedModel,
    TrainingData,
)

_ENTRY = ("-m", "worker.nnunet.child")


class NNUNetSegmenter:
    """A Segmenter. `profile` is cpu, gpu-8gb or gpu-24gb; `scratch` is for logs."""

    def __init__(self, profile: str, scratch: Path) -> None:
        self._profile = profile
        self._child = Child(_ENTRY, scratch=scratch)
        self._tight: str | None = None

    def train(
        self,
        data: TrainingData,
        into: Path,
        start_from: Path | None,
        budget: Budget,
        report: Report,
    ) -> TrainedModel:
        """See Segmenter."""
        message = {
            "do": "train",
            "data": pack_training(data),
            "into": str(into.absolute()),
            "start_from": str(start_from.absolute()) if start_from else None,
            "profile": self._profile,
            "budget": asdict(budget),
        }
        done = self._request(message, "into", "half the batch", report)
        return TrainedModel(into, done["settings"], done["metrics"])

    def predict(
        self,
        model: Path,
        image: ImageData,
        tile: int,
        into: Path,
        report: Report,
        *,
        offsets: Mapping[int, float] = NO_OFFSETS,
        crops: Crops | None = None,
    ) -> Sweep:
        """See Segmenter."""
        message = {
            "do": "predict",
            "model": str(model.absolute()),
            "image": pack_image(image),
            "tile": tile,
            "into": str(into.absolute()),
            "offsets": pack_offsets(offsets),
            "crops": pack_crops(crops),
        }
        done = self._request(message, "model", "half the window", report)
        return Sweep(into, done["members"], done["seconds"])

    def load(self, model: Path, report: Report) -> None:
        """See Segmenter."""
        self._child.request({"do": "load", "model": str(model.absolute())}, report)

    def close(self) -> None:
        """End the child."""
        self._child.close()

    def _request(
        self, message: Mapping[str, Any], about: str, less: str, report: Report
    ) -> dict[str, Any]:
        """Send a request, once more with `less` if memory does not suffice.

        Whatever the field `about` names is asked for with less from then on: the images
        of one model are many, and each failure costs a child.
        """
        if self._tight != message[about]:
            try:
                return self._child.request({**message, "smaller": False}, report)
            except OutOfMemory:
                report(Progress(f"Out of memory: trying again with {less}"))
        try:
            done = self._child.request({**message, "smaller": True}, report)
        except OutOfMemory as error:
            raise SegmenterError(
                f"Memory did not suffice, not even with {less}. Choose a smaller "
                "profile for the project, run fewer slots beside each other or give "
                "the worker more memory, then start the job again.",
                retryable=False,
            ) from error
        self._tight = message[about]
        return done
