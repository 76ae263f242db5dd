"""Tasks over REST: claiming, submitting, reviewing, and what re-ranking leaves."""

import datetime as dt
import uuid
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from api_fixtures import database_of, id_of, person
from fastapi import FastAPI
from fastapi.testclient import TestClient
from sqlalchemy import func, select, text, update
from sqlalchemy.exc import DBAPIError, IntegrityError

from backend.domain.geometry import TileGrid
from backend.domain.masks import encode_labels
from backend.domain.states import ImageState, Split, TaskKind, TaskState
from backend.imaging.pngs import mask_png
from backend.models import (
    Annotation,
    Artifact,
    Image,
    Project,
    QueryTile,
    Task,
    Tile,
    TrainingSet,
    TrainingSetItem,
)
from backend.services import starts, tasks

SIDE = 64


def add_image(
    app: FastAPI, slug: str, side: int = 256, split: Split = Split.POOL
) -> None:
    """Insert a ready image with its tiles; its pixels are never looked at here."""
    with database_of(app).unit_of_work() as session:
        project = session.scalars(select(Project).where(Project.slug == slug)).one()
        artifact = Artifact(
            project_id=project.id, key=f"none/{uuid.uuid4()}", manifest={}, bytes=0
        )
        session.add(artifact)
        session.flush()
        image = Image(
            project_id=project.id,
            name="made by a test",
            sha256=uuid.uuid4().hex * 2,
            bytes=1,
            state=ImageState.READY,
            split=split,
            height=side,
            width=side,
            pyramid_id=artifact.id,
        )
        session.add(image)
        session.flush()
        session.add_all(
            Tile(
                project_id=project.id,
                image_id=image.id,
                position=position,
                y=box.y,
                x=box.x,
                h=box.h,
                w=box.w,
                split=split,
            )
            for position, box in enumerate(TileGrid(side, side, SIDE))
        )
        session.flush()
        starts.make(session, project)


@pytest.fixture
def served(app: FastAPI, project: str) -> str:
    """A project whose `start` Query is being served."""
    add_image(app, project)
    return project


@pytest.fixture
def annotator(app: FastAPI, admin: TestClient, served: str) -> TestClient:
    return person(app, admin, served, "annotator")


def claimed(client: TestClient, project: str, **body: object) -> list[dict]:
    answer = client.post(f"projects/{project}/claims", json=body)
    assert answer.status_code == 200, answer.text
    return answer.json()["tasks"]


def mask(value: int = 4) -> np.ndarray:
    raster = np.zeros((SIDE, SIDE), np.uint8)
    raster[10:20, 10:20] = value
    return raster


def submit(client: TestClient, task: dict, raster: np.ndarray, **query: object):
    return client.post(
        f"tasks/{task['id']}/annotations",
        content=raster.tobytes(),
        headers={"Content-Type": "application/octet-stream"},
        params=query,
    )


def test_two_tabs_get_the_same_two_tiles(annotator: TestClient, served: str) -> None:
    first = claimed(annotator, served, count=2)
    again = claimed(annotator, served, count=2)
    assert [t["id"] for t in first] == [t["id"] for t in again]
    assert len({t["id"] for t in first}) == 2
    assert [t["rank"] for t in first] == [1, 2]
    assert claimed(annotator, served)[0]["id"] == first[0]["id"]


def test_no_tile_is_given_to_two_people(
    app: FastAPI, admin: TestClient, served: str
) -> None:
    people = [person(app, admin, served, "annotator") for _ in range(5)]
    with ThreadPoolExecutor(5) as pool:
        taken = list(pool.map(lambda who: claimed(who, served, count=2), people))
    ids = [task["tile"]["id"] for hand in taken for task in hand]
    assert len(ids) == len(set(ids)) == 10
    assert sorted(t["rank"] for hand in taken for t in hand) == list(range(1, 11))


@pytest.mark.parametrize("form", ["raw", "png", "rle"])
def test_a_submitted_mask_comes_back_bit_for_bit(
    annotator: TestClient, served: str, form: str
) -> None:
    task, raster = claimed(annotator, served)[0], mask()
    if form == "raw":
        answer = submit(annotator, task, raster, active_seconds=12.5)
    elif form == "png":
        answer = annotator.post(
            f"tasks/{task['id']}/annotations",
            content=mask_png(raster),
            headers={"Content-Type": "image/png"},
        )
    else:
        labels = [
            {"value": runs.value, "size": [SIDE, SIDE], "counts": runs.counts}
            for runs in encode_labels(raster)
        ]
        answer = annotator.post(
            f"tasks/{task['id']}/annotations", json={"labels": labels}
        )
    assert answer.status_code == 201, answer.text
    assert answer.json()["accepted_at"] is not None
    assert answer.json()["complete_for"] == [1, 2, 3, 4, 5]
    stored = annotator.get(f"annotations/{answer.json()['id']}/mask")
    assert stored.content == raster.tobytes()
    assert annotator.get(f"tasks/{task['id']}").json()["state"] == "accepted"


@pytest.mark.parametrize(
    ("content", "kind", "query", "field"),
    [
        (b"\0" * 10, "application/octet-stream", {}, "/mask"),
        (b"\0" * (SIDE * SIDE - 1) + b"\x09", "application/octet-stream", {}, "/mask"),
        (b"\0" * SIDE * SIDE, "text/plain", {}, "/Content-Type"),
        (b"not a png", "image/png", {}, "/mask"),
        (b"\0" * SIDE * SIDE, None, {"complete_for": "4,x"}, "/complete_for"),
        (b"\0" * SIDE * SIDE, None, {"complete_for": "9"}, "/complete_for"),
        (b"\0" * SIDE * SIDE, None, {"active_seconds": "nan"}, "/query/active_seconds"),
        (
            b'{"labels": [{"value": 4, "size": [3, 3], "counts": [0, 9]}]}',
            "application/json",
            {},
            "/labels/0/size",
        ),
    ],
)
def test_a_wrong_mask_is_refused_with_its_field_and_nothing_is_lost(
    annotator: TestClient,
    served: str,
    content: bytes,
    kind: str | None,
    query: dict,
    field: str,
) -> None:
    task = claimed(annotator, served)[0]
    answer = annotator.post(
        f"tasks/{task['id']}/annotations",
        content=content,
        headers={"Content-Type": kind} if kind else {},
        params=query,
    )
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"
    assert [e["pointer"] for e in answer.json()["errors"]] == [field]
    assert annotator.get(f"tasks/{task['id']}").json()["state"] == "claimed"
    assert submit(annotator, task, mask()).status_code == 201


def test_who_never_held_the_lease_cannot_submit(
    app: FastAPI, admin: TestClient, annotator: TestClient, served: str
) -> None:
    task = claimed(annotator, served)[0]
    other = person(app, admin, served, "annotator")
    answer = submit(other, task, mask())
    assert answer.status_code == 409
    assert answer.json()["type"].endswith("lease-never-held")
    with database_of(app).unit_of_work() as session:
        assert session.scalar(select(func.count()).select_from(Annotation)) == 0


def lapse(app: FastAPI, task: dict, *, tick: bool) -> None:
    with database_of(app).unit_of_work() as session:
        past = dt.datetime.now(dt.UTC) - dt.timedelta(seconds=5)
        session.execute(
            update(Task)
            .where(Task.id == uuid.UUID(task["id"]))
            .values(lease_until=past)
        )
    if tick:
        with database_of(app).unit_of_work() as session:
            assert tasks.expire_leases(session) == 1


@pytest.mark.parametrize("tick", [False, True])
def test_a_late_submit_is_kept(
    app: FastAPI, annotator: TestClient, served: str, tick: bool
) -> None:
    task = claimed(annotator, served)[0]
    lapse(app, task, tick=tick)
    answer = submit(annotator, task, mask())
    assert answer.status_code == 202
    body = answer.json()
    assert body["late"] is True
    assert body["accepted_at"] is not None
    # the tile is done: nobody is asked for it again
    assert task["tile"]["id"] not in [
        t["tile"]["id"] for t in claimed(annotator, served, count=2)
    ]


def test_a_late_submit_does_not_replace_what_somebody_else_did(
    app: FastAPI, admin: TestClient, annotator: TestClient, served: str
) -> None:
    task = claimed(annotator, served)[0]
    lapse(app, task, tick=True)
    other = person(app, admin, served, "annotator")
    same = claimed(other, served)[0]
    assert same["tile"]["id"] == task["tile"]["id"]
    assert same["rank"] == task["rank"]
    assert submit(other, same, mask(4)).status_code == 201
    late = submit(annotator, task, mask(2))
    assert late.status_code == 202
    assert late.json()["accepted_at"] is None
    history = annotator.get(
        f"projects/{served}/annotations", params={"tile": task["tile"]["id"]}
    ).json()["items"]
    assert [a["revision"] for a in history] == [2, 1]


def test_a_draft_outlives_the_lease_and_is_never_overwritten_silently(
    app: FastAPI, annotator: TestClient, served: str
) -> None:
    task, raster = claimed(annotator, served)[0], mask()
    path = f"tasks/{task['id']}/draft"
    assert annotator.get(path).status_code == 204
    assert annotator.put(path, content=raster.tobytes()).status_code == 428
    first = annotator.put(path, content=raster.tobytes(), headers={"If-Match": '"0"'})
    assert first.status_code == 200, first.text
    stale = annotator.put(path, content=raster.tobytes(), headers={"If-Match": '"0"'})
    assert stale.status_code == 412
    lapse(app, task, tick=True)
    kept = annotator.get(path)
    assert kept.content == raster.tobytes()
    assert kept.headers["etag"] == first.headers["etag"]
    submit(annotator, task, raster)
    assert annotator.get(path).status_code == 204


def test_skip_needs_a_reason_and_the_tile_is_not_asked_for_again(
    annotator: TestClient, served: str
) -> None:
    task = claimed(annotator, served)[0]
    path = f"tasks/{task['id']}/skip"
    assert annotator.post(path, json={"reason": " "}).status_code == 422
    answer = annotator.post(path, json={"reason": "knife mark"})
    assert answer.json()["state"] == "skipped"
    assert claimed(annotator, served)[0]["tile"]["id"] != task["tile"]["id"]


def test_release_keeps_the_place_in_the_order(
    annotator: TestClient, served: str
) -> None:
    task = claimed(annotator, served)[0]
    annotator.post(f"tasks/{task['id']}/release")
    assert claimed(annotator, served)[0]["id"] == task["id"]


def test_review_accepts_or_returns_to_the_author(
    app: FastAPI, admin: TestClient, annotator: TestClient, served: str
) -> None:
    tag = admin.get(f"projects/{served}").headers["etag"]
    answer = admin.patch(
        f"projects/{served}", json={"review": True}, headers={"If-Match": tag}
    )
    assert answer.status_code == 200, answer.text
    reviewer = person(app, admin, served, "reviewer")
    task = claimed(annotator, served)[0]
    first = submit(annotator, task, mask(2)).json()
    assert first["accepted_at"] is None
    assert (
        annotator.post(f"projects/{served}/claims", json={"kind": "review"}).status_code
        == 403
    )
    review = claimed(reviewer, served, kind="review")[0]
    assert review["annotation_id"] == first["id"]
    reviewer.post(
        f"tasks/{review['id']}/verdict", json={"accept": False, "comment": "ER missing"}
    )
    back = claimed(annotator, served)[0]
    assert (back["id"], back["comment"]) == (task["id"], "ER missing")
    second = submit(annotator, back, mask(4)).json()
    review = claimed(reviewer, served, kind="review")[0]
    assert review["annotation_id"] == second["id"]
    done = reviewer.post(f"tasks/{review['id']}/verdict", json={"accept": True})
    assert done.status_code == 200, done.text
    assert annotator.get(f"annotations/{second['id']}").json()["accepted_at"]
    assert annotator.get(f"tasks/{task['id']}").json()["state"] == "accepted"


def test_a_reviewer_may_fix_and_accept(
    app: FastAPI, admin: TestClient, annotator: TestClient, served: str
) -> None:
    tag = admin.get(f"projects/{served}").headers["etag"]
    admin.patch(f"projects/{served}", json={"review": True}, headers={"If-Match": tag})
    reviewer = person(app, admin, served, "reviewer")
    task = claimed(annotator, served)[0]
    submit(annotator, task, mask(2))
    review = claimed(reviewer, served, kind="review")[0]
    fixed = submit(reviewer, review, mask(4))
    assert fixed.status_code == 201, fixed.text
    assert fixed.json()["accepted_at"]
    assert annotator.get(f"tasks/{task['id']}").json()["state"] == "accepted"


def test_reopen_and_retract(
    app: FastAPI, admin: TestClient, annotator: TestClient, served: str
) -> None:
    task = claimed(annotator, served)[0]
    first = submit(annotator, task, mask(2)).json()
    other = person(app, admin, served, "annotator")
    assert other.post(f"tasks/{task['id']}/reopen").status_code == 403
    assert annotator.post(f"tasks/{task['id']}/reopen").status_code == 200
    assert claimed(annotator, served)[0]["id"] == task["id"]
    assert submit(annotator, task, mask(4)).status_code == 201
    assert other.post(f"annotations/{first['id']}/retract").status_code == 403
    gone = annotator.post(f"annotations/{first['id']}/retract")
    assert gone.json()["retracted_at"]
    assert annotator.post(f"annotations/{first['id']}/retract").status_code == 409


def test_what_is_sent_back_comes_right_after_what_is_held(
    annotator: TestClient, served: str
) -> None:
    done, *_ = claimed(annotator, served, count=2)
    assert submit(annotator, done, mask()).status_code == 201
    held = [task["id"] for task in claimed(annotator, served, count=2)]
    annotator.post(f"tasks/{done['id']}/reopen")
    # neither of the two tiles somebody is at is taken from their hands
    current, following = claimed(annotator, served, count=2)
    assert [current["id"], following["id"]] == held
    assert submit(annotator, current, mask()).status_code == 201
    kept = [task["id"] for task in claimed(annotator, served, count=2)]
    assert kept == [following["id"], done["id"]]


def test_a_viewer_may_look_but_not_claim(
    app: FastAPI, admin: TestClient, served: str
) -> None:
    viewer = person(app, admin, served, "viewer")
    assert viewer.get(f"projects/{served}/annotations").status_code == 200
    assert viewer.post(f"projects/{served}/claims", json={}).status_code == 403


def test_a_re_ranking_serves_the_stored_order_and_leaves_held_tasks_alone(
    app: FastAPI, admin: TestClient, project: str
) -> None:
    add_image(app, project, side=SIDE * 15)  # 225 tiles
    tag = admin.get(f"projects/{project}").headers["etag"]
    admin.patch(
        f"projects/{project}", json={"query_size": 40}, headers={"If-Match": tag}
    )
    with database_of(app).unit_of_work() as session:
        row = session.scalars(select(Project).where(Project.slug == project)).one()
        starts.make(session, row)
    people = [person(app, admin, project, "annotator") for _ in range(5)]
    with ThreadPoolExecutor(5) as pool:
        hands = list(pool.map(lambda who: claimed(who, project, count=2), people))
    held = {task["id"] for hand in hands for task in hand}
    submit(people[0], hands[0][0], mask())

    with database_of(app).unit_of_work() as session:
        row = session.scalars(select(Project).where(Project.slug == project)).one()
        row.seed = 7
        session.flush()
        live = starts.make(session, row)
        assert live is not None
        head = list(
            session.scalars(
                select(QueryTile.tile_id)
                .where(QueryTile.query_id == live.id)
                .order_by(QueryTile.rank)
            )
        )
        still = session.scalars(
            select(Task.state).where(Task.id.in_({uuid.UUID(id) for id in held}))
        ).all()
        assert sorted(still) == [TaskState.ACCEPTED] + [TaskState.CLAIMED] * 9
        open_ranks = session.execute(
            select(Task.tile_id, Task.rank)
            .where(Task.kind == TaskKind.ANNOTATE, Task.state == TaskState.OPEN)
            .order_by(Task.rank)
        ).all()
    in_hands = {t["tile"]["id"] for hand in hands for t in hand}
    assert not in_hands & {str(tile) for tile in head}
    assert [tile for tile, _ in open_ranks] == head
    assert [rank for _, rank in open_ranks] == list(range(1, len(head) + 1))

    served = []
    for who, hand in zip(people, hands, strict=True):
        for task in hand if who is not people[0] else hand[1:]:
            submit(who, task, mask())
    for turn in range(len(head)):
        who = people[turn % 5]
        task = claimed(who, project)[0]
        served.append(uuid.UUID(task["tile"]["id"]))
        assert submit(who, task, mask()).status_code == 201
    assert served == head
    # what no model has ranked is not held back: the head is filled up
    rest = []
    while task := next(iter(claimed(people[0], project)), None):
        rest.append(task["tile"]["id"])
        submit(people[0], task, mask())
    assert len(rest) == len(set(rest)) == 225 - 10 - len(head)
    answer = people[0].post(f"projects/{project}/claims", json={}).json()
    assert answer["tasks"] == []
    assert "train again" in answer["why_fewer"]


def test_the_database_itself_refuses_wrong_states(
    app: FastAPI, annotator: TestClient, served: str
) -> None:
    add_image(app, served, side=SIDE, split=Split.TEST)
    body = submit(annotator, claimed(annotator, served)[0], mask()).json()
    database = database_of(app)
    annotation = uuid.UUID(body["id"])

    with pytest.raises(DBAPIError, match="append-only"), database.unit_of_work() as s:
        s.execute(text("UPDATE annotations SET sha256 = 'x'"))
    with pytest.raises(DBAPIError, match="append-only"), database.unit_of_work() as s:
        s.execute(text("DELETE FROM annotations"))
    with (
        pytest.raises(IntegrityError, match="uq_tasks_active"),
        database.unit_of_work() as s,
    ):
        task = s.scalars(select(Task).where(Task.state == TaskState.OPEN)).first()
        s.add(
            Task(
                project_id=task.project_id,
                tile_id=task.tile_id,
                kind=task.kind,
                source=task.source,
                rank=1,
            )
        )
    with database.unit_of_work() as s:
        row = s.get_one(Annotation, annotation)
        training_set = TrainingSet(project_id=row.project_id)
        s.add(training_set)
        s.flush()
        s.add(
            TrainingSetItem(
                training_set_id=training_set.id,
                annotation_id=row.id,
                tile_id=row.tile_id,
            )
        )
        tile_id = row.tile_id
    # a learnt tile can never leave the pool
    with pytest.raises(IntegrityError), database.unit_of_work() as s:
        s.execute(update(Tile).where(Tile.id == tile_id).values(split=Split.VALIDATION))
    # and a tile outside it can never be learnt
    with pytest.raises(IntegrityError), database.unit_of_work() as s:
        test_tile = s.scalars(select(Tile).where(Tile.split == Split.TEST)).first()
        outside = Annotation(
            project_id=test_tile.project_id,
            tile_id=test_tile.id,
            revision=1,
            author_id=id_of(annotator),
            raster=b"x",
            sha256="x",
            complete_for=[],
        )
        s.add(outside)
        s.flush()
        other = TrainingSet(project_id=test_tile.project_id)
        s.add(other)
        s.flush()
        s.add(
            TrainingSetItem(
                training_set_id=other.id,
                annotation_id=outside.id,
                tile_id=test_tile.id,
            )
        )


def test_nothing_of_a_deleted_image_comes_back(
    admin: TestClient, annotator: TestClient, served: str
) -> None:
    task = claimed(annotator, served)[0]
    gone = admin.delete(f"images/{task['tile']['image_id']}")
    assert gone.status_code == 204, gone.text
    late = submit(annotator, task, mask())
    draft = annotator.put(
        f"tasks/{task['id']}/draft",
        content=mask().tobytes(),
        headers={"If-Match": '"0"'},
    )
    assert (late.status_code, draft.status_code) == (409, 409)
    assert "deleted" in late.json()["detail"]
    assert claimed(annotator, served) == []
