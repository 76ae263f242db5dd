"""Background work: trainings, waiting for jobs with progress, policies, exports."""

import time
import uuid
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path

from backend.client.errors import JobFailed
from backend.client.transport import Transport
from backend.domain.states import JobKind, JobState
from backend.schemas.job import CurveView, JobView
from backend.schemas.policy import NewPolicy, PolicyEdit, PolicyView

LIVE = frozenset({JobState.QUEUED, JobState.RUNNING})
LONGEST_PAUSE = 2.0
OnJob = Callable[[JobView], None]
"""Called with a job whenever it has changed."""


class Jobs:
    """The ledger of background work."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def list(
        self,
        project: str,
        *,
        state: JobState | None = None,
        kind: JobKind | None = None,
    ) -> Iterator[JobView]:
        """Yield a project's jobs, newest first."""
        path = f"projects/{project}/jobs"
        return self._transport.pages(path, JobView, {"state": state, "kind": kind})

    def get(self, job: uuid.UUID) -> JobView:
        """Return one job."""
        return self._transport.get(f"jobs/{job}", JobView)

    def log(self, job: uuid.UUID) -> str:
        """Return the end of a job's log."""
        return self._transport.request("GET", f"jobs/{job}/log").text

    def curve(self, job: uuid.UUID) -> CurveView:
        """Return loss and Dice of a training so far."""
        return self._transport.get(f"jobs/{job}/curve", CurveView)

    def cancel(self, job: uuid.UUID) -> JobView:
        """Ask a job to save its state and stop."""
        return self._transport.post(f"jobs/{job}/cancel", JobView)

    def wait(self, job: uuid.UUID, on_progress: OnJob | None = None) -> JobView:
        """Return the job once it has succeeded; raises JobFailed if it does not."""
        pause, before = 0.1, None
        while True:
            view = self.get(job)
            told = (view.state, view.message, view.fraction, view.progress)
            if told != before and on_progress:
                on_progress(view)
            if view.state is JobState.SUCCEEDED:
                return view
            if view.state not in LIVE:
                raise JobFailed(view)
            pause = 0.1 if told != before else min(LONGEST_PAUSE, 1.5 * pause)
            before = told
            time.sleep(pause)

    def wait_for_round(
        self, project: str, training: uuid.UUID, on_progress: OnJob | None = None
    ) -> uuid.UUID:
        """Wait for a training and all that follows; return the version it made.

        What follows is evaluate and, if the version is promoted, predict and score.
        """
        job = self.wait(training, on_progress)
        version = str(job.payload["model_version_id"])
        while True:
            # a job's successor is written in the transaction that concludes it, so
            # there is no moment between two jobs of a chain when none is there
            waiting = [
                row
                for row in islice(self.list(project), 100)
                if row.payload.get("model_version_id") == version and row.state in LIVE
            ]
            if not waiting:
                return uuid.UUID(version)
            self.wait(waiting[-1].id, on_progress)


class Policies:
    """Rules that start trainings."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def create(self, project: str, body: NewPolicy) -> PolicyView:
        """Add a policy."""
        return self._transport.post(f"projects/{project}/policies", PolicyView, body)

    def list(self, project: str) -> Iterator[PolicyView]:
        """Yield a project's policies."""
        return self._transport.pages(f"projects/{project}/policies", PolicyView)

    def get(self, project: str, policy: uuid.UUID) -> PolicyView:
        """Return one policy and how it fired last."""
        return self._transport.get(f"projects/{project}/policies/{policy}", PolicyView)

    def edit(self, policy: PolicyView, changes: PolicyEdit) -> PolicyView:
        """Change a policy as it was read."""
        path = f"projects/{policy.project_id}/policies/{policy.id}"
        return self._transport.edit(path, PolicyView, changes, policy.version)

    def delete(self, policy: PolicyView) -> None:
        """Delete a policy; trainings it started go on."""
        self._transport.request(
            "DELETE",
            f"projects/{policy.project_id}/policies/{policy.id}",
            headers={"If-Match": f'"{policy.version}"'},
        )


class Exports:
    """Exports: an nnU-Net raw dataset and label PNGs as one file."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def start(self, project: str) -> JobView:
        """Queue an export."""
        return self._transport.post(f"projects/{project}/exports", JobView)

    def download(
        self, job: uuid.UUID, into: Path, on_bytes: Callable[[int], None] | None = None
    ) -> int:
        """Write the file of a finished export; returns its size in bytes."""
        return save(self._transport.download(f"exports/{job}/download"), into, on_bytes)


def save(
    blocks: Iterator[bytes], into: Path, on_bytes: Callable[[int], None] | None = None
) -> int:
    """Write a download to a file that appears only when it is complete."""
    size = 0
    part = into.with_name(f"{into.name}.part")
    with part.open("wb") as file:
        for block in blocks:
            size += file.write(block)
            if on_bytes:
                on_bytes(size)
    part.replace(into)
    return size
