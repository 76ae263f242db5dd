"""Bodies of a project's queue: what waits, who holds what, when it is ordered anew."""

import datetime as dt
import uuid

from pydantic import Field

from backend.domain.states import TaskKind
from backend.schemas.base import View


class LeaseView(View):
    """A task in somebody's hands."""

    task_id: uuid.UUID
    kind: TaskKind
    tile_id: uuid.UUID
    image_id: uuid.UUID
    position: int = Field(description="Of the tile in its image.")
    rank: int
    assignee_id: uuid.UUID
    assignee: str
    lease_until: dt.datetime


class SkipView(View):
    """Tiles set aside for one reason."""

    reason: str
    tiles: int


class PaceView(View):
    """What one person has annotated in the last seven days, imports left out."""

    user_id: uuid.UUID
    name: str
    tiles: int
    median_active_seconds: float | None = Field(
        description="Half of the annotations took longer; null if none was timed."
    )


class ForecastView(View):
    """When an enabled policy trains next."""

    policy_id: uuid.UUID
    name: str
    new_annotations: int = Field(description="Accepted since the last training.")
    annotations_left: int | None = Field(
        description="So many more and it trains; 0 if it is due, null if it does not "
        "count."
    )
    at: dt.datetime | None = Field(
        description="The next time of its cron, or the one that is due, in the "
        "project's zone; null without a cron."
    )
    put_off: bool = Field(
        description="Quiet hours, the least interval or a training hold it back now."
    )


class HistogramView(View):
    """Scores of all tiles that one criterion could have chosen."""

    criterion: str = Field(description="The `component` of the ranks it chose.")
    edges: list[float] = Field(description="21 rising ends of the bins.")
    counts: list[int] = Field(description="Tiles in each of the 20 bins.")
    chosen: int = Field(description="Tiles of the head chosen by this criterion.")
    lowest: float | None = Field(
        description="Least score among these; null if there are none."
    )


class QueueView(View):
    """What is asked of people now; counts are of tasks to annotate."""

    project_id: uuid.UUID
    query_id: uuid.UUID | None = Field(description="The live query.")
    open: int = Field(description="Waiting for somebody to claim them.")
    claimed: int = Field(description="In people's hands.")
    mine: int = Field(description="Of these, in your own.")
    submitted: int = Field(description="Waiting for a review.")
    returned: int = Field(description="Sent back to their authors.")
    skipped: int
    skip_reasons: list[SkipView] = Field(description="The twenty most frequent.")
    why_empty: str | None = Field(description="Null while a task is open.")
    leases: list[LeaseView] | None = Field(
        description="Reviews included; null to those who are no reviewers."
    )
    pace: list[PaceView] | None = Field(description="Null to those likewise.")
    training_job_id: uuid.UUID | None = Field(
        description="The training that is queued or running."
    )
    time_zone: str
    next_trainings: list[ForecastView] = Field(description="Of each enabled policy.")
    histograms: list[HistogramView] | None = Field(
        description="Of the live query's scores, by criterion; null if it was made "
        "without a model, or before they were kept."
    )
