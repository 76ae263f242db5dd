"""Annotations: reading revisions, their masks, and retracting them."""

import uuid
from typing import Annotated

from fastapi import Path, Query, Response
from sqlalchemy import select

from backend.api import masks
from backend.api.deps import Cursor, Limit, PrincipalDep, SessionDep
from backend.api.projects import Key
from backend.api.routing import guarded
from backend.api.tasks import Form
from backend.domain.errors import NotFound
from backend.domain.masks import unpack
from backend.domain.states import Role
from backend.models import Annotation, Tile
from backend.schemas.base import Page
from backend.schemas.task import AnnotationView
from backend.services import access, annotations, annotationviews, pages

router = guarded("annotations")
AnnotationId = Annotated[uuid.UUID, Path(alias="annotation")]


@router.get("/projects/{project}/annotations")
def list_annotations(
    project: Key,
    session: SessionDep,
    principal: PrincipalDep,
    tile: Annotated[
        uuid.UUID | None, Query(description="Only the history of this tile.")
    ] = None,
    cursor: Cursor = None,
    limit: Limit = 50,
) -> Page[AnnotationView]:
    """List a project's annotations, newest first."""
    row = access.project(session, principal, project, Role.VIEWER)
    statement = select(Annotation).where(Annotation.project_id == row.id)
    if tile is not None:
        statement = statement.where(Annotation.tile_id == tile)
    found, following = pages.page(session, statement, Annotation, cursor, limit)
    return Page(items=annotationviews.views(session, found), next=following)


@router.get("/annotations/{annotation}")
def get_annotation(
    annotation_id: AnnotationId, session: SessionDep, principal: PrincipalDep
) -> AnnotationView:
    """Return one revision's facts."""
    row = access.load(session, principal, Annotation, annotation_id, Role.VIEWER)
    return annotationviews.view(session, row)


@router.get("/annotations/{annotation}/mask")
def get_mask(
    annotation_id: AnnotationId,
    session: SessionDep,
    principal: PrincipalDep,
    form: Form = "raw",
) -> Response:
    """Return one revision's mask."""
    row = access.load(session, principal, Annotation, annotation_id, Role.VIEWER)
    session.refresh(row, ["raster"])
    if row.raster is None:
        raise NotFound("The mask was erased when its donor withdrew consent.")
    tile = session.get_one(Tile, row.tile_id)
    labels = ",".join(str(value) for value in row.complete_for)
    mask = unpack(row.raster, (tile.h, tile.w))
    return masks.answer(mask, form, {"X-Complete-For": labels})


@router.post("/annotations/{annotation}/retract")
def retract(
    annotation_id: AnnotationId, session: SessionDep, principal: PrincipalDep
) -> AnnotationView:
    """Take a revision out of every future training; its lineage is kept."""
    row = access.load(
        session, principal, Annotation, annotation_id, Role.ANNOTATOR, lock=True
    )
    annotations.retract(session, principal, row)
    return annotationviews.view(session, row)
