"""The state machines of the house, each with the table of its legal steps."""

from collections.abc import Mapping
from enum import StrEnum
from typing import TypeVar

from backend.domain.errors import IllegalTransition


class TaskState(StrEnum):
    """Where one tile for one person stands."""

    OPEN = "open"
    CLAIMED = "claimed"
    SUBMITTED = "submitted"
    ACCEPTED = "accepted"
    RETURNED = "returned"
    SKIPPED = "skipped"
    WITHDRAWN = "withdrawn"


class JobState(StrEnum):
    """Where a piece of background work stands."""

    QUEUED = "queued"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"
    QUARANTINED = "quarantined"


class ModelState(StrEnum):
    """Where a model version stands."""

    TRAINING = "training"
    CANDIDATE = "candidate"
    LIVE = "live"
    RETIRED = "retired"
    REJECTED = "rejected"
    FAILED = "failed"


class ImageState(StrEnum):
    """Where an uploaded image stands."""

    UPLOADED = "uploaded"
    READY = "ready"
    REJECTED = "rejected"
    DELETED = "deleted"


class QueryState(StrEnum):
    """One Query per project is live; the rest are superseded."""

    LIVE = "live"
    SUPERSEDED = "superseded"


class Role(StrEnum):
    """A person's role in a project, from most to least."""

    MANAGER = "manager"
    REVIEWER = "reviewer"
    ANNOTATOR = "annotator"
    VIEWER = "viewer"

    def covers(self, other: "Role") -> bool:
        """Whether this role may do all that `other` may."""
        order = list(Role)
        return order.index(self) <= order.index(other)


class Split(StrEnum):
    """What a tile may be used for."""

    POOL = "pool"
    VALIDATION = "validation"
    TEST = "test"
    NONE = "none"


class TaskKind(StrEnum):
    """What is asked of the person."""

    ANNOTATE = "annotate"
    REVIEW = "review"


class TaskSource(StrEnum):
    """Why the task exists."""

    QUERY = "query"
    CONTROL = "control"
    GOLD = "gold"
    SECOND = "second"
    CHOSEN = "chosen"


CHECKS = frozenset({TaskSource.GOLD, TaskSource.SECOND})
"""Sources of tasks that measure people; nothing is ever trained on their masks."""


class JobKind(StrEnum):
    """One file in worker/steps per kind."""

    INGEST = "ingest"
    TRAIN = "train"
    EVALUATE = "evaluate"
    PREDICT = "predict"
    SCORE = "score"
    EXPORT = "export"
    PACKAGE = "package"


class Lane(StrEnum):
    """Which kind of slot a job needs."""

    CPU = "cpu"
    GPU = "gpu"


class Schedule(StrEnum):
    """How a training begins: on from the live version, or from scratch."""

    AUTO = "auto"
    QUICK = "quick"
    FULL = "full"


class Promotion(StrEnum):
    """Whether a candidate becomes live by itself."""

    AUTOMATIC = "automatic"
    MANUAL = "manual"


class PixelSource(StrEnum):
    """Where an image's pixel size came from."""

    STATED = "stated"
    FILE = "file"
    UNKNOWN = "unknown"


S = TypeVar("S", bound=StrEnum)
Steps = Mapping[S, frozenset[S]]

TASK_STEPS: Steps[TaskState] = {
    TaskState.OPEN: frozenset(
        {TaskState.CLAIMED, TaskState.SKIPPED, TaskState.WITHDRAWN}
    ),
    TaskState.CLAIMED: frozenset(
        {TaskState.SUBMITTED, TaskState.OPEN, TaskState.SKIPPED, TaskState.WITHDRAWN}
    ),
    TaskState.SUBMITTED: frozenset({TaskState.ACCEPTED, TaskState.RETURNED}),
    TaskState.RETURNED: frozenset({TaskState.CLAIMED}),
    TaskState.ACCEPTED: frozenset({TaskState.RETURNED}),
    TaskState.SKIPPED: frozenset(),
    TaskState.WITHDRAWN: frozenset(),
}
JOB_STEPS: Steps[JobState] = {
    JobState.QUEUED: frozenset({JobState.RUNNING, JobState.CANCELLED}),
    JobState.RUNNING: frozenset(
        {
            JobState.SUCCEEDED,
            JobState.FAILED,
            JobState.CANCELLED,
            JobState.QUARANTINED,
            JobState.QUEUED,
        }
    ),
    JobState.SUCCEEDED: frozenset(),
    JobState.FAILED: frozenset(),
    JobState.CANCELLED: frozenset(),
    JobState.QUARANTINED: frozenset(),
}
MODEL_STEPS: Steps[ModelState] = {
    ModelState.TRAINING: frozenset({ModelState.CANDIDATE, ModelState.FAILED}),
    ModelState.CANDIDATE: frozenset({ModelState.LIVE, ModelState.REJECTED}),
    ModelState.LIVE: frozenset({ModelState.RETIRED}),
    ModelState.RETIRED: frozenset({ModelState.LIVE}),
    ModelState.REJECTED: frozenset(),
    ModelState.FAILED: frozenset(),
}


def step(table: Steps[S], now: S, then: S) -> S:
    """Return `then` if `table` has the step from `now`.

    Raises IllegalTransition otherwise.
    """
    if then not in table[now]:
        raise IllegalTransition(f"{type(now).__name__} cannot go from {now} to {then}.")
    return then
