"""Artifact rows: what makes stored bytes visible."""

import uuid
from collections.abc import Iterable
from typing import cast

from sqlalchemy import exists, or_, select, update
from sqlalchemy.orm import Session

from backend.models import Artifact, Image
from backend.schemas.stored import Manifest, StoredImage, StoredTree
from backend.services.access import now
from backend.storage import ArtifactStore


def add_tree(session: Session, project_id: uuid.UUID, tree: StoredTree) -> Artifact:
    """Record a stored folder."""
    row = Artifact(
        project_id=project_id,
        key=tree.prefix,
        manifest=cast("dict[str, object]", tree.manifest),
        bytes=sum(entry["bytes"] for entry in tree.manifest.values()),
    )
    session.add(row)
    session.flush()
    return row


def tree(session: Session, artifact_id: uuid.UUID) -> StoredTree:
    """Return the stored folder behind an Artifact row."""
    row = session.get_one(Artifact, artifact_id)
    if row.manifest is None:
        raise ValueError(f"artifact {artifact_id} is a blob, not a folder")
    return StoredTree(row.key, cast("Manifest", row.manifest))


def stored_images(session: Session, ids: Iterable[uuid.UUID]) -> list[StoredImage]:
    """Return ingested images with the prefix of their pyramid, ordered by age."""
    rows = session.execute(
        select(Image, Artifact.key)
        .join(Artifact, Artifact.id == Image.pyramid_id)
        .where(Image.id.in_(list(ids)))
        .order_by(Image.created_at, Image.id)
    )
    return [
        StoredImage(
            id=image.id,
            name=image.name,
            pyramid=key,
            height=image.height or 0,
            width=image.width or 0,
            mean=image.mean or 0.0,
            sd=image.sd or 1.0,
            pixel_nm=image.pixel_nm,
        )
        for image, key in rows
    ]


def discard(session: Session, ids: Iterable[uuid.UUID | None]) -> None:
    """Mark artifacts that nothing refers to any more; `erase` takes their bytes.

    Projects may share what an image was made of, so what another image still refers to
    stays; the caller has let go of its own reference before.
    """
    chosen = Artifact.id.in_([id for id in ids if id is not None])
    # of two that let go at once the second waits here, and sees that it is the last
    session.execute(
        select(Artifact.id).where(chosen).order_by(Artifact.id).with_for_update()
    )
    held = or_(
        *(
            column == Artifact.id
            for column in Image.__table__.columns
            if column.references(Artifact.__table__.c.id)
        )
    )
    session.execute(
        update(Artifact)
        .where(chosen, ~exists().where(held))
        .values(deleted_at=now())
        .execution_options(synchronize_session=False)
    )


def erase(session: Session, store: ArtifactStore) -> int:
    """Delete the bytes, then the rows, of discarded artifacts; return how many.

    Called after the discarding transaction and again by the clock, so that no crash
    between the two leaves bytes behind.
    """
    rows = session.scalars(
        select(Artifact)
        .where(Artifact.deleted_at.is_not(None))
        .with_for_update(skip_locked=True)
    ).all()
    for row in rows:
        if row.manifest is None:
            store.delete(row.key)
        else:
            store.delete_tree(row.key)
        session.delete(row)
        session.flush()
    return len(rows)
