"""Policies: when to retrain."""

import uuid
from typing import Annotated

from fastapi import Body, Response, status
from sqlalchemy.orm import Session

from backend.api.deps import (
    Cursor,
    Limit,
    PrincipalDep,
    Revision,
    SessionDep,
    check_revision,
    etag,
)
from backend.api.projects import Key
from backend.api.routing import guarded
from backend.domain.errors import NotFound
from backend.domain.states import Role
from backend.models import Policy, Project
from backend.schemas.base import Page
from backend.schemas.policy import FiringView, NewPolicy, PolicyEdit, PolicyView
from backend.services import access, pages, policies

router = guarded("policies")


@router.post("/projects/{project}/policies", status_code=status.HTTP_201_CREATED)
def create_policy(
    project: Key,
    body: Annotated[
        NewPolicy,
        Body(
            openapi_examples={
                "count": {
                    "summary": "After 20 new annotations, at most once an hour",
                    "value": {
                        "name": "often",
                        "every_annotations": 20,
                        "minimum_minutes": 60,
                    },
                },
                "nightly": {
                    "summary": "Every night at two, never in working hours",
                    "value": {
                        "name": "nightly",
                        "cron": "0 2 * * *",
                        "schedule": "full",
                        "quiet_from": "08:00",
                        "quiet_until": "18:00",
                    },
                },
            }
        ),
    ],
    session: SessionDep,
    principal: PrincipalDep,
    response: Response,
) -> PolicyView:
    """Add a policy."""
    found = access.project(session, principal, project, Role.MANAGER)
    row = policies.create(session, principal, found, body)
    response.headers["Location"] = f"/api/v1/projects/{found.slug}/policies/{row.id}"
    return _view(session, row, response)


@router.get("/projects/{project}/policies")
def list_policies(
    project: Key,
    session: SessionDep,
    principal: PrincipalDep,
    cursor: Cursor = None,
    limit: Limit = 50,
) -> Page[PolicyView]:
    """List a project's policies."""
    found = access.project(session, principal, project, Role.VIEWER)
    rows, following = pages.page(
        session, policies.listed(found.id), Policy, cursor, limit
    )
    return Page(items=[_view(session, row) for row in rows], next=following)


@router.get("/projects/{project}/policies/{policy}")
def get_policy(
    project: Key,
    policy: uuid.UUID,
    session: SessionDep,
    principal: PrincipalDep,
    response: Response,
) -> PolicyView:
    """Return one policy and how it fired last."""
    found = access.project(session, principal, project, Role.VIEWER)
    return _view(session, _load(session, found, policy), response)


@router.patch("/projects/{project}/policies/{policy}")
def edit_policy(
    project: Key,
    policy: uuid.UUID,
    body: PolicyEdit,
    revision: Revision,
    session: SessionDep,
    principal: PrincipalDep,
    response: Response,
) -> PolicyView:
    """Change a policy; null takes a trigger or the quiet hours away."""
    found = access.project(session, principal, project, Role.MANAGER)
    row = _load(session, found, policy)
    check_revision(revision, row.version)
    return _view(session, policies.edit(session, principal, row, body), response)


@router.delete(
    "/projects/{project}/policies/{policy}", status_code=status.HTTP_204_NO_CONTENT
)
def delete_policy(
    project: Key,
    policy: uuid.UUID,
    revision: Revision,
    session: SessionDep,
    principal: PrincipalDep,
) -> None:
    """Delete a policy; trainings it started go on."""
    found = access.project(session, principal, project, Role.MANAGER)
    row = _load(session, found, policy)
    check_revision(revision, row.version)
    policies.remove(session, principal, row)


def _load(session: Session, project: Project, id: uuid.UUID) -> Policy:
    row = session.get(Policy, id)
    if row is None or row.project_id != project.id:
        raise NotFound(f"The project has no policy {id}.")
    return row


def _view(
    session: Session, row: Policy, response: Response | None = None
) -> PolicyView:
    if response is not None:
        response.headers["ETag"] = etag(row.version)
    last = policies.last_firing(session, row.id)
    return PolicyView(
        id=row.id,
        project_id=row.project_id,
        name=row.name,
        enabled=row.enabled,
        every_annotations=row.every_annotations,
        cron=row.cron,
        minimum_minutes=row.minimum_minutes,
        schedule=row.schedule,
        quiet_from=row.quiet_from,
        quiet_until=row.quiet_until,
        last_firing=FiringView.model_validate(last) if last else None,
        version=row.version,
        created_at=row.created_at,
    )
