"""Bodies and parameters of images and of label images."""

import datetime as dt
import uuid
from typing import Annotated

from pydantic import Field, StringConstraints, computed_field

from backend.domain.states import ImageState, PixelSource, Split
from backend.schemas.base import Body, View

ImageName = Annotated[str, StringConstraints(min_length=1, max_length=300)]
Tag = Annotated[str, StringConstraints(max_length=100)]
PixelNm = Annotated[float, Field(gt=0, le=1e6, allow_inf_nan=False)]


class NewImage(Body):
    """What is said of a file when it is uploaded."""

    name: ImageName = Field(description="What people call it, e.g. the file's name.")
    pixel_nm: PixelNm | None = Field(
        None, description="Size of a pixel in nm; beats what the file says."
    )
    donor: Tag | None = Field(None, description="Pseudonym of the donor.")
    group: Tag | None = Field(None, description="Block, grid or session.")
    split: Split = Field(Split.POOL, description="What its tiles may be used for.")
    sha256: str | None = Field(
        None,
        pattern="^[0-9a-fA-F]{64}$",
        description="Hash of the file; other bytes are refused.",
    )


class ImageEdit(Body):
    """What may change of an image; omitted fields stay, an empty text clears one.

    `split` only while no tile of the image is annotated or asked for.
    """

    name: ImageName | None = None
    pixel_nm: PixelNm | None = Field(None, examples=[4.6])
    donor: Tag | None = Field(None, examples=["donor-07"])
    group: Tag | None = None
    split: Split | None = None


class ImageView(View):
    """An image; sizes are null until it is ingested."""

    id: uuid.UUID
    project_id: uuid.UUID
    name: str
    sha256: str
    bytes: int
    state: ImageState
    error: str | None
    split: Split
    height: int | None
    width: int | None
    dtype: str | None
    levels: int | None
    mean: float | None
    sd: float | None
    pixel_nm: float | None
    pixel_source: PixelSource
    donor: str | None
    group: str | None
    version: int
    created_at: dt.datetime
    deleted_at: dt.datetime | None

    @computed_field(description="What the image still needs from a person.")  # type: ignore[prop-decorator]
    @property
    def please(self) -> str | None:
        """Ask for the pixel size where nobody has stated it."""
        if self.state is ImageState.READY and self.pixel_nm is None:
            return "The pixel size is unknown; please state it: PATCH pixel_nm."
        return None


class ImportView(View):
    """What came of a label image: one accepted annotation per tile it touches.

    `unchanged` of them were there and said all of it: those tiles got no new revision.
    """

    image_id: uuid.UUID
    annotations: list[uuid.UUID]
    unchanged: int
    complete_for: list[int]
    pixels: dict[str, int]
    """{"value": pixels imported}."""
