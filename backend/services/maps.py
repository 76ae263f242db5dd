"""Maps: regions of what a sweep left, read without loading the sweep."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import numpy.typing as npt
from sqlalchemy.orm import Session

from backend.domain.errors import Invalid, NotFound, TooLarge
from backend.domain.geometry import Box
from backend.imaging.arrays import StoredArray, open_array
from backend.imaging.pyramid import read_region
from backend.imaging.readers import Grey
from backend.models import Artifact, Image, ModelVersion, Prediction, Project
from backend.storage import ArtifactStore

MAX_REGION_PIXELS = 2**24


class MapKind(StrEnum):
    """What can be shown of a prediction."""

    LABELS = "labels"
    OVERLAY = "overlay"
    ENTROPY = "entropy"
    INFORMATION = "information"
    PROBABILITY = "probability"


FILES = {
    MapKind.LABELS: "labels.npy",
    MapKind.OVERLAY: "labels.npy",
    MapKind.ENTROPY: "entropy.npy",
    MapKind.INFORMATION: "information.npy",
    MapKind.PROBABILITY: "probabilities.npy",
}


@dataclass(frozen=True, slots=True)
class Window:
    """What was asked for, in pixels of `level`; None is open: to the edge, any."""

    level: int | None
    y: int
    x: int
    h: int | None
    w: int | None

    @property
    def is_whole(self) -> bool:
        """Whether no region was named."""
        return (self.y, self.x, self.h, self.w) == (0, 0, None, None)


@dataclass(frozen=True, slots=True)
class Region:
    """A (rows, columns) array, and where it lies: `box` in pixels of `level`."""

    level: int
    box: Box
    values: npt.NDArray[Any]


def read(
    session: Session,
    store: ArtifactStore,
    prediction: Prediction,
    kind: MapKind,
    window: Window,
    label: str | None = None,
) -> Region:
    """Read a region of a map; the whole image at the finest level that fits, if open.

    `label` names the plane of a probability map, "background" among them. Raises
    Invalid for a region outside the image, TooLarge beyond `MAX_REGION_PIXELS`.
    """
    plane = _plane(session, prediction, label) if kind is MapKind.PROBABILITY else 0
    key = session.get_one(Artifact, prediction.artifact_id).key
    try:
        array = open_array(store.root, f"{key}/{FILES[kind]}")
        level, box = _place(array, window, _levels(session, prediction))
        return Region(level, box, array.read(box, level, plane))
    except FileNotFoundError:
        raise NotFound(
            "This sweep was collected because its version is long superseded; "
            "ask for a new prediction."
        ) from None


def grey_beneath(
    session: Session, store: ArtifactStore, prediction: Prediction, region: Region
) -> Grey:
    """Read the image itself in the place of a region."""
    image = session.get_one(Image, prediction.image_id)
    key = session.get_one(Artifact, image.pyramid_id).key
    return read_region(store.below(key), region.level, region.box)


def _levels(session: Session, prediction: Prediction) -> int:
    return session.get_one(Image, prediction.image_id).levels or 1


def _place(array: StoredArray, window: Window, levels: int) -> tuple[int, Box]:
    level = window.level
    if level is None:
        level = 0
        while window.is_whole and _area(array, level) > MAX_REGION_PIXELS:
            level += 1
    elif level >= levels:
        raise Invalid(
            f"The image has levels 0 to {levels - 1}: choose one.", field="level"
        )
    height, width = array.size(level)
    if window.y >= height or window.x >= width:
        raise _outside(height, width)
    box = Box(
        window.y, window.x, window.h or height - window.y, window.w or width - window.x
    )
    if not box.within(height, width):
        raise _outside(height, width)
    if box.area > MAX_REGION_PIXELS:
        raise TooLarge(
            f"The region has {box.area} pixels, more than {MAX_REGION_PIXELS} at once: "
            "ask for a smaller one, or for a higher level.",
            field="h",
        )
    return level, box


def _area(array: StoredArray, level: int) -> int:
    height, width = array.size(level)
    return height * width


def _outside(height: int, width: int) -> Invalid:
    return Invalid(
        f"The region leaves this level, which has {height} x {width} pixels: "
        "choose a region inside.",
        field="region",
    )


def _plane(session: Session, prediction: Prediction, label: str | None) -> int:
    """Return the plane of a label; planes are the labels of the time of training."""
    project = session.get_one(Project, prediction.project_id)
    version = session.get_one(ModelVersion, prediction.model_version_id)
    known = version.settings.get("values")
    values = known if isinstance(known, list) else list(project.schema.values)
    names = {row.value: row.name for row in project.labels}
    planes = ["background", *(names[value] for value in values)]
    if label not in planes:
        raise Invalid(
            f"Name a label this version knows with label=: {', '.join(planes)}.",
            field="label",
        )
    return planes.index(label)
