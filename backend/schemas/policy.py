"""Bodies of policies."""

import datetime as dt
import uuid
from typing import Annotated

from pydantic import AfterValidator, Field, StringConstraints

from backend.domain.states import Schedule
from backend.schemas.base import Body, View


def _on_the_wall(value: dt.time) -> dt.time:
    if value.tzinfo is not None:
        raise ValueError(
            "quiet hours are in the project's time zone: leave the offset out"
        )
    return value


Name = Annotated[str, StringConstraints(min_length=1, max_length=100)]
Cron = Annotated[str, StringConstraints(min_length=1, max_length=100)]
WallTime = Annotated[dt.time, AfterValidator(_on_the_wall)]
Count = Annotated[int, Field(ge=1, le=100_000)]
Minutes = Annotated[float, Field(ge=0, le=527_040)]


class NewPolicy(Body):
    """A rule that starts trainings; it needs every_annotations, cron, or both."""

    name: Name = Field(examples=["nightly"])
    enabled: bool = True
    every_annotations: Count | None = Field(
        None, examples=[20], description="Train when so many were newly accepted."
    )
    cron: Cron | None = Field(
        None,
        examples=["0 2 * * *"],
        description="Minute, hour, day, month, weekday in the project's time zone.",
    )
    minimum_minutes: Minutes = Field(
        0, examples=[60], description="Least time between the starts of two trainings."
    )
    schedule: Schedule = Field(
        Schedule.AUTO,
        examples=["full"],
        description="What it asks for; auto leaves it to the project. A nightly cron "
        "should say full.",
    )
    quiet_from: WallTime | None = Field(
        None, examples=["08:00"], description="No training starts from here …"
    )
    quiet_until: WallTime | None = Field(
        None, examples=["18:00"], description="… to here, in the project's time zone."
    )


class PolicyEdit(Body):
    """What may change of a policy; omitted fields stay, null takes a trigger away."""

    name: Name = Field("", examples=["nightly"])
    enabled: bool = True
    every_annotations: Count | None = Field(None, examples=[10])
    cron: Cron | None = Field(None, examples=["30 3 * * 1-5"])
    minimum_minutes: Minutes = 0
    schedule: Schedule = Schedule.AUTO
    quiet_from: WallTime | None = None
    quiet_until: WallTime | None = None


class FiringView(View):
    """One firing: the window that was due and what came of it."""

    window: str
    outcome: str
    job_id: uuid.UUID | None
    fired_at: dt.datetime


class PolicyView(View):
    """A policy and how it fired last."""

    id: uuid.UUID
    project_id: uuid.UUID
    name: str
    enabled: bool
    every_annotations: int | None
    cron: str | None
    minimum_minutes: float
    schedule: Schedule
    quiet_from: dt.time | None
    quiet_until: dt.time | None
    last_firing: FiringView | None
    version: int
    created_at: dt.datetime
