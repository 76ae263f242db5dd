"""What every command that speaks REST shares: its options, its service, its output."""

import datetime as dt
import functools
import inspect
import json
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Annotated, Any

import typer
from pydantic import BaseModel
from rich.console import Console
from rich.table import Table

from backend.cli.progress import following
from backend.client import Cisterna, ClientError
from backend.client.jobs import OnJob
from backend.settings import Settings

Shown = BaseModel | Iterable[BaseModel] | str | None
"""What a command may return: objects to show, or a sentence."""

Server = Annotated[
    str | None,
    typer.Option(envvar="CISTERNA_SERVER", help="Address of the service."),
]
Token = Annotated[
    str | None,
    typer.Option(
        envvar="CISTERNA_TOKEN",
        help="Bearer token; the local admin token if not given.",
        show_envvar=True,
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON and nothing else.")]


@dataclass(frozen=True)
class Session:
    """One command's service and the way it speaks to the terminal."""

    service: Cisterna
    as_json: bool

    def say(self, line: str) -> None:
        """Tell a person something on standard error."""
        print(line, file=sys.stderr, flush=True)

    @contextmanager
    def following(self) -> Iterator[OnJob]:
        """Yield what shows the progress of jobs, on standard error."""
        with following() as on_job:
            yield on_job

    def show(self, value: Shown, columns: str) -> None:
        """Print what a command returns."""
        if self.as_json:
            print(json.dumps(_plain(value), indent=2, ensure_ascii=False))
        elif isinstance(value, str):
            print(value)
        elif isinstance(value, BaseModel):
            for name, field in _plain(value).items():
                print(f"{name:>19}  {_cell(field)}")
        elif value is not None:
            _print_table(value, columns.split())


def rest(columns: str = "") -> Callable[[Callable[..., Shown]], Callable[..., None]]:
    """Make a function of a Session and options a command that shows what it returns.

    `columns` are the fields that a list of objects is shown by, dots for inner ones.
    """

    def decorate(function: Callable[..., Shown]) -> Callable[..., None]:
        @functools.wraps(function)
        def command(
            *, server: str | None, token: str | None, as_json: bool, **given: Any
        ) -> None:
            settings = Settings()
            with Cisterna(
                server or settings.base_url, token or _local_token(settings)
            ) as service:
                session = Session(service, as_json)
                session.show(function(session, **given), columns)

        own = inspect.signature(function)
        parameters = [
            *list(own.parameters.values())[1:],
            _option("server", Server, None),
            _option("token", Token, None),
            _option("as_json", Json, False),
        ]
        command.__signature__ = own.replace(  # type: ignore[attr-defined]
            parameters=parameters, return_annotation=None
        )
        command.__annotations__ = {p.name: p.annotation for p in parameters}
        return command

    return decorate


def _option(name: str, annotation: object, default: object) -> inspect.Parameter:
    kind = inspect.Parameter.KEYWORD_ONLY
    return inspect.Parameter(name, kind, default=default, annotation=annotation)


def given(**options: Any) -> dict[str, Any]:
    """Return the options that were given: those that are not None."""
    return {name: value for name, value in options.items() if value is not None}


def _local_token(settings: Settings) -> str:
    try:
        return settings.admin_token_file.read_text().strip()
    except OSError:
        raise ClientError(
            "No token: give --token or CISTERNA_TOKEN; the local admin token would be "
            f"in {settings.admin_token_file}, which cannot be read."
        ) from None


def _plain(value: Shown) -> Any:
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json")
    return [item.model_dump(mode="json") for item in value]


def _print_table(items: Iterable[BaseModel], columns: list[str]) -> None:
    table = Table(box=None, pad_edge=False)
    for name in columns:
        # an id is there to be copied
        table.add_column(name.rpartition(".")[2], no_wrap=name.endswith("id"))
    for item in items:
        fields = (functools.reduce(_inner, name.split("."), item) for name in columns)
        table.add_row(*map(_cell, fields))
    # for grep and awk a row is one line, however long
    width = None if sys.stdout.isatty() else 10_000
    Console(width=width).print(table)


def _inner(value: Any, name: str) -> Any:
    return getattr(value, name, None)


def _cell(value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, dt.datetime):
        return f"{value.astimezone():%Y-%m-%d %H:%M}"
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, list) and all(isinstance(item, str) for item in value):
        return " ".join(value) or "-"
    if isinstance(value, list) and value and isinstance(value[0], dict):
        return ", ".join(str(item.get("name", item)) for item in value)
    return str(value)
