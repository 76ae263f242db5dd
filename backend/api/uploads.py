"""Uploads of images that can be resumed, as the tus protocol has it."""

import uuid
from dataclasses import dataclass
from functools import partial
from typing import Annotated, Any

from fastapi import BackgroundTasks, Header, Request, Response, status
from fastapi.concurrency import run_in_threadpool

from backend.api.deps import (
    DatabaseDep,
    PrincipalDep,
    SessionDep,
    SettingsDep,
    StoreDep,
    StreamPrincipalDep,
)
from backend.api.images import check_bytes, receive, too_large
from backend.api.projects import Key
from backend.api.routing import guarded, streaming
from backend.api.tus import EXTENSIONS, TUS, VERSION, TusRoute, read_metadata, tell
from backend.db import Database
from backend.domain.errors import Invalid, TooLarge
from backend.domain.states import Role
from backend.models import ResumableUpload
from backend.schemas.image import NewImage
from backend.schemas.upload import UploadView
from backend.services import access, images, uploads
from backend.services.access import Principal
from backend.storage import ArtifactStore, Upload, part_key, parts_prefix, upload_key

router = guarded("uploads")
streams = streaming("uploads")
router.route_class = streams.route_class = TusRoute

PIECE = "application/offset+octet-stream"
Length = Annotated[int, Header(ge=1, description="Bytes of the whole file.")]
Offset = Annotated[int, Header(ge=0, description="Where this piece begins.")]
Metadata = Annotated[
    str,
    Header(
        description="What is said of the image, as `key base64(value)` pairs with "
        "commas between: `name`, and if you like `pixel_nm`, `donor`, `group`, "
        "`split` and `sha256`.",
        examples=["name dGlsZS50aWY=,pixel_nm NC42"],
    ),
]
PIECE_BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "description": "The next bytes of the file; as many as you like.",
        "content": {
            PIECE: {
                "schema": {"type": "string", "format": "binary"},
                "example": "bytes of the file",
            }
        },
    }
}


@router.options("/projects/{project}/uploads", status_code=status.HTTP_204_NO_CONTENT)
def get_abilities(
    project: Key,
    session: SessionDep,
    principal: PrincipalDep,
    settings: SettingsDep,
    response: Response,
) -> None:
    """Say what of the tus protocol is spoken, and how large a file may be."""
    access.project(session, principal, project, Role.VIEWER)
    response.headers["Tus-Version"] = VERSION
    response.headers["Tus-Extension"] = EXTENSIONS
    response.headers["Tus-Max-Size"] = str(settings.max_upload_bytes)


@router.post(
    "/projects/{project}/uploads",
    status_code=status.HTTP_201_CREATED,
    dependencies=TUS,
)
def begin_upload(
    project: Key,
    upload_length: Length,
    upload_metadata: Metadata,
    session: SessionDep,
    principal: PrincipalDep,
    settings: SettingsDep,
    response: Response,
) -> UploadView:
    """Begin a resumable upload (manager); PATCH the bytes to its Location."""
    row = access.project(session, principal, project, Role.MANAGER)
    if upload_length > settings.max_upload_bytes:
        raise too_large(settings.max_upload_bytes, "Upload-Length")
    about = read_metadata(upload_metadata)
    upload = uploads.begin(session, principal, row.id, about, upload_length)
    session.refresh(upload)
    tell(response, upload)
    response.headers["Location"] = f"/api/v1/uploads/{upload.id}"
    return UploadView.model_validate(upload)


@router.get("/uploads/{upload}")
def get_upload(
    upload: uuid.UUID, session: SessionDep, principal: PrincipalDep
) -> UploadView:
    """Return how far an upload has come, and the image it became."""
    return UploadView.model_validate(uploads.load(session, principal, upload))


@router.head(
    "/uploads/{upload}", status_code=status.HTTP_204_NO_CONTENT, dependencies=TUS
)
def get_offset(
    upload: uuid.UUID,
    session: SessionDep,
    principal: PrincipalDep,
    response: Response,
) -> None:
    """Say where the next piece begins: `Upload-Offset`.

    Of a whole file, `Location` is the image it became.
    """
    tell(response, uploads.load(session, principal, upload))


@router.delete(
    "/uploads/{upload}",
    status_code=status.HTTP_204_NO_CONTENT,
    dependencies=TUS,
)
def cancel_upload(
    upload: uuid.UUID,
    session: SessionDep,
    principal: PrincipalDep,
    database: DatabaseDep,
    store: StoreDep,
    afterwards: BackgroundTasks,
) -> None:
    """Cancel an upload and forget its bytes; an image it became stays."""
    uploads.cancel(session, uploads.load(session, principal, upload, lock=True))
    afterwards.add_task(_erase, database, store)


def _erase(database: Database, store: ArtifactStore) -> None:
    with database.unit_of_work() as session:
        uploads.erase(session, store)


@streams.patch(
    "/uploads/{upload}",
    status_code=status.HTTP_204_NO_CONTENT,
    dependencies=TUS,
    openapi_extra=PIECE_BODY,
)
async def send_piece(
    upload: uuid.UUID,
    upload_offset: Offset,
    request: Request,
    response: Response,
    principal: StreamPrincipalDep,
    database: DatabaseDep,
    store: StoreDep,
    settings: SettingsDep,
) -> None:
    """Send the next piece; what arrives before a connection breaks is kept.

    With the last byte the file becomes an image: its `Location`. Of two pieces for the
    same place, the one that is complete first counts and the other gets 409.
    """
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != PIECE:
        raise Invalid(
            f"Send the bytes with Content-Type {PIECE} (not {kind or 'nothing'}).",
            field="Content-Type",
        )
    room = await run_in_threadpool(_room, database, principal, upload, upload_offset)
    part = await run_in_threadpool(store.receive, part_key(upload, upload_offset))
    at = _Place(database, store, principal, upload, upload_offset)
    try:
        await receive(
            request,
            part,
            room,
            TooLarge(
                f"The file ends {room} bytes after {upload_offset}; this piece is "
                "longer. Is it the file the upload was begun with?",
                field="Content-Length",
            ),
        )
        row = await run_in_threadpool(
            partial(_keep, at, part, room, settings.max_image_pixels)
        )
    finally:
        part.abort()
    tell(response, row)


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a piece goes, and who sends it."""

    database: Database
    store: ArtifactStore
    principal: Principal
    upload: uuid.UUID
    offset: int


def _room(
    database: Database, principal: Principal, upload: uuid.UUID, offset: int
) -> int:
    with database.unit_of_work() as session:
        row = uploads.load_at(session, principal, upload, offset)
        return row.size - offset


def _keep(at: _Place, part: Upload, room: int, max_pixels: int) -> ResumableUpload:
    """Add the part to the file, or make the image if it is the last one."""
    if part.bytes == 0:
        with at.database.unit_of_work() as session:
            return uploads.load_at(session, at.principal, at.upload, at.offset)
    part.close()
    try:
        if part.bytes == room:
            return _finish(at, part, max_pixels)
        with at.database.unit_of_work() as session:
            row = uploads.load_at(
                session, at.principal, at.upload, at.offset, lock=True
            )
            uploads.append(session, row, part.key, part.bytes)
            return row
    except BaseException:
        at.store.delete(part.key)
        raise


def _finish(at: _Place, last: Upload, max_pixels: int) -> ResumableUpload:
    """Join the parts and record the image; both happen, or the last part is not kept.

    So whatever fails here, the client finds the upload as it was and can try again.
    """
    with at.database.unit_of_work() as session:
        row = uploads.load_at(session, at.principal, at.upload, at.offset)
    about = NewImage.model_validate(row.about)
    whole = at.store.receive(upload_key(row.project_id))
    try:
        for key in (*row.parts, last.key):
            for block in at.store.stream(key):
                whole.write(block)
        check_bytes(whole, about.sha256)
        stored = whole.close()
        with at.database.unit_of_work() as session:
            row = uploads.load_at(
                session, at.principal, at.upload, at.offset, lock=True
            )
            image, is_new = images.add(
                session,
                at.principal,
                row.project_id,
                about,
                whole.key,
                stored,
                max_pixels,
            )
            uploads.complete(session, row, image)
    except FileNotFoundError:
        # the parts went because another request ended the upload: say that instead
        with at.database.unit_of_work() as session:
            uploads.load_at(session, at.principal, at.upload, at.offset)
        raise
    except BaseException:
        at.store.delete(whole.key)
        raise
    finally:
        whole.abort()
    if not is_new:
        at.store.delete(whole.key)
    at.store.delete_tree(parts_prefix(at.upload))
    return row
