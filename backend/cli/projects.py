"""`cisterna project`: projects, labels and the people in them."""

import uuid
from pathlib import Path
from typing import Annotated

import typer

from backend.cli import quality
from backend.cli.session import Session, Shown, given, rest
from backend.client import ClientError
from backend.domain.states import Promotion, Role, Schedule
from backend.schemas.project import (
    LabelEdit,
    NewLabel,
    NewProject,
    ProjectEdit,
    ProjectView,
    Training,
)

app = typer.Typer(help="Projects, labels and members.", rich_markup_mode=None)
Project = Annotated[str, typer.Argument(help="Slug or id of the project.")]
User = Annotated[uuid.UUID, typer.Argument(help="Id of the person; see members.")]
GUIDELINE = "How to paint it."
FLOOR = "Precision, 0 to 1, that is kept while recall is raised."
SECOND = "Share of tiles, 0 to 1, that a second person paints unseen."
GOLD = "Share of a person's tiles, 0 to 1, that are gold."
IMAGES_FROM = "Project whose images the new one shares."
TOLD = "Whether people learn how they did on a gold tile."
NEVER = "Two labels as NAME,NAME; repeat for more, once empty for none."
PARAMETER = "A parameter of the ranker as NAME=NUMBER; NAME= for its default again."
LABEL = "A label as NAME or NAME:PRIORITY; repeat for more."


@app.command("create")
@rest()
def create(
    here: Session,
    name: str,
    slug: str | None = None,
    preset: Annotated[str | None, typer.Option(help="liver")] = None,
    label: Annotated[list[str] | None, typer.Option(help=LABEL)] = None,
    tile_size: int | None = None,
    query_size: int | None = None,
    strategy: str | None = None,
    parameter: Annotated[list[str] | None, typer.Option(help=PARAMETER)] = None,
    segmenter: Annotated[str | None, typer.Option(help="nnunet or forest")] = None,
    profile: Annotated[str | None, typer.Option(help="cpu, gpu-8gb, …")] = None,
    schedule: Annotated[Schedule | None, typer.Option(help="Of trainings.")] = None,
    full_every: Annotated[int | None, typer.Option(help="Rounds, if auto.")] = None,
    steps: int | None = None,
    quick_steps: int | None = None,
    minutes: float | None = None,
    stop_at_plateau: bool | None = None,
    folds: Annotated[int | None, typer.Option(help="Networks, if full.")] = None,
    seed: int | None = None,
    review: bool | None = None,
    second_share: Annotated[float | None, typer.Option(help=SECOND)] = None,
    gold_share: Annotated[float | None, typer.Option(help=GOLD)] = None,
    promotion: Promotion | None = None,
    time_zone: str | None = None,
    images_from: Annotated[str | None, typer.Option(help=IMAGES_FROM)] = None,
) -> Shown:
    """Create a project; you become its manager."""
    training = given(
        profile=profile,
        schedule=schedule,
        full_every=full_every,
        steps=steps,
        quick_steps=quick_steps,
        minutes=minutes,
        stop_at_plateau=stop_at_plateau,
        folds=folds,
    )
    options = given(
        name=name,
        slug=slug,
        preset=preset,
        tile_size=tile_size,
        query_size=query_size,
        strategy=strategy,
        strategy_parameters=_parameters(parameter, {}),
        segmenter=segmenter,
        training=Training(**training) if training else None,
        seed=seed,
        review=review,
        second_share=second_share,
        gold_share=gold_share,
        promotion=promotion,
        time_zone=time_zone,
        images_from=images_from,
    )
    body = NewProject(**options, labels=[_label(text) for text in label or []])
    return here.service.projects.create(body)


@app.command("list")
@rest("slug name segmenter strategy tile_size created_at")
def list_projects(here: Session) -> Shown:
    """List the projects you may see."""
    return here.service.projects.list()


@app.command("show")
@rest()
def show(here: Session, project: Project) -> Shown:
    """Show a project."""
    return here.service.projects.get(project)


@app.command("edit")
@rest()
def edit(
    here: Session,
    project: Project,
    name: str | None = None,
    query_size: int | None = None,
    strategy: str | None = None,
    parameter: Annotated[list[str] | None, typer.Option(help=PARAMETER)] = None,
    segmenter: str | None = None,
    profile: str | None = None,
    schedule: Annotated[Schedule | None, typer.Option(help="Of trainings.")] = None,
    full_every: Annotated[int | None, typer.Option(help="Rounds, if auto.")] = None,
    steps: int | None = None,
    quick_steps: int | None = None,
    minutes: float | None = None,
    stop_at_plateau: bool | None = None,
    folds: Annotated[int | None, typer.Option(help="Networks, if full.")] = None,
    review: bool | None = None,
    second_share: Annotated[float | None, typer.Option(help=SECOND)] = None,
    gold_share: Annotated[float | None, typer.Option(help=GOLD)] = None,
    gold_feedback: Annotated[bool | None, typer.Option(help=TOLD)] = None,
    never_touch: Annotated[list[str] | None, typer.Option(help=NEVER)] = None,
    promotion: Promotion | None = None,
    time_zone: str | None = None,
) -> Shown:
    """Change a project's settings; options left out stay as they are."""
    before = here.service.projects.get(project)
    training = given(
        profile=profile,
        schedule=schedule,
        full_every=full_every,
        steps=steps,
        quick_steps=quick_steps,
        minutes=minutes,
        stop_at_plateau=stop_at_plateau,
        folds=folds,
    )
    changes = given(
        name=name,
        query_size=query_size,
        strategy=strategy,
        strategy_parameters=_parameters(parameter, before.strategy_parameters),
        segmenter=segmenter,
        training=Training(**{**before.training, **training}) if training else None,
        review=review,
        second_share=second_share,
        gold_share=gold_share,
        gold_feedback=gold_feedback,
        never_touch=_pairs(before, never_touch) if never_touch else None,
        promotion=promotion,
        time_zone=time_zone,
    )
    if not changes:
        raise ClientError("Nothing to change: give at least one option.")
    return here.service.projects.edit(before, ProjectEdit(**changes))


@app.command("metrics")
@rest(quality.COLUMNS)
def metrics(here: Session, project: Project) -> Shown:
    """Show the quality of all rounds."""
    found = here.service.models.metrics(project)
    return found if here.as_json else quality.flat(found)


@app.command("agreement")
@rest("against who label dice tiles")
def agreement(here: Session, project: Project) -> Shown:
    """Show how far people agree with each other and with gold."""
    found = here.service.projects.agreement(project)
    return found if here.as_json else quality.agreed(found)


@app.command("gold")
@rest("tile_id annotation_id created_at")
def gold(here: Session, project: Project) -> Shown:
    """List the tiles whose truth is settled."""
    return here.service.projects.gold(project)


@app.command("add-label")
@rest()
def add_label(
    here: Session,
    project: Project,
    name: str,
    colour: str | None = None,
    value: int | None = None,
    priority: float | None = None,
    precision_floor: Annotated[float | None, typer.Option(help=FLOOR)] = None,
    guideline: Annotated[str | None, typer.Option(help=GUIDELINE)] = None,
) -> Shown:
    """Add a label; annotations made before stay silent about it."""
    body = NewLabel(
        **given(
            name=name,
            colour=colour,
            value=value,
            priority=priority,
            precision_floor=precision_floor,
            guideline=guideline,
        )
    )
    return here.service.projects.add_label(project, body)


@app.command("edit-label")
@rest()
def edit_label(
    here: Session,
    project: Project,
    label: Annotated[str, typer.Argument(help="Name of the label.")],
    name: str | None = None,
    colour: str | None = None,
    priority: float | None = None,
    target_recall: float | None = None,
    precision_floor: Annotated[float | None, typer.Option(help=FLOOR)] = None,
    no_precision_floor: Annotated[
        bool, typer.Option("--no-precision-floor", help="Serve it without one.")
    ] = False,
    guideline: Annotated[str | None, typer.Option(help=GUIDELINE)] = None,
) -> Shown:
    """Rename, recolour, reweigh or explain a label."""
    row = here.service.projects.get(project)
    value = _value(row, label)
    changes = LabelEdit.model_validate(
        given(
            name=name,
            colour=colour,
            priority=priority,
            target_recall=target_recall,
            precision_floor=precision_floor,
            guideline=guideline,
        )
        | ({"precision_floor": None} if no_precision_floor else {})
    )
    return here.service.projects.edit_label(row, value, changes)


@app.command("add-example")
@rest()
def add_example(
    here: Session,
    project: Project,
    label: Annotated[str, typer.Argument(help="Name of the label.")],
    picture: Annotated[Path, typer.Argument(help="PNG or JPEG file.")],
    caption: str = "",
    bad: Annotated[bool, typer.Option(help="How it is not painted.")] = False,
) -> Shown:
    """Add a small picture to a label's guideline."""
    value = _value(here.service.projects.get(project), label)
    try:
        data = picture.read_bytes()
    except OSError as error:
        raise ClientError(f"{picture} cannot be read: {error.strerror}.") from None
    return here.service.projects.add_example(project, value, data, caption, not bad)


@app.command("remove-example")
@rest()
def remove_example(here: Session, example: uuid.UUID) -> Shown:
    """Remove a picture from a label's guideline."""
    here.service.projects.remove_example(example)
    return None


@app.command("practice")
@rest("annotation_id tile.image_id tile.box")
def practice(here: Session, project: Project) -> Shown:
    """List the tiles to practise on."""
    return here.service.projects.practice(project)


@app.command("members")
@rest("name role user_id")
def members(here: Session, project: Project) -> Shown:
    """List everybody with a role in the project."""
    return here.service.projects.members(project)


@app.command("set-role")
@rest()
def set_role(here: Session, project: Project, user: User, role: Role) -> Shown:
    """Give a person this role in the project, in place of any other."""
    return here.service.projects.set_role(project, user, role)


@app.command("remove-member")
@rest()
def remove_member(here: Session, project: Project, user: User) -> Shown:
    """Take a person out of the project; what they painted stays."""
    here.service.projects.remove_member(project, user)
    return f"{user} is no member any more."


@app.command("invite")
@rest()
def invite(here: Session, project: Project, role: Role, hours: float = 72) -> Shown:
    """Make a one-time link into the project."""
    return here.service.projects.invite(project, role, hours)


def _parameters(
    texts: list[str] | None, before: dict[str, float]
) -> dict[str, float] | None:
    """Return what was set before with these changes; None if there are none."""
    if not texts:
        return None
    found = dict(before)
    for text in texts:
        name, equals, number = text.partition("=")
        found.pop(name, None)
        if not equals:
            raise ClientError(f"{text!r} is no parameter: write {name}=NUMBER.")
        if number:
            try:
                found[name] = float(number)
            except ValueError:
                raise ClientError(f"{number!r} is no number for {name}.") from None
    return found


def _label(text: str) -> NewLabel:
    name, _, priority = text.partition(":")
    return NewLabel.model_validate(given(name=name, priority=priority or None))


def _value(project: ProjectView, label: str) -> int:
    values = {known.name: known.value for known in project.labels}
    if label not in values:
        raise ClientError(f"No label {label!r}; there are {', '.join(values)}.")
    return values[label]


def _pairs(project: ProjectView, texts: list[str]) -> list[list[int]]:
    pairs = []
    for text in filter(None, texts):
        one, comma, other = text.partition(",")
        if not comma:
            raise ClientError(f"{text!r} is not NAME,NAME.")
        pairs.append([_value(project, each.strip()) for each in (one, other)])
    return pairs
