"""The command line; `up`, `demo`, `migrate`, `doctor` are local, others speak REST."""

import sys

import typer
from pydantic import ValidationError

from backend.cli import (
    demo,
    experiment,
    images,
    jobs,
    models,
    people,
    policies,
    projects,
    queries,
    server,
    simulate,
    tasks,
)
from backend.client import ClientError
from backend.domain.errors import DomainError

app = typer.Typer(
    name="cisterna",
    help="Human-in-the-loop active learning for organelle segmentation in EM images.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
app.command("up")(server.up)
app.command("demo")(demo.demo)
app.command("migrate")(server.migrate_database)
app.command("doctor")(server.doctor)
app.command("simulate")(simulate.simulate)
app.command("experiment")(experiment.experiment)
app.command("report")(experiment.report)
for name, noun in {
    "project": projects.app,
    "image": images.app,
    "task": tasks.app,
    "train": jobs.train,
    "job": jobs.job,
    "model": models.model,
    "predict": models.predict,
    "query": queries.app,
    "policy": policies.app,
    "export": jobs.export,
    "token": people.app,
}.items():
    app.add_typer(noun, name=name, no_args_is_help=True)


def main() -> None:
    """Run the command line; what goes wrong is one line on standard error."""
    try:
        app()
    except (ClientError, DomainError) as error:
        _fail(str(error))
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        _fail(f"{where}: {first['msg']}")
    except OSError as error:
        _fail(f"{error.filename}: {error.strerror}" if error.filename else str(error))


def _fail(line: str) -> None:
    print(f"cisterna: {' '.join(line.split())}", file=sys.stderr)
    sys.exit(1)
