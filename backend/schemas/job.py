"""Bodies of jobs."""

import datetime as dt
import uuid

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
    progress: dict[str, object]
    error: str | None
    result: dict[str, object]
    requested_by: uuid.UUID | None
    created_at: dt.datetime
    not_before: dt.datetime | None
    started_at: dt.datetime | None
    heartbeat_at: dt.datetime | None
    progress_at: dt.datetime | None
    finished_at: dt.datetime | None
