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


Said = Annotated[str, StringConstraints(min_length=1, max_length=2000)]
AnnotationState = Literal[
    "accepted", "waiting", "returned", "superseded", "kept", "retracted", "erased"
]


class TileView(View):
    """A tile of an image's grid."""

    id: uuid.UUID
    image_id: uuid.UUID
    position: int
    box: BoxView
    split: Split


class AnnotationView(View):
    """An immutable revision of a tile's mask.

    `accepted` is the one revision of the tile that counts, `waiting` is up for review,
    `returned` was sent back, `superseded` gave way to a newer accepted one, `kept` is
    none of these: late work, an answer to a check, or a revision whose author sent
    another one.
    """

    id: uuid.UUID
    tile_id: uuid.UUID
    revision: int
    state: AnnotationState
    task_id: uuid.UUID | None
    author_id: uuid.UUID | None
    author: str | None
    complete_for: list[int]
    active_seconds: float | None
    prediction_id: uuid.UUID | None
    imported: bool
    late: bool
    accepted_at: dt.datetime | None
    accepted_by: uuid.UUID | None
    accepter: str | None
    retracted_at: dt.datetime | None
    erased_at: dt.datetime | None
    created_at: dt.datetime


class TaskView(View):
    """One tile for one person; of a review, also the revision to judge."""

    id: uuid.UUID
    project_id: uuid.UUID
    tile: TileView
    kind: TaskKind
    state: TaskState
    rank: int
    reason: str | None
    complete_for: list[int] | None
    assignee_id: uuid.UUID | None
    assignee: str | None
    lease_until: dt.datetime | None
    annotation_id: uuid.UUID | None
    under_review: AnnotationView | None
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


class Pin(Body):
    """A comment on one pixel, counted from the tile's top left."""

    y: int = Field(ge=0, examples=[120])
    x: int = Field(ge=0, examples=[48])
    text: Said = Field(examples=["This is a mitochondrion."])


class Verdict(Body):
    """A reviewer's word on an annotation."""

    accept: bool = Field(examples=[True])
    comment: Annotated[str, StringConstraints(max_length=2000)] | None = Field(
        None, examples=["The ER next to the nucleus is missing."]
    )
    pins: list[Pin] = Field([], max_length=200)


class NewComment(Body):
    """A comment on a revision; without y and x it speaks of the whole tile."""

    text: Said = Field(examples=["Is this the ER or a Golgi stack?"])
    y: int | None = Field(None, ge=0, examples=[120])
    x: int | None = Field(None, ge=0, examples=[48])


class CommentView(View):
    """A comment on a revision, pinned to a pixel of its tile or about all of it."""

    id: uuid.UUID
    tile_id: uuid.UUID
    annotation_id: uuid.UUID
    revision: int
    author_id: uuid.UUID
    author: str
    y: int | None
    x: int | None
    text: str
    resolved_at: dt.datetime | None
    resolved_by: uuid.UUID | None
    created_at: dt.datetime


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


class DraftView(View):
    """Where a draft stands; its mask is read with GET."""

    version: int
    complete_for: list[int]
    active_seconds: float
    updated_at: dt.datetime
