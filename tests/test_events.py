"""Events over a real socket, and health."""

import datetime as dt
import json
import socket
import threading
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
import uvicorn
from api_fixtures import database_of, person
from fastapi import FastAPI
from fastapi.testclient import TestClient
from pydantic import SecretStr
from sqlalchemy import select, text

from backend.app import create_app
from backend.domain.states import JobKind, Lane
from backend.models import Project
from backend.services import jobs
from backend.settings import Settings
from worker.attempt import Attempt
from worker.segmenter import Progress


@pytest.fixture
def address(app: FastAPI) -> Iterator[str]:
    """Address of the app behind a real server: the test client cannot stream."""
    with serve(app) as found:
        yield found


class serve:
    def __init__(self, app: FastAPI) -> None:
        self._socket = socket.create_server(("127.0.0.1", 0))
        config = uvicorn.Config(
            app, log_level="warning", lifespan="off", timeout_graceful_shutdown=1
        )
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._server.run, args=([self._socket],))

    def __enter__(self) -> str:
        self._thread.start()
        return f"http://127.0.0.1:{self._socket.getsockname()[1]}/api/v1/"

    def __exit__(self, *_: object) -> None:
        self._server.should_exit = True
        self._thread.join()


def put_job(app: FastAPI, slug: str) -> uuid.UUID:
    with database_of(app).unit_of_work() as session:
        project_id = session.scalars(
            select(Project.id).where(Project.slug == slug)
        ).one()
        return jobs.enqueue(
            session, JobKind.EXPORT, Lane.CPU, {}, project_id=project_id
        ).id


def events(lines: Iterator[str]) -> Iterator[dict[str, str]]:
    """Parse a stream of events; comments are left out."""
    event: dict[str, str] = {}
    for line in lines:
        if not line and event:
            yield event
            event = {}
        elif line and not line.startswith(":"):
            name, _, value = line.partition(": ")
            event[name] = value


def test_changes_arrive_and_nothing_is_lost_between_two_connections(
    app: FastAPI, address: str, admin: TestClient, project: str
) -> None:
    token = admin.headers["authorization"]
    url = f"{address}projects/{project}/events"
    headers = {"Authorization": token}
    with httpx.stream("GET", url, headers=headers, timeout=20) as answer:
        assert answer.status_code == 200
        assert answer.headers["content-type"].startswith("text/event-stream")
        lines = answer.iter_lines()
        assert next(lines) == ": listening"
        time.sleep(0.5)  # the stream listens from its first read on
        first = put_job(app, project)
        event = next(events(lines))
    expected = {"kind": "job", "object_id": str(first), "state": "queued"}
    assert json.loads(event["data"]) == expected
    missed = [str(put_job(app, project)) for _ in range(3)]
    headers["Last-Event-ID"] = event["id"]
    with httpx.stream("GET", url, headers=headers, timeout=20) as answer:
        found = events(answer.iter_lines())
        seen = [json.loads(next(found)["data"])["object_id"] for _ in range(3)]
    assert seen == missed


def attempt_at(app: FastAPI, settings: Settings) -> Attempt:
    """An attempt at the waiting job that writes progress ten times a second."""
    database = database_of(app)
    with database.unit_of_work() as session:
        job = jobs.claim(session, [Lane.CPU], "here", dt.timedelta(minutes=1))
        assert job is not None
        _ = job.log, job.curve
    brisk = settings.model_copy(update={"heartbeat_seconds": 0.1})
    return Attempt(job, database, brisk, threading.Event())


def test_progress_of_a_training_arrives_once_it_can_be_fetched(
    app: FastAPI, address: str, admin: TestClient, project: str, settings: Settings
) -> None:
    id = put_job(app, project)
    attempt = attempt_at(app, settings)
    headers = {"Authorization": admin.headers["authorization"]}
    url = f"{address}projects/{project}/events"
    with httpx.stream("GET", url, headers=headers, timeout=20) as answer:
        lines = answer.iter_lines()
        assert next(lines) == ": listening"
        time.sleep(0.5)
        with attempt:
            time.sleep(0.5)  # heartbeats without news are nobody's business
            attempt(Progress("training", 0.25, 7, {"loss": 0.5}))
            event = next(events(lines))
            curve = admin.get(f"jobs/{id}/curve").json()
    expected = {"kind": "job", "object_id": str(id), "state": "running"}
    assert json.loads(event["data"]) == expected
    assert (curve["step"], curve["points"][0]["loss"]) == (7, 0.5)


def test_events_are_for_members(
    app: FastAPI, admin: TestClient, stranger: TestClient, project: str
) -> None:
    admin.post("projects", json={"name": "Other"}).raise_for_status()
    outsider = person(app, admin, "other", "manager")
    assert stranger.get(f"projects/{project}/events").status_code == 401
    assert outsider.get(f"projects/{project}/events").status_code == 404
    wrong = admin.get(
        f"projects/{project}/events", headers={"Last-Event-ID": "yesterday"}
    )
    assert wrong.status_code == 422


@pytest.fixture
def brokerless(settings: Settings, app: FastAPI, tmp_path: Path) -> Iterator[FastAPI]:
    """The same service with a broker that is not there."""
    url = SecretStr(f"unix://{tmp_path}/none.sock?db=0")
    other = create_app(settings.model_copy(update={"broker_url": url}))
    with TestClient(other):
        yield other


def test_without_the_broker_the_stream_says_so_and_ends(
    brokerless: FastAPI, admin: TestClient, project: str
) -> None:
    headers = {"Authorization": admin.headers["authorization"]}
    url = f"/api/v1/projects/{project}/events"
    answer = TestClient(brokerless).get(url, headers=headers)
    (event,) = events(iter(answer.text.split("\n")))
    assert event["event"] == "unavailable"
    assert "broker" in event["data"]
    assert int(event["retry"]) > 1000


def test_without_the_broker_a_training_goes_on_and_is_written_down(
    brokerless: FastAPI, admin: TestClient, project: str, settings: Settings
) -> None:
    id = put_job(brokerless, project)
    with attempt_at(brokerless, settings) as attempt:
        for step in range(20):
            attempt(Progress("training", step / 20, step, {"loss": 0.5}))
            time.sleep(0.05)
        time.sleep(0.3)
        assert admin.get(f"jobs/{id}/curve").json()["step"] == 19
        assert attempt.reason is None


def test_health(app: FastAPI, brokerless: FastAPI) -> None:
    client = TestClient(app)
    assert client.get("/healthz").json() == {"status": "ok"}
    ready = {"status": "ok", "database": "ok", "broker": "ok"}
    assert client.get("/readyz").json() == ready
    answer = TestClient(brokerless).get("/readyz")
    assert (answer.status_code, answer.json()["broker"]) == (200, "away")


def test_not_ready_while_migrations_are_missing(app: FastAPI) -> None:
    with database_of(app).unit_of_work() as session:
        session.execute(text("UPDATE alembic_version SET version_num = '0001'"))
    answer = TestClient(app).get("/readyz")
    assert answer.status_code == 503
    assert "cisterna migrate" in answer.json()["detail"]
    assert answer.headers["retry-after"]


def test_not_ready_without_a_database(settings: Settings) -> None:
    url = SecretStr("postgresql+psycopg://nobody@127.0.0.1:1/none")
    app = create_app(settings.model_copy(update={"database_url": url}))
    with TestClient(app) as client:
        assert client.get("/healthz").status_code == 200
        assert client.get("/readyz").status_code == 503
