"""What an ingest takes and gives: values between the service and the worker's step."""

import uuid
from dataclasses import dataclass

from backend.domain.states import PixelSource
from backend.schemas.stored import StoredTree


@dataclass(frozen=True, slots=True)
class IngestWork:
    """One uploaded file.

    `original` is the key of its bytes, `pixel_nm` the stated pixel size, if any.
    """

    job_id: uuid.UUID
    fence: int
    image_id: uuid.UUID
    original: str
    pixel_nm: float | None
    max_pixels: int


@dataclass(frozen=True, slots=True)
class Ingested:
    """What the file turned out to be and where its pyramid is stored.

    `mean` and `sd` are in grey values, `pixel_nm` is None if nobody knows it.
    """

    pyramid: StoredTree
    height: int
    width: int
    dtype: str
    levels: int
    mean: float
    sd: float
    pixel_nm: float | None
    pixel_source: PixelSource
