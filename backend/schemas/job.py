"""Bodies of jobs."""

import datetime as dt
import uuid
from typing import Literal

from pydantic import Field

from backend.domain.states import JobKind, JobState, Lane
from backend.schemas.base import View


class JobView(View):
    """Background work: where it stands and what it says of itself."""

    id: uuid.UUID
    project_id: uuid.UUID | None
    kind: JobKind
    lane: Lane
    state: JobState
    payload: dict[str, object]
    attempts: int
    max_attempts: int
    cancel_requested: bool
    worker: str | None
    message: str | None
    fraction: float | None
    progress: dict[str, object] = Field(
        description="The newest `step` and `metrics`, and `seconds_left` at the pace "
        "of the last reports once it can be told."
    )
    error: str | None
    result: dict[str, object]
    requested_by: uuid.UUID | None
    created_at: dt.datetime
    not_before: dt.datetime | None
    started_at: dt.datetime | None
    heartbeat_at: dt.datetime | None
    progress_at: dt.datetime | None
    finished_at: dt.datetime | None


class CurvePoint(View):
    """Figures of a training at one step; those of a look at tiles are at times only."""

    step: int
    loss: float | None = Field(None, description="Mean of the last training steps.")
    measured_on: Literal["validation", "training"] | None = Field(
        None,
        description="The tiles looked at: those of training if there are none of "
        "validation. Null at a point without a look.",
    )
    measured_loss: float | None = Field(None, description="Loss on these tiles.")
    dice: dict[str, float | None] = Field(
        {}, description="Dice of each label on these tiles, 0..1."
    )


class CurveView(View):
    """How a training goes, or went."""

    job_id: uuid.UUID
    state: JobState
    step: int | None
    seconds_left: float | None = Field(
        description="At the pace of the last reports; null unless it runs and can tell."
    )
    points: list[CurvePoint] = Field(
        description="Rising steps, at most 400; the older ones are thinned."
    )
