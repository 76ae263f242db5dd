"""Images: streaming upload and download, what is said of them, regions to look at."""

import uuid
from functools import partial
from typing import Annotated, Any, Literal
from urllib.parse import quote

from fastapi import BackgroundTasks, Body, Query, Request, Response, status
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import StreamingResponse
from starlette.requests import ClientDisconnect

from backend.api.deps import (
    Cursor,
    DatabaseDep,
    Limit,
    PrincipalDep,
    Revision,
    SessionDep,
    SettingsDep,
    StoreDep,
    StreamPrincipalDep,
    check_revision,
    etag,
)
from backend.api.projects import Key
from backend.api.regions import Columns, Left, Rows, Top
from backend.api.routing import guarded, streaming
from backend.db import Database
from backend.domain.errors import Invalid, TooLarge
from backend.domain.states import ImageState, Role, Split
from backend.imaging.pngs import grey_png, raw_bytes
from backend.models import Image
from backend.schemas.base import Page
from backend.schemas.image import ImageEdit, ImageView, NewImage
from backend.services import access, artifacts, erasures, images, pages
from backend.services.access import Principal
from backend.storage import CHUNK, ArtifactStore, Upload, upload_key

router = guarded("images")
streams = streaming("images")

_BINARY = {"schema": {"type": "string", "format": "binary"}}
_FILE = {**_BINARY, "example": "the bytes of a .tif or .png file"}
RAW_BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "description": "The bytes of a PNG or TIFF file, as they are.",
        "content": {"application/octet-stream": _FILE, "image/*": _FILE},
    }
}


@streams.post(
    "/projects/{project}/images",
    status_code=status.HTTP_202_ACCEPTED,
    openapi_extra=RAW_BODY,
    responses={200: {"description": "These bytes are here already under this name"}},
)
async def upload_image(
    project: Key,
    about: Annotated[NewImage, Query()],
    request: Request,
    response: Response,
    principal: StreamPrincipalDep,
    database: DatabaseDep,
    store: StoreDep,
    settings: SettingsDep,
) -> ImageView:
    """Upload a file as an image; it is decoded in the background.

    The answer is 202 and the image is `uploaded`, then `ready` or `rejected`. The same
    bytes under the same name again answer 200 with the image there is.
    """
    check_raw(request)
    project_id = await run_in_threadpool(_may_upload, database, principal, project)
    upload = await run_in_threadpool(store.receive, upload_key(project_id))
    try:
        limit = settings.max_upload_bytes
        is_whole = await receive(
            request,
            upload,
            limit,
            too_large(limit, "file"),
        )
        if not is_whole:
            raise Invalid(
                "The connection closed before the whole file had arrived: upload it "
                "again.",
                field="file",
            )
        check_bytes(upload, about.sha256)
        image, is_new = await run_in_threadpool(
            partial(
                _add,
                database,
                store,
                principal,
                project_id,
                about,
                upload,
                settings.max_image_pixels,
            )
        )
    finally:
        upload.abort()
    response.headers["Location"] = f"/api/v1/images/{image.id}"
    response.headers["ETag"] = etag(image.version)
    if not is_new:
        response.status_code = status.HTTP_200_OK
    return image


def check_raw(request: Request) -> None:
    """Raise Invalid unless the body is a file's bytes, not a form or JSON."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/octet-stream" and not kind.startswith("image/"):
        raise Invalid(
            "Send the file's bytes as the body, with Content-Type "
            f"application/octet-stream (not {kind or 'nothing'}).",
            field="Content-Type",
        )


def _may_upload(database: Database, principal: Principal, key: str) -> uuid.UUID:
    with database.unit_of_work() as session:
        return access.project(session, principal, key, Role.MANAGER).id


async def receive(
    request: Request, upload: Upload, limit: int, error: TooLarge
) -> bool:
    """Move the body into the store, in blocks, outside the event loop.

    False if the connection broke; what had arrived is written. Raises `error` if
    there are more than `limit` bytes.
    """
    stated = request.headers.get("content-length", "")
    if stated.isdigit() and int(stated) > limit:
        raise error
    is_whole = True
    pending = bytearray()
    try:
        async for block in request.stream():
            pending += block
            if upload.bytes + len(pending) > limit:
                raise error
            if len(pending) >= CHUNK:
                await run_in_threadpool(upload.write, bytes(pending))
                pending.clear()
    except ClientDisconnect:
        is_whole = False
    if pending:
        await run_in_threadpool(upload.write, bytes(pending))
    return is_whole


def too_large(limit: int, field: str) -> TooLarge:
    """The error for a file of more than `limit` bytes."""
    return TooLarge(
        f"The file is larger than the {limit} bytes allowed here: cut it into parts, "
        "or ask for a higher CISTERNA_MAX_UPLOAD_BYTES.",
        field=field,
    )


def check_bytes(upload: Upload, stated: str | None) -> None:
    """Raise Invalid if nothing arrived, or other bytes than stated."""
    if upload.bytes == 0:
        raise Invalid("The file is empty: export it again.", field="file")
    if stated is not None and stated.lower() != upload.sha256:
        raise Invalid(
            f"The bytes that arrived have the sha256 {upload.sha256}, not the one you "
            "stated: upload the file again.",
            field="sha256",
        )


def _add(
    database: Database,
    store: ArtifactStore,
    principal: Principal,
    project_id: uuid.UUID,
    about: NewImage,
    upload: Upload,
    max_pixels: int,
) -> tuple[ImageView, bool]:
    stored = upload.close()
    try:
        with database.unit_of_work() as session:
            image, is_new = images.add(
                session, principal, project_id, about, upload.key, stored, max_pixels
            )
            view = ImageView.model_validate(image)
    except BaseException:
        store.delete(upload.key)
        raise
    if not is_new:
        store.delete(upload.key)
    return view, is_new


@router.get("/projects/{project}/images")
def list_images(
    project: Key,
    session: SessionDep,
    principal: PrincipalDep,
    state: ImageState | None = None,
    split: Split | None = None,
    cursor: Cursor = None,
    limit: Limit = 50,
) -> Page[ImageView]:
    """List a project's images; deleted ones with `state=deleted` only."""
    row = access.project(session, principal, project, Role.VIEWER)
    rows, following = pages.page(
        session, images.listed(row.id, state, split), Image, cursor, limit
    )
    return Page(items=[ImageView.model_validate(r) for r in rows], next=following)


@router.get("/images/{image}")
def get_image(
    image: uuid.UUID, session: SessionDep, principal: PrincipalDep, response: Response
) -> ImageView:
    """Return one image."""
    row = access.load(session, principal, Image, image, Role.VIEWER)
    response.headers["ETag"] = etag(row.version)
    return ImageView.model_validate(row)


@router.patch("/images/{image}")
def edit_image(
    image: uuid.UUID,
    body: Annotated[
        ImageEdit,
        Body(openapi_examples={"state the pixel size": {"value": {"pixel_nm": 4.6}}}),
    ],
    revision: Revision,
    session: SessionDep,
    principal: PrincipalDep,
    response: Response,
) -> ImageView:
    """Change what is said of an image (manager)."""
    row = access.load(session, principal, Image, image, Role.MANAGER, lock=True)
    check_revision(revision, row.version)
    images.edit(session, principal, row, body)
    response.headers["ETag"] = etag(row.version)
    return ImageView.model_validate(row)


@router.delete("/images/{image}", status_code=status.HTTP_204_NO_CONTENT)
def delete_image(
    image: uuid.UUID,
    session: SessionDep,
    principal: PrincipalDep,
    database: DatabaseDep,
    store: StoreDep,
    afterwards: BackgroundTasks,
) -> None:
    """Delete an image for good (manager): bytes, masks and predictions.

    The row keeps id and hash; versions trained on the image are marked.
    """
    access.load(session, principal, Image, image, Role.MANAGER)
    erasures.erase(session, principal, image)
    afterwards.add_task(_erase_bytes, database, store)


def _erase_bytes(database: Database, store: ArtifactStore) -> None:
    with database.unit_of_work() as session:
        artifacts.erase(session, store)


@router.get(
    "/images/{image}/region",
    response_class=Response,
    responses={
        200: {"content": {"image/png": _BINARY, "application/octet-stream": _BINARY}}
    },
)
def get_region(
    image: uuid.UUID,
    session: SessionDep,
    principal: PrincipalDep,
    store: StoreDep,
    level: Annotated[int, Query(ge=0, le=30, description="0 is full size.")] = 0,
    y: Top = 0,
    x: Left = 0,
    h: Rows = None,
    w: Columns = None,
    format: Annotated[Literal["png", "raw"], Query()] = "png",
    low: Annotated[
        float | None, Query(description="Grey value shown as black.")
    ] = None,
    high: Annotated[
        float | None, Query(description="Grey value shown as white.")
    ] = None,
) -> Response:
    """Return a region at a pyramid level.

    `png` is 8-bit grey, windowed from `low` to `high`; `raw` holds the grey values row
    by row, 16-bit ones little-endian, with `X-Shape: rows,columns` and `X-Dtype`.
    """
    row = access.load(session, principal, Image, image, Role.VIEWER)
    grey = images.region(session, store, row, level, y, x, h, w)
    # an image's pixels never change
    headers = {
        "Cache-Control": "private, max-age=86400, immutable",
        "X-Content-Type-Options": "nosniff",
        "X-Shape": f"{grey.shape[0]},{grey.shape[1]}",
        "X-Dtype": grey.dtype.name,
    }
    if format == "raw":
        return Response(raw_bytes(grey), 200, headers, "application/octet-stream")
    window = None
    if low is not None or high is not None:
        top = 255.0 if grey.dtype.itemsize == 1 else 65535.0
        window = (0.0 if low is None else low, top if high is None else high)
    return Response(grey_png(grey, window), 200, headers, "image/png")


@streams.get(
    "/images/{image}/original",
    response_class=StreamingResponse,
    responses={200: {"content": {"application/octet-stream": _BINARY}}},
)
def get_original(
    image: uuid.UUID,
    principal: StreamPrincipalDep,
    database: DatabaseDep,
    store: StoreDep,
) -> StreamingResponse:
    """Download the bytes that were uploaded."""
    with database.unit_of_work() as session:
        row = access.load(session, principal, Image, image, Role.VIEWER)
        blob = images.original(session, row)
    # somebody's bytes under our name: a browser must never run or show them
    name = quote(row.name, safe="")
    headers = {
        "Content-Disposition": f"attachment; filename*=UTF-8''{name}",
        "Content-Length": str(blob.bytes),
        "Content-Security-Policy": "sandbox; default-src 'none'",
        "X-Content-Type-Options": "nosniff",
        "Cache-Control": "private, no-store",
    }
    return StreamingResponse(
        store.stream(blob.key), 200, headers, "application/octet-stream"
    )
