"""One attempt at a job: what its step reports to, and the heartbeat beside it."""

import datetime as dt
import logging
import math
import threading
import time
from collections import deque
from enum import StrEnum
from statistics import median
from types import TracebackType
from typing import Self

from sqlalchemy.exc import SQLAlchemyError

from backend.db import Database
from backend.models import Job
from backend.services import jobs
from backend.settings import Settings
from worker.curve import extended
from worker.segmenter import Progress, Stop

logger = logging.getLogger(__name__)

LOG_BYTES = 16 * 1024
WRITE_SECONDS = 1.0
"""Least time between two writes of progress."""
STALLED_PAUSES = 5
"""How many usual pauses between two lines of progress may pass without one."""


class Reason(StrEnum):
    """Why an attempt has to stop."""

    CANCELLED = "cancelled"
    LOST = "lost"
    STALLED = "stalled"
    SHUTDOWN = "shutdown"


class Attempt:
    """One attempt at a job: the step's report, and a thread that keeps the lease.

    Two clocks watch it: the lease, which the heartbeat keeps while the worker is there,
    and progress, without which the step is stopped. A worker that cannot reach the
    database takes its lease for lost once it has run out by its own clock, since
    somebody else may have the job by then.
    """

    def __init__(
        self,
        job: Job,
        database: Database,
        settings: Settings,
        stopping: threading.Event,
    ) -> None:
        self.id, self.fence = job.id, job.fence
        self.reason: Reason | None = None
        self._log, self._curve = job.log, job.curve
        self._told_curve = self._curve
        self._database = database
        self._settings = settings
        self._lease = dt.timedelta(seconds=settings.job_lease_seconds)
        self._stopping = stopping
        self._done = threading.Event()
        self._writing = threading.Lock()
        self._news: jobs.News | None = None
        self._written = self._renewed = self._moved = time.monotonic()
        self._pauses: deque[float] = deque(maxlen=50)
        self._shares: deque[tuple[float, float]] = deque(maxlen=50)
        self._thread = threading.Thread(target=self._keep, name=f"heart {job.id}")

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._done.set()
        self._thread.join()

    def __call__(self, progress: Progress) -> None:
        """Record progress, at most once a second; raise Stop if the job must end."""
        moved = time.monotonic()
        self._pauses.append(moved - self._moved)
        self._moved = moved
        figures = {
            name: value if value is not None and math.isfinite(value) else None
            for name, value in progress.metrics.items()
        }
        percent = f" ({progress.fraction:.0%})" if progress.fraction is not None else ""
        shown = "".join(f" {k}={v:.4g}" for k, v in figures.items() if v is not None)
        self.note(f"{progress.message}{percent}{shown}")
        said: dict[str, object] = {"step": progress.step, "metrics": figures}
        left = self._seconds_left(progress.fraction)
        if left is not None:
            said["seconds_left"] = left
        self._curve = extended(self._curve, progress)
        self._news = jobs.News(
            message=clean(progress.message),
            fraction=progress.fraction,
            log=self._log,
            progress=said,
            curve=self._curve if self._curve is not self._told_curve else None,
        )
        if self._moved - self._written >= WRITE_SECONDS:
            self._beat()
        self.check()

    def check(self) -> None:
        """Raise Stop if the job must end now."""
        if self.reason is None and self._stopping.is_set():
            self.reason = Reason.SHUTDOWN
        if self.reason is not None:
            raise Stop(self.reason)

    def note(self, text: str) -> None:
        """Add a line to the log, whose last 16 KiB are kept."""
        log = f"{self._log}{dt.datetime.now(dt.UTC):%H:%M:%S} {clean(text)}\n"
        self._log = log.encode()[-LOG_BYTES:].decode(errors="ignore")

    def last_words(self, job: Job) -> None:
        """Put the news that were not written yet on the locked row."""
        job.log, job.curve = self._log, self._curve
        if self._news is not None:
            job.message, job.fraction = self._news.message, self._news.fraction
            job.progress = self._news.progress

    def _seconds_left(self, fraction: float | None) -> float | None:
        """Seconds to the end at the pace of the last fifty reports; None if unknown."""
        if fraction is None:
            return None
        if self._shares and fraction < self._shares[-1][1]:
            self._shares.clear()  # another part, or what was lost is done again
        self._shares.append((self._moved, fraction))
        begin, first = self._shares[0]
        if fraction <= first:
            return None
        return round((1 - fraction) * (self._moved - begin) / (fraction - first), 1)

    def _keep(self) -> None:
        while not self._done.wait(self._settings.heartbeat_seconds):
            if time.monotonic() - self._moved > self._patience():
                self.reason = self.reason or Reason.STALLED
            # a step that hears nothing must not hold its job for ever
            if self.reason is not Reason.STALLED:
                self._beat()

    def _patience(self) -> float:
        """Seconds without progress after which the step stands still."""
        usual = median(self._pauses) if self._pauses else 0.0
        return max(self._settings.stall_seconds, STALLED_PAUSES * usual)

    def _beat(self) -> None:
        if not self._writing.acquire(blocking=False):
            return  # the other thread is at it, which renews the lease as well
        try:
            news, begin = self._news, time.monotonic()
            self._written = begin
            with self._database.unit_of_work() as session:
                asked = jobs.heartbeat(session, self.id, self.fence, self._lease, news)
            self._renewed = begin
            if self._news is news:
                self._news = None
            if news is not None and news.curve is not None:
                self._told_curve = news.curve
            if asked:
                self.reason = self.reason or Reason.CANCELLED
        except jobs.LostFence:
            self.reason = Reason.LOST
        except SQLAlchemyError as error:
            logger.warning("A heartbeat of job %s failed: %s", self.id, error)
            if time.monotonic() - self._renewed > self._lease.total_seconds():
                self.reason = Reason.LOST
        finally:
            self._writing.release()


def clean(text: str) -> str:
    """Return text as PostgreSQL takes it: libraries print NULs and lone surrogates."""
    return text.replace("\x00", "").encode(errors="replace").decode()[:4000]
