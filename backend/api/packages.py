"""Packages: models as ONNX graphs and BioImage.IO packages."""

import uuid
from typing import Annotated

from fastapi import Body, Response, status
from fastapi.responses import StreamingResponse

from backend.api.deps import (
    DatabaseDep,
    PrincipalDep,
    SessionDep,
    StoreDep,
    StreamPrincipalDep,
)
from backend.api.routing import guarded, streaming
from backend.domain.states import Role
from backend.models import Job, ModelVersion
from backend.schemas.job import JobView
from backend.schemas.package import NewPackage
from backend.services import access, packages

router = guarded("models")
streams = streaming("models")


@router.post("/models/{model}/packages", status_code=status.HTTP_202_ACCEPTED)
def package(
    model: uuid.UUID,
    body: Annotated[
        NewPackage,
        Body(openapi_examples={"BioImage.IO": {"value": {"format": "bioimageio"}}}),
    ],
    session: SessionDep,
    principal: PrincipalDep,
    response: Response,
) -> JobView:
    """Pack a version as one file for other tools (reviewer)."""
    row = access.load(session, principal, ModelVersion, model, Role.REVIEWER)
    job = packages.request(session, principal, row, body.format)
    response.headers["Location"] = f"/api/v1/jobs/{job.id}"
    return JobView.model_validate(job)


@streams.get(
    "/packages/{job}/download",
    response_class=StreamingResponse,
    responses={200: {"content": {"application/octet-stream": {}}}},
)
def download_package(
    job: uuid.UUID,
    principal: StreamPrincipalDep,
    database: DatabaseDep,
    store: StoreDep,
) -> StreamingResponse:
    """Download a finished package."""
    with database.unit_of_work() as session:
        row = access.load(session, principal, Job, job, Role.VIEWER)
        key, name = packages.file(session, row)
    return StreamingResponse(
        store.stream(key),
        200,
        {
            "Content-Disposition": f'attachment; filename="{name}"',
            "X-Content-Type-Options": "nosniff",
        },
        "application/octet-stream",
    )
