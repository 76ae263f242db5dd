"""`cisterna train`, `job` and `export`: background work with progress."""

import uuid
from pathlib import Path
from typing import Annotated

import typer

from backend.cli.projects import Project
from backend.cli.session import Session, Shown, given, rest
from backend.domain.states import JobKind, JobState, Schedule
from backend.schemas.model import NewTraining

train = typer.Typer(help="Trainings.", rich_markup_mode=None)
job = typer.Typer(help="Background work.", rich_markup_mode=None)
export = typer.Typer(help="Take annotations away.", rich_markup_mode=None)
Job = Annotated[uuid.UUID, typer.Argument(help="Id of the job.")]
COLUMNS = "id kind state fraction attempts message created_at"


@train.command("start")
@rest()
def start_training(
    here: Session,
    project: Project,
    segmenter: Annotated[str | None, typer.Option(help="nnunet or forest")] = None,
    steps: int | None = None,
    minutes: float | None = None,
    schedule: Annotated[Schedule | None, typer.Option(help="From scratch?")] = None,
    stop_at_plateau: bool | None = None,
    folds: Annotated[int | None, typer.Option(help="Networks, if full.")] = None,
    replan: Annotated[
        bool, typer.Option("--replan", help="Let nnU-Net plan anew; always full.")
    ] = False,
    wait: Annotated[
        bool, typer.Option("--wait", help="Wait for evaluation and ranking, too.")
    ] = False,
) -> Shown:
    """Train on every accepted annotation of the pool."""
    options = given(
        segmenter=segmenter,
        steps=steps,
        minutes=minutes,
        schedule=schedule,
        stop_at_plateau=stop_at_plateau,
        folds=folds,
    )
    body = NewTraining(**options, replan=replan)
    job = here.service.trainings.start(project, body)
    if not wait:
        return job
    with here.following() as on_job:
        version = here.service.jobs.wait_for_round(project, job.id, on_job)
    return here.service.models.get(version)


@train.command("list")
@rest(COLUMNS)
def list_trainings(here: Session, project: Project) -> Shown:
    """List a project's trainings, newest first."""
    return here.service.jobs.list(project, kind=JobKind.TRAIN)


@job.command("list")
@rest(COLUMNS)
def list_jobs(
    here: Session,
    project: Project,
    state: JobState | None = None,
    kind: JobKind | None = None,
) -> Shown:
    """List a project's jobs, newest first."""
    return here.service.jobs.list(project, state=state, kind=kind)


@job.command("show")
@rest()
def show(here: Session, job: Job) -> Shown:
    """Show one job."""
    return here.service.jobs.get(job)


@job.command("wait")
@rest()
def wait(here: Session, job: Job) -> Shown:
    """Wait until a job has succeeded; fails if it does."""
    with here.following() as on_job:
        return here.service.jobs.wait(job, on_job)


@job.command("log")
@rest()
def log(here: Session, job: Job) -> Shown:
    """Print the end of a job's log."""
    return here.service.jobs.log(job)


@job.command("curve")
@rest("step loss measured_on measured_loss dice")
def curve(here: Session, job: Job) -> Shown:
    """List loss and Dice of a training so far."""
    return here.service.jobs.curve(job).points


@job.command("cancel")
@rest()
def cancel(here: Session, job: Job) -> Shown:
    """Ask a job to save its state and stop."""
    return here.service.jobs.cancel(job)


@export.command("create")
@rest()
def create_export(
    here: Session,
    project: Project,
    out: Annotated[Path, typer.Option(help="The zip file to write.")],
) -> Shown:
    """Write the annotations as an nnU-Net raw dataset and label PNGs."""
    started = here.service.exports.start(project)
    with here.following() as on_job:
        job = here.service.jobs.wait(started.id, on_job)
    size = here.service.exports.download(job.id, out)
    here.say(f"{out}: {size} bytes")
    return job
