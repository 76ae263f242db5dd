"""What the rest of the worker knows of any segmenter: values in, values out.

Two implementations stand behind the protocol, `worker.nnunet` and `worker.forest`;
nothing above asks which. Both do their work in a child process. All values here can be
pickled by nobody: they travel to children as JSON plus .npy files.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from backend.domain.geometry import Box
from backend.domain.labels import LabelSchema
from backend.domain.masks import zero_may_be


@dataclass(frozen=True, slots=True)
class Progress:
    """One line of a job's progress.

    `fraction` is 0..1 or None when unknown; `metrics` are figures worth a curve
    (loss, seconds per step, validation Dice per label).
    """

    message: str
    fraction: float | None = None
    step: int | None = None
    metrics: Mapping[str, float | None] = field(default_factory=dict)


class Report(Protocol):
    """Takes progress; raises `Stop` when the job must end now."""

    def __call__(self, progress: Progress) -> None:
        """Record one line of progress; only this resets the clock that finds stalls."""
        ...

    def check(self) -> None:
        """Raise `Stop` if the job must end now; called often while nothing moves."""
        ...


class Stop(Exception):
    """The job was cancelled, lost its lease or the worker shuts down."""


class SegmenterError(Exception):
    """A child failed; the text is fit for a person."""

    def __init__(self, text: str, *, retryable: bool) -> None:
        super().__init__(text)
        self.retryable = retryable


class OutOfMemory(SegmenterError):
    """A child had too little memory, of the machine or of its device."""

    def __init__(self, text: str) -> None:
        super().__init__(text, retryable=True)


@dataclass(frozen=True, slots=True)
class ImageData:
    """One image's pixels on local disk.

    `path` is a .npy file (height, width) uint8 or uint16, readable as a memmap.
    `mean` and `sd` are of the whole image in grey values; `pixel_nm` None if unknown.
    `name` is what people call it.
    """

    id: str
    path: Path
    mean: float
    sd: float
    pixel_nm: float | None
    name: str = ""


@dataclass(frozen=True, slots=True)
class TrainingTile:
    """One annotated tile.

    `target` is a .npy file (box.h, box.w) uint8: label values 1-254, 255 never trained
    on, 0 none of the labels the tile is complete for (None: of all labels there are).
    """

    annotation_id: str
    image_id: str
    box: Box
    target: Path
    complete_for: tuple[int, ...] | None = None

    def zero_may_be(self, values: Collection[int]) -> frozenset[int]:
        """Return the classes a 0 may stand for, of all label values and background."""
        complete = values if self.complete_for is None else self.complete_for
        return zero_may_be(complete, values)


@dataclass(frozen=True, slots=True)
class TrainingData:
    """Everything one training sees.

    `validation` tiles are monitored, never learnt from. `working_nm` is the project's
    pixel size, frozen at the first training; None if no image states one. `plans` is an
    earlier model's folder of the same segmenter, whose frozen plans are used again.
    `emphasis` is the share of patches drawn for each label value, summing to 1; empty
    means all alike. `fresh` are the annotations a warm start has not seen yet. `cases`
    is a folder that outlives the job: what is prepared of an image and kept below the
    image's id there need not be prepared again.
    """

    schema: LabelSchema
    images: Mapping[str, ImageData]
    tiles: tuple[TrainingTile, ...]
    validation: tuple[TrainingTile, ...]
    working_nm: float | None
    seed: int
    plans: Path | None = None
    emphasis: Mapping[int, float] = field(default_factory=dict)
    fresh: frozenset[str] = frozenset()
    cases: Path | None = None


@dataclass(frozen=True, slots=True)
class Budget:
    """How long to train, and how many networks.

    A training ends at `steps`, or after `minutes`, whichever comes first; with
    `plateau` also when the loss on the validation tiles no longer falls. With `folds`
    above 1 as many networks are trained, each without another share of the tiles, and
    the budget is that of each.
    """

    steps: int
    minutes: float | None = None
    plateau: bool = False
    folds: int = 1


@dataclass(frozen=True, slots=True)
class TrainedModel:
    """A model folder on local disk and what its training says of itself."""

    folder: Path
    settings: Mapping[str, object]
    metrics: Mapping[str, object]


NO_OFFSETS: Mapping[int, float] = {}


@dataclass(frozen=True, slots=True)
class Crops:
    """Boxes of an image whose mean probabilities a sweep keeps unrounded, to measure.

    Those of box n go to `folder`/n.npy, (labels + 1, h, w) float32, as in Sweep.
    """

    folder: Path
    boxes: tuple[Box, ...]


@dataclass(frozen=True, slots=True)
class Sweep:
    """What one pass over an image left in a folder, on the image's own pixels.

    `labels.npy`        (height, width) uint8 decided label values, 0 background;
                        decided are the greatest log p + offset
    `probabilities.npy` (labels + 1, height, width) uint8, mean probability x 255,
                        background first, then the schema's order
    `entropy.npy`       (height, width) float16, predictive entropy in nats
    `information.npy`   (height, width) float16, mutual information in nats
    `tiles.npz`         the ranker's statistics (backend.ranker.statistics)
    """

    folder: Path
    members: int
    seconds: float


class Segmenter(Protocol):
    """Learns from tiles, predicts images."""

    def train(
        self,
        data: TrainingData,
        into: Path,
        start_from: Path | None,
        budget: Budget,
        report: Report,
    ) -> TrainedModel:
        """Train into the folder `into`, on from the checkpoint it may hold.

        `start_from` is another model's folder for a warm start. Raises SegmenterError
        and Stop.
        """
        ...

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
        """Sweep one image; `tile` is the edge of the project's tiles in pixels.

        `offsets` are logit offsets by label value (backend.domain.operating).
        """
        ...

    def load(self, model: Path, report: Report) -> None:
        """Make `model` the one whose next `predict` starts at once."""
        ...

    def close(self) -> None:
        """End the children that wait for the next request."""
        ...
