"""nnU-Net as a Segmenter, seen from the worker: everything happens in children.

A training has a child of its own. The child that predicts stays, because importing
nnU-Net takes longer than sweeping a small image; it ends before a training begins.
"""

from dataclasses import asdict
from pathlib import Path

from worker.child import Child
from worker.nnunet.messages import pack_image, pack_training
from worker.segmenter import (
    Budget,
    ImageData,
    Report,
    Sweep,
    TrainedModel,
    TrainingData,
)

_ENTRY = ("-m", "worker.nnunet.child")


class NNUNetSegmenter:
    """A Segmenter. `profile` is cpu, gpu-8gb or gpu-24gb; `scratch` is for logs."""

    def __init__(self, profile: str, scratch: Path) -> None:
        self._profile, self._scratch = profile, scratch
        self._predicting = Child(_ENTRY, scratch=scratch / "predict")

    def train(
        self,
        data: TrainingData,
        into: Path,
        start_from: Path | None,
        budget: Budget,
        report: Report,
    ) -> TrainedModel:
        """See Segmenter."""
        self._predicting.close()  # both would want the device's memory
        message = {
            "do": "train",
            "data": pack_training(data),
            "into": str(into.absolute()),
            "start_from": str(start_from.absolute()) if start_from else None,
            "profile": self._profile,
            "budget": asdict(budget),
        }
        with Child(_ENTRY, scratch=self._scratch / "train") as child:
            done = child.request(message, report)
        return TrainedModel(into, done["settings"], done["metrics"])

    def predict(
        self, model: Path, image: ImageData, tile: int, into: Path, report: Report
    ) -> Sweep:
        """See Segmenter."""
        message = {
            "do": "predict",
            "model": str(model.absolute()),
            "image": pack_image(image),
            "tile": tile,
            "into": str(into.absolute()),
        }
        done = self._predicting.request(message, report)
        return Sweep(into, done["members"], done["seconds"])

    def close(self) -> None:
        """End the child that predicts."""
        self._predicting.close()
