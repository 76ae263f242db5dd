"""What is told of a file on its way in."""

import datetime as dt
import uuid

from backend.schemas.base import View
from backend.schemas.image import NewImage


class UploadView(View):
    """A resumable upload; `image_id` is set once all bytes are there."""

    id: uuid.UUID
    project_id: uuid.UUID
    author_id: uuid.UUID
    about: NewImage
    size: int
    received: int
    image_id: uuid.UUID | None
    created_at: dt.datetime
    expires_at: dt.datetime
