"""Workers: the runner in this process, then real `celery worker` and `beat`."""

import datetime as dt
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr
from sqlalchemy import func, select, text, update
from sqlalchemy.orm import Session, undefer
from test_policies import annotate, outcomes, project_id, trainings

from backend.broker import celery_app, doorbell
from backend.db import Database, connect
from backend.domain.errors import Invalid, Unavailable
from backend.domain.states import JobKind, JobState, Lane
from backend.embedded import EmbeddedValkey
from backend.models import Job, Policy
from backend.services import jobs
from backend.settings import Settings
from backend.storage import ArtifactStore
from worker.attempt import LOG_BYTES
from worker.desk import Desk
from worker.runner import KINDS, Kind, Runner
from worker.segmenter import Progress, Report, SegmenterError

__all__ = ["project_id"]
ROOT = Path(__file__).parent.parent
Step = Callable[[Report, Desk], Any]


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    database = connect(database_url)
    yield database
    database.close()


@pytest.fixture
def settings(database_url: str, valkey_url: str, tmp_path: Path) -> Settings:
    return Settings(
        database_url=SecretStr(database_url),
        broker_url=SecretStr(valkey_url),
        data_dir=tmp_path,
        lanes=("cpu",),
        heartbeat_seconds=0.1,
        job_lease_seconds=5,
        stall_seconds=1.5,
        tick_seconds=0.3,
    )


def put(database: Database, project: uuid.UUID, **payload: object) -> uuid.UUID:
    with database.unit_of_work() as session:
        return jobs.enqueue(
            session, JobKind.EXPORT, Lane.CPU, payload, project_id=project
        ).id


def read(database: Database, id: uuid.UUID) -> Job:
    with database.unit_of_work() as session:
        return session.scalars(
            select(Job).where(Job.id == id).options(undefer(Job.log))
        ).one()


def wait_for(what: Callable[[], bool], seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.05)


def ends_as(
    database: Database, id: uuid.UUID, state: JobState, seconds: float = 30
) -> Job:
    wait_for(lambda: read(database, id).state not in jobs.LIVE, seconds)
    job = read(database, id)
    assert job.state is state, (job.error, job.log)
    return job


# In this process


@pytest.fixture
def start(
    database: Database, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[..., Runner]]:
    """Start a runner whose export jobs take this step."""
    with ExitStack() as stack:

        def go(
            step: Step,
            conclude: Callable[[Session, Job, Any], None] = lambda *_: None,
            **changes: object,
        ) -> Runner:
            kind = Kind(
                lambda session, job: None,
                lambda work, store, report, desk: step(report, desk),
                conclude,
            )
            monkeypatch.setitem(KINDS, JobKind.EXPORT, kind)
            runner = Runner(
                settings.model_copy(update=changes),
                database,
                ArtifactStore(settings.artifacts_url),
            )
            runner.start()
            stack.callback(runner.join)
            stack.callback(runner.stop)
            return runner

        yield go


def forever(report: Report, desk: Desk) -> None:
    while True:
        report(Progress("at it", 0.5))
        time.sleep(0.02)


def test_a_job_is_run_and_leaves_no_files(
    database: Database,
    settings: Settings,
    project_id: uuid.UUID,
    start: Callable[..., Runner],
) -> None:
    def step(report: Report, desk: Desk) -> str:
        (desk.scratch / "file").write_text("x")
        (desk.keep / "file").write_text("x")
        metrics = {"loss": 0.25, "dice": None, "bad": float("nan")}
        report(Progress("half\x00way\udcff", 0.5, 7, metrics))
        return "result"

    def conclude(session: Session, job: Job, result: Any) -> None:
        job.result = {"got": result}

    id = put(database, project_id)
    start(step, conclude)
    job = ends_as(database, id, JobState.SUCCEEDED)
    assert job.result == {"got": "result"}
    assert (job.message, job.fraction, job.attempts) == ("halfway?", 1.0, 1)
    figures = {"loss": 0.25, "dice": None, "bad": None}
    assert job.progress == {"step": 7, "metrics": figures}
    assert "halfway? (50%) loss=0.25\n" in job.log
    wait_for(lambda: not any((settings.data_dir / "scratch").iterdir()))


def test_progress_is_written_once_a_second_and_the_log_keeps_its_end(
    database: Database, project_id: uuid.UUID, start: Callable[..., Runner]
) -> None:
    seen = set()

    def step(report: Report, desk: Desk) -> None:
        begin = time.monotonic()
        while time.monotonic() - begin < 2.2:
            report(Progress("x" * 500))
            seen.add(read(database, id).progress_at)
        report(Progress("the end"))

    id = put(database, project_id)
    start(step, heartbeat_seconds=60, stall_seconds=60)
    job = ends_as(database, id, JobState.SUCCEEDED)
    assert len(seen) == 3  # the claim's, and two writes
    assert LOG_BYTES - 600 < len(job.log.encode()) <= LOG_BYTES
    assert job.log.endswith("the end\n")


def test_a_running_job_is_cancelled_at_a_heartbeat(
    database: Database, project_id: uuid.UUID, start: Callable[..., Runner]
) -> None:
    def silent(report: Report, desk: Desk) -> None:
        while True:
            report.check()
            time.sleep(0.02)

    id, other = put(database, project_id), put(database, project_id)
    start(silent, stall_seconds=60)
    wait_for(lambda: read(database, id).state is JobState.RUNNING)
    with database.unit_of_work() as session:
        session.execute(update(Job).where(Job.id == id).values(cancel_requested=True))
    ends_as(database, id, JobState.CANCELLED)
    wait_for(lambda: read(database, other).state is JobState.RUNNING)


def test_a_cancel_counts_even_if_the_result_is_there(
    database: Database, project_id: uuid.UUID, start: Callable[..., Runner]
) -> None:
    concluded = []

    def step(report: Report, desk: Desk) -> None:
        with database.unit_of_work() as session:
            session.execute(update(Job).values(cancel_requested=True))

    id = put(database, project_id)
    start(step, lambda *_: concluded.append(1), heartbeat_seconds=60)
    ends_as(database, id, JobState.CANCELLED)
    assert concluded == []


def test_a_shutdown_gives_the_job_back_and_the_next_attempt_goes_on(
    database: Database, project_id: uuid.UUID, start: Callable[..., Runner]
) -> None:
    def first(report: Report, desk: Desk) -> None:
        (desk.keep / "checkpoint").write_text("7")
        forever(report, desk)

    id = put(database, project_id)
    runner = start(first)
    wait_for(lambda: read(database, id).message == "at it")
    runner.stop()
    runner.join()
    job = read(database, id)
    assert (job.state, job.attempts, job.lease_until) == (JobState.QUEUED, 0, None)

    def second(report: Report, desk: Desk) -> str:
        assert list(desk.scratch.iterdir()) == []
        return (desk.keep / "checkpoint").read_text()

    def conclude(session: Session, job: Job, result: Any) -> None:
        job.result = {"went_on_at": result}

    start(second, conclude)
    job = ends_as(database, id, JobState.SUCCEEDED)
    assert (job.result, job.attempts, job.fence) == ({"went_on_at": "7"}, 1, 2)


def test_a_step_that_stands_still_is_stopped_and_tried_again(
    database: Database, project_id: uuid.UUID, start: Callable[..., Runner]
) -> None:
    def stuck(report: Report, desk: Desk) -> None:
        while True:
            report.check()
            time.sleep(0.02)

    id = put(database, project_id)
    start(stuck)
    wait_for(lambda: read(database, id).state is JobState.QUEUED)
    wait_for(lambda: read(database, id).error is not None)
    job = read(database, id)
    assert "no progress" in str(job.error)
    assert job.attempts == 1


def test_a_step_that_is_slow_as_ever_does_not_stand_still(
    database: Database, project_id: uuid.UUID, start: Callable[..., Runner]
) -> None:
    silent = []

    def slow(report: Report, desk: Desk) -> None:
        for _ in range(3):
            time.sleep(1)
            report(Progress("a large step"))
        begin = time.monotonic()
        try:
            while True:
                report.check()
                time.sleep(0.02)
        finally:
            silent.append(time.monotonic() - begin)

    id = put(database, project_id)
    start(slow)
    wait_for(lambda: read(database, id).error is not None)
    assert "no progress" in str(read(database, id).error)
    assert silent[0] > 4  # five usual pauses, though the limit alone is 1.5 s


def test_a_deaf_step_loses_its_job_and_writes_nothing_more(
    database: Database, project_id: uuid.UUID, start: Callable[..., Runner]
) -> None:
    wake, concluded = threading.Event(), []

    def step(report: Report, desk: Desk) -> bool:
        return wake.wait(60)

    id = put(database, project_id)
    start(step, lambda *_: concluded.append(1), job_lease_seconds=2, tick_seconds=60)
    wait_for(lambda: read(database, id).state is JobState.RUNNING)
    with database.unit_of_work() as session:
        session.execute(update(Job).values(max_attempts=1))

    def lapsed() -> bool:
        with database.unit_of_work() as session:
            return jobs.reclaim(session) == 1

    wait_for(lapsed)
    wake.set()
    time.sleep(0.5)
    assert concluded == []
    assert read(database, id).state is JobState.QUARANTINED


@pytest.mark.parametrize(
    ("error", "state", "words"),
    [
        (Invalid("Paint something first."), "failed", "Paint something first."),
        (SegmenterError("Bad plans.", retryable=False), "failed", "Bad plans."),
        (SegmenterError("It crashed.", retryable=True), "queued", "It crashed."),
        (Unavailable("The store is away."), "queued", "The store is away."),
        (OSError(28, "No space left"), "queued", "No space left"),
        (ZeroDivisionError("oh"), "failed", "ZeroDivisionError: oh"),
    ],
)
def test_an_error_decides_whether_another_attempt_may_help(
    database: Database,
    project_id: uuid.UUID,
    start: Callable[..., Runner],
    error: Exception,
    state: str,
    words: str,
) -> None:
    def step(report: Report, desk: Desk) -> None:
        raise error

    id = put(database, project_id)
    start(step)
    wait_for(lambda: read(database, id).error is not None)
    job = read(database, id)
    assert (job.state, job.attempts) == (state, 1)
    assert words in str(job.error)
    assert words in job.log


def test_a_step_that_keeps_crashing_is_quarantined(
    database: Database, project_id: uuid.UUID, start: Callable[..., Runner]
) -> None:
    def step(report: Report, desk: Desk) -> None:
        raise SegmenterError("It ran out of memory.", retryable=True)

    id = put(database, project_id)
    start(step)
    for attempt in (1, 2):
        wait_for(lambda n=attempt: _rests(database, id, n))  # type: ignore[misc]
        with database.unit_of_work() as session:
            session.execute(update(Job).values(not_before=func.now()))
    job = ends_as(database, id, JobState.QUARANTINED)
    assert job.attempts == 3


def _rests(database: Database, id: uuid.UUID, attempts: int) -> bool:
    job = read(database, id)
    return (job.state, job.attempts) == (JobState.QUEUED, attempts)


def test_a_failed_conclusion_leaves_nothing_half_done(
    database: Database, project_id: uuid.UUID, start: Callable[..., Runner]
) -> None:
    def conclude(session: Session, job: Job, result: Any) -> None:
        jobs.enqueue(session, JobKind.SCORE, Lane.GPU, {}, project_id=project_id)
        raise Invalid("The result is of no use.")

    id = put(database, project_id)
    start(lambda *_: None, conclude)
    job = ends_as(database, id, JobState.FAILED)
    assert job.error == "The result is of no use."
    with database.unit_of_work() as session:
        assert session.scalars(select(Job.id)).all() == [id]


def test_a_result_outlives_a_database_that_goes_away(
    database: Database, project_id: uuid.UUID, start: Callable[..., Runner]
) -> None:
    tries = []

    def conclude(session: Session, job: Job, result: Any) -> None:
        tries.append(1)
        if len(tries) == 1:
            session.execute(text("SELECT pg_terminate_backend(pg_backend_pid())"))

    id = put(database, project_id)
    runs = []
    start(lambda *_: runs.append(1), conclude)
    job = ends_as(database, id, JobState.SUCCEEDED)
    assert (len(runs), len(tries), job.attempts) == (1, 2, 1)


def test_a_deleted_job_stops(
    database: Database, project_id: uuid.UUID, start: Callable[..., Runner]
) -> None:
    begun, stopped = threading.Event(), threading.Event()

    def step(report: Report, desk: Desk) -> None:
        begun.set()
        try:
            forever(report, desk)
        finally:
            stopped.set()

    id = put(database, project_id)
    start(step)
    assert begun.wait(10)
    with database.unit_of_work() as session:
        session.delete(session.get_one(Job, id))
    assert stopped.wait(10)


def test_every_kind_is_wired_to_functions_that_exist() -> None:
    from importlib import import_module

    for kind in JobKind:
        service = import_module(f"backend.services.{jobs.NOUNS[kind]}")
        assert callable(service.prepare), kind
        assert callable(service.conclude), kind
        run = import_module(f"worker.steps.{kind}").run
        assert run.__code__.co_argcount == 4, kind


# Real processes


class Processes:
    """Celery processes on the test's own database, broker and data directory."""

    def __init__(self, settings: Settings) -> None:
        assert settings.database_url is not None
        assert settings.broker_url is not None
        self._settings = settings
        self._started: list[subprocess.Popen[bytes]] = []
        self.environment = {
            **os.environ,
            "PYTHONPATH": f"{ROOT}:{ROOT / 'tests'}",
            "CISTERNA_DATA_DIR": str(settings.data_dir),
            "CISTERNA_DATABASE_URL": settings.database_url.get_secret_value(),
            "CISTERNA_BROKER_URL": settings.broker_url.get_secret_value(),
            "CISTERNA_HEARTBEAT_SECONDS": "0.3",
            "CISTERNA_JOB_LEASE_SECONDS": "3",
            "CISTERNA_TICK_SECONDS": "0.5",
        }

    def worker(self) -> subprocess.Popen[bytes]:
        return self._start(
            "worker", "-P", "threads", "-c", "3", "-Q", "cpu,gpu,tick", "-l", "INFO"
        )

    def beat(self) -> subprocess.Popen[bytes]:
        return self._start("beat", "-l", "INFO")

    def _start(self, *command: str) -> subprocess.Popen[bytes]:
        log = self._settings.data_dir / f"{command[0]}.{len(self._started)}.log"
        with log.open("wb") as out:
            process = subprocess.Popen(
                [sys.executable, "-m", "celery", "-A", "worker_app", *command],
                cwd=self._settings.data_dir,
                env=self.environment,
                stdout=out,
                stderr=out,
            )
        self._started.append(process)
        return process

    def end(self) -> None:
        for process in self._started:
            process.kill()
            process.wait()


@pytest.fixture
def processes(settings: Settings) -> Iterator[Processes]:
    processes = Processes(settings)
    yield processes
    processes.end()


@pytest.fixture
def journal(tmp_path: Path) -> Path:
    path = tmp_path / "journal"
    path.touch()
    return path


def attempts(journal: Path) -> list[list[str]]:
    return [line.split() for line in journal.read_text().splitlines()]


def test_a_hundred_rings_run_a_job_once(
    database: Database,
    settings: Settings,
    project_id: uuid.UUID,
    processes: Processes,
    journal: Path,
) -> None:
    processes.worker()
    processes.worker()
    id = put(database, project_id, steps=10, journal=str(journal))
    assert settings.broker_url is not None
    app = celery_app(settings.broker_url.get_secret_value(), tick_seconds=1)
    ring = doorbell(app)
    for _ in range(100):
        ring(id, "cpu")
    ends_as(database, id, JobState.SUCCEEDED)
    time.sleep(1)
    assert len(attempts(journal)) == 1


def test_a_ring_starts_a_job_without_waiting_for_the_clock(
    database: Database,
    database_url: str,
    settings: Settings,
    project_id: uuid.UUID,
    processes: Processes,
    journal: Path,
) -> None:
    assert settings.broker_url is not None
    app = celery_app(settings.broker_url.get_secret_value(), tick_seconds=1)
    ringing = connect(database_url, ring=doorbell(app))
    processes.environment["CISTERNA_TICK_SECONDS"] = "600"
    first = put(database, project_id, steps=1, journal=str(journal))
    processes.worker()
    ends_as(database, first, JobState.SUCCEEDED)
    second = put(ringing, project_id, steps=1, journal=str(journal))
    ends_as(database, second, JobState.SUCCEEDED, 10)
    ringing.close()


def test_a_killed_workers_job_is_run_by_the_next(
    database: Database, project_id: uuid.UUID, processes: Processes, journal: Path
) -> None:
    first = processes.worker()
    id = put(database, project_id, steps=30, journal=str(journal))
    wait_for(lambda: read(database, id).message == "working")
    first.kill()
    processes.worker()
    job = ends_as(database, id, JobState.SUCCEEDED, 60)
    assert (job.attempts, job.fence) == (2, 2)
    (one, _), (two, _) = attempts(journal)
    assert one == str(first.pid) != two


def test_a_job_that_kills_its_workers_is_quarantined_and_others_run_on(
    database: Database, project_id: uuid.UUID, processes: Processes, journal: Path
) -> None:
    poison = put(database, project_id, die=True, journal=str(journal))
    for _ in range(3):
        assert processes.worker().wait(60) == -signal.SIGKILL
    processes.worker()
    job = ends_as(database, poison, JobState.QUARANTINED)
    assert job.attempts == len(attempts(journal)) == 3
    sound = put(database, project_id, steps=1, journal=str(journal))
    ends_as(database, sound, JobState.SUCCEEDED)


def test_sigterm_gives_the_job_back_uncounted(
    database: Database, project_id: uuid.UUID, processes: Processes, journal: Path
) -> None:
    first = processes.worker()
    id = put(database, project_id, steps=40, journal=str(journal))
    wait_for(lambda: (read(database, id).fraction or 0) > 0.1)
    first.terminate()
    assert first.wait(20) == 0
    job = read(database, id)
    assert (job.state, job.attempts) == (JobState.QUEUED, 0)
    processes.worker()
    job = ends_as(database, id, JobState.SUCCEEDED, 60)
    assert job.attempts == 1
    resumed_at = job.result["resumed_at"]
    assert isinstance(resumed_at, int)
    assert resumed_at > 0


def test_a_stopped_workers_writes_are_refused_when_it_wakes(
    database: Database, project_id: uuid.UUID, processes: Processes, journal: Path
) -> None:
    first = processes.worker()
    id = put(database, project_id, steps=20, journal=str(journal))
    wait_for(lambda: read(database, id).message == "working")
    first.send_signal(signal.SIGSTOP)
    second = processes.worker()
    job = ends_as(database, id, JobState.SUCCEEDED, 60)
    first.send_signal(signal.SIGCONT)
    time.sleep(2)
    after = read(database, id)
    assert (after.state, after.fence, after.log) == (job.state, 2, job.log)
    assert str(after.worker).endswith(f":{second.pid}")


def test_work_goes_on_without_the_broker_and_when_it_is_back(
    database: Database,
    project_id: uuid.UUID,
    settings: Settings,
    journal: Path,
) -> None:
    folder = Path(tempfile.mkdtemp(prefix="cisterna-broker-"))
    valkey = EmbeddedValkey(folder)
    own = settings.model_copy(update={"broker_url": SecretStr(valkey.url)})
    processes = Processes(own)
    with ExitStack() as stack:
        stack.callback(shutil.rmtree, folder)
        stack.callback(valkey.stop)
        stack.callback(processes.end)
        valkey.start()
        lively = processes.worker()
        first = put(database, project_id, steps=1, journal=str(journal))
        ends_as(database, first, JobState.SUCCEEDED)
        valkey.stop()
        second = put(database, project_id, steps=1, journal=str(journal))
        ends_as(database, second, JobState.SUCCEEDED, 15)
        # a worker that starts without the broker works all the same, and stops
        lively.terminate()
        assert lively.wait(30) == 0
        late = processes.worker()
        third = put(database, project_id, steps=1, journal=str(journal))
        ends_as(database, third, JobState.SUCCEEDED, 20)
        valkey.start()
        app = celery_app(valkey.url, tick_seconds=1)
        fourth = put(database, project_id, steps=1, journal=str(journal))
        doorbell(app)(fourth, "cpu")
        ends_as(database, fourth, JobState.SUCCEEDED)
        log = own.data_dir / "worker.1.log"
        wait_for(
            lambda: "cisterna.run_job" in log.read_text().split("[tasks]")[-1][80:]
        )
        late.terminate()
        assert late.wait(30) == 0
    assert len(attempts(journal)) == 4


def test_a_policy_with_a_cron_of_one_minute_trains_once(
    database: Database,
    project_id: uuid.UUID,
    settings: Settings,
    processes: Processes,
) -> None:
    annotate(database, project_id, 1)
    processes.beat()
    processes.worker()
    processes.worker()
    with database.unit_of_work() as session:
        session.add(
            Policy(
                project_id=project_id,
                name="every minute",
                cron="* * * * *",
                watermark=dt.datetime.now(dt.UTC),
            )
        )
    wait_for(lambda: trainings(database) == 1, 75)
    wait_for(lambda: len(outcomes(database)) == 2, 75)
    assert trainings(database) == 1
    logs = [log.read_text() for log in settings.data_dir.glob("worker.*.log")]
    assert any("cisterna.tick" in log.partition("ready.")[2] for log in logs)
    assert outcomes(database)[1] == "Nothing was accepted since the last training."
    with database.unit_of_work() as session:
        assert session.scalars(select(Job.state)).all() == [JobState.SUCCEEDED]
