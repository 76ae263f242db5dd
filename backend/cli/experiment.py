"""`cisterna experiment` and `cisterna report`: strategies compared."""

from pathlib import Path
from typing import Annotated

import typer

from backend.cli.session import Session, Shown, rest
from backend.experiment import plan as plans
from backend.experiment.experiment import Experiment, kept_plan
from backend.experiment.records import Shelf
from backend.experiment.report import write

File = Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="TOML file.")]


@rest()
def experiment(
    here: Session,
    file: File,
    out: Annotated[Path, typer.Option(help="Folder of the results.")],
    workers: Annotated[
        int, typer.Option(min=1, help="Runs at once; the service's slots.")
    ] = 1,
) -> Shown:
    """Compare strategies with a simulated annotator, and report.

    What is finished is kept in the folder: the same command again goes on from there.
    """
    plan = plans.read(file)
    shelf = Experiment(here.service, plan, out, workers, here.say).run()
    return f"{write(plan, list(shelf.all()), out)}"


def report(
    folder: Annotated[Path, typer.Argument(exists=True, file_okay=False)],
) -> None:
    """Write an experiment's report anew from its results, finished or not."""
    page = write(kept_plan(folder), list(Shelf(folder).all()), folder)
    print(page)
