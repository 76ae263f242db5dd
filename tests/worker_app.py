"""The worker's Celery application with kinds of jobs that tests can steer.

An export job does what its payload says; every attempt leaves a line in `journal`.
A training ends well at once.
"""

import logging
import os
import signal
import time
from pathlib import Path
from typing import Any

from sqlalchemy.orm import Session

from backend.domain.states import JobKind
from backend.models import Job
from backend.storage import ArtifactStore
from worker.app import app
from worker.desk import Desk
from worker.runner import KINDS, Kind
from worker.segmenter import Progress, Report, Stop

__all__ = ["app"]

# tests read in the log that a ring or a tick has arrived
for quiet in ("celery.app.trace", "celery.worker.strategy"):
    logging.getLogger(quiet).setLevel(logging.INFO)


def prepare(session: Session, job: Job) -> dict[str, Any]:
    return {**job.payload, "attempt": job.attempts}


def run(work: dict[str, Any], store: ArtifactStore, report: Report, desk: Desk) -> int:
    """Take `steps` steps of a tenth of a second; go on where an attempt stopped."""
    with Path(work["journal"]).open("a") as journal:
        journal.write(f"{os.getpid()} {work['attempt']}\n")
    if work.get("die"):
        os.kill(os.getpid(), signal.SIGKILL)
    checkpoint = desk.keep / "step"
    first = int(checkpoint.read_text()) if checkpoint.exists() else 0
    for step in range(first, work["steps"]):
        try:
            report(Progress("working", step / work["steps"], step, {"loss": 0.5}))
        except Stop:
            checkpoint.write_text(str(step))
            raise
        time.sleep(0.1)
    return first


def conclude(session: Session, job: Job, first: int) -> None:
    job.result = {"resumed_at": first}


KINDS[JobKind.EXPORT] = Kind(prepare, run, conclude)
KINDS[JobKind.TRAIN] = Kind(
    lambda session, job: None, lambda *_: None, lambda session, job, result: None
)
