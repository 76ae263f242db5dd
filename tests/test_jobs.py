"""The ledger on a real PostgreSQL: claims, fences, endings, and its routes."""

import datetime as dt
import threading
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest
from api_fixtures import database_of, person
from fastapi import FastAPI
from fastapi.testclient import TestClient
from sqlalchemy import func, select, text, update
from sqlalchemy.orm import Session

from backend.db import Database, connect
from backend.domain.errors import Conflict
from backend.domain.events import Event
from backend.domain.states import JobKind, JobState, Lane
from backend.models import Job, Project
from backend.services import clock, jobs

LEASE = dt.timedelta(seconds=60)
BOTH = [Lane.CPU, Lane.GPU]


class Heard:
    """What was rung and published after commits."""

    def __init__(self) -> None:
        self.rings: list[uuid.UUID] = []
        self.events: list[str] = []

    def ring(self, id: uuid.UUID, lane: str) -> None:
        self.rings.append(id)

    def publish(self, project_id: uuid.UUID, event: Event) -> None:
        self.events.append(event.state)


@pytest.fixture
def heard() -> Heard:
    return Heard()


@pytest.fixture
def database(database_url: str, heard: Heard) -> Iterator[Database]:
    database = connect(database_url, ring=heard.ring, publish=heard.publish)
    yield database
    database.close()


@pytest.fixture
def project_id(database: Database) -> uuid.UUID:
    with database.unit_of_work() as session:
        row = Project(slug="p", name="P")
        session.add(row)
        session.flush()
        return row.id


Enqueue = Callable[..., uuid.UUID]


@pytest.fixture
def enqueue(database: Database, project_id: uuid.UUID) -> Enqueue:
    def put(
        kind: JobKind = JobKind.EXPORT, lane: Lane = Lane.CPU, **more: object
    ) -> uuid.UUID:
        with database.unit_of_work() as session:
            row = jobs.enqueue(session, kind, lane, {}, project_id=project_id, **more)  # type: ignore[arg-type]
            return row.id

    return put


def claim(database: Database, lanes: list[Lane] = BOTH) -> Job | None:
    with database.unit_of_work() as session:
        return jobs.claim(session, lanes, "w", LEASE)


def read(database: Database, id: uuid.UUID) -> Job:
    with database.unit_of_work() as session:
        return session.get_one(Job, id)


@contextmanager
def held(database: Database, job: Job) -> Iterator[tuple[Session, Job]]:
    with database.unit_of_work() as session:
        yield session, jobs.lock_fenced(session, job.id, job.fence)


def lapse(database: Database, id: uuid.UUID) -> None:
    with database.unit_of_work() as session:
        past = func.now() - dt.timedelta(seconds=1)
        session.execute(update(Job).where(Job.id == id).values(lease_until=past))


def test_of_many_claimers_one_gets_the_job(
    database: Database, enqueue: Enqueue
) -> None:
    id = enqueue()
    start = threading.Barrier(8)

    def ring_often() -> int:
        start.wait()
        return sum(claim(database) is not None for _ in range(100))

    with ThreadPoolExecutor(8) as pool:
        won = sum(pool.map(lambda _: ring_often(), range(8)))
    assert won == 1
    job = read(database, id)
    assert (job.state, job.fence, job.attempts) == (JobState.RUNNING, 1, 1)


def test_each_of_many_jobs_is_claimed_once(
    database: Database, enqueue: Enqueue
) -> None:
    ids = {enqueue() for _ in range(40)}

    def take_all() -> list[uuid.UUID]:
        taken = []
        while (job := claim(database)) is not None:
            taken.append(job.id)
        return taken

    with ThreadPoolExecutor(8) as pool:
        taken = [id for some in pool.map(lambda _: take_all(), range(8)) for id in some]
    assert len(taken) == 40
    assert set(taken) == ids


def test_a_claim_keeps_to_its_lanes_and_to_the_order(
    database: Database, enqueue: Enqueue
) -> None:
    gpu, first, second = enqueue(lane=Lane.GPU), enqueue(), enqueue()
    assert [claim(database, [Lane.CPU]).id for _ in range(2)] == [first, second]  # type: ignore[union-attr]
    assert claim(database, [Lane.CPU]) is None
    assert claim(database, [Lane.GPU]).id == gpu  # type: ignore[union-attr]


def test_a_job_waits_for_its_time(database: Database, enqueue: Enqueue) -> None:
    enqueue(not_before=dt.datetime.now(dt.UTC) + dt.timedelta(hours=1))
    assert claim(database) is None


def test_a_zombie_writes_nothing(database: Database, enqueue: Enqueue) -> None:
    id = enqueue()
    zombie = claim(database)
    assert zombie is not None
    lapse(database, id)
    clock.tick(database)
    successor = claim(database)
    assert successor is not None
    assert (successor.fence, successor.attempts) == (zombie.fence + 1, 2)
    before = read(database, id)
    news = jobs.News("I am still here", 0.9, "zombie\n")
    with pytest.raises(jobs.LostFence), database.unit_of_work() as session:
        jobs.heartbeat(session, id, zombie.fence, LEASE, news)
    with pytest.raises(jobs.LostFence), held(database, zombie) as (session, job):
        jobs.succeed(session, job)
    after = read(database, id)
    assert after.state is JobState.RUNNING
    assert (after.message, after.heartbeat_at) == (None, before.heartbeat_at)
    with held(database, successor) as (session, job):
        jobs.succeed(session, job)
    assert read(database, id).state is JobState.SUCCEEDED


def test_a_heartbeat_renews_the_lease_and_tells_of_a_cancel(
    database: Database, enqueue: Enqueue
) -> None:
    id = enqueue()
    job = claim(database)
    assert job is not None
    lapse(database, id)
    news = jobs.News("half", 0.5, "log\n", {"step": 3, "metrics": {"loss": None}})
    with database.unit_of_work() as session:
        assert jobs.heartbeat(session, id, job.fence, LEASE, news) is False
    with database.unit_of_work() as session:
        assert jobs.reclaim(session) == 0
        row = session.get_one(Job, id)
        assert (row.fraction, row.log, row.progress["step"]) == (0.5, "log\n", 3)
        row.cancel_requested = True
    with database.unit_of_work() as session:
        assert jobs.heartbeat(session, id, job.fence, LEASE, None) is True
        assert session.get_one(Job, id).message == "half"


def test_a_job_that_always_takes_its_worker_down_is_quarantined(
    database: Database, enqueue: Enqueue
) -> None:
    id = enqueue()
    for attempt in (1, 2, 3):
        job = claim(database)
        assert job is not None
        assert job.attempts == attempt
        lapse(database, id)
        clock.tick(database)
    job = read(database, id)
    assert job.state is JobState.QUARANTINED
    assert job.error is not None
    assert job.finished_at is not None
    assert claim(database) is None


def test_a_failure_that_may_pass_is_tried_again_after_a_pause(
    database: Database, enqueue: Enqueue
) -> None:
    id = enqueue(max_attempts=2)
    job = claim(database)
    assert job is not None
    with held(database, job) as (session, row):
        jobs.fail(session, row, "The disk was full.", retryable=True)
    assert read(database, id).state is JobState.QUEUED
    assert claim(database) is None
    with database.unit_of_work() as session:
        session.execute(update(Job).values(not_before=func.now()))
    job = claim(database)
    assert job is not None
    with held(database, job) as (session, row):
        jobs.fail(session, row, "The disk was full.", retryable=True)
    row = read(database, id)
    assert (row.state, row.error) == (JobState.FAILED, "The disk was full.")


def test_a_failure_for_good_is_not_tried_again(
    database: Database, enqueue: Enqueue
) -> None:
    id = enqueue()
    job = claim(database)
    assert job is not None
    with held(database, job) as (session, row):
        jobs.fail(session, row, "No.", retryable=False)
    assert read(database, id).state is JobState.FAILED


def test_a_shutdown_does_not_count_as_an_attempt(
    database: Database, enqueue: Enqueue
) -> None:
    id = enqueue()
    for _ in range(5):
        job = claim(database)
        assert job is not None
        with held(database, job) as (session, row):
            jobs.put_back(session, row)
    row = read(database, id)
    assert (row.state, row.attempts, row.fence) == (JobState.QUEUED, 0, 5)


@pytest.mark.parametrize("ending", ["put_back", "fail", "reclaim"])
def test_a_cancel_wins_over_another_attempt(
    database: Database, enqueue: Enqueue, ending: str
) -> None:
    id = enqueue()
    job = claim(database)
    assert job is not None
    with database.unit_of_work() as session:
        session.execute(update(Job).values(cancel_requested=True))
    if ending == "reclaim":
        lapse(database, id)
        clock.tick(database)
    else:
        with held(database, job) as (session, row):
            if ending == "fail":
                jobs.fail(session, row, "Broken.", retryable=True)
            else:
                jobs.put_back(session, row)
    assert read(database, id).state is JobState.CANCELLED


def test_one_job_per_key_and_one_training_per_project(
    database: Database, enqueue: Enqueue
) -> None:
    enqueue(dedupe_key="k")
    with pytest.raises(Conflict):
        enqueue(dedupe_key="k")
    enqueue(JobKind.TRAIN)
    with pytest.raises(Conflict):
        enqueue(JobKind.TRAIN)
    for _ in range(2):
        job = claim(database)
        assert job is not None
        with held(database, job) as (session, row):
            jobs.succeed(session, row)
    enqueue(dedupe_key="k")
    enqueue(JobKind.TRAIN)


def test_rings_and_events_wait_for_the_commit(
    database: Database, project_id: uuid.UUID, heard: Heard
) -> None:
    def doomed() -> None:
        with database.unit_of_work() as session:
            jobs.enqueue(session, JobKind.SCORE, Lane.CPU, {}, project_id=project_id)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        doomed()
    with database.unit_of_work() as session:
        id = jobs.enqueue(
            session, JobKind.SCORE, Lane.CPU, {}, project_id=project_id
        ).id
    database.outbox.close()
    assert heard.rings == [id]
    assert heard.events == ["queued"]


def test_the_clock_rings_for_what_waits(
    database: Database, enqueue: Enqueue, heard: Heard
) -> None:
    first, _ = enqueue(), enqueue()
    gpu, late = enqueue(lane=Lane.GPU), enqueue(lane=Lane.GPU)
    with database.unit_of_work() as session:
        future = func.now() + dt.timedelta(hours=1)
        session.execute(update(Job).where(Job.id == late).values(not_before=future))
    clock.tick(database)
    database.outbox.close()
    assert sorted(heard.rings[4:]) == sorted([first, gpu])


def test_two_clocks_at_once_do_not_double_the_work(
    database: Database, enqueue: Enqueue
) -> None:
    ids = [enqueue() for _ in range(20)]
    for _ in ids:
        claim(database)
    with database.unit_of_work() as session:
        past = func.now() - dt.timedelta(seconds=1)
        session.execute(update(Job).values(lease_until=past))
    with ThreadPoolExecutor(5) as pool:
        list(pool.map(lambda _: clock.tick(database), range(5)))
    with database.unit_of_work() as session:
        rows = session.execute(
            select(Job.state, Job.attempts, func.count()).group_by(
                Job.state, Job.attempts
            )
        ).all()
    assert rows == [(JobState.QUEUED, 1, 20)]


def test_a_part_of_the_clock_that_fails_does_not_stop_the_others(
    database: Database, enqueue: Enqueue
) -> None:
    id = enqueue()
    claim(database)
    lapse(database, id)
    with database.unit_of_work() as session:
        session.execute(text("ALTER TABLE tasks RENAME TO elsewhere"))
        session.execute(text("ALTER TABLE policies RENAME TO elsewhere2"))
    clock.tick(database)
    assert read(database, id).state is JobState.QUEUED


# Routes


def put_job(app: FastAPI, slug: str) -> uuid.UUID:
    with database_of(app).unit_of_work() as session:
        project_id = session.scalars(
            select(Project.id).where(Project.slug == slug)
        ).one()
        row = jobs.enqueue(session, JobKind.EXPORT, Lane.CPU, {}, project_id=project_id)
        row.log = "12:00:00 hello\n"
        return row.id


def test_jobs_are_listed_and_read(
    app: FastAPI, admin: TestClient, project: str
) -> None:
    ids = [str(put_job(app, project)) for _ in range(3)]
    page = admin.get(f"projects/{project}/jobs", params={"limit": 2}).json()
    rest = admin.get(f"projects/{project}/jobs", params={"cursor": page["next"]})
    assert [row["id"] for row in page["items"] + rest.json()["items"]] == ids[::-1]
    running = admin.get(f"projects/{project}/jobs", params={"state": "running"})
    assert running.json()["items"] == []
    assert admin.get(f"jobs/{ids[0]}").json()["state"] == "queued"
    log = admin.get(f"jobs/{ids[0]}/log")
    assert log.headers["content-type"].startswith("text/plain")
    assert log.text == "12:00:00 hello\n"
    assert admin.get(f"jobs/{uuid.uuid4()}").status_code == 404


def test_cancel(app: FastAPI, admin: TestClient, project: str) -> None:
    waits, runs = put_job(app, project), put_job(app, project)
    answer = admin.post(f"jobs/{waits}/cancel")
    assert (answer.status_code, answer.json()["state"]) == (202, "cancelled")
    assert admin.post(f"jobs/{waits}/cancel").json()["state"] == "cancelled"
    database = database_of(app)
    job = claim(database)
    assert job is not None
    assert job.id == runs
    answer = admin.post(f"jobs/{runs}/cancel").json()
    assert (answer["state"], answer["cancel_requested"]) == ("running", True)
    with held(database, job) as (session, row):
        jobs.succeed(session, row)
    assert admin.post(f"jobs/{runs}/cancel").status_code == 409


def test_who_may_see_and_cancel_jobs(
    app: FastAPI, admin: TestClient, stranger: TestClient, project: str
) -> None:
    id = put_job(app, project)
    viewer = person(app, admin, project, "viewer")
    admin.post("projects", json={"name": "Other"}).raise_for_status()
    outsider = person(app, admin, "other", "manager")
    for path in (f"jobs/{id}", f"jobs/{id}/log", f"projects/{project}/jobs"):
        assert viewer.get(path).status_code == 200
        assert outsider.get(path).status_code == 404
        assert stranger.get(path).status_code == 401
    assert viewer.post(f"jobs/{id}/cancel").status_code == 403
    assert outsider.post(f"jobs/{id}/cancel").status_code == 404
    assert admin.get(f"jobs/{id}").json()["state"] == "queued"
