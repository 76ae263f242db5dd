"""Projects and labels."""

from typing import Annotated

from fastapi import Body, Path, Response, status

from backend.api.deps import (
    Cursor,
    Limit,
    PrincipalDep,
    Revision,
    SessionDep,
    check_revision,
    etag,
)
from backend.api.routing import guarded
from backend.domain.states import Role
from backend.models import Project
from backend.schemas.base import Page
from backend.schemas.project import (
    LabelEdit,
    LabelView,
    NewLabel,
    NewProject,
    ProjectEdit,
    ProjectView,
)
from backend.services import access, copies, pages, projects

router = guarded("projects")
Key = Annotated[str, Path(description="Slug or id of the project.", max_length=80)]

Value = Annotated[int, Path(ge=1, le=254, description="Value of the label.")]


@router.post("/projects", status_code=status.HTTP_201_CREATED)
def create_project(
    body: Annotated[
        NewProject,
        Body(
            openapi_examples={
                "liver": {
                    "value": {
                        "name": "Human liver",
                        "preset": "liver",
                        "tile_size": 512,
                    }
                }
            }
        ),
    ],
    session: SessionDep,
    principal: PrincipalDep,
    response: Response,
) -> ProjectView:
    """Create a project; you become its manager.

    With `images_from` it has the images of another project that you manage.
    """
    row = projects.create(session, principal, body)
    if body.images_from is not None:
        source = access.project(session, principal, body.images_from, Role.MANAGER)
        copies.share_images(session, principal, source, row)
    response.headers["Location"] = f"/api/v1/projects/{row.slug}"
    response.headers["ETag"] = etag(row.version)
    return ProjectView.model_validate(row)


@router.get("/projects")
def list_projects(
    session: SessionDep,
    principal: PrincipalDep,
    cursor: Cursor = None,
    limit: Limit = 50,
) -> Page[ProjectView]:
    """List the projects you are a member of."""
    rows, following = pages.page(
        session, projects.listed(principal), Project, cursor, limit
    )
    return Page(items=[ProjectView.model_validate(r) for r in rows], next=following)


@router.get("/projects/{project}")
def get_project(
    project: Key, session: SessionDep, principal: PrincipalDep, response: Response
) -> ProjectView:
    """Return one project."""
    row = access.project(session, principal, project, Role.VIEWER)
    response.headers["ETag"] = etag(row.version)
    return ProjectView.model_validate(row)


@router.patch("/projects/{project}")
def edit_project(
    project: Key,
    body: ProjectEdit,
    revision: Revision,
    session: SessionDep,
    principal: PrincipalDep,
    response: Response,
) -> ProjectView:
    """Change a project's settings."""
    row = access.project(session, principal, project, Role.MANAGER)
    check_revision(revision, row.version)
    projects.edit(session, principal, row, body)
    response.headers["ETag"] = etag(row.version)
    return ProjectView.model_validate(row)


@router.post("/projects/{project}/labels", status_code=status.HTTP_201_CREATED)
def add_label(
    project: Key, body: NewLabel, session: SessionDep, principal: PrincipalDep
) -> LabelView:
    """Add a label; annotations made before stay silent about it."""
    row = access.project(session, principal, project, Role.MANAGER)
    return LabelView.model_validate(projects.add_label(session, principal, row, body))


@router.patch("/projects/{project}/labels/{value}")
def edit_label(
    project: Key,
    value: Value,
    body: LabelEdit,
    revision: Revision,
    session: SessionDep,
    principal: PrincipalDep,
) -> LabelView:
    """Rename, recolour, reweigh or explain a label; If-Match is the project's ETag."""
    row = access.project(session, principal, project, Role.MANAGER)
    check_revision(revision, row.version)
    label = projects.edit_label(session, principal, row, value, body)
    return LabelView.model_validate(label)
