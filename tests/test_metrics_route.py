"""/metrics for Prometheus, and the same per round as JSON."""

import math
from pathlib import Path

import pytest
from api_fixtures import client_with, id_of, person
from fastapi import FastAPI
from fastapi.testclient import TestClient
from loop_fixtures import ER, MITO, annotate, place, version
from prometheus_client.parser import text_string_to_metric_families
from sqlalchemy import update

from backend.db import Database
from backend.domain.states import JobState, Split
from backend.models import Annotation, Job
from backend.services import metrics
from backend.services.access import now
from backend.settings import Settings
from backend.storage import ArtifactStore

Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]


@pytest.fixture
def operator(app: FastAPI) -> TestClient:
    """Somebody on the machine itself, without a token."""
    return TestClient(
        app, base_url="http://testserver", client=("127.0.0.1", 50000), headers={}
    )


def scrape(operator: TestClient) -> Samples:
    answer = operator.get("/metrics")
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"].startswith("text/plain; version=1.0.0")
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
    }


def of(samples: Samples, name: str, **labels: str) -> float | None:
    return samples.get((name, frozenset(labels.items())))


def test_the_gauge_follows_promotion_and_rollback(
    admin: TestClient,
    operator: TestClient,
    project: str,
    database: Database,
    store: ArtifactStore,
) -> None:
    worse = {(Split.VALIDATION, ER): (30, 30, 30), (Split.TEST, ER): (1, 3, 0)}
    better = {(Split.VALIDATION, ER): (80, 10, 20), (Split.VALIDATION, MITO): (0, 0, 5)}
    first = version(database, store, project, counts=worse)
    second = version(database, store, project, counts=better)

    def figures(split: str = "validation", label: str = "ER") -> dict[str, float]:
        samples = scrape(operator)
        found = {
            name: of(
                samples,
                f"cisterna_model_{name}",
                project=project,
                label=label,
                split=split,
            )
            for name in ("dice", "iou", "f1", "precision", "recall")
        }
        return {name: value for name, value in found.items() if value is not None}

    def round_() -> float | None:
        return of(scrape(operator), "cisterna_model_round", project=project)

    assert figures() == {}
    assert round_() is None
    admin.post(f"models/{first}/promote")
    assert figures() == {
        "dice": 0.5,
        "iou": pytest.approx(1 / 3),
        "f1": 0.5,
        "precision": 0.5,
        "recall": 0.5,
    }
    assert figures("test")["precision"] == 0.25
    assert round_() == 1
    admin.post(f"models/{second}/promote")
    assert figures()["recall"] == 0.8
    assert figures()["dice"] == pytest.approx(160 / 190)
    assert figures("test") == {}
    # nothing was called mitochondria: precision is undefined, so it is absent
    assert figures(label="mitochondria") == {
        "dice": 0,
        "iou": 0,
        "f1": 0,
        "recall": 0,
    }
    assert round_() == 2
    assert admin.post(f"projects/{project}/rollback").status_code == 200
    assert figures()["recall"] == 0.5
    assert round_() == 1


def test_queue_leases_annotations_and_jobs(
    admin: TestClient,
    operator: TestClient,
    project: str,
    database: Database,
    store: ArtifactStore,
) -> None:
    image = place(database, store, project, seed=1)
    empty = scrape(operator)
    assert (
        of(empty, "cisterna_tasks", project=project, kind="annotate", state="open") == 0
    )
    assert of(empty, "cisterna_tasks_oldest_open_seconds", project=project) is None
    tiles = {"tiles": [str(tile) for tile in image.tiles[:5]]}
    assert admin.post(f"projects/{project}/queries", json=tiles).status_code == 201
    claimed = admin.post(f"projects/{project}/claims", json={"count": 2}).json()
    task = claimed["tasks"][0]["id"]
    assert (
        admin.post(f"tasks/{task}/annotations", content=bytes(4096)).status_code == 201
    )
    (earlier,) = annotate(database, image, [9])
    with database.unit_of_work() as session:
        session.execute(
            update(Annotation)
            .where(Annotation.id == earlier)
            .values(retracted_at=now())
        )
    answer = admin.post(f"projects/{project}/exports")
    assert answer.status_code == 202, answer.text
    samples = scrape(operator)

    def tasks(state: str) -> float | None:
        return of(
            samples, "cisterna_tasks", project=project, kind="annotate", state=state
        )

    assert [tasks(s) for s in ("open", "claimed", "accepted", "submitted")] == [
        3,
        1,
        1,
        0,
    ]
    age = of(
        samples, "cisterna_tasks_oldest_open_seconds", project=project, kind="annotate"
    )
    assert age is not None
    assert age >= 0
    assert of(samples, "cisterna_task_leases", project=project) == 1
    # retracted later, but it was accepted: a counter never falls
    assert of(samples, "cisterna_annotations_accepted_total", project=project) == 2
    recent = of(samples, "cisterna_annotations_accepted_last_hour", project=project)
    assert recent == 2
    assert of(samples, "cisterna_jobs", kind="export", state="queued") == 1
    assert of(samples, "cisterna_jobs", kind="train", state="failed") == 0
    assert of(samples, "cisterna_job_seconds_count", kind="export") == 0
    with database.unit_of_work() as session:
        end = now()
        session.execute(
            update(Job).values(
                state=JobState.SUCCEEDED,
                started_at=end.replace(microsecond=0),
                finished_at=end.replace(microsecond=500_000),
            )
        )
    samples = scrape(operator)
    assert of(samples, "cisterna_job_seconds_count", kind="export") == 1
    assert of(samples, "cisterna_job_seconds_sum", kind="export") == 0.5


def test_requests_are_timed_by_route_and_never_by_path(
    admin: TestClient,
    operator: TestClient,
    project: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    admin.get(f"projects/{project}")
    admin.get(f"projects/{project}")
    admin.get("projects/nothing-of-the-kind")
    admin.get("../../no/such/path")
    admin.request("BREW", f"projects/{project}")
    samples = scrape(operator)

    def count(method: str, route: str, status: str) -> float | None:
        return of(
            samples,
            "cisterna_http_request_seconds_count",
            method=method,
            route=route,
            status=status,
        )

    assert count("GET", "/projects/{project}", "2xx") == 2
    assert count("GET", "/projects/{project}", "4xx") == 1
    monkeypatch.setattr(metrics, "rounds", lambda *_: 1 / 0)
    assert admin.get(f"projects/{project}/metrics").status_code == 500
    samples = scrape(operator)
    assert count("GET", "/projects/{project}/metrics", "5xx") == 1
    routes = {
        dict(labels)["route"]
        for name, labels in samples
        if name == "cisterna_http_request_seconds_count"
    }
    assert not any(project in route or "such" in route for route in routes)
    methods = {
        dict(labels)["method"]
        for name, labels in samples
        if name == "cisterna_http_request_seconds_count"
    }
    assert methods <= {"GET", "POST", "other"}


def test_the_text_is_open_on_loopback_only(
    app: FastAPI, admin: TestClient, operator: TestClient, project: str, tmp_path: Path
) -> None:
    url = "http://testserver/metrics"
    assert operator.get("/metrics").status_code == 200
    proxied = operator.get("/metrics", headers={"X-Forwarded-For": "203.0.113.9"})
    assert proxied.status_code == 401
    assert client_with(app).get(url).status_code == 401
    assert client_with(app, "cst_wrong").get(url).status_code == 401
    assert admin.get(url).status_code == 200
    member = person(app, admin, project, "manager")
    assert member.get(url).status_code == 403


def test_rounds_as_json(
    app: FastAPI,
    admin: TestClient,
    project: str,
    settings: Settings,
    database: Database,
    store: ArtifactStore,
) -> None:
    path = f"projects/{project}/metrics"
    assert admin.get(path).json()["rounds"] == []
    assert admin.get(path).json()["live_round"] is None
    image = place(database, store, project, seed=1)
    timed = annotate(database, image, [0, 1], seconds=40, author_id=id_of(admin))
    untimed = annotate(database, image, [2])
    version(database, store, project, lessons=untimed)
    second = version(
        database,
        store,
        project,
        lessons=[*timed, *untimed],
        counts={(Split.VALIDATION, ER): (3, 1, 2), (Split.VALIDATION, MITO): (0, 2, 0)},
    )
    admin.post(f"models/{second}/promote")
    shown = admin.get(path).json()
    assert shown["live_round"] == 2
    first, last = shown["rounds"]
    assert (first["round"], first["state"], first["quality"]) == (1, "candidate", {})
    assert (first["tiles"], first["active_seconds"], first["timed_tiles"]) == (
        1,
        None,
        0,
    )
    assert (last["tiles"], last["active_seconds"], last["timed_tiles"]) == (3, 80, 2)
    assert last["training_seconds"] == 12.5
    table = last["quality"]["validation"]
    assert table["ER"]["dice"] == 2 * 3 / (2 * 3 + 1 + 2)
    assert table["mitochondria"]["recall"] is None
    assert table["mitochondria"]["dice"] == 0
    assert table["mean"]["recall"] == table["ER"]["recall"]
    assert math.isclose(table["mean"]["dice"], table["ER"]["dice"] / 2)
    assert table == admin.get(f"models/{second}").json()["quality"]["validation"]
    assert person(app, admin, project, "viewer").get(path).status_code == 200
    assert client_with(app).get(path).status_code == 401
