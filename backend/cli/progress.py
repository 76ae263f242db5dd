"""Progress of jobs and transfers: bars on a terminal, a line now and then elsewhere."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from uuid import UUID

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from backend.client.jobs import LIVE, OnJob
from backend.schemas.job import JobView

QUIET_SECONDS = 5.0
"""Least time between two lines about a job whose state stays the same."""


def describe(job: JobView) -> str:
    """Return one line about a job: kind, state, share, what it says, its figures."""
    share = f" {job.fraction:.0%}" if job.fraction is not None else ""
    said = " ".join((job.error or job.message or "").split())
    return f"{job.kind} {job.state}{share}{': ' if said else ''}{said}{_figures(job)}"


def lines(say: Callable[[str], None]) -> OnJob:
    """Return what tells `say` of a new state at once, of the rest now and then."""
    told: dict[UUID, tuple[str, float]] = {}

    def on_job(job: JobView) -> None:
        state, at = told.get(job.id, ("", 0.0))
        if job.state != state or time.monotonic() - at > QUIET_SECONDS:
            told[job.id] = job.state, time.monotonic()
            say(describe(job))

    return on_job


@contextmanager
def bars() -> Iterator[Progress]:
    """Yield a display of bars on standard error; invisible if that is no terminal."""
    with Progress(
        TextColumn("{task.description}"),
        BarColumn(bar_width=24),
        TextColumn("{task.percentage:>3.0f} %"),
        TimeElapsedColumn(),
        TextColumn("{task.fields[said]}"),
        console=Console(stderr=True),
        disable=not sys.stderr.isatty(),
    ) as progress:
        yield progress


@contextmanager
def following() -> Iterator[OnJob]:
    """Yield what shows jobs as they go on: one bar each, or lines."""
    if not sys.stderr.isatty():
        yield lines(lambda line: print(line, file=sys.stderr, flush=True))
        return
    with bars() as progress:
        shown: dict[UUID, TaskID] = {}

        def on_job(job: JobView) -> None:
            if job.id not in shown:
                shown[job.id] = progress.add_task(job.kind, total=1.0, said="")
            ended = job.state not in LIVE
            progress.update(
                shown[job.id],
                completed=1.0 if ended else job.fraction or 0.0,
                said=f"{job.state}: {job.message or ''}{_figures(job)}",
            )

        yield on_job


def _figures(job: JobView) -> str:
    metrics = job.progress.get("metrics")
    if not isinstance(metrics, dict):
        return ""
    shown = [
        f"{name} {value:.3g}"
        for name, value in metrics.items()
        if isinstance(value, int | float)
    ]
    return f" ({', '.join(shown)})" if shown else ""
