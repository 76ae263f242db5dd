"""Predictions: sweeps on request, and regions of what they show."""

import math
import uuid
from collections.abc import Sequence
from typing import Annotated, Literal

import numpy as np
from fastapi import Query, Response, status
from sqlalchemy import Select, select
from sqlalchemy.orm import Session

from backend.api.deps import Cursor, Limit, PrincipalDep, SessionDep, StoreDep
from backend.api.regions import Columns, Left, Rows, Top
from backend.api.routing import guarded
from backend.domain.errors import Invalid
from backend.domain.states import Role
from backend.imaging import pngs
from backend.models import Image, ModelVersion, Prediction, Project
from backend.schemas.base import Page
from backend.schemas.job import JobView
from backend.schemas.prediction import LabelShare, NewPrediction, PredictionView
from backend.services import access, maps, pages, predictions
from backend.services.maps import MapKind, Region, Window

router = guarded("predictions")
_BINARY = {"schema": {"type": "string", "format": "binary"}}


@router.post("/models/{model}/predictions", status_code=status.HTTP_202_ACCEPTED)
def predict(
    model: uuid.UUID,
    body: NewPrediction,
    session: SessionDep,
    principal: PrincipalDep,
    response: Response,
) -> JobView:
    """Sweep chosen images with this version, whatever their split (reviewer)."""
    version = access.load(session, principal, ModelVersion, model, Role.REVIEWER)
    job = predictions.request_images(session, principal, version, body.image_ids)
    response.headers["Location"] = f"/api/v1/jobs/{job.id}"
    return JobView.model_validate(job)


@router.get("/models/{model}/predictions")
def list_of_model(
    model: uuid.UUID,
    session: SessionDep,
    principal: PrincipalDep,
    cursor: Cursor = None,
    limit: Limit = 50,
) -> Page[PredictionView]:
    """List a version's predictions, newest first."""
    row = access.load(session, principal, ModelVersion, model, Role.VIEWER)
    statement = select(Prediction).where(Prediction.model_version_id == row.id)
    return _page(session, row.project_id, statement, cursor, limit)


@router.get("/images/{image}/predictions")
def list_of_image(
    image: uuid.UUID,
    session: SessionDep,
    principal: PrincipalDep,
    cursor: Cursor = None,
    limit: Limit = 50,
) -> Page[PredictionView]:
    """List an image's predictions by all versions, newest first."""
    row = access.load(session, principal, Image, image, Role.VIEWER)
    statement = select(Prediction).where(Prediction.image_id == row.id)
    return _page(session, row.project_id, statement, cursor, limit)


@router.get("/predictions/{prediction}")
def get_prediction(
    prediction: uuid.UUID, session: SessionDep, principal: PrincipalDep
) -> PredictionView:
    """Return one prediction: pixels and share of every label."""
    row = access.load(session, principal, Prediction, prediction, Role.VIEWER)
    project = session.get_one(Project, row.project_id)
    return _views(project, [row])[0]


@router.get(
    "/predictions/{prediction}/{map}",
    response_class=Response,
    responses={
        200: {"content": {"image/png": _BINARY, "application/octet-stream": _BINARY}}
    },
)
def get_map(
    prediction: uuid.UUID,
    map: MapKind,
    session: SessionDep,
    principal: PrincipalDep,
    store: StoreDep,
    level: Annotated[
        int | None,
        Query(
            ge=0,
            le=30,
            description="0 is full size. If not given: 0 for a region, for the whole "
            "image the finest level that fits into one answer.",
        ),
    ] = None,
    y: Top = 0,
    x: Left = 0,
    h: Rows = None,
    w: Columns = None,
    format: Annotated[Literal["png", "raw"], Query()] = "png",
    label: Annotated[
        str | None,
        Query(
            max_length=60,
            description="Label of a probability map, or `background`.",
            examples=["ER"],
        ),
    ] = None,
    high: Annotated[
        float | None,
        Query(
            gt=0,
            allow_inf_nan=False,
            description="What a heat map shows in the brightest colour. If not given: "
            "1 for probability, ln(labels + 1) nats for entropy, ln 2 for information.",
        ),
    ] = None,
) -> Response:
    """Return a region of a map; `X-Level` and `X-Shape` say what came.

    - `labels`: decided label values, as a grey PNG or raw uint8
    - `overlay`: labels over the image with the share of pixels per label (PNG)
    - `entropy`, `information`: nats, as a heat map PNG or raw little-endian float16
    - `probability`: of `label`, as a heat map PNG or raw uint8 (255 is certain)
    """
    row = access.load(session, principal, Prediction, prediction, Role.VIEWER)
    if map is MapKind.OVERLAY and format == "raw":
        raise Invalid("An overlay is a picture: ask for format=png.", field="format")
    region = maps.read(session, store, row, map, Window(level, y, x, h, w), label)
    headers = {
        # a newer sweep of the same image has another id
        "Cache-Control": "private, max-age=86400",
        "X-Content-Type-Options": "nosniff",
        "X-Level": str(region.level),
        "X-Shape": f"{region.values.shape[0]},{region.values.shape[1]}",
        "X-Dtype": region.values.dtype.name,
    }
    if format == "raw":
        values = region.values
        little = values.astype(values.dtype.newbyteorder("<"), copy=False).tobytes()
        return Response(little, 200, headers, "application/octet-stream")
    project = session.get_one(Project, row.project_id)
    if map is MapKind.LABELS:
        picture = pngs.mask_png(region.values)
    elif map is MapKind.OVERLAY:
        grey = maps.grey_beneath(session, store, row, region)
        image = session.get_one(Image, row.image_id)
        window = _contrast(image, float(np.iinfo(grey.dtype).max))
        picture = pngs.overlay_png(grey, region.values, project.schema, window=window)
    else:
        picture = _heat(map, region, len(project.labels), high)
    return Response(picture, 200, headers, "image/png")


def _contrast(image: Image, top: float) -> tuple[float, float]:
    """Three SD around the mean: 16-bit images rarely use their whole range."""
    mean, spread = image.mean or 0.0, 3 * (image.sd or 0.0)
    return max(0.0, mean - spread), max(1.0, min(top, mean + spread))


def _heat(map: MapKind, region: Region, labels: int, high: float | None) -> bytes:
    values = region.values.astype(np.float32)
    if map is MapKind.PROBABILITY:
        return pngs.heat_png(values / 255, 0.0, high or 1.0)
    most = math.log(labels + 1) if map is MapKind.ENTROPY else math.log(2)
    return pngs.heat_png(values, 0.0, high or most)


def _page(
    session: Session,
    project_id: uuid.UUID,
    statement: Select[Prediction],
    cursor: str | None,
    limit: int,
) -> Page[PredictionView]:
    found, following = pages.page(session, statement, Prediction, cursor, limit)
    project = session.get_one(Project, project_id)
    return Page(items=_views(project, found), next=following)


def _views(project: Project, rows: Sequence[Prediction]) -> list[PredictionView]:
    names = {0: "background", **{row.value: row.name for row in project.labels}}
    views = []
    for row in rows:
        pixels = {int(value): int(str(n)) for value, n in row.label_pixels.items()}
        total = max(1, sum(pixels.values()))
        views.append(
            PredictionView(
                id=row.id,
                project_id=row.project_id,
                model_version_id=row.model_version_id,
                image_id=row.image_id,
                members=row.members,
                seconds=row.seconds,
                labels=[
                    LabelShare(
                        value=value,
                        name=name,
                        pixels=pixels.get(value, 0),
                        share=pixels.get(value, 0) / total,
                    )
                    for value, name in names.items()
                ],
                created_at=row.created_at,
            )
        )
    return views
