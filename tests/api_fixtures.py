"""An app on a fresh database, people with roles, a project; runs its jobs."""

import datetime as dt
import itertools
import uuid
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from pydantic import SecretStr

from backend.app import create_app
from backend.db import Database
from backend.domain.states import Lane
from backend.models import Job
from backend.services import jobs, people
from backend.settings import Settings
from backend.storage import ArtifactStore
from worker.runner import Runner
from worker.segmenters import Segmenters

API = "http://testserver/api/v1/"
_numbers = itertools.count()


@pytest.fixture
def settings(database_url: str, valkey_url: str, tmp_path: Path) -> Settings:
    """Settings of the app under test; its limits are small."""
    return Settings(
        database_url=SecretStr(database_url),
        broker_url=SecretStr(valkey_url),
        data_dir=tmp_path / "data",
        max_upload_bytes=2 * 2**20,
        max_image_pixels=2**20,
    )


@pytest.fixture
def app(settings: Settings) -> Iterator[FastAPI]:
    """The service, with its first admin."""
    app = create_app(settings)
    with TestClient(app):
        with database_of(app).unit_of_work() as session:
            people.ensure_admin(session, settings.admin_token_file)
        yield app


def database_of(app: FastAPI) -> Database:
    """The app's database."""
    database: Database = app.state.database
    return database


def client_with(app: FastAPI, token: str | None = None) -> TestClient:
    """A client that sends this bearer token; nothing is remembered between clients."""
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    return TestClient(app, base_url=API, headers=headers, raise_server_exceptions=False)


@pytest.fixture
def database(app: FastAPI) -> Database:
    """The app's database."""
    return database_of(app)


@pytest.fixture
def store(app: FastAPI) -> ArtifactStore:
    """The app's store."""
    found: ArtifactStore = app.state.store
    return found


@pytest.fixture
def stranger(app: FastAPI) -> TestClient:
    """A client without credentials."""
    return client_with(app)


@pytest.fixture
def admin(app: FastAPI, settings: Settings) -> TestClient:
    """A client with the admin's token."""
    return client_with(app, settings.admin_token_file.read_text().strip())


@pytest.fixture
def project(admin: TestClient) -> str:
    """Slug of a liver project with tiles of 64 pixels."""
    answer = admin.post(
        "projects",
        json={"name": "Liver", "preset": "liver", "tile_size": 64, "query_size": 2},
    )
    assert answer.status_code == 201, answer.text
    slug: str = answer.json()["slug"]
    return slug


def person(app: FastAPI, admin: TestClient, project: str, role: str) -> TestClient:
    """A client of a fresh person who has this role in the project."""
    invited = admin.post(f"projects/{project}/invitations", json={"role": role})
    assert invited.status_code == 201, invited.text
    browser = client_with(app)
    name = f"{role} {next(_numbers)}"
    answer = browser.post(
        "sessions", json={"token": invited.json()["token"], "name": name}
    )
    assert answer.status_code == 201, answer.text
    made = browser.post(
        "tokens", json={"name": "tests"}, headers={"Origin": "http://testserver"}
    )
    assert made.status_code == 201, made.text
    return client_with(app, made.json()["secret"])


def id_of(client: TestClient) -> uuid.UUID:
    """The person's id."""
    return uuid.UUID(client.get("me").json()["id"])


def run_jobs(app: FastAPI) -> list[Job]:
    """Run all waiting jobs, oldest first, each as a worker's slot would."""
    database, settings = database_of(app), app.state.settings
    runner = Runner(settings, database, app.state.store)
    ids = []
    with closing(Segmenters(settings.data_dir / "residents")) as segmenters:
        while True:
            with database.unit_of_work() as session:
                job = jobs.claim(session, list(Lane), "tests", dt.timedelta(minutes=5))
                if job is None:
                    break
                _ = job.log  # loads it while there is a session
            runner._attempt(job, segmenters)
            ids.append(job.id)
    with database.unit_of_work() as session:
        return [session.get_one(Job, id) for id in ids]
