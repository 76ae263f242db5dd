"""Uploads of large files in pieces (tus 1.0): a broken connection costs one piece."""

import uuid
from base64 import b64encode
from collections.abc import Callable
from pathlib import Path

from backend.client.errors import ApiError, ServerAway
from backend.client.transport import Transport
from backend.schemas.image import NewImage
from backend.schemas.upload import UploadView

PIECE = 8 * 2**20
TRIES = 5
"""How often in a row a piece may fail."""
TUS = {"Tus-Resumable": "1.0.0"}


def send(
    transport: Transport,
    project: str,
    file: Path,
    about: NewImage,
    on_bytes: Callable[[int, int], None] | None,
) -> uuid.UUID:
    """Upload a file and return the id of the image it became."""
    size = file.stat().st_size
    said = about.model_dump(mode="json", exclude_none=True)
    pairs = (f"{k} {b64encode(str(v).encode()).decode()}" for k, v in said.items())
    begun = transport.request(
        "POST",
        f"projects/{project}/uploads",
        headers={
            **TUS,
            "Upload-Length": str(size),
            "Upload-Metadata": ",".join(pairs),
        },
    )
    upload = transport.parsed(begun, UploadView)
    failures = 0
    with file.open("rb") as stream:
        while upload.image_id is None:
            stream.seek(upload.received)
            piece = stream.read(PIECE)
            try:
                _send_piece(transport, upload, piece)
                failures = 0
            except (ServerAway, ApiError) as error:
                failures += 1
                if failures == TRIES or not _worth_another(error):
                    raise
            upload = transport.get(f"uploads/{upload.id}", UploadView)
            if on_bytes:
                on_bytes(upload.received, size)
    return upload.image_id


def _send_piece(transport: Transport, upload: UploadView, piece: bytes) -> None:
    transport.request(
        "PATCH",
        f"uploads/{upload.id}",
        content=piece,
        headers={
            **TUS,
            "Content-Type": "application/offset+octet-stream",
            "Upload-Offset": str(upload.received),
        },
    )


def _worth_another(error: ServerAway | ApiError) -> bool:
    """Tell whether the piece may have been lost, or come in after its connection."""
    return isinstance(error, ServerAway) or any(
        field.pointer == "/Upload-Offset" for field in error.problem.errors
    )
