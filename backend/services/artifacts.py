"""Artifact rows: what makes stored bytes visible."""

import uuid
from collections.abc import Iterable
from typing import cast

from sqlalchemy import select
from sqlalchemy.orm import Session

from backend.models import Artifact, Image
from backend.schemas.loop import StoredImage, StoredTree
from backend.storage import Manifest


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
