"""Packages: a model as a file that other tools read."""

import json

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from backend.domain.errors import Conflict
from backend.domain.operating import RULE
from backend.domain.states import JobKind, Lane, Split
from backend.models import Job, ModelVersion, Project, TrainingSetItem, User
from backend.schemas.package import About, Packaged, PackageFormat, PackageWork
from backend.schemas.stored import StoredTree
from backend.services import artifacts, audit, downloads, jobs, quality
from backend.services.access import Principal

STOCK_FOLDER = "nnUNetTrainer__nnUNetPlans__2d"
NOTE = "operating_point.json"
_STOCK = ("plans.json", "dataset.json", "model.json", "checkpoint_final.pth")


def request(
    session: Session,
    principal: Principal,
    version: ModelVersion,
    format: PackageFormat,
) -> Job:
    """Queue a package; Conflict if there is no network to pack."""
    network(session, version)
    job = jobs.enqueue(
        session,
        JobKind.PACKAGE,
        Lane.CPU,
        {"model_version_id": str(version.id), "format": format},
        project_id=version.project_id,
        dedupe_key=f"package:{version.id}:{format}",
        requested_by=principal.id,
    )
    audit.record(
        session,
        principal,
        "package",
        "model",
        version.id,
        project_id=version.project_id,
        format=format,
    )
    return job


def network(session: Session, version: ModelVersion) -> StoredTree:
    """Return the folder of a version that is a network; Conflict if it is not."""
    if version.artifact_id is None:
        raise Conflict(
            f"Round {version.ordinal} is {version.state} and has no weights; "
            "choose a trained version."
        )
    if version.segmenter != "nnunet":
        raise Conflict(
            f"Round {version.ordinal} is a {version.segmenter}, and only networks of "
            "nnU-Net fit this format; download its folder as it is."
        )
    return artifacts.tree(session, version.artifact_id)


def stock(session: Session, version: ModelVersion) -> tuple[str, StoredTree]:
    """Return a version as nnU-Net's own commands install it: a path and its files.

    The path is that below nnUNet_results; every round of a project has the same.
    """
    tree = network(session, version)
    slug = session.get_one(Project, version.project_id).slug
    files = {
        name: entry
        for name, entry in tree.manifest.items()
        if name.rpartition("/")[2] in _STOCK
    }
    # The number is nnU-Net's own way to name a dataset and has to be three digits.
    place = f"Dataset001_{slug.replace('-', '_')}/{STOCK_FOLDER}"
    return place, StoredTree(tree.prefix, files)


def notes(session: Session, version: ModelVersion) -> dict[str, str]:
    """Return what goes with a model's files: how it is served, unless as it decides."""
    served = quality.served_offsets(version)
    if not served:
        return {}
    schema = session.get_one(Project, version.project_id).schema
    offsets = [
        {"value": label.value, "label": label.name, "logit_offset": served[label.value]}
        for label in schema.labels
        if label.value in served
    ]
    told = {"rule": RULE, "offsets": offsets}
    return {NOTE: json.dumps(told, indent=1, ensure_ascii=False) + "\n"}


def prepare(session: Session, job: Job) -> PackageWork:
    """Gather the model and what a package tells of it."""
    version = jobs.version_of(session, job)
    project = session.get_one(Project, version.project_id)
    tables = quality.of_versions(session, project, [version.id]).get(version.id, {})
    tiles = session.scalar(
        select(func.count())
        .select_from(TrainingSetItem)
        .where(TrainingSetItem.training_set_id == version.training_set_id)
    )
    asked = session.get(User, job.requested_by) if job.requested_by else None
    return PackageWork(
        job_id=job.id,
        fence=job.fence,
        format=PackageFormat(str(job.payload["format"])),
        name=f"{project.slug}-round-{version.ordinal}",
        model=network(session, version),
        about=About(
            project=project.name,
            round=version.ordinal,
            trained_at=version.created_at,
            authors=(asked.name,) if asked else (),
            tiles=tiles or 0,
            offsets=quality.served_offsets(version),
            dice={
                split: {label: figures["dice"] for label, figures in table.items()}
                for split, table in tables.items()
                if split in (Split.VALIDATION, Split.TEST)
            },
        ),
    )


def conclude(session: Session, job: Job, result: Packaged) -> None:
    """Make the file visible, in the place of an earlier one of the same version."""
    assert job.project_id is not None
    same = Job.payload == job.payload
    downloads.forget(session, job.project_id, JobKind.PACKAGE, same)
    downloads.keep(session, job, result.folder)


def file(session: Session, job: Job) -> tuple[str, str]:
    """Return a package's key in the store and its name; Conflict if there is none."""
    tree = downloads.find(session, job, JobKind.PACKAGE)
    (name,) = tree.manifest
    return f"{tree.prefix}/{name}", name
