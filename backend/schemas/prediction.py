"""Bodies of predictions."""

import datetime as dt
import uuid
from typing import Annotated

from pydantic import Field

from backend.schemas.base import Body, View


class NewPrediction(Body):
    """Images to sweep on request, of any split."""

    image_ids: Annotated[list[uuid.UUID], Field(min_length=1, max_length=1000)] = Field(
        examples=[["6f0c4c1e-5a1d-4a53-8f6a-0f7f3a6f9a10"]]
    )


class LabelShare(View):
    """How much of an image one label covers; value 0 is background."""

    value: int
    name: str
    pixels: int
    share: float = Field(description="Of all pixels of the image, 0..1.")


class PredictionView(View):
    """A model version's sweep over one image."""

    id: uuid.UUID
    project_id: uuid.UUID
    model_version_id: uuid.UUID
    image_id: uuid.UUID
    members: int = Field(description="Passes that were averaged.")
    seconds: float
    labels: list[LabelShare]
    created_at: dt.datetime
