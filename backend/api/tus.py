"""The tus protocol, version 1.0, as far as routes do not tell: versions and headers.

Besides its core: creation, expiration, termination (https://tus.io/protocols).
"""

import base64
from email.utils import format_datetime
from typing import Annotated

from fastapi import Depends, Header, Response, status
from pydantic import ValidationError
from starlette.datastructures import MutableHeaders
from starlette.exceptions import HTTPException
from starlette.types import Message, Receive, Scope, Send

from backend.api.idempotency import IdempotentRoute
from backend.domain.errors import Invalid
from backend.models import ResumableUpload
from backend.schemas.image import NewImage

VERSION = "1.0.0"
EXTENSIONS = "creation,expiration,termination"


class TusRoute(IdempotentRoute):
    """A route whose answers, problems included, name the protocol's version."""

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""

        async def send_named(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message)["Tus-Resumable"] = VERSION
            await send(message)

        await super().handle(scope, receive, send_named)


def require_version(tus_resumable: Annotated[str | None, Header()] = None) -> None:
    """Refuse a client that does not speak our version."""
    if tus_resumable != VERSION:
        raise HTTPException(
            status.HTTP_412_PRECONDITION_FAILED,
            f"Send Tus-Resumable: {VERSION}; no other version is spoken here.",
            {"Tus-Version": VERSION},
        )


TUS = [Depends(require_version)]


def read_metadata(text: str) -> NewImage:
    """Read `Upload-Metadata`: `key base64(value)` pairs with commas between."""
    said: dict[str, str] = {}
    for pair in text.split(","):
        key, _, value = pair.strip().partition(" ")
        try:
            said[key] = base64.b64decode(value.strip(), validate=True).decode()
        except ValueError:
            raise Invalid(
                f"Upload-Metadata: {key!r} is not followed by a space and the base64 "
                "of a text in UTF-8.",
                field="Upload-Metadata",
            ) from None
    try:
        return NewImage.model_validate(said)
    except ValidationError as error:
        wrong = error.errors()[0]
        key = ".".join(str(part) for part in wrong["loc"])
        raise Invalid(
            f"Upload-Metadata: please mend {key}: {wrong['msg']}.",
            field="Upload-Metadata",
        ) from None


def tell(response: Response, row: ResumableUpload) -> None:
    """Say in headers how far an upload has come, and the image it became."""
    response.headers["Upload-Offset"] = str(row.received)
    response.headers["Upload-Length"] = str(row.size)
    response.headers["Upload-Expires"] = format_datetime(row.expires_at, usegmt=True)
    response.headers["Upload-Metadata"] = ",".join(
        f"{key} {base64.b64encode(str(value).encode()).decode()}"
        for key, value in row.about.items()
    )
    response.headers["Cache-Control"] = "no-store"
    if row.image_id is not None:
        response.headers["Location"] = f"/api/v1/images/{row.image_id}"
