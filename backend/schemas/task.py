"""Bodies of tasks, annotations and drafts."""

import datetime as dt
import uuid
from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from backend.domain.states import Split, TaskKind, TaskSource, TaskState
from backend.schemas.base import Body, View


class BoxView(View):
    """A box in pixels of the image's full resolution."""

    y: int
    x: int
    h: int
    w: int


class TileView(View):
    """A tile of an image's grid."""

    id: uuid.UUID
    image_id: uuid.UUID
    position: int
    box: BoxView
    split: Split


class TaskView(View):
    """One tile for one person."""

    id: uuid.UUID
    project_id: uuid.UUID
    tile: TileView
    kind: TaskKind
    state: TaskState
    rank: int
    reason: str | None
    complete_for: list[int] | None
    assignee_id: uuid.UUID | None
    lease_until: dt.datetime | None
    annotation_id: uuid.UUID | None
    prediction_id: uuid.UUID | None
    skip_reason: str | None
    comment: str | None
    created_at: dt.datetime


class TaskDetail(TaskView):
    """A task as reviewers and managers see it, with how it came about."""

    source: TaskSource
    blind: bool
    query_id: uuid.UUID | None


class NewClaim(Body):
    """Ask for work: the current tile, or the current and the next."""

    kind: TaskKind = Field(TaskKind.ANNOTATE, examples=["annotate"])
    count: Literal[1, 2] = Field(1, examples=[2])


class ClaimView(View):
    """The tasks you hold; `why_fewer` says why the queue gave less than asked."""

    tasks: list[TaskView]
    why_fewer: str | None


class Skip(Body):
    """Why the tile cannot be annotated."""

    reason: Annotated[str, StringConstraints(min_length=1, max_length=500)] = Field(
        examples=["knife mark across the tile"]
    )


class Verdict(Body):
    """A reviewer's word on an annotation."""

    accept: bool = Field(examples=[True])
    comment: Annotated[str, StringConstraints(max_length=2000)] | None = Field(
        None, examples=["The ER next to the nucleus is missing."]
    )


class LabelRle(Body):
    """One label's pixels as COCO RLE: column-major, counts as a list or compressed."""

    value: int = Field(ge=1, le=255, examples=[4])
    size: Annotated[list[int], Field(min_length=2, max_length=2)] = Field(
        examples=[[512, 512]]
    )
    counts: list[int] | str = Field(examples=[[0, 262144]])


class RleMask(Body):
    """A mask as COCO RLE, one entry per label; other pixels are 0."""

    labels: list[LabelRle]


class AnnotationView(View):
    """An immutable revision of a tile's mask."""

    id: uuid.UUID
    tile_id: uuid.UUID
    revision: int
    task_id: uuid.UUID | None
    author_id: uuid.UUID | None
    complete_for: list[int]
    active_seconds: float | None
    prediction_id: uuid.UUID | None
    imported: bool
    late: bool
    accepted_at: dt.datetime | None
    accepted_by: uuid.UUID | None
    retracted_at: dt.datetime | None
    erased_at: dt.datetime | None
    created_at: dt.datetime


class DraftView(View):
    """Where a draft stands; its mask is read with GET."""

    version: int
    complete_for: list[int]
    active_seconds: float
    updated_at: dt.datetime
