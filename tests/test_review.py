"""Reviews over REST: pins, comments, what a revision starts from, what it became."""

import uuid
from dataclasses import dataclass
from pathlib import Path

import pytest
from api_fixtures import client_with, database_of, person
from fastapi import FastAPI
from fastapi.testclient import TestClient
from live_fixtures import Live
from loop_fixtures import place, sweep, version
from PIL import Image
from sqlalchemy import func, select, update
from test_cli import Terminal, cisterna
from test_tasks import SIDE, add_image, claimed, lapse, mask, submit

from backend.client import Cisterna
from backend.db import Database
from backend.domain.states import TaskSource
from backend.models import Comment, Task
from backend.storage import ArtifactStore

__all__ = ["cisterna"]


@dataclass(frozen=True)
class Desk:
    """A project that reviews, and the people at it."""

    project: str
    annotator: TestClient
    reviewer: TestClient
    viewer: TestClient
    other: TestClient


@pytest.fixture
def desk(app: FastAPI, admin: TestClient, project: str) -> Desk:
    add_image(app, project)
    tag = admin.get(f"projects/{project}").headers["etag"]
    admin.patch(f"projects/{project}", json={"review": True}, headers={"If-Match": tag})
    roles = ("annotator", "reviewer", "viewer", "annotator")
    return Desk(project, *(person(app, admin, project, role) for role in roles))


def name_of(client: TestClient) -> str:
    name: str = client.get("me").json()["name"]
    return name


def pointers(answer) -> list[str]:
    assert answer.headers["content-type"] == "application/problem+json", answer.text
    return [error["pointer"] for error in answer.json()["errors"]]


def sent_in(desk: Desk, value: int = 2) -> tuple[dict, dict, dict]:
    """Return a submitted task, its revision and the claimed review of it."""
    task = claimed(desk.annotator, desk.project)[0]
    made = submit(desk.annotator, task, mask(value), active_seconds=40).json()
    return task, made, claimed(desk.reviewer, desk.project, kind="review")[0]


def send_back(desk: Desk, review: dict, **verdict: object) -> None:
    answer = desk.reviewer.post(
        f"tasks/{review['id']}/verdict", json={"accept": False, **verdict}
    )
    assert answer.status_code == 200, answer.text


def state_of(client: TestClient, revision: dict) -> str:
    state: str = client.get(f"annotations/{revision['id']}").json()["state"]
    return state


def test_pins_of_a_verdict_reach_the_author_in_order(desk: Desk) -> None:
    task, made, review = sent_in(desk)
    pins = [
        {"y": SIDE - 1, "x": 0, "text": "this is a lysosome"},
        {"y": 12, "x": SIDE - 1, "text": "the membrane goes on"},
    ]
    send_back(desk, review, comment="ER missing", pins=pins)
    back = claimed(desk.annotator, desk.project)[0]
    assert (back["id"], back["comment"]) == (task["id"], "ER missing")
    said = desk.annotator.get(f"tasks/{task['id']}/comments").json()
    assert [(c["y"], c["x"], c["text"]) for c in said] == [
        (None, None, "ER missing"),
        *((p["y"], p["x"], p["text"]) for p in pins),
    ]
    assert {c["author"] for c in said} == {name_of(desk.reviewer)}
    assert {(c["annotation_id"], c["revision"]) for c in said} == {(made["id"], 1)}
    alone = desk.viewer.get(f"annotations/{made['id']}/comments").json()
    assert alone == said


def test_what_is_said_with_an_acceptance_is_kept_too(desk: Desk) -> None:
    task, _, review = sent_in(desk)
    body = {"accept": True, "pins": [{"y": 1, "x": 2, "text": "well seen"}]}
    assert (
        desk.reviewer.post(f"tasks/{review['id']}/verdict", json=body).status_code
        == 200
    )
    said = desk.annotator.get(f"tasks/{task['id']}/comments").json()
    assert [c["text"] for c in said] == ["well seen"]


@pytest.mark.parametrize(
    ("pin", "pointer"),
    [
        ({"y": SIDE, "x": 0, "text": "below"}, "/pins/1/y"),
        ({"y": 0, "x": 10**12, "text": "far right"}, "/pins/1/x"),
        ({"y": -1, "x": 0, "text": "above"}, "/body/pins/1/y"),
        ({"y": 0, "x": 0, "text": " "}, "/body/pins/1/text"),
        ({"y": 0, "x": 0, "text": "a" * 2001}, "/body/pins/1/text"),
        ({"y": 0, "text": "half a pin"}, "/body/pins/1/x"),
    ],
)
def test_a_wrong_pin_is_named_and_the_verdict_not_given(
    desk: Desk, pin: dict, pointer: str
) -> None:
    task, _, review = sent_in(desk)
    pins = [{"y": 0, "x": 0, "text": "fine"}, pin]
    answer = desk.reviewer.post(
        f"tasks/{review['id']}/verdict", json={"accept": False, "pins": pins}
    )
    assert answer.status_code == 422
    assert pointers(answer) == [pointer]
    assert desk.annotator.get(f"tasks/{task['id']}").json()["state"] == "submitted"
    assert desk.annotator.get(f"tasks/{task['id']}/comments").json() == []


def test_who_may_comment_and_resolve(
    desk: Desk, stranger: TestClient, app: FastAPI, admin: TestClient
) -> None:
    task, made, _ = sent_in(desk)
    path = f"annotations/{made['id']}/comments"
    body = {"text": "ER or Golgi?", "y": 3, "x": 4}
    asked = desk.annotator.post(path, json=body)
    assert asked.status_code == 201, asked.text
    answered = desk.reviewer.post(path, json={"text": "Golgi"})
    assert answered.status_code == 201
    assert desk.viewer.post(path, json=body).status_code == 403
    assert desk.other.post(path, json=body).status_code == 403
    assert stranger.post(path, json=body).status_code == 401
    said = desk.viewer.get(f"tasks/{task['id']}/comments").json()
    assert said == [asked.json(), answered.json()]

    elsewhere = admin.post("projects", json={"name": "Kidney", "preset": "liver"})
    outsider = person(app, admin, elsewhere.json()["slug"], "manager")
    for hidden in (path, f"tasks/{task['id']}/comments"):
        assert outsider.get(hidden).status_code == 404
    assert outsider.post(path, json=body).status_code == 404

    resolve = f"comments/{asked.json()['id']}/resolve"
    assert outsider.post(resolve).status_code == 404
    assert desk.viewer.post(resolve).status_code == 403
    assert desk.other.post(resolve).status_code == 403
    assert desk.other.post(f"comments/{uuid.uuid4()}/resolve").status_code == 404
    done = desk.annotator.post(resolve)
    assert done.status_code == 200, done.text
    assert done.json()["resolved_at"]
    assert done.json()["resolved_by"] == made["author_id"]
    assert desk.reviewer.post(resolve).json() == done.json()
    open_ones = [
        c["text"] for c in desk.viewer.get(path).json() if c["resolved_at"] is None
    ]
    assert open_ones == ["Golgi"]


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"text": "x", "y": 3}, "/x"),
        ({"text": "x", "x": 3}, "/y"),
        ({"text": "x", "y": 3, "x": SIDE}, "/x"),
        ({"text": ""}, "/body/text"),
        ({"text": "x", "pin": [3, 4]}, "/body/pin"),
    ],
)
def test_a_wrong_comment_is_refused_with_its_field(
    desk: Desk, body: dict, pointer: str
) -> None:
    _, made, _ = sent_in(desk)
    answer = desk.annotator.post(f"annotations/{made['id']}/comments", json=body)
    assert answer.status_code == 422
    assert pointers(answer) == [pointer]


def test_comments_of_a_deleted_image_are_gone_and_none_follow(
    app: FastAPI, admin: TestClient, desk: Desk
) -> None:
    task, made, review = sent_in(desk)
    pins = [{"y": 1, "x": 2, "text": "patient has two nuclei"}]
    send_back(desk, review, comment="the patient of Monday", pins=pins)
    assert admin.delete(f"images/{task['tile']['image_id']}").status_code == 204
    assert admin.get(f"tasks/{task['id']}/comments").json() == []
    assert admin.get(f"tasks/{task['id']}").json()["comment"] is None
    path = f"annotations/{made['id']}/comments"
    late = desk.annotator.post(path, json={"text": "which?"})
    assert late.status_code == 409
    assert "deleted" in late.json()["detail"]
    with database_of(app).unit_of_work() as session:
        assert session.scalar(select(func.count()).select_from(Comment)) == 0


def test_a_flag_asks_the_reviewer_to_look(desk: Desk) -> None:
    task = claimed(desk.annotator, desk.project)[0]
    for wrong in (" ", "a" * 201):
        refused = submit(desk.annotator, task, mask(), flag=wrong)
        assert refused.status_code == 422
        assert pointers(refused) == ["/query/flag"]
    made = submit(desk.annotator, task, mask(), flag=" a Golgi at the left? ").json()
    review = claimed(desk.reviewer, desk.project, kind="review")[0]
    (said,) = desk.reviewer.get(f"tasks/{review['id']}/comments").json()
    assert (said["text"], said["y"]) == ("a Golgi at the left?", None)
    assert said["author_id"] == made["author_id"]


def test_a_review_shows_what_it_judges_and_whose_it_is(desk: Desk) -> None:
    task, made, review = sent_in(desk)
    assert review["assignee"] == name_of(desk.reviewer)
    judged = review["under_review"]
    assert judged == desk.viewer.get(f"annotations/{made['id']}").json()
    assert (judged["id"], judged["active_seconds"]) == (made["id"], 40)
    assert (judged["author"], judged["state"]) == (name_of(desk.annotator), "waiting")
    shown = desk.annotator.get(f"tasks/{task['id']}").json()
    assert shown["assignee"] == name_of(desk.annotator)
    assert shown["under_review"] is None


def test_a_review_shows_the_prelabel_its_author_saw(
    desk: Desk,
    admin: TestClient,
    database: Database,
    store: ArtifactStore,
    tmp_path: Path,
) -> None:
    image = place(database, store, desk.project, seed=1)
    shown = version(database, store, desk.project)
    swept = sweep(database, store, shown, image, tmp_path / "shown")
    assert admin.post(f"models/{shown}/promote").status_code == 200
    tiles = [str(tile) for tile in image.tiles[:2]]
    path = f"projects/{desk.project}/queries"
    assert admin.post(path, json={"tiles": tiles}).status_code == 201
    with database.unit_of_work() as session:
        session.execute(
            update(Task).where(Task.tile_id == image.tiles[1]).values(blind=True)
        )
    tasks = claimed(desk.annotator, desk.project, count=2)
    assert [task["prediction_id"] for task in tasks] == [str(swept.id), None]
    for task in tasks:
        told = {"prediction_id": task["prediction_id"]} if task["prediction_id"] else {}
        assert submit(desk.annotator, task, mask(), **told).status_code == 201
    reviews = claimed(desk.reviewer, desk.project, kind="review", count=2)
    seen = {review["tile"]["id"]: review["prediction_id"] for review in reviews}
    assert seen == {tiles[0]: str(swept.id), tiles[1]: None}


def test_the_author_starts_again_from_own_work(app: FastAPI, desk: Desk) -> None:
    task = claimed(desk.annotator, desk.project)[0]
    lapse(app, task, tick=True)
    same = claimed(desk.other, desk.project)[0]
    assert same["id"] == task["id"]
    mine = submit(desk.other, same, mask(2)).json()
    late = submit(desk.annotator, task, mask(3)).json()
    review = claimed(desk.reviewer, desk.project, kind="review")[0]
    assert review["annotation_id"] == late["id"]
    # the review shows its own revision, not merely the newest of the tile
    under = desk.reviewer.get(f"tasks/{review['id']}/mask")
    assert under.content == mask(3).tobytes()
    assert under.headers["X-Complete-For"] == "1,2,3,4,5"
    send_back(desk, review, comment="no")
    back = claimed(desk.other, desk.project)[0]
    assert back["id"] == task["id"]
    start = desk.other.get(f"tasks/{task['id']}/mask")
    assert start.content == mask(2).tobytes()
    assert mine["revision"] < late["revision"]


def test_a_revision_under_review_is_shown_though_a_newer_one_exists(
    app: FastAPI, desk: Desk
) -> None:
    _, _, review = sent_in(desk, 2)
    lapse(app, review, tick=True)
    # the reviewer's own fix came after the lease: kept, not accepted
    assert submit(desk.reviewer, review, mask(4)).status_code == 202
    again = claimed(desk.reviewer, desk.project, kind="review")[0]
    assert again["id"] == review["id"]
    start = desk.reviewer.get(f"tasks/{review['id']}/mask")
    assert start.content == mask(2).tobytes()


def test_a_review_is_not_skipped_but_released(desk: Desk) -> None:
    _, made, review = sent_in(desk)
    path = f"tasks/{review['id']}"
    refused = desk.reviewer.post(f"{path}/skip", json={"reason": "unsure"})
    assert refused.status_code == 409
    assert refused.headers["content-type"] == "application/problem+json"
    assert "release it, accept it or send it back" in refused.json()["detail"]
    assert desk.reviewer.post(f"{path}/release").json()["state"] == "open"
    assert state_of(desk.viewer, made) == "waiting"
    again = claimed(desk.reviewer, desk.project, kind="review")[0]
    assert again["id"] == review["id"]


def test_a_reopened_task_starts_from_the_reviewer_s_fix(desk: Desk) -> None:
    task, _, review = sent_in(desk, 2)
    assert submit(desk.reviewer, review, mask(4)).status_code == 201
    assert desk.annotator.post(f"tasks/{task['id']}/reopen").status_code == 200
    start = desk.annotator.get(f"tasks/{task['id']}/mask")
    assert start.content == mask(4).tobytes()


@pytest.mark.parametrize("how", ["blind", "gold", "second", "control"])
def test_an_independent_opinion_sees_only_own_work(
    app: FastAPI, desk: Desk, how: str
) -> None:
    task, _, review = sent_in(desk, 2)
    send_back(desk, review, comment="no", pins=[{"y": 1, "x": 1, "text": "here"}])
    desk.annotator.post(f"projects/{desk.project}/claims", json={})
    desk.annotator.post(f"tasks/{task['id']}/release")
    values = {"blind": True} if how == "blind" else {"source": TaskSource(how)}
    with database_of(app).unit_of_work() as session:
        session.execute(
            update(Task).where(Task.id == uuid.UUID(task["id"])).values(**values)
        )
    given = claimed(desk.other, desk.project)[0]
    assert given["id"] == task["id"]
    start = desk.other.get(f"tasks/{task['id']}/mask")
    assert start.content == bytes(SIDE * SIDE)
    assert start.headers["X-Complete-For"] == ""
    path = f"tasks/{task['id']}/comments"
    assert desk.other.get(path).json() == []
    assert len(desk.reviewer.get(path).json()) == 2
    # nothing names what it is
    assert not {"blind", "source", "slot"} & set(given)
    submit(desk.other, given, mask(3))
    if how in ("gold", "second"):  # measures people, nobody need judge it
        assert claimed(desk.reviewer, desk.project, kind="review") == []
        return
    review = claimed(desk.reviewer, desk.project, kind="review")[0]
    assert desk.reviewer.get(f"tasks/{review['id']}/mask").content == mask(3).tobytes()
    send_back(desk, review, comment="nearly")
    assert desk.other.get(f"tasks/{task['id']}/mask").content == mask(3).tobytes()
    assert [c["text"] for c in desk.other.get(path).json()] == ["nearly"]


def test_a_tile_s_history_tells_what_became_of_each_revision(desk: Desk) -> None:
    task, first, review = sent_in(desk, 2)
    assert state_of(desk.viewer, first) == "waiting"
    send_back(desk, review, comment="again")
    assert state_of(desk.viewer, first) == "returned"
    second = submit(
        desk.annotator, claimed(desk.annotator, desk.project)[0], mask(3)
    ).json()
    assert second["state"] == "waiting"
    review = claimed(desk.reviewer, desk.project, kind="review")[0]
    third = submit(desk.reviewer, review, mask(4)).json()
    assert third["state"] == "accepted"
    history = desk.viewer.get(
        f"projects/{desk.project}/annotations", params={"tile": task["tile"]["id"]}
    ).json()["items"]
    author, reviewer = name_of(desk.annotator), name_of(desk.reviewer)
    assert [(a["revision"], a["state"], a["author"]) for a in history] == [
        (3, "accepted", reviewer),
        (2, "superseded", author),
        (1, "returned", author),
    ]
    assert [a["accepter"] for a in history] == [reviewer, None, None]
    assert history[0]["accepted_by"] == history[0]["author_id"]
    gone = desk.reviewer.post(f"annotations/{third['id']}/retract").json()
    assert gone["state"] == "retracted"


def test_a_second_accepted_revision_takes_the_place_of_the_first(
    app: FastAPI, admin: TestClient, project: str
) -> None:
    add_image(app, project)
    annotator = person(app, admin, project, "annotator")
    task = claimed(annotator, project)[0]
    first = submit(annotator, task, mask(2)).json()
    assert first["state"] == "accepted"
    annotator.post(f"tasks/{task['id']}/reopen")
    second = submit(annotator, claimed(annotator, project)[0], mask(3)).json()
    assert (second["state"], state_of(annotator, first)) == ("accepted", "superseded")
    annotator.post(f"annotations/{second['id']}/retract")
    assert state_of(annotator, first) == "accepted"
    assert admin.delete(f"images/{task['tile']['image_id']}").status_code == 204
    assert state_of(annotator, first) == "erased"


def test_late_work_beside_an_accepted_revision_is_kept(
    app: FastAPI, admin: TestClient, project: str
) -> None:
    add_image(app, project)
    annotator = person(app, admin, project, "annotator")
    task = claimed(annotator, project)[0]
    lapse(app, task, tick=True)
    other = person(app, admin, project, "annotator")
    submit(other, claimed(other, project)[0], mask(2))
    late = submit(annotator, task, mask(3)).json()
    assert (late["late"], late["state"]) == (True, "kept")


def test_active_seconds_of_a_draft_survive(desk: Desk) -> None:
    task = claimed(desk.annotator, desk.project)[0]
    path = f"tasks/{task['id']}/draft"

    def save(tag: str, **query: object):
        return desk.annotator.put(
            path, content=mask().tobytes(), headers={"If-Match": tag}, params=query
        )

    first = save('"0"', active_seconds=12.5)
    assert first.json()["active_seconds"] == 12.5
    # a script that does not count seconds takes none away
    save(first.headers["etag"])
    assert desk.annotator.get(path).headers["X-Active-Seconds"] == "12.5"


def test_labels_say_how_to_paint_them(admin: TestClient, project: str) -> None:
    path = f"projects/{project}"
    made = admin.post(
        f"{path}/labels", json={"name": "Golgi", "guideline": "Stacks.\nNot the ER."}
    )
    assert made.json()["guideline"] == "Stacks.\nNot the ER."
    labels = {label["name"]: label for label in admin.get(path).json()["labels"]}
    assert labels["ER"]["guideline"] == ""

    def edit(guideline: str):
        tag = admin.get(path).headers["etag"]
        return admin.patch(
            f"{path}/labels/4",
            json={"guideline": guideline},
            headers={"If-Match": tag},
        )

    assert edit("Rough and smooth.").json()["guideline"] == "Rough and smooth."
    assert edit("").json()["guideline"] == ""
    too_long = edit("a" * 4001)
    assert too_long.status_code == 422
    assert pointers(too_long) == ["/body/guideline"]


def test_a_review_by_command_line_and_client(
    cisterna: Terminal, live: Live, tmp_path: Path
) -> None:
    slug = live.project()
    add_image(live.app, slug)
    cisterna.json("project", "edit", slug, "--review")
    words = ("project", "edit-label", slug, "ER", "--guideline", "Rough and smooth.")
    assert cisterna.json(*words)["guideline"] == "Rough and smooth."
    admin = client_with(live.app, live.token)
    token = person(live.app, admin, slug, "annotator").headers["Authorization"]
    annotator = Cisterna(live.url, token.removeprefix("Bearer "))
    task = annotator.tasks.claim(slug).tasks[0]
    annotator.tasks.save_draft(task.id, mask(2), active_seconds=3)
    made = annotator.tasks.submit(task.id, mask(2), flag="is this ER?")

    review = cisterna.json("task", "claim", slug, "--kind", "review")["tasks"][0]
    judge = ("task", "judge", review["id"], "--return", "--comment", "see pins")
    status, _, err = cisterna(*judge, "--pin", "12:no column")
    assert status == 1
    assert "Y,X:TEXT" in err
    cisterna.json(*judge, "--pin", "12,7:this is ER", "--pin", "0,63: and this")
    said = annotator.tasks.comments(task.id)
    assert [(c.y, c.x, c.text) for c in said] == [
        (None, None, "is this ER?"),
        (None, None, "see pins"),
        (12, 7, "this is ER"),
        (0, 63, "and this"),
    ]
    back = annotator.tasks.claim(slug).tasks[0]
    assert back.comment == "see pins"
    assert (annotator.tasks.mask(back.id) == mask(2)).all()
    annotator.annotations.resolve(said[2].id)
    words = ("task", "comment", made.id, "3,4:what of this?")
    assert cisterna.json(*words)["y"] == 3
    shown = cisterna.json("task", "comments", task.id)
    assert [c["text"] for c in shown if c["resolved_at"]] == ["this is ER"]
    assert annotator.annotations.comments(made.id)[-1].text == "what of this?"
    assert cisterna.json("task", "resolve", shown[0]["id"])["resolved_at"]

    file = tmp_path / "fixed.png"
    Image.fromarray(mask(4)).save(file)
    annotator.tasks.submit(back.id, mask(4), complete_for=[4])
    review = cisterna.json("task", "claim", slug, "--kind", "review")["tasks"][0]
    words = ("task", "submit", review["id"], file, "--flag", "fixed the ER")
    mended = cisterna.json(*words)
    assert mended["state"] == "accepted"
    assert mended["complete_for"] == [4]  # as the revision it mends
    assert [c.text for c in annotator.tasks.comments(task.id)][-1] == "fixed the ER"
    annotator.close()
