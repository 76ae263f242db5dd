"""Exports: the annotations as an nnU-Net raw dataset and as plain label images."""

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from backend.domain.errors import Conflict
from backend.domain.states import JobKind, Lane, Split
from backend.models import Job, Project
from backend.schemas.export import Exported, ExportWork
from backend.services import annotations, artifacts, audit, downloads, jobs
from backend.services.access import Principal

EXPORTED = (Split.POOL, Split.VALIDATION, Split.TEST)


def request(session: Session, principal: Principal, project: Project) -> Job:
    """Queue an export; Conflict if nothing is annotated or one is under way."""
    accepted = annotations.newest_accepted(project.id, *EXPORTED).subquery()
    if not session.scalar(select(func.count()).select_from(accepted)):
        raise Conflict(
            "There is no accepted annotation to export: annotate a tile first."
        )
    job = jobs.enqueue(
        session,
        JobKind.EXPORT,
        Lane.CPU,
        {},
        project_id=project.id,
        dedupe_key=f"export:{project.id}",
        requested_by=principal.id,
    )
    audit.record(session, principal, "export", "job", job.id, project_id=project.id)
    return job


def prepare(session: Session, job: Job) -> ExportWork:
    """Gather every annotated tile and the images they lie in."""
    project = session.get_one(Project, job.project_id)
    tiles = annotations.annotated(session, project.id, *EXPORTED)
    images = artifacts.stored_images(session, {tile.image_id for tile in tiles})
    return ExportWork(
        job_id=job.id,
        fence=job.fence,
        name=project.slug,
        schema=project.schema,
        images=tuple(images),
        tiles=tuple(tiles),
    )


def conclude(session: Session, job: Job, result: Exported) -> None:
    """Make the folder visible, in the place of the project's earlier exports.

    Only the newest is kept: an old one would go on holding what was withdrawn since.
    """
    assert job.project_id is not None
    downloads.forget(session, job.project_id, JobKind.EXPORT)
    downloads.keep(session, job, result.folder)
