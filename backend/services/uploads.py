"""Uploads in pieces: a row says how far a file has come, its parts lie in the store.

Nobody holds a lock while bytes travel. Each request writes a part of its own, and the
first whose part begins where the file ends becomes the next piece; the others failed.
"""

import datetime as dt
import uuid

from sqlalchemy import select
from sqlalchemy.orm import Session

from backend.domain.errors import Conflict, NotFound
from backend.domain.states import Role
from backend.models import Image, ResumableUpload
from backend.schemas.image import NewImage
from backend.services import access
from backend.services.access import Principal, now
from backend.storage import ArtifactStore, parts_prefix

LIFETIME = dt.timedelta(days=2)
"""How long an upload waits for its next piece, and a finished one is remembered."""


def begin(
    session: Session,
    principal: Principal,
    project_id: uuid.UUID,
    about: NewImage,
    size: int,
) -> ResumableUpload:
    """Start an upload of `size` bytes."""
    row = ResumableUpload(
        project_id=project_id,
        author_id=principal.id,
        about=about.model_dump(mode="json", exclude_none=True),
        size=size,
        expires_at=now() + LIFETIME,
    )
    session.add(row)
    session.flush()
    return row


def load(
    session: Session, principal: Principal, id: uuid.UUID, *, lock: bool = False
) -> ResumableUpload:
    """Load an upload that has not ended, for a manager of its project."""
    row = access.load(session, principal, ResumableUpload, id, Role.MANAGER, lock=lock)
    if row.expires_at <= now():
        raise NotFound("This upload was cancelled or has expired; start it again.")
    return row


def load_at(
    session: Session,
    principal: Principal,
    id: uuid.UUID,
    offset: int,
    *,
    lock: bool = False,
) -> ResumableUpload:
    """Load an upload; Conflict unless exactly `offset` bytes of it are here."""
    row = load(session, principal, id, lock=lock)
    if row.received != offset:
        raise Conflict(
            f"{row.received} bytes of this file are here, so the next piece begins "
            f"there, not at {offset}; ask with HEAD and go on from its Upload-Offset.",
            field="Upload-Offset",
        )
    return row


def append(session: Session, row: ResumableUpload, key: str, size: int) -> None:
    """Make the part at `key` the next piece of a locked upload."""
    row.parts = [*row.parts, key]
    row.received += size
    row.expires_at = now() + LIFETIME
    session.flush()


def complete(session: Session, row: ResumableUpload, image: Image) -> None:
    """Record what became of a locked upload; its parts are needed no more."""
    row.image_id = image.id
    row.received = row.size
    row.parts = []
    session.flush()


def cancel(session: Session, row: ResumableUpload) -> None:
    """End an upload at once; `erase` takes its bytes."""
    row.expires_at = now()
    session.flush()


def erase(session: Session, store: ArtifactStore) -> int:
    """Delete the bytes, then the rows, of ended uploads; return how many."""
    rows = session.scalars(
        select(ResumableUpload)
        .where(ResumableUpload.expires_at <= now())
        .with_for_update(skip_locked=True)
    ).all()
    for row in rows:
        store.delete_tree(parts_prefix(row.id))
        session.delete(row)
    session.flush()
    return len(rows)
