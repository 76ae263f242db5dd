"""Exports: an nnU-Net raw dataset and label images to take away."""

import uuid

from fastapi import Response, status
from fastapi.responses import StreamingResponse

from backend.api.archive import zip_answer
from backend.api.deps import (
    DatabaseDep,
    PrincipalDep,
    SessionDep,
    StoreDep,
    StreamPrincipalDep,
)
from backend.api.projects import Key
from backend.api.routing import guarded, streaming
from backend.domain.states import JobKind, Role
from backend.models import Job, Project
from backend.schemas.job import JobView
from backend.services import access, downloads, exports

router = guarded("exports")
streams = streaming("exports")


@router.post("/projects/{project}/exports", status_code=status.HTTP_202_ACCEPTED)
def export(
    project: Key, session: SessionDep, principal: PrincipalDep, response: Response
) -> JobView:
    """Write every annotated image as an nnU-Net case, and its labels (reviewer)."""
    row = access.project(session, principal, project, Role.REVIEWER)
    job = exports.request(session, principal, row)
    response.headers["Location"] = f"/api/v1/jobs/{job.id}"
    return JobView.model_validate(job)


@streams.get(
    "/exports/{job}/download",
    response_class=StreamingResponse,
    responses={200: {"content": {"application/zip": {}}}},
)
def download(
    job: uuid.UUID,
    principal: StreamPrincipalDep,
    database: DatabaseDep,
    store: StoreDep,
) -> StreamingResponse:
    """Download an export as a zip."""
    with database.unit_of_work() as session:
        row = access.load(session, principal, Job, job, Role.VIEWER)
        tree = downloads.find(session, row, JobKind.EXPORT)
        slug = session.get_one(Project, row.project_id).slug
    return zip_answer(store, tree, f"{slug}-export")
