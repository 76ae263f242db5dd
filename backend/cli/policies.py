"""`cisterna policy`: when to retrain."""

import uuid
from typing import Annotated

import typer

from backend.cli.projects import Project
from backend.cli.session import Session, Shown, given, rest
from backend.client import ClientError
from backend.domain.states import Schedule
from backend.schemas.policy import NewPolicy, PolicyEdit

app = typer.Typer(help="When to retrain.", rich_markup_mode=None)
Policy = Annotated[uuid.UUID, typer.Argument(help="Id of the policy.")]
Every = Annotated[int | None, typer.Option(help="Train after so many annotations.")]
Cron = Annotated[str | None, typer.Option(help="Such as '0 2 * * *'.")]
Least = Annotated[float | None, typer.Option(help="Least minutes between two starts.")]
Asked = Annotated[Schedule | None, typer.Option(help="For a nightly one: full.")]
Quiet = Annotated[
    str | None, typer.Option(help="Hours without starts, such as 08:00-18:00.")
]


@app.command("create")
@rest()
def create(
    here: Session,
    project: Project,
    name: str,
    every_annotations: Every = None,
    cron: Cron = None,
    minimum_minutes: Least = None,
    schedule: Asked = None,
    quiet: Quiet = None,
) -> Shown:
    """Add a policy with a count, a schedule, or both."""
    options = given(
        name=name,
        every_annotations=every_annotations,
        cron=cron,
        minimum_minutes=minimum_minutes,
        schedule=schedule,
    )
    body = NewPolicy.model_validate(options | _hours(quiet))
    return here.service.policies.create(project, body)


@app.command("list")
@rest("id name enabled every_annotations cron schedule minimum_minutes last_firing")
def list_policies(here: Session, project: Project) -> Shown:
    """List a project's policies."""
    return here.service.policies.list(project)


@app.command("edit")
@rest()
def edit(
    here: Session,
    project: Project,
    policy: Policy,
    name: str | None = None,
    enabled: Annotated[bool | None, typer.Option("--enable/--disable")] = None,
    every_annotations: Every = None,
    cron: Cron = None,
    minimum_minutes: Least = None,
    schedule: Asked = None,
    quiet: Quiet = None,
) -> Shown:
    """Change a policy; options left out stay as they are."""
    changes = given(
        name=name,
        enabled=enabled,
        every_annotations=every_annotations,
        cron=cron,
        minimum_minutes=minimum_minutes,
        schedule=schedule,
    )
    changes |= _hours(quiet)
    if not changes:
        raise ClientError("Nothing to change: give at least one option.")
    before = here.service.policies.get(project, policy)
    return here.service.policies.edit(before, PolicyEdit.model_validate(changes))


@app.command("delete")
@rest()
def delete(here: Session, project: Project, policy: Policy) -> Shown:
    """Delete a policy; trainings it started go on."""
    here.service.policies.delete(here.service.policies.get(project, policy))
    return f"Policy {policy} is deleted."


def _hours(text: str | None) -> dict[str, str]:
    if text is None:
        return {}
    begin, is_pair, end = text.partition("-")
    if not is_pair:
        raise ClientError("--quiet is a span of hours, such as 08:00-18:00.")
    return {"quiet_from": begin.strip(), "quiet_until": end.strip()}
