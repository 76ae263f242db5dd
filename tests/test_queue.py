"""The queue as people watch it, over HTTP: counts, leases, pace, what comes next."""

import datetime as dt
import uuid
from collections.abc import Sequence
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from api_fixtures import client_with, id_of, person, run_jobs
from fastapi import FastAPI
from fastapi.testclient import TestClient
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from loop_fixtures import annotate, place, project_id, version
from sqlalchemy import select, update

from backend.db import Database
from backend.domain.states import JobKind, JobState, Lane, ModelState, Split
from backend.models import Evaluation, Job
from backend.ranker import Ranked, histograms
from backend.services import jobs, queueviews
from backend.storage import ArtifactStore


def queue(client: TestClient, project: str) -> dict:
    answer = client.get(f"projects/{project}/queue")
    assert answer.status_code == 200, answer.text
    found: dict = answer.json()
    return found


def choose(client: TestClient, project: str, tiles: Sequence[uuid.UUID]) -> str:
    body = {"tiles": [str(tile) for tile in tiles]}
    answer = client.post(f"projects/{project}/queries", json=body)
    assert answer.status_code == 201, answer.text
    return str(answer.json()["id"])


def claim(client: TestClient, project: str) -> str:
    answer = client.post(f"projects/{project}/claims", json={"count": 1})
    return str(answer.json()["tasks"][0]["id"])


def submit(client: TestClient, task: str, seconds: float) -> None:
    answer = client.post(
        f"tasks/{task}/annotations",
        content=bytes(64 * 64),
        params={"active_seconds": seconds},
    )
    assert answer.status_code == 201, answer.text


def test_counts_leases_and_pace(
    app: FastAPI,
    admin: TestClient,
    project: str,
    database: Database,
    store: ArtifactStore,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    image = place(database, store, project, seed=1)
    live = choose(admin, project, image.tiles[:9])
    ann, ben = (person(app, admin, project, "annotator") for _ in range(2))
    for seconds in (10, 20, 60):
        submit(ann, claim(ann, project), seconds)
    skipped = claim(ben, project)
    body = {"reason": "out of focus"}
    assert ben.post(f"tasks/{skipped}/skip", json=body).status_code == 200
    held = claim(ben, project)
    annotate(database, image, [12], seconds=500, author_id=id_of(ann))  # an import

    shown = queue(admin, project)
    assert shown["query_id"] == live
    counts = {name: shown[name] for name in ("open", "claimed", "mine", "skipped")}
    assert counts == {"open": 4, "claimed": 1, "mine": 0, "skipped": 1}
    assert shown["skip_reasons"] == [{"reason": "out of focus", "tiles": 1}]
    assert shown["why_empty"] is None
    (lease,) = shown["leases"]
    assert (lease["task_id"], lease["assignee"]) == (held, ben.get("me").json()["name"])
    assert (lease["tile_id"], lease["rank"]) == (str(image.tiles[4]), 5)
    assert dt.datetime.fromisoformat(lease["lease_until"]) > dt.datetime.now(dt.UTC)
    assert shown["pace"] == [
        {
            "user_id": str(id_of(ann)),
            "name": ann.get("me").json()["name"],
            "tiles": 3,
            "median_active_seconds": 20,
        }
    ]
    assert shown["histograms"] is None  # nobody scored them
    later = dt.datetime.now(dt.UTC) + dt.timedelta(days=8)
    monkeypatch.setattr(queueviews, "now", lambda: later)
    assert queue(admin, project)["pace"] == []


def test_reviews_are_counted_and_their_leases_shown(
    app: FastAPI,
    admin: TestClient,
    project: str,
    database: Database,
    store: ArtifactStore,
) -> None:
    shown = admin.get(f"projects/{project}")
    edited = admin.patch(
        f"projects/{project}",
        json={"review": True},
        headers={"If-Match": shown.headers["etag"]},
    )
    assert edited.status_code == 200, edited.text
    image = place(database, store, project, seed=1)
    choose(admin, project, image.tiles[:3])
    ann = person(app, admin, project, "annotator")
    for _ in range(2):
        submit(ann, claim(ann, project), 5)
    assert queue(admin, project)["submitted"] == 2
    reviewer = person(app, admin, project, "reviewer")
    answer = reviewer.post(
        f"projects/{project}/claims", json={"count": 1, "kind": "review"}
    )
    (review,) = answer.json()["tasks"]
    shown = queue(reviewer, project)
    assert [lease["kind"] for lease in shown["leases"]] == ["review"]
    assert (shown["claimed"], shown["mine"]) == (0, 0)  # of tasks to annotate
    answer = reviewer.post(
        f"tasks/{review['id']}/verdict",
        json={"accept": False, "comment": "look again"},
    )
    assert answer.status_code == 200, answer.text
    shown = queue(reviewer, project)
    assert (shown["submitted"], shown["returned"]) == (1, 1)


@pytest.mark.parametrize(
    ("role", "sees"),
    [("viewer", False), ("annotator", False), ("reviewer", True), ("manager", True)],
)
def test_only_reviewers_see_who_holds_what(
    app: FastAPI,
    admin: TestClient,
    project: str,
    database: Database,
    store: ArtifactStore,
    role: str,
    sees: bool,
) -> None:
    image = place(database, store, project, seed=1)
    choose(admin, project, image.tiles[:3])
    claim(admin, project)
    someone = person(app, admin, project, role)
    shown = queue(someone, project)
    assert (shown["leases"] is not None, shown["pace"] is not None) == (sees, sees)
    assert (shown["open"], shown["claimed"], shown["mine"]) == (2, 1, 0)
    if role in ("annotator", "manager"):
        claim(someone, project)
        assert queue(someone, project)["mine"] == 1
    other = admin.post("projects", json={"name": "Other", "preset": "liver"}).json()
    outsider = person(app, admin, other["slug"], "manager")
    assert outsider.get(f"projects/{project}/queue").status_code == 404
    assert client_with(app).get(f"projects/{project}/queue").status_code == 401


def test_an_empty_queue_says_why(
    app: FastAPI,
    admin: TestClient,
    project: str,
    database: Database,
    store: ArtifactStore,
) -> None:
    assert "no image" in queue(admin, project)["why_empty"]
    image = place(database, store, project, seed=1)
    shown = queue(admin, project)
    assert (shown["open"], shown["query_id"]) == (0, None)
    assert "16 tiles" in shown["why_empty"]
    task = admin.get(f"tasks/{claim(admin, project)}").json()
    assert queue(admin, project)["why_empty"] is None
    free = next(tile for tile in image.tiles if str(tile) != task["tile"]["id"])
    choose(admin, project, [free])
    claim(person(app, admin, project, "annotator"), project)
    assert "2 claimed" in queue(admin, project)["why_empty"]


@pytest.mark.parametrize(
    ("kind", "says"),
    [
        (JobKind.EXPORT, "1 claimed"),
        (JobKind.PACKAGE, "1 claimed"),
        (JobKind.TRAIN, "new ones follow when this ends: train"),
        (JobKind.PREDICT, "new ones follow when this ends: predict"),
    ],
)
def test_only_what_leads_to_tiles_promises_them(
    admin: TestClient,
    project: str,
    database: Database,
    store: ArtifactStore,
    kind: JobKind,
    says: str,
) -> None:
    image = place(database, store, project, seed=1)
    choose(admin, project, image.tiles[:1])
    claim(admin, project)
    with database.unit_of_work() as session:
        jobs.enqueue(
            session, kind, Lane.CPU, {}, project_id=project_id(database, project)
        )
    assert says in queue(admin, project)["why_empty"]


def test_the_next_training(
    admin: TestClient, project: str, database: Database, store: ArtifactStore
) -> None:
    path = f"projects/{project}/policies"
    assert queue(admin, project)["next_trainings"] == []
    made = [
        {"name": "often", "every_annotations": 3},
        {"name": "nightly", "cron": "30 2 * * *"},
        {"name": "off", "enabled": False, "every_annotations": 1},
        {"name": "never", "cron": "0 0 1 1 *", "minimum_minutes": 600},
    ]
    for body in made:
        assert admin.post(path, json=body).status_code == 201
    image = place(database, store, project, seed=1)
    annotate(database, image, [0, 1])
    shown = queue(admin, project)
    assert (shown["training_job_id"], shown["time_zone"]) == (None, "UTC")
    often, nightly, never = shown["next_trainings"]
    assert often["name"] == "often"
    assert (often["new_annotations"], often["annotations_left"]) == (2, 1)
    assert (often["at"], often["put_off"]) == (None, False)
    assert nightly["annotations_left"] is None
    at = dt.datetime.fromisoformat(nightly["at"])
    assert (at.hour, at.minute) == (2, 30)
    assert dt.timedelta(0) < at - dt.datetime.now(dt.UTC) <= dt.timedelta(days=1)
    assert not never["put_off"]
    annotate(database, image, [2])
    assert queue(admin, project)["next_trainings"][0]["annotations_left"] == 0

    started = admin.post(f"projects/{project}/trainings", json={"segmenter": "forest"})
    assert started.status_code == 202, started.text
    shown = queue(admin, project)
    assert shown["training_job_id"] == started.json()["id"]
    assert all(told["put_off"] for told in shown["next_trainings"])
    with database.unit_of_work() as session:
        session.execute(update(Job).values(state=JobState.CANCELLED))
    shown = queue(admin, project)
    assert shown["training_job_id"] is None
    assert [told["put_off"] for told in shown["next_trainings"]] == [False, False, True]


def test_cron_is_told_in_the_projects_zone(
    admin: TestClient, project: str, database: Database
) -> None:
    shown = admin.get(f"projects/{project}")
    admin.patch(
        f"projects/{project}",
        json={"time_zone": "Asia/Tokyo"},
        headers={"If-Match": shown.headers["etag"]},
    ).raise_for_status()
    body = {"name": "nightly", "cron": "0 2 * * *"}
    assert admin.post(f"projects/{project}/policies", json=body).status_code == 201
    shown = queue(admin, project)
    assert shown["time_zone"] == "Asia/Tokyo"
    at = dt.datetime.fromisoformat(shown["next_trainings"][0]["at"])
    assert at.utcoffset() == at.astimezone(ZoneInfo("Asia/Tokyo")).utcoffset()
    assert at.hour == 2


def test_a_real_round_gives_intervals_and_histograms(
    app: FastAPI,
    admin: TestClient,
    project: str,
    database: Database,
    store: ArtifactStore,
) -> None:
    image = place(database, store, project, seed=1)
    check = place(database, store, project, seed=3, split=Split.VALIDATION)
    annotate(database, image, [5, 6], seconds=30)
    truth = annotate(database, check, range(16))
    started = admin.post(f"projects/{project}/trainings", json={"segmenter": "forest"})
    assert started.status_code == 202, started.text
    ended = run_jobs(app)
    assert {job.state for job in ended} == {JobState.SUCCEEDED}

    (round_,) = admin.get(f"projects/{project}/metrics").json()["rounds"]
    assert (round_["tiles"], round_["pixels"]) == (2, 2 * 64 * 64)
    assert (round_["active_seconds"], round_["schedule"]) == (60, "full")
    table = round_["quality"]["validation"]
    for name in ("mitochondria", "ER"):
        for score in ("dice", "recall"):
            low, high = (table[name][f"{score}_{end}"] for end in ("low", "high"))
            assert 0 <= low < table[name][score] < high <= 1
    assert table["nucleus"]["dice_low"] is None  # no tile holds it
    assert table["mean"]["dice_low"] is None
    with database.unit_of_work() as session:
        for row in session.scalars(select(Evaluation)):
            assert row.by_annotation is not None
            assert set(row.by_annotation) == {str(id) for id in truth}
            sums = np.sum(list(row.by_annotation.values()), axis=0)
            assert sums.tolist() == [row.tp, row.fp, row.fn]

    shown = queue(admin, project)
    (query,) = admin.get(f"projects/{project}/queries").json()["items"]
    assert shown["query_id"] == query["id"]
    ranks = admin.get(f"queries/{query['id']}/tiles").json()["items"]
    by_criterion = {part["criterion"]: part for part in shown["histograms"]}
    assert {rank["component"] for rank in ranks} <= set(by_criterion)
    assert sum(part["chosen"] for part in by_criterion.values()) == len(ranks)
    for criterion, part in by_criterion.items():
        assert (len(part["edges"]), len(part["counts"])) == (21, 20)
        reached = [r["score"] for r in ranks if r["component"] == criterion]
        assert part["lowest"] == min(reached, default=None)
        assert all(part["edges"][0] <= s <= part["edges"][-1] for s in reached)
    assert sum(by_criterion["entropy"]["counts"]) == 14  # 16 less two that are done


def test_rounds_measured_before_intervals_were_kept_have_none(
    admin: TestClient, project: str, database: Database, store: ArtifactStore
) -> None:
    counts = {(Split.VALIDATION, 4): (80, 10, 20)}
    id = version(database, store, project, counts=counts, state=ModelState.LIVE)
    table = admin.get(f"models/{id}").json()["quality"]["validation"]
    assert table["ER"]["dice"] is not None
    assert (table["ER"]["dice_low"], table["ER"]["recall_high"]) == (None, None)
    (round_,) = admin.get(f"projects/{project}/metrics").json()["rounds"]
    assert (round_["schedule"], round_["steps"], round_["pixels"]) == (None, None, 0)


values = arrays(
    np.float64,
    st.integers(1, 60),
    elements=st.floats(-1e6, 1e6, allow_subnormal=True),
)


@settings(deadline=None)
@given(values, values)
def test_histograms_hold_every_score(one: np.ndarray, other: np.ndarray) -> None:
    head = [
        Ranked(0, rank, float(score), "one", {}, "")
        for rank, score in enumerate(one[:3], start=1)
    ]
    made = histograms({"one": one, "none": one[:0], "other": other}, head)
    assert [part.criterion for part in made] == ["one", "other"]
    for part, scores in zip(made, (one, other), strict=True):
        assert sum(part.counts) == len(scores)
        assert list(part.edges) == sorted(set(part.edges))
        assert part.edges[0] <= scores.min()
        assert scores.max() <= part.edges[-1]
    assert (made[0].chosen, made[0].lowest) == (len(head), min(one[:3]))
    assert (made[1].chosen, made[1].lowest) == (0, None)
