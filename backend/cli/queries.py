"""`cisterna query`: what the ranker asks for next, and why."""

import uuid
from typing import Annotated

import typer

from backend.cli.projects import Project
from backend.cli.session import Session, Shown, rest
from backend.domain.states import Split
from backend.schemas.query import TileState

app = typer.Typer(help="The order of tiles.", rich_markup_mode=None)
Query = Annotated[uuid.UUID, typer.Argument(help="Id of the query.")]


@app.command("list")
@rest("id strategy state size seed model_version_id created_at")
def list_queries(here: Session, project: Project) -> Shown:
    """List a project's queries, newest first."""
    return here.service.queries.list(project)


@app.command("show")
@rest("rank score component tile.id tile.image_id reason")
def show(here: Session, query: Query) -> Shown:
    """Show a query's tiles by rank, each with its reason."""
    return here.service.queries.ranks(query)


@app.command("strategies")
@rest("name description")
def strategies(here: Session) -> Shown:
    """List the ways to put tiles in order, for `project edit --strategy`."""
    return here.service.projects.strategies().strategies


@app.command("parameters")
@rest("name low high default description")
def parameters(here: Session) -> Shown:
    """List what can be turned in them, for `project edit --parameter`."""
    return here.service.projects.strategies().parameters


@app.command("queue")
@rest()
def queue(here: Session, project: Project) -> Shown:
    """Show what waits, in whose hands it is, and when it is ordered anew."""
    return here.service.queries.queue(project)


@app.command("choose")
@rest()
def choose(
    here: Session,
    project: Project,
    tiles: Annotated[list[uuid.UUID], typer.Argument(help="Ids of pool tiles.")],
    only: Annotated[
        list[int] | None,
        typer.Option(help="Value of a label to ask for, repeatable; else all labels."),
    ] = None,
) -> Shown:
    """Serve these tiles next, in this order."""
    return here.service.queries.choose(project, tiles, only)


@app.command("rerank")
@rest()
def rerank(
    here: Session,
    project: Project,
    wait: Annotated[bool, typer.Option("--wait")] = False,
) -> Shown:
    """Rank the pool again with the live version."""
    job = here.service.queries.rerank(project)
    if not wait:
        return job
    with here.following() as on_job:
        return here.service.jobs.wait(job.id, on_job)


@app.command("tiles")
@rest("id state split image_id position box")
def tiles(
    here: Session,
    project: Project,
    image: uuid.UUID | None = None,
    split: Split | None = None,
    state: TileState | None = None,
) -> Shown:
    """List tiles and what has become of each."""
    return here.service.queries.tiles(project, image=image, split=split, state=state)
