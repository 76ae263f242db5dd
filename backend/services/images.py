"""Images: from uploaded bytes to a pyramid with tiles, and out again on request."""

import uuid

from sqlalchemy import ColumnElement, Select, exists, insert, select, update
from sqlalchemy.orm import Session

from backend.db import publish_after_commit
from backend.domain.errors import Conflict, TooLarge
from backend.domain.events import Event, EventKind
from backend.domain.geometry import Box, TileGrid
from backend.domain.states import (
    ImageState,
    JobKind,
    Lane,
    PixelSource,
    QueryState,
    Split,
)
from backend.imaging.pyramid import read_region
from backend.imaging.readers import Grey
from backend.models import (
    Annotation,
    Artifact,
    Image,
    Job,
    Project,
    Query,
    QueryTile,
    Task,
    Tile,
)
from backend.schemas.image import ImageEdit, NewImage
from backend.schemas.ingest import Ingested, IngestWork
from backend.schemas.stored import Entry
from backend.services import (
    artifacts,
    audit,
    jobs,
    models,
    predictions,
    starts,
)
from backend.services.access import Principal, lock_project
from backend.storage import ArtifactStore

MAX_REGION_PIXELS = 2**24


def add(
    session: Session,
    principal: Principal,
    project_id: uuid.UUID,
    body: NewImage,
    key: str,
    stored: Entry,
    max_pixels: int,
) -> tuple[Image, bool]:
    """Record uploaded bytes and queue their ingest; True if the image is new.

    The same bytes under the same name are the same image. Under another name they are
    a Conflict: trained on twice, an image would count twice.
    """
    known = session.scalar(
        select(Image).where(
            Image.project_id == project_id,
            Image.sha256 == stored["sha256"],
            Image.state.in_((ImageState.UPLOADED, ImageState.READY)),
        )
    )
    if known is not None:
        if known.name == body.name:
            return known, False
        raise Conflict(
            f"These bytes are in the project already, as {known.name!r} ({known.id}); "
            "rename that image if you like.",
            field="sha256",
        )
    original = Artifact(
        project_id=project_id, key=key, bytes=stored["bytes"], sha256=stored["sha256"]
    )
    session.add(original)
    session.flush()
    image = Image(
        project_id=project_id,
        name=body.name,
        sha256=stored["sha256"],
        bytes=stored["bytes"],
        state=ImageState.UPLOADED,
        split=body.split,
        pixel_nm=body.pixel_nm,
        pixel_source=PixelSource.STATED if body.pixel_nm else PixelSource.UNKNOWN,
        donor=body.donor or None,
        group=body.group or None,
        original_id=original.id,
        uploaded_by=principal.id,
    )
    session.add(image)
    session.flush()
    session.refresh(image)
    jobs.enqueue(
        session,
        JobKind.INGEST,
        Lane.CPU,
        {"image_id": str(image.id), "max_pixels": max_pixels},
        project_id=project_id,
        requested_by=principal.id,
    )
    audit.record(
        session,
        principal,
        "upload",
        "image",
        image.id,
        project_id=project_id,
        sha256=image.sha256,
    )
    announce(session, image)
    return image, True


def listed(
    project_id: uuid.UUID, state: ImageState | None, split: Split | None
) -> Select[Image]:
    """Select a project's images; deleted ones only if their state is asked for."""
    statement = select(Image).where(Image.project_id == project_id)
    if state is None:
        statement = statement.where(Image.state != ImageState.DELETED)
    else:
        statement = statement.where(Image.state == state)
    return statement if split is None else statement.where(Image.split == split)


def edit(
    session: Session, principal: Principal, image: Image, body: ImageEdit
) -> Image:
    """Change what is said of an image; a pixel size given here counts as stated."""
    if image.state is ImageState.DELETED:
        raise Conflict("This image was deleted; nothing of it can change.")
    changes = body.model_dump(exclude_none=True)
    if body.split is not None and body.split is not image.split:
        _move_split(session, image, body.split)
    if body.name is not None:
        image.name = body.name
    if body.pixel_nm is not None:
        image.pixel_nm, image.pixel_source = body.pixel_nm, PixelSource.STATED
    if body.donor is not None:
        image.donor = body.donor or None
    if body.group is not None:
        image.group = body.group or None
    audit.record(
        session,
        principal,
        "edit",
        "image",
        image.id,
        project_id=image.project_id,
        **changes,
    )
    session.flush()
    announce(session, image)
    if body.split is not None and image.state is ImageState.READY:
        _order_pool(session, image)
    return image


def _move_split(session: Session, image: Image, split: Split) -> None:
    if image.split is Split.TEST:
        raise Conflict(
            "Nothing leaves the test split; delete the image and upload it again.",
            field="split",
        )
    own = select(Tile.id).where(Tile.image_id == image.id)
    asked = (Annotation.tile_id, QueryTile.tile_id, Task.tile_id)
    if any(session.scalar(select(exists().where(c.in_(own)))) for c in asked):
        raise Conflict(
            "Tiles of this image are annotated or asked for already, so its split "
            "stays; state the split when you upload.",
            field="split",
        )
    image.split = split
    session.execute(update(Tile).where(Tile.image_id == image.id).values(split=split))


def prepare(session: Session, job: Job) -> IngestWork:
    """Say where the uploaded bytes lie and what was stated of them."""
    image = session.get_one(Image, _image_id(job))
    if image.state is not ImageState.UPLOADED or image.original_id is None:
        raise Conflict(f"This image is {image.state}; there is nothing to ingest.")
    stated = image.pixel_source is PixelSource.STATED
    return IngestWork(
        job_id=job.id,
        fence=job.fence,
        image_id=image.id,
        original=session.get_one(Artifact, image.original_id).key,
        pixel_nm=image.pixel_nm if stated else None,
        max_pixels=int(str(job.payload["max_pixels"])),
    )


def conclude(session: Session, job: Job, result: Ingested) -> None:
    """Make the image ready, lay out its tiles, and order them if nothing else does."""
    image = session.get_one(Image, _image_id(job), with_for_update=True)
    pyramid = artifacts.add_tree(session, image.project_id, result.pyramid)
    if image.state is not ImageState.UPLOADED:  # deleted in the meantime
        artifacts.discard(session, [pyramid.id])
        return
    image.pyramid_id = pyramid.id
    image.height, image.width = result.height, result.width
    image.dtype, image.levels = result.dtype, result.levels
    image.mean, image.sd = result.mean, result.sd
    if image.pixel_source is not PixelSource.STATED:
        image.pixel_nm, image.pixel_source = result.pixel_nm, result.pixel_source
    image.state = ImageState.READY
    session.flush()
    project = session.get_one(Project, image.project_id)
    grid = TileGrid(result.height, result.width, project.tile_size)
    session.execute(
        insert(Tile),
        [
            {
                "project_id": image.project_id,
                "image_id": image.id,
                "position": position,
                "y": box.y,
                "x": box.x,
                "h": box.h,
                "w": box.w,
                "split": image.split,
            }
            for position, box in enumerate(grid)
        ],
    )
    announce(session, image)
    _order_pool(session, image)
    live = models.live(session, image.project_id)
    if live is not None and image.split is not Split.NONE:
        predictions.go_on(session, live)


def on_failure(session: Session, job: Job) -> None:
    """Reject the image of an ingest that ended without a pyramid."""
    image = session.get_one(Image, _image_id(job), with_for_update=True)
    if image.state is not ImageState.UPLOADED:
        return
    image.state = ImageState.REJECTED
    image.error = job.error or "The ingest was cancelled; upload the file again."
    session.flush()
    announce(session, image)
    _order_pool(session, image)


def _image_id(job: Job) -> uuid.UUID:
    return uuid.UUID(str(job.payload["image_id"]))


def _order_pool(session: Session, image: Image) -> None:
    """Order the pool without a model, until a model or a person orders it.

    Images come in batches: the first serves people at once, the last of the batch
    lets the order draw on all of them.
    """
    if image.split is not Split.POOL:
        return
    # without the lock, two that end at once would each wait for the other
    project = lock_project(session, image.project_id)
    live = session.scalar(
        select(Query.strategy).where(
            Query.project_id == project.id, Query.state == QueryState.LIVE
        )
    )
    more: ColumnElement[bool] = exists().where(
        Image.project_id == project.id,
        Image.split == Split.POOL,
        Image.state == ImageState.UPLOADED,
    )
    if live is None or (live == starts.START and not session.scalar(select(more))):
        starts.make(session, project)


def original(session: Session, image: Image) -> Artifact:
    """Return the artifact of the uploaded bytes."""
    if image.original_id is None:
        raise Conflict("This image was deleted; its bytes are gone.")
    return session.get_one(Artifact, image.original_id)


def region(
    session: Session,
    store: ArtifactStore,
    image: Image,
    level: int,
    y: int,
    x: int,
    h: int | None,
    w: int | None,
) -> Grey:
    """Read a region at a pyramid level, in that level's pixels; to the edge if open."""
    if image.state is not ImageState.READY or image.pyramid_id is None:
        raise Conflict(f"This image is {image.state}; only a ready one can be shown.")
    height = -(-(image.height or 0) // 2**level)
    width = -(-(image.width or 0) // 2**level)
    box = Box(y, x, h or max(1, height - y), w or max(1, width - x))
    if box.area > MAX_REGION_PIXELS:
        raise TooLarge(
            f"The region has {box.area} pixels, more than {MAX_REGION_PIXELS} at once: "
            "ask for a smaller one, or for a higher level.",
            field="h",
        )
    key = session.get_one(Artifact, image.pyramid_id).key
    return read_region(store.below(key), level, box)


def announce(session: Session, image: Image) -> None:
    """Tell the project's clients of an image's state."""
    publish_after_commit(
        session,
        image.project_id,
        Event(EventKind.IMAGE, str(image.id), image.state),
    )
