"""What an export takes and gives: values between the service and the worker's step."""

import uuid
from dataclasses import dataclass

from backend.domain.labels import LabelSchema
from backend.schemas.loop import AnnotatedTile
from backend.schemas.stored import StoredImage, StoredTree


@dataclass(frozen=True, slots=True)
class ExportWork:
    """A project's annotated images and all that people know of them."""

    job_id: uuid.UUID
    fence: int
    name: str
    schema: LabelSchema
    images: tuple[StoredImage, ...]
    tiles: tuple[AnnotatedTile, ...]


@dataclass(frozen=True, slots=True)
class Exported:
    """The stored folder."""

    folder: StoredTree
