"""`cisterna model` and `predict`: versions, their quality, their sweeps."""

import uuid
from pathlib import Path
from typing import Annotated, Literal

import typer

from backend.cli import quality
from backend.cli.projects import Project
from backend.cli.session import Session, Shown, given, rest
from backend.domain.states import Split
from backend.schemas.package import PackageFormat

model = typer.Typer(help="Model versions.", rich_markup_mode=None)
predict = typer.Typer(help="Predictions.", rich_markup_mode=None)
Model = Annotated[uuid.UUID, typer.Argument(help="Id of the model version.")]
Prediction = Annotated[uuid.UUID, typer.Argument(help="Id of the prediction.")]
Format = Literal["nnunet", "onnx", "bioimageio"]
Measured = Literal["validation", "test"]
Layer = Literal["labels", "overlay", "entropy", "information", "probability"]


@model.command("list")
@rest("id ordinal state segmenter schedule tiles predictions created_at promoted_at")
def list_models(here: Session, project: Project) -> Shown:
    """List a project's model versions, newest first."""
    return here.service.models.list(project)


@model.command("show")
@rest()
def show_model(here: Session, model: Model) -> Shown:
    """Show one version and how good it is."""
    return here.service.models.get(model)


@model.command("curve")
@rest("label at recall precision probability offset floor ap")
def curve(
    here: Session,
    model: Model,
    split: Annotated[Measured, typer.Option(help="Of which tiles.")] = "validation",
) -> Shown:
    """Show precision over recall of each label, and where it is served."""
    project = str(here.service.models.get(model).project_id)
    found = here.service.models.precision_recall(project, model, Split(split))
    if not found.labels:
        here.say(
            f"Round {found.round} has not been measured on {split} tiles: a version is "
            "measured when it is trained, on those annotated by then."
        )
    return found if here.as_json else quality.curve(found)


@model.command("lessons")
@rest("annotation_id revision image_id author active_seconds imported")
def lessons(here: Session, model: Model) -> Shown:
    """List the annotations a version learnt from."""
    return here.service.models.training_set(model)


@model.command("promote")
@rest()
def promote(here: Session, model: Model) -> Shown:
    """Make a version the live one."""
    return here.service.models.promote(model)


@model.command("reject")
@rest()
def reject(here: Session, model: Model) -> Shown:
    """Set a candidate aside for good."""
    return here.service.models.reject(model)


@model.command("rollback")
@rest()
def rollback(here: Session, project: Project) -> Shown:
    """Make the previously live version live again."""
    return here.service.models.rollback(project)


@model.command("download")
@rest()
def download(
    here: Session, model: Model, out: Annotated[Path, typer.Option()]
) -> Shown:
    """Download a version's folder as a zip; nnU-Net's own commands run on it."""
    size = here.service.models.download(model, out)
    return f"{out}: {size} bytes"


@model.command("export")
@rest()
def export(
    here: Session,
    model: Model,
    format: Annotated[Format, typer.Option()],
    out: Annotated[Path, typer.Option(help="The file to write.")],
) -> Shown:
    """Write a network for other tools: nnU-Net, ONNX or BioImage.IO."""
    if format == "nnunet":
        size = here.service.models.download(model, out, format="nnunet")
    else:
        started = here.service.models.package(model, PackageFormat(format))
        with here.following() as on_job:
            here.service.jobs.wait(started.id, on_job)
        size = here.service.models.download_package(started.id, out)
    return f"{out}: {size} bytes"


@predict.command("start")
@rest()
def start(
    here: Session,
    model: Model,
    images: Annotated[list[uuid.UUID], typer.Argument(help="Ids of the images.")],
    wait: Annotated[bool, typer.Option("--wait")] = False,
) -> Shown:
    """Sweep chosen images with a version."""
    job = here.service.predictions.start(model, images)
    if not wait:
        return job
    with here.following() as on_job:
        return here.service.jobs.wait(job.id, on_job)


@predict.command("list")
@rest("id image_id members seconds created_at")
def list_predictions(here: Session, model: Model) -> Shown:
    """List a version's predictions."""
    return here.service.predictions.of_model(model)


@predict.command("show")
@rest()
def show_prediction(here: Session, prediction: Prediction) -> Shown:
    """Show one prediction and the share of each label."""
    return here.service.predictions.get(prediction)


@predict.command("picture")
@rest()
def picture(
    here: Session,
    prediction: Prediction,
    layer: Layer,
    out: Annotated[Path, typer.Option(help="The PNG file to write.")],
    label: Annotated[str | None, typer.Option(help="For `probability`.")] = None,
) -> Shown:
    """Write a layer of a prediction as a PNG file."""
    where = given(label=label)
    out.write_bytes(here.service.predictions.picture(prediction, layer, **where))
    return str(out)
