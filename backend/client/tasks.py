"""Tasks and annotations: what an annotator does, with masks as arrays."""

import uuid
from collections.abc import Iterator, Sequence
from typing import Literal

import numpy as np
import numpy.typing as npt
from pydantic import RootModel

from backend.client.images import BINARY, array
from backend.client.transport import Transport
from backend.domain.states import TaskKind, TaskState
from backend.schemas.agreement import FeedbackView, GoldView
from backend.schemas.task import (
    AnnotationView,
    ClaimView,
    CommentView,
    DraftView,
    NewClaim,
    NewComment,
    Pin,
    Skip,
    TaskView,
    Verdict,
)

Mask = npt.NDArray[np.uint8]


class _Comments(RootModel[list[CommentView]]):
    """The answer of a list of comments, which is not paged."""


class Tasks:
    """The queue of tiles, from the annotator's side."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def claim(
        self, project: str, count: int = 1, kind: TaskKind = TaskKind.ANNOTATE
    ) -> ClaimView:
        """Claim the current tile, or (2) the current and the next."""
        body = NewClaim.model_validate({"kind": kind, "count": count})
        return self._transport.post(f"projects/{project}/claims", ClaimView, body)

    def list(self, project: str, state: TaskState | None = None) -> Iterator[TaskView]:
        """Yield a project's tasks, newest first."""
        path = f"projects/{project}/tasks"
        return self._transport.pages(path, TaskView, {"state": state})

    def get(self, task: uuid.UUID) -> TaskView:
        """Return one task."""
        return self._transport.get(f"tasks/{task}", TaskView)

    def renew(self, task: uuid.UUID) -> TaskView:
        """Prolong your lease."""
        return self._transport.post(f"tasks/{task}/renew", TaskView)

    def release(self, task: uuid.UUID) -> TaskView:
        """Give the task back to the queue."""
        return self._transport.post(f"tasks/{task}/release", TaskView)

    def skip(self, task: uuid.UUID, reason: str) -> TaskView:
        """Set the task aside with a reason."""
        return self._transport.post(f"tasks/{task}/skip", TaskView, Skip(reason=reason))

    def reopen(self, task: uuid.UUID) -> TaskView:
        """Send a finished task back to its author."""
        return self._transport.post(f"tasks/{task}/reopen", TaskView)

    def judge(
        self,
        task: uuid.UUID,
        accept: bool,
        comment: str | None = None,
        pins: Sequence[Pin] = (),
    ) -> TaskView:
        """Accept the annotation under review, or send it back with comments."""
        body = Verdict(accept=accept, comment=comment, pins=[*pins])
        return self._transport.post(f"tasks/{task}/verdict", TaskView, body)

    def comments(self, task: uuid.UUID) -> Sequence[CommentView]:
        """Return what was said of the task's tile, oldest first."""
        return self._transport.get(f"tasks/{task}/comments", _Comments).root

    def feedback(self, task: uuid.UUID) -> FeedbackView:
        """Return how a submitted task compares with the truth of a gold tile."""
        return self._transport.get(f"tasks/{task}/feedback", FeedbackView)

    def mask(self, task: uuid.UUID) -> Mask:
        """Return what a new revision starts from, (rows, columns) uint8 values."""
        return array(self._transport.request("GET", f"tasks/{task}/mask"))

    def draft(self, task: uuid.UUID) -> Mask | None:
        """Return your unsent work on the tile, or None."""
        answer = self._transport.request("GET", f"tasks/{task}/draft")
        return None if answer.status_code == 204 else array(answer)

    def save_draft(
        self,
        task: uuid.UUID,
        mask: Mask,
        complete_for: Sequence[int] = (),
        active_seconds: float | None = None,
    ) -> DraftView:
        """Keep unsent work; it outlives the lease."""
        path = f"tasks/{task}/draft"
        answer = self._transport.request(
            "PUT",
            path,
            params={
                "complete_for": ",".join(map(str, complete_for)),
                "active_seconds": active_seconds,
            },
            content=_bytes(mask),
            headers={
                **BINARY,
                "If-Match": self._transport.request("GET", path).headers["ETag"],
            },
        )
        return self._transport.parsed(answer, DraftView)

    def submit(
        self,
        task: uuid.UUID,
        mask: Mask,
        *,
        complete_for: Sequence[int] | Literal["all"] | None = None,
        active_seconds: float | None = None,
        prediction: uuid.UUID | None = None,
        flag: str | None = None,
    ) -> AnnotationView:
        """Submit the tile's mask, (rows, columns) uint8 label values.

        `complete_for` names the labels of which every pixel is marked; None means those
        the task asks for. `flag` says what others should look at.
        """
        complete: str | None
        if complete_for is None or isinstance(complete_for, str):
            complete = complete_for
        else:
            complete = ",".join(map(str, complete_for))
        answer = self._transport.request(
            "POST",
            f"tasks/{task}/annotations",
            params={
                "complete_for": complete,
                "active_seconds": active_seconds,
                "prediction_id": prediction and str(prediction),
                "flag": flag,
            },
            content=_bytes(mask),
            headers=BINARY,
        )
        return self._transport.parsed(answer, AnnotationView)


class Annotations:
    """Revisions of tiles' masks."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def list(
        self, project: str, tile: uuid.UUID | None = None
    ) -> Iterator[AnnotationView]:
        """Yield a project's annotations, newest first, or one tile's history."""
        path = f"projects/{project}/annotations"
        params = {"tile": tile and str(tile)}
        return self._transport.pages(path, AnnotationView, params)

    def get(self, annotation: uuid.UUID) -> AnnotationView:
        """Return one revision's facts."""
        return self._transport.get(f"annotations/{annotation}", AnnotationView)

    def mask(self, annotation: uuid.UUID) -> Mask:
        """Return one revision's mask, (rows, columns) uint8 values."""
        path = f"annotations/{annotation}/mask"
        return array(self._transport.request("GET", path))

    def comments(self, annotation: uuid.UUID) -> Sequence[CommentView]:
        """Return what was said of one revision, oldest first."""
        return self._transport.get(f"annotations/{annotation}/comments", _Comments).root

    def comment(self, annotation: uuid.UUID, body: NewComment) -> CommentView:
        """Comment on a revision, at a pixel or on all of it."""
        path = f"annotations/{annotation}/comments"
        return self._transport.post(path, CommentView, body)

    def resolve(self, comment: uuid.UUID) -> CommentView:
        """Mark a comment as dealt with."""
        return self._transport.post(f"comments/{comment}/resolve", CommentView)

    def retract(self, annotation: uuid.UUID) -> AnnotationView:
        """Take a revision out of every future training."""
        path = f"annotations/{annotation}/retract"
        return self._transport.post(path, AnnotationView)

    def make_gold(self, annotation: uuid.UUID, practice: bool = False) -> GoldView:
        """Take an accepted revision as the truth of its tile.

        It measures people unseen, or with `practice` is there to learn from.
        """
        path = f"annotations/{annotation}/gold"
        answer = self._transport.request("PUT", path, params={"practice": practice})
        return self._transport.parsed(answer, GoldView)

    def end_gold(self, annotation: uuid.UUID) -> None:
        """Take it for the truth no longer."""
        self._transport.request("DELETE", f"annotations/{annotation}/gold")

    def practise(self, annotation: uuid.UUID, mask: Mask) -> FeedbackView:
        """Compare a mask with the truth of a practice tile; nothing of it is kept."""
        path = f"annotations/{annotation}/practice"
        answer = self._transport.request(
            "POST", path, content=_bytes(mask), headers=BINARY
        )
        return self._transport.parsed(answer, FeedbackView)


def _bytes(mask: Mask) -> bytes:
    return np.ascontiguousarray(mask, np.uint8).tobytes()
