"""Imports: label images made elsewhere, accepted as annotations."""

import uuid
from typing import Annotated

from fastapi import Depends, Query, Request, Response, status

from backend.api.deps import PrincipalDep, SessionDep
from backend.api.images import RAW_BODY, check_raw
from backend.api.routing import guarded
from backend.domain.masks import apply_value_map
from backend.domain.states import Role
from backend.imaging.readers import read_labels
from backend.models import Image, Project
from backend.schemas.image import ImportView
from backend.services import access, imports

router = guarded("images")


async def raw_body(request: Request) -> bytes:
    """The bytes of the file; the router limits how many."""
    check_raw(request)
    return await request.body()


@router.post(
    "/images/{image}/labels",
    status_code=status.HTTP_201_CREATED,
    openapi_extra=RAW_BODY,
    responses={200: {"description": "The tiles say all of it already"}},
)
def import_labels(
    image: uuid.UUID,
    response: Response,
    data: Annotated[bytes, Depends(raw_body)],
    session: SessionDep,
    principal: PrincipalDep,
    y: Annotated[int, Query(ge=0, description="First row it covers.")] = 0,
    x: Annotated[int, Query(ge=0, description="First column it covers.")] = 0,
    value_map: Annotated[
        str | None,
        Query(
            max_length=5000,
            description="What its values mean: label names or values, `background` or "
            "`unknown`, as 2=mitochondria,5=membrane or as a JSON object. 0 and 255 "
            "are none and unknown unless mapped. Without it the values are the "
            "project's own.",
            examples=["2=mitochondria,5=cell boundary"],
        ),
    ] = None,
    complete_for: Annotated[
        str | None,
        Query(
            max_length=5000,
            description="Labels of which every pixel is marked: names or values with "
            "commas, or `all`. Without it, the labels the value map leads to.",
            examples=["mitochondria"],
        ),
    ] = None,
) -> ImportView:
    """Accept a label image (PNG or TIFF) as annotations of the tiles it touches.

    The revisions start from what the tiles had, so passes for different labels add up.
    Sending the same again adds none: a tile whose newest accepted mask and complete
    labels would stay the same is counted in `unchanged`, and if all are, the answer is
    200. Should somebody have painted in between, the label image wins where it says
    something; send an `Idempotency-Key` to make a retry only repeat the first answer.
    """
    row = access.load(session, principal, Image, image, Role.MANAGER)
    schema = session.get_one(Project, row.project_id).schema
    mapping = imports.value_map(value_map, schema)
    named = imports.labels_named(complete_for, schema)
    if named is None:
        named = tuple(sorted(set(mapping.values()) & set(schema.values)))
    raster = apply_value_map(read_labels(data, imports.MAX_PIXELS), mapping)
    done = imports.accept(session, principal, row, raster, (y, x), named)
    if done.annotations and done.unchanged == len(done.annotations):
        response.status_code = status.HTTP_200_OK
    return ImportView(
        image_id=row.id,
        annotations=list(done.annotations),
        unchanged=done.unchanged,
        complete_for=list(done.complete_for),
        pixels=done.pixels,
    )
