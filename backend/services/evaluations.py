"""How good a version is on validation and test, and what follows: promotion."""

from sqlalchemy.orm import Session

from backend.domain.states import JobKind, Promotion, Split
from backend.models import Evaluation, Job, ModelVersion, Project
from backend.schemas.loop import SweepResult, SweepWork
from backend.services import annotations, artifacts, jobs, models, predictions

MEASURED = (Split.VALIDATION, Split.TEST)


def request(session: Session, version: ModelVersion) -> Job:
    """Queue the evaluation of a candidate."""
    return jobs.enqueue(
        session,
        JobKind.EVALUATE,
        jobs.lane_of(version.segmenter),
        {"model_version_id": str(version.id)},
        project_id=version.project_id,
        dedupe_key=f"evaluate:{version.id}",
    )


def prepare(session: Session, job: Job) -> SweepWork:
    """Gather the candidate, and every annotated validation and test tile."""
    version = jobs.version_of(session, job)
    truth = annotations.annotated(session, version.project_id, *MEASURED)
    images = artifacts.stored_images(session, {tile.image_id for tile in truth})
    return predictions.sweep_work(session, job, version, images, tuple(truth))


def conclude(session: Session, job: Job, result: SweepResult) -> None:
    """Keep the counts and the sweeps, then promote if the project wants it so."""
    version = jobs.version_of(session, job)
    predictions.keep(session, version, result)
    session.add_all(
        Evaluation(
            model_version_id=version.id,
            split=measured.split,
            value=measured.value,
            tp=measured.counts.tp,
            fp=measured.counts.fp,
            fn=measured.counts.fn,
            tiles=measured.tiles,
            average_precision=measured.average_precision,
        )
        for measured in result.measured
    )
    session.flush()
    project = session.get_one(Project, version.project_id)
    if project.promotion is Promotion.AUTOMATIC:
        models.promote_if_better_kind(session, project, version)
