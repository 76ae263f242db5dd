"""`cisterna task`: the queue of tiles from the command line."""

import re
import uuid
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
import typer
from PIL import Image, UnidentifiedImageError

from backend.cli.projects import Project
from backend.cli.session import Session, Shown, rest
from backend.client import ClientError
from backend.domain.states import TaskKind, TaskState
from backend.schemas.task import NewComment, Pin

app = typer.Typer(help="Tiles to annotate.", rich_markup_mode=None)
PIN = "A comment on one pixel as Y,X:TEXT; repeat for more."
PINNED = re.compile(r"(\d{1,9}),(\d{1,9}):\s*(.+)", re.DOTALL)
Task = Annotated[uuid.UUID, typer.Argument(help="Id of the task.")]


@app.command("claim")
@rest("id rank tile.image_id tile.box lease_until reason")
def claim(
    here: Session,
    project: Project,
    count: Annotated[int, typer.Option(min=1, max=2)] = 1,
    kind: TaskKind = TaskKind.ANNOTATE,
) -> Shown:
    """Claim the next tile, or with --count 2 the current and the next."""
    claim = here.service.tasks.claim(project, count, kind)
    if claim.why_fewer:
        here.say(claim.why_fewer)
    return claim if here.as_json else claim.tasks


@app.command("list")
@rest("id state kind rank tile.image_id tile.box reason")
def list_tasks(
    here: Session, project: Project, state: TaskState | None = None
) -> Shown:
    """List a project's tasks, newest first."""
    return here.service.tasks.list(project, state)


@app.command("show")
@rest()
def show(here: Session, task: Task) -> Shown:
    """Show one task."""
    return here.service.tasks.get(task)


@app.command("fetch")
@rest()
def fetch(here: Session, task: Task, into: Path = Path()) -> Shown:
    """Write a task's image and the mask to start from as PNG files."""
    view = here.service.tasks.get(task)
    box = view.tile.box
    grey = here.service.images.region(
        view.tile.image_id, y=box.y, x=box.x, h=box.h, w=box.w
    )
    into.mkdir(parents=True, exist_ok=True)
    image, mask = into / f"{task}-image.png", into / f"{task}-mask.png"
    Image.fromarray(grey).save(image)
    Image.fromarray(here.service.tasks.mask(task)).save(mask)
    return f"{image} and {mask}"


@app.command("submit")
@rest()
def submit(
    here: Session,
    task: Task,
    mask: Annotated[Path, typer.Argument(exists=True, help="Index or grey PNG.")],
    complete_for: Annotated[
        str | None,
        typer.Option(
            help="all, or label values such as 1,4; empty for none. What the "
            "task asks for if not given."
        ),
    ] = None,
    active_seconds: float | None = None,
    flag: Annotated[
        str | None, typer.Option(help="What others should look at.")
    ] = None,
) -> Shown:
    """Submit a task's mask: an 8-bit PNG of label values."""
    values = None if complete_for is None else _values(complete_for)
    return here.service.tasks.submit(
        task,
        read_mask(mask),
        complete_for=values,
        active_seconds=active_seconds,
        flag=flag,
    )


@app.command("renew")
@rest()
def renew(here: Session, task: Task) -> Shown:
    """Prolong your lease."""
    return here.service.tasks.renew(task)


@app.command("release")
@rest()
def release(here: Session, task: Task) -> Shown:
    """Give a task back to the queue."""
    return here.service.tasks.release(task)


@app.command("skip")
@rest()
def skip(here: Session, task: Task, reason: str) -> Shown:
    """Set a task aside with a reason."""
    return here.service.tasks.skip(task, reason)


@app.command("reopen")
@rest()
def reopen(here: Session, task: Task) -> Shown:
    """Send a finished task back to its author."""
    return here.service.tasks.reopen(task)


@app.command("judge")
@rest()
def judge(
    here: Session,
    task: Task,
    accept: Annotated[bool, typer.Option("--accept/--return")],
    comment: str | None = None,
    pin: Annotated[list[str] | None, typer.Option(help=PIN)] = None,
) -> Shown:
    """Accept the annotation under review, or send it back with comments."""
    pins = [_pin(text) for text in pin or []]
    return here.service.tasks.judge(task, accept, comment, pins)


@app.command("comments")
@rest("id revision y x author text resolved_at")
def comments(here: Session, task: Task) -> Shown:
    """List what was said of a task's tile, oldest first."""
    return here.service.tasks.comments(task)


@app.command("comment")
@rest()
def comment(here: Session, annotation: uuid.UUID, text: str) -> Shown:
    """Comment on an annotation: TEXT, or Y,X:TEXT for one pixel."""
    pinned = re.match(PINNED, text)
    body = _pin(text).model_dump() if pinned else {"text": text}
    return here.service.annotations.comment(annotation, NewComment(**body))


@app.command("resolve")
@rest()
def resolve(here: Session, comment: uuid.UUID) -> Shown:
    """Mark a comment as dealt with."""
    return here.service.annotations.resolve(comment)


@app.command("retract")
@rest()
def retract(here: Session, annotation: uuid.UUID) -> Shown:
    """Take an annotation out of every future training."""
    return here.service.annotations.retract(annotation)


@app.command("feedback")
@rest("label dice missed invented text")
def feedback(here: Session, task: Task) -> Shown:
    """Say where a submitted mask of a gold tile is wrong."""
    return here.service.tasks.feedback(task).hints


@app.command("make-gold")
@rest()
def make_gold(
    here: Session,
    annotation: uuid.UUID,
    practice: Annotated[bool, typer.Option(help="To practise on.")] = False,
) -> Shown:
    """Take an accepted annotation as the truth to measure people by."""
    return here.service.annotations.make_gold(annotation, practice)


@app.command("practise")
@rest("label dice missed invented")
def practise(here: Session, annotation: uuid.UUID, mask: Path) -> Shown:
    """Score a mask of a practice tile; nothing of it is kept."""
    return here.service.annotations.practise(annotation, read_mask(mask)).scores


@app.command("end-gold")
@rest()
def end_gold(here: Session, annotation: uuid.UUID) -> Shown:
    """Take an annotation for the truth no longer."""
    here.service.annotations.end_gold(annotation)
    return None


def read_mask(file: Path) -> np.ndarray[tuple[int, int], np.dtype[np.uint8]]:
    """Return an 8-bit label image as (rows, columns) uint8 values."""
    try:
        with Image.open(file) as image:
            if image.mode not in ("L", "P"):
                raise ClientError(
                    f"{file} is of kind {image.mode}; save it as 8-bit grey or index."
                )
            return np.asarray(image, np.uint8)
    except UnidentifiedImageError as error:
        raise ClientError(f"{file} is no image.") from error


def _pin(text: str) -> Pin:
    pinned = re.match(PINNED, text)
    if not pinned:
        raise ClientError("--pin is Y,X:TEXT, such as 120,48:a mitochondrion.")
    y, x, said = pinned.groups()
    return Pin(y=int(y), x=int(x), text=said)


def _values(text: str) -> list[int] | Literal["all"]:
    if text == "all":
        return "all"
    parts = [part.strip() for part in text.split(",") if part.strip()]
    if not all(part.isdigit() for part in parts):
        raise ClientError("--complete-for is `all` or label values such as 1,4.")
    return [int(part) for part in parts]
