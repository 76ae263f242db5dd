"""The curve of a training: what it keeps of many reports, and how it is read."""

import math
import time
from collections.abc import Callable

import pytest
from api_fixtures import client_with, person, run_jobs
from fastapi import FastAPI
from fastapi.testclient import TestClient
from hypothesis import given, settings
from hypothesis import strategies as st
from loop_fixtures import annotate, place, project_id
from sqlalchemy import update

from backend.db import Database
from backend.domain.states import JobKind, JobState, Lane, Split
from backend.models import Job
from backend.services import jobs
from backend.storage import ArtifactStore
from worker.curve import MOST, extended
from worker.runner import KINDS, Kind
from worker.segmenter import Progress, Report

figures = st.one_of(st.none(), st.floats(allow_nan=True))
losses = st.builds(lambda loss: {"loss": loss, "seconds_per_step": 0.1}, figures)
looks = st.builds(
    lambda loss, on, dice: {
        "loss": loss,
        f"{on}_loss": loss,
        f"{on}_dice/ER/sheet": dice,
    },
    figures,
    st.sampled_from(["validation", "training"]),
    figures,
)
reports = st.lists(
    st.builds(
        lambda step, metrics: Progress("x", None, step, metrics),
        st.none() | st.integers(0, 2000),
        losses | looks | st.just({"seconds": 1.0}),
    ),
    max_size=60,
)


def course(progress: list[Progress]) -> list[dict[str, object]]:
    points: list[dict[str, object]] = []
    for one in progress:
        points = extended(points, one)
    return points


@settings(deadline=None)
@given(reports)
def test_steps_rise_and_every_look_since_the_last_fallback_is_there(
    progress: list[Progress],
) -> None:
    points = course(progress)
    steps = [point["step"] for point in points]
    assert steps == sorted(set(steps))
    expected: dict[int, None] = {}
    for one in progress:
        told = {name for name, value in one.metrics.items() if name != "seconds"}
        if one.step is None or not told:
            continue
        is_look = any("_dice/" in name for name in told)
        finite = one.metrics.get("loss")
        if not is_look and (finite is None or not math.isfinite(finite)):
            continue
        expected = {step: None for step in expected if step < one.step}
        if is_look:
            expected[one.step] = None
    assert [p["step"] for p in points if "measured_on" in p] == list(expected)
    for point in points:
        assert point["loss"] is None or abs(float(str(point["loss"]))) < float("inf")


@pytest.mark.parametrize("looks_every", [0, 500, 3])
def test_a_long_training_stays_small_and_keeps_its_ends(looks_every: int) -> None:
    points: list[dict[str, object]] = []
    written = looked = 0
    for step in range(1, 20_001):
        metrics: dict[str, float | None] = {"loss": 1 / step}
        if looks_every and step % looks_every == 0:
            metrics["validation_dice/ER"] = 0.5
            looked += 1
        before = points
        points = extended(points, Progress("x", None, step, metrics))
        written += points is not before
        assert len(points) <= MOST
    assert len(points) > MOST // 3
    assert points[0]["step"] == 1
    assert float(str(points[-1]["step"])) > 19_900
    kept = sum("measured_on" in point for point in points)
    if looked <= MOST // 2:
        assert kept == looked
    if looks_every != 3:
        assert written < 3000  # each costs a write to the database


def test_what_is_done_again_takes_the_place_of_what_was_lost() -> None:
    seen = [Progress("", None, step, {"loss": float(step)}) for step in (10, 20, 30)]
    points = course([*seen, Progress("", None, 15, {"loss": 0.5})])
    assert [(p["step"], p["loss"]) for p in points] == [(10, 10.0), (15, 0.5)]


def test_a_running_job_shows_its_curve_and_the_seconds_left(
    app: FastAPI,
    admin: TestClient,
    project: str,
    database: Database,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    seen: list[dict] = []
    elapsed: list[float] = []

    def step(report: Report) -> None:
        (job,) = admin.get(f"projects/{project}/jobs").json()["items"]
        time.sleep(1.1)  # progress is written once a second
        began = time.monotonic()
        report(Progress("begin", 0.2, 100, {"loss": 0.9}))
        time.sleep(1.1)
        metrics = {"loss": 0.7, "validation_loss": 0.8, "validation_dice/ER": 0.6}
        elapsed.append(time.monotonic() - began)
        report(Progress("look", 0.6, 300, metrics))
        seen.append(admin.get(f"jobs/{job['id']}/curve").json())
        report(Progress("at once", 1.0, 500, {"loss": 0.5}))

    _with_step(monkeypatch, step)
    _put(database, project)
    (job,) = run_jobs(app)
    assert job.state is JobState.SUCCEEDED, job.error
    (live,) = seen
    assert (live["state"], live["step"]) == ("running", 300)
    # as much is left as was done since
    assert live["seconds_left"] == pytest.approx(elapsed[0], rel=0.1)
    first = {
        "step": 100,
        "loss": 0.9,
        "measured_on": None,
        "measured_loss": None,
        "dice": {},
    }
    look = {
        "step": 300,
        "loss": 0.7,
        "measured_on": "validation",
        "measured_loss": 0.8,
        "dice": {"ER": 0.6},
    }
    assert live["points"] == [first, look]
    after = admin.get(f"jobs/{job.id}/curve").json()
    assert after["points"] == [first, look, {**first, "step": 500, "loss": 0.5}]
    assert after["seconds_left"] is None
    viewer = person(app, admin, project, "viewer")
    assert viewer.get(f"jobs/{job.id}/curve").status_code == 200
    assert client_with(app).get(f"jobs/{job.id}/curve").status_code == 401
    assert admin.get(f"jobs/{admin.get('me').json()['id']}/curve").status_code == 404


def test_the_next_attempt_goes_on_with_the_curve(
    app: FastAPI,
    admin: TestClient,
    project: str,
    database: Database,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def step(report: Report) -> None:
        (job,) = admin.get(f"projects/{project}/jobs").json()["items"]
        if job["attempts"] == 1:
            report(Progress("x", 0.1, 100, {"loss": 0.9}))
            report(Progress("x", 0.2, 200, {"loss": 0.8}))
            raise OSError("the disk is full")
        report(Progress("x", 0.15, 150, {"loss": 0.85}))

    _with_step(monkeypatch, step)
    _put(database, project)
    run_jobs(app)
    with database.unit_of_work() as session:
        session.execute(update(Job).values(not_before=None))
    (job,) = run_jobs(app)
    points = admin.get(f"jobs/{job.id}/curve").json()["points"]
    assert [(p["step"], p["loss"]) for p in points] == [(100, 0.9), (150, 0.85)]


def test_a_real_training_leaves_the_dice_it_measured(
    app: FastAPI,
    admin: TestClient,
    project: str,
    database: Database,
    store: ArtifactStore,
) -> None:
    image = place(database, store, project, seed=1)
    check = place(database, store, project, seed=2, split=Split.VALIDATION)
    annotate(database, image, [5, 6])
    annotate(database, check, [0, 1])
    body = {"segmenter": "forest"}
    started = admin.post(f"projects/{project}/trainings", json=body)
    assert started.status_code == 202, started.text
    train, *_ = run_jobs(app)
    assert (train.kind, train.state) == (JobKind.TRAIN, JobState.SUCCEEDED)
    (point,) = admin.get(f"jobs/{train.id}/curve").json()["points"]
    assert (point["measured_on"], point["loss"]) == ("validation", None)
    assert point["dice"]["mitochondria"] > 0.5


def _with_step(monkeypatch: pytest.MonkeyPatch, step: Callable[[Report], None]) -> None:
    kind = Kind(
        lambda session, job: None,
        lambda work, store, report, desk: step(report),
        lambda *_: None,
    )
    monkeypatch.setitem(KINDS, JobKind.EXPORT, kind)


def _put(database: Database, project: str) -> None:
    id = project_id(database, project)
    with database.unit_of_work() as session:
        jobs.enqueue(session, JobKind.EXPORT, Lane.CPU, {}, project_id=id)
