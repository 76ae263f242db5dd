"""A second Segmenter: extremely randomised trees on texture features of pixels.

It learns in seconds on any processor, so the first tiles of a project already bring
predictions, and it keeps every test of the service honest without a network.
"""

from collections.abc import Mapping
from pathlib import Path

from worker.child import Child
from worker.crops import pack_crops, pack_offsets
from worker.messages import pack_image, pack_training
from worker.segmenter import (
    NO_OFFSETS,
    Budget,
    Crops,
    ImageData,
    Report,
    Sweep,
    TrainedModel,
    TrainingData,
)


class ForestSegmenter:
    """Segmenter whose child holds the forest; `scratch` is the child's own folder."""

    def __init__(self, scratch: Path) -> None:
        self._child = Child(("-m", "worker.forest.child"), scratch=scratch, grace=10.0)

    def train(
        self,
        data: TrainingData,
        into: Path,
        start_from: Path | None,
        budget: Budget,
        report: Report,
    ) -> TrainedModel:
        """Train from the start: a forest needs no warm start and ends by itself.

        Its size is fixed and takes seconds: `start_from` and `budget` change nothing.
        """
        result = self._child.request(
            {
                "do": "train",
                "data": pack_training(data),
                "into": into.absolute(),
            },
            report,
        )
        return TrainedModel(into, result["settings"], result["metrics"])

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
        """Sweep one image; a tile's embedding is the mean of its pixels' features."""
        result = self._child.request(
            {
                "do": "predict",
                "model": model.absolute(),
                "image": pack_image(image),
                "tile": tile,
                "into": into.absolute(),
                "offsets": pack_offsets(offsets),
                "crops": pack_crops(crops),
            },
            report,
        )
        return Sweep(into, result["members"], result["seconds"])

    def load(self, model: Path, report: Report) -> None:
        """Read the members, so that the next sweep starts at once."""
        self._child.request({"do": "load", "model": model.absolute()}, report)

    def close(self) -> None:
        """End the child."""
        self._child.close()
