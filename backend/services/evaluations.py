"""How good a version is on validation and test, and what follows: promotion."""

from sqlalchemy.orm import Session

from backend.domain.metrics import intervals
from backend.domain.states import JobKind, ModelState, Promotion, Split
from backend.models import Evaluation, Job, ModelVersion, Project
from backend.schemas.loop import Measured, SweepResult, SweepWork
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
    """Keep counts, offsets and sweeps, then promote if the project wants it so."""
    version = jobs.version_of(session, job)
    if result.offsets:
        # somebody may have asked for sweeps before it was known how to decide
        predictions.forget(session, version)
        version.offsets = {str(v): offset for v, offset in result.offsets.items()}
    predictions.keep(session, version, result)
    session.add_all(_row(version, measured) for measured in result.measured)
    session.flush()
    project = session.get_one(Project, version.project_id)
    if version.state is ModelState.LIVE:  # somebody did not wait for this
        if result.offsets:
            predictions.go_on(session, version)
    elif (
        version.state is ModelState.CANDIDATE
        and project.promotion is Promotion.AUTOMATIC
    ):
        models.promote_if_better_kind(session, project, version)


def _row(version: ModelVersion, measured: Measured) -> Evaluation:
    # in one order and from one seed, the kept counts give the same interval again
    tiles = sorted(measured.by_annotation.items())
    found = intervals((counts for _, counts in tiles), seed=version.id.int)
    dice, recall = found or ((None, None), (None, None))
    return Evaluation(
        model_version_id=version.id,
        split=measured.split,
        value=measured.value,
        tp=measured.counts.tp,
        fp=measured.counts.fp,
        fn=measured.counts.fn,
        tiles=measured.tiles,
        average_precision=measured.average_precision,
        dice_low=dice[0],
        dice_high=dice[1],
        recall_low=recall[0],
        recall_high=recall[1],
        by_annotation={str(id): [c.tp, c.fp, c.fn] for id, c in tiles},
        positives=list(measured.positives),
        negatives=list(measured.negatives),
        undecided_missed=list(measured.undecided_missed),
        undecided_others=list(measured.undecided_others),
    )
