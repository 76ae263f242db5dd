"""Bodies of projects and their labels."""

import datetime as dt
import uuid
from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from backend.domain.states import Promotion, Role, Schedule
from backend.schemas.base import Body, View

Name = Annotated[str, StringConstraints(min_length=1, max_length=200)]
LabelName = Annotated[str, StringConstraints(min_length=1, max_length=60)]
Slug = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9-]{0,79}$")]
Colour = Annotated[str, StringConstraints(pattern=r"^#[0-9A-Fa-f]{6}$")]
Guideline = Annotated[str, StringConstraints(max_length=4000)]
Caption = Annotated[str, StringConstraints(max_length=300)]
Pair = Annotated[
    list[int], Field(min_length=2, max_length=2, description="Values of two labels.")
]
Profile = Literal["cpu", "gpu-8gb", "gpu-24gb"]


class Training(Body):
    """Profile, schedule and budget of a project's trainings."""

    profile: Profile = Field("cpu", description="nnU-Net planner settings.")
    schedule: Schedule = Field(
        Schedule.AUTO,
        description="quick goes on from the live version, full starts from scratch; "
        "auto is quick where that will do.",
    )
    full_every: int = Field(
        5, ge=1, le=1000, description="Every so many rounds auto makes a full one."
    )
    steps: int = Field(
        1500, ge=1, le=1_000_000, description="Optimiser steps of a full training."
    )
    quick_steps: int = Field(
        300,
        ge=1,
        le=1_000_000,
        description="Optimiser steps of a quick one: a fifth, since only the new tiles "
        "are to be learnt.",
    )
    minutes: float | None = Field(
        None,
        gt=0,
        le=1_000_000,
        description="Stop after so many minutes; null for no limit.",
    )
    stop_at_plateau: bool = Field(
        True, description="Stop before that when validation no longer gains."
    )
    folds: int = Field(
        1,
        ge=1,
        le=5,
        description="Networks of a full training, each without a share of the tiles.",
    )


PRECISION_FLOOR = (
    "Recall of the label is raised on validation tiles as far as its precision there "
    "stays at this; null leaves labels as the model decides."
)


class NewLabel(Body):
    """A class to add; its value is chosen by the service unless given."""

    name: LabelName = Field(examples=["peroxisome"])
    colour: Colour | None = Field(
        None,
        description="The next of a palette for colour-blind eyes, if null.",
        examples=["#66CCEE"],
    )
    value: int | None = Field(None, ge=1, le=254, description="Free value, or null.")
    priority: float = Field(1.0, ge=0.1, le=10, description="Weight in the ranking.")
    target_recall: float = Field(0.9, gt=0, le=1)
    precision_floor: float | None = Field(
        None, gt=0, lt=1, description=PRECISION_FLOOR, examples=[0.8]
    )
    guideline: Guideline = Field("", description="How to paint it, in plain text.")


class LabelEdit(Body):
    """What may change of a label; its value never does."""

    name: LabelName | None = None
    colour: Colour | None = None
    priority: float | None = Field(None, ge=0.1, le=10, examples=[1.5])
    target_recall: float | None = Field(None, gt=0, le=1)
    precision_floor: float | None = Field(
        None,
        gt=0,
        lt=1,
        description=f"{PRECISION_FLOOR} Takes effect with the next "
        "round; left out, it stays as it is.",
        examples=[0.8],
    )
    guideline: Guideline | None = Field(None, examples=["Paint the outer membrane."])


class ExampleView(View):
    """A picture in a label's guideline; `GET /examples/{id}/picture` has its pixels."""

    id: uuid.UUID
    caption: str
    good: bool = Field(description="False for how the label is not painted.")
    width: int
    height: int


class LabelView(View):
    """A class of a project."""

    id: uuid.UUID
    value: int
    name: str
    colour: str
    priority: float
    target_recall: float
    precision_floor: float | None = Field(description=PRECISION_FLOOR)
    guideline: str
    examples: list[ExampleView]


class NewProject(Body):
    """A project to create; labels come from a preset, a list, or both."""

    name: Name = Field(examples=["Human liver"])
    slug: Slug | None = Field(None, examples=["human-liver"])
    preset: Literal["liver"] | None = Field(None, examples=["liver"])
    labels: list[NewLabel] = Field(default=[])
    tile_size: int = Field(512, ge=32, le=4096, description="Edge of a tile, pixels.")
    query_size: int = Field(10, ge=1, le=1000, description="Tiles per Query.")
    strategy: str = Field("er-gap", description="Name of the ranker's strategy.")
    strategy_parameters: dict[str, float] = Field(default={})
    segmenter: Literal["nnunet", "forest"] = "nnunet"
    training: Training = Training()
    review: bool = False
    second_share: float = Field(
        0,
        ge=0,
        le=1,
        description="Share of annotated tiles that a second person annotates without "
        "seeing the first mask.",
    )
    gold_share: float = Field(
        0, ge=0, le=1, description="Share of a person's tasks that are gold tiles."
    )
    promotion: Promotion = Promotion.AUTOMATIC
    seed: int = Field(0, ge=0, le=2**31 - 1)
    time_zone: str = Field("UTC", examples=["Europe/Berlin"])
    images_from: str | None = Field(
        None,
        max_length=80,
        description="Slug or id of a project of yours with tiles of the same size: its "
        "images, without anything people or models made of them, are in the new one "
        "too, and are stored once.",
    )


class ProjectEdit(Body):
    """What may change of a project; omitted fields stay as they are."""

    name: Name | None = None
    query_size: int | None = Field(None, ge=1, le=1000, examples=[20])
    strategy: str | None = None
    strategy_parameters: dict[str, float] | None = None
    segmenter: Literal["nnunet", "forest"] | None = None
    training: Training | None = None
    review: bool | None = None
    second_share: float | None = Field(None, ge=0, le=1, examples=[0.1])
    gold_share: float | None = Field(None, ge=0, le=1, examples=[0.05])
    gold_feedback: bool | None = Field(
        None, description="Whether people learn how they did on a gold tile."
    )
    never_touch: list[Pair] | None = Field(
        None,
        max_length=200,
        description="Pairs of labels that are never neighbours; the page warns where "
        "they touch.",
        examples=[[[1, 3]]],
    )
    promotion: Promotion | None = None
    time_zone: str | None = None


class ProjectView(View):
    """A project."""

    id: uuid.UUID
    slug: str
    name: str
    labels: list[LabelView]
    tile_size: int
    query_size: int
    strategy: str
    strategy_parameters: dict[str, float]
    segmenter: str
    training: dict[str, str | bool | int | float | None]
    review: bool
    second_share: float
    gold_share: float
    gold_feedback: bool
    never_touch: list[Pair]
    promotion: Promotion
    seed: int
    working_nm: float | None
    time_zone: str
    version: int
    created_at: dt.datetime


class NewMembership(Body):
    """The role of a person who has an account."""

    role: Role = Field(examples=["annotator"])


class MembershipView(View):
    """A person's role in a project."""

    user_id: uuid.UUID
    name: str
    role: Role


class NewInvitation(Body):
    """An invitation to a project with a role; the answer holds a one-time link."""

    role: Role = Field(examples=["annotator"])
    hours: float = Field(72, gt=0, le=720, description="How long the link is good.")


class InvitationView(View):
    """A one-time link, shown once."""

    link: str
    token: str
    role: Role
    expires_at: dt.datetime
