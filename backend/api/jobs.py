"""Jobs: what happens in the background."""

import uuid

from fastapi import status
from fastapi.responses import PlainTextResponse
from sqlalchemy import select

from backend.api.deps import Cursor, Limit, PrincipalDep, SessionDep
from backend.api.projects import Key
from backend.api.routing import guarded
from backend.domain.states import JobKind, JobState, Role
from backend.models import Job
from backend.schemas.base import Page
from backend.schemas.job import CurveView, JobView
from backend.services import access, jobs, pages

router = guarded("jobs")


@router.get("/projects/{project}/jobs")
def list_jobs(
    project: Key,
    session: SessionDep,
    principal: PrincipalDep,
    state: JobState | None = None,
    kind: JobKind | None = None,
    cursor: Cursor = None,
    limit: Limit = 50,
) -> Page[JobView]:
    """List a project's jobs, newest first."""
    found = access.project(session, principal, project, Role.VIEWER)
    statement = jobs.listed(found.id, state, kind)
    rows, following = pages.page(session, statement, Job, cursor, limit)
    return Page(items=[JobView.model_validate(row) for row in rows], next=following)


@router.get("/jobs/{job}")
def get_job(job: uuid.UUID, session: SessionDep, principal: PrincipalDep) -> JobView:
    """Return one job."""
    return JobView.model_validate(
        access.load(session, principal, Job, job, Role.VIEWER)
    )


@router.get("/jobs/{job}/log", response_class=PlainTextResponse)
def get_log(job: uuid.UUID, session: SessionDep, principal: PrincipalDep) -> str:
    """Return the end of a job's log, at most 16 KiB of plain text."""
    access.load(session, principal, Job, job, Role.VIEWER)
    return session.scalars(select(Job.log).where(Job.id == job)).one()


@router.get("/jobs/{job}/curve")
def get_curve(
    job: uuid.UUID, session: SessionDep, principal: PrincipalDep
) -> CurveView:
    """Return loss and Dice of a training so far, also while it runs."""
    row = access.load(session, principal, Job, job, Role.VIEWER)
    runs = row.state is JobState.RUNNING
    return CurveView.model_validate(
        {
            "job_id": row.id,
            "state": row.state,
            "step": row.progress.get("step"),
            "seconds_left": row.progress.get("seconds_left") if runs else None,
            "points": row.curve,
        }
    )


@router.post("/jobs/{job}/cancel", status_code=status.HTTP_202_ACCEPTED)
def cancel_job(job: uuid.UUID, session: SessionDep, principal: PrincipalDep) -> JobView:
    """Cancel a job; one that runs saves its state and stops within a heartbeat."""
    row = access.load(session, principal, Job, job, Role.MANAGER, lock=True)
    return JobView.model_validate(jobs.cancel(session, principal, row))
