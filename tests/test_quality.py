"""Second opinions, gold tiles, agreement and advice over REST."""

import re
import uuid
from pathlib import Path

import numpy as np
import pytest
from api_fixtures import client_with, database_of, id_of, person
from fastapi import FastAPI
from fastapi.testclient import TestClient
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from live_fixtures import Live
from loop_fixtures import ER, MITO, annotate, place, project_id, sweep, version
from scipy import ndimage
from sqlalchemy import func, select, update
from test_cli import Terminal, cisterna
from test_tasks import SIDE, add_image, claimed, lapse, mask, submit

from backend.db import Database
from backend.domain.advice import Measured, advise
from backend.domain.agreement import Opinion, compared, hints
from backend.domain.metrics import Counts, Interval, confusion
from backend.domain.regions import largest
from backend.domain.shares import drawn, due
from backend.domain.states import Split, TaskSource, TaskState
from backend.models import (
    Annotation,
    Evaluation,
    ModelVersion,
    Project,
    Task,
    TrainingSetItem,
)
from backend.services import annotations, trainings
from backend.storage import ArtifactStore

__all__ = ["cisterna"]
EVERY = (1, 2, 3, 4, 5)
unhurried = settings(deadline=None)
rasters = arrays(np.uint8, (6, 7), elements=st.sampled_from([0, 2, 4, 255]))


def share(admin: TestClient, project: str, **shares: float) -> None:
    tag = admin.get(f"projects/{project}").headers["etag"]
    answer = admin.patch(f"projects/{project}", json=shares, headers={"If-Match": tag})
    assert answer.status_code == 200, answer.text
    assert {name: answer.json()[name] for name in shares} == shares


def block(value: int, rows: slice, columns: slice) -> np.ndarray:
    raster = np.zeros((SIDE, SIDE), np.uint8)
    raster[rows, columns] = value
    return raster


def task_of(database: Database, task: dict) -> Task:
    with database.unit_of_work() as session:
        return session.get_one(Task, uuid.UUID(task["id"]))


def trained_on(database: Database, project: str) -> set[str]:
    """Ask for a training; return the annotations it will learn from."""
    with database.unit_of_work() as session:
        row = session.scalars(select(Project).where(Project.slug == project)).one()
        trainings.request(session, row)
        return {
            str(id) for id in session.scalars(select(TrainingSetItem.annotation_id))
        }


@pytest.fixture
def served(app: FastAPI, admin: TestClient, project: str) -> str:
    """A project with sixteen tiles that wait to be painted."""
    add_image(app, project)
    return project


def test_a_second_opinion_is_somebody_else_s_and_never_trains(
    app: FastAPI, admin: TestClient, served: str
) -> None:
    share(admin, served, second_share=1)
    author, other = (person(app, admin, served, "annotator") for _ in range(2))
    first_task = claimed(author, served)[0]
    first = submit(author, first_task, mask(ER)).json()
    assert first["state"] == "accepted"
    database = database_of(app)
    with database.unit_of_work() as session:
        (second,) = session.scalars(
            select(Task).where(Task.source == TaskSource.SECOND)
        )
        assert (str(second.tile_id), second.slot) == (first_task["tile"]["id"], 1)
        second_id = str(second.id)

    # its rank is the lowest of all, but its author goes on with other tiles
    mine = claimed(author, served, count=2)
    assert first_task["tile"]["id"] not in [t["tile"]["id"] for t in mine]
    given_ = claimed(other, served)[0]
    assert given_["id"] == second_id
    assert other.get(f"tasks/{second_id}/mask").content == bytes(SIDE * SIDE)
    assert given_["prediction_id"] is None
    # apart from the pre-label it looks as the first did
    assert set(given_) == set(first_task)
    told = ("reason", "rank", "kind", "state", "complete_for", "comment")
    assert [given_[k] for k in told] == [first_task[k] for k in told]
    states = admin.get(f"projects/{served}/tiles").json()
    tile = [t for t in states["items"] if t["id"] == given_["tile"]["id"]]
    assert tile[0]["state"] == "annotated"

    sent = submit(other, given_, mask(MITO))
    assert sent.status_code == 201, sent.text
    assert (sent.json()["state"], sent.json()["accepted_at"]) == ("kept", None)
    assert task_of(database, given_).state is TaskState.ACCEPTED
    assert admin.get(f"annotations/{first['id']}").json()["state"] == "accepted"
    with database.unit_of_work() as session:
        known = annotations.annotated(session, project_id(database, served), Split.POOL)
        assert [str(tile.annotation_id) for tile in known] == [first["id"]]
    assert trained_on(database, served) == {first["id"]}
    # nobody changes their mind about it, and a new revision asks for no third opinion
    assert other.post(f"tasks/{second_id}/reopen").status_code == 409
    author.post(f"tasks/{first_task['id']}/reopen")
    assert submit(author, claimed(author, served)[0], mask(ER)).status_code == 201
    with database.unit_of_work() as session:
        seconds = select(func.count()).where(Task.source == TaskSource.SECOND)
        tile_id = uuid.UUID(first_task["tile"]["id"])
        assert session.scalar(seconds.where(Task.tile_id == tile_id)) == 1


def test_a_second_opinion_waits_for_another_reader_through_release_and_lapse(
    app: FastAPI, admin: TestClient, served: str
) -> None:
    share(admin, served, second_share=1)
    author, other = (person(app, admin, served, "annotator") for _ in range(2))
    first = claimed(author, served)[0]
    submit(author, first, mask())
    second = claimed(other, served)[0]
    assert second["tile"]["id"] == first["tile"]["id"]
    other.post(f"tasks/{second['id']}/release")
    assert claimed(author, served)[0]["id"] != second["id"]
    # who gave it back may take it again
    assert claimed(other, served)[0]["id"] == second["id"]
    lapse(app, second, tick=True)
    late = submit(other, second, mask(MITO))
    assert (late.status_code, late.json()["state"]) == (202, "kept")
    third = person(app, admin, served, "annotator")
    assert claimed(third, served)[0]["id"] == second["id"]
    # an earlier revision accepted again does not take it away
    author.post(f"tasks/{first['id']}/reopen")
    third.post(f"tasks/{second['id']}/release")
    author.post(f"tasks/{claimed(author, served)[0]['id']}/release")
    assert claimed(third, served)[0]["id"] == second["id"]


def test_with_review_a_second_opinion_follows_the_verdict_and_asks_for_none(
    app: FastAPI, admin: TestClient, served: str
) -> None:
    share(admin, served, second_share=1)
    tag = admin.get(f"projects/{served}").headers["etag"]
    admin.patch(f"projects/{served}", json={"review": True}, headers={"If-Match": tag})
    author, other = (person(app, admin, served, "annotator") for _ in range(2))
    reviewer = person(app, admin, served, "reviewer")
    first = claimed(author, served)[0]
    submit(author, first, mask(MITO))
    review = claimed(reviewer, served, kind="review")[0]
    assert submit(reviewer, review, mask(ER)).json()["state"] == "accepted"
    # who judged the tile has seen it
    assert claimed(reviewer, served)[0]["tile"]["id"] != first["tile"]["id"]
    second = claimed(other, served)[0]
    assert second["tile"]["id"] == first["tile"]["id"]
    assert submit(other, second, mask(ER)).json()["state"] == "kept"
    assert claimed(reviewer, served, kind="review") == []


def test_the_share_of_second_opinions_is_the_same_for_the_same_seed(
    app: FastAPI, admin: TestClient, served: str
) -> None:
    share(admin, served, second_share=0.4)
    author = person(app, admin, served, "annotator")
    tiles = []
    for _ in range(16):
        task = claimed(author, served)[0]
        tiles.append(uuid.UUID(task["tile"]["id"]))
        submit(author, task, mask())
    with database_of(app).unit_of_work() as session:
        asked = set(
            session.scalars(
                select(Task.tile_id).where(Task.source == TaskSource.SECOND)
            )
        )
        seed = session.scalars(select(Project.seed)).one()
    assert asked == {tile for tile in tiles if drawn(seed, tile, 0.4)}
    assert claimed(author, served) == []


def gold(
    app: FastAPI, admin: TestClient, project: str, raster: np.ndarray
) -> tuple[dict, dict]:
    """Paint a tile, make it gold; return its task and annotation."""
    expert = person(app, admin, project, "reviewer")
    task = claimed(expert, project)[0]
    row = submit(expert, task, raster).json()
    made = expert.put(f"annotations/{row['id']}/gold")
    assert made.status_code == 200, made.text
    assert made.json()["annotation_id"] == row["id"]
    return task, row


def test_every_nth_task_of_a_person_is_a_gold_tile_never_had(
    app: FastAPI, admin: TestClient, served: str
) -> None:
    share(admin, served, gold_share=1 / 3)
    made = [gold(app, admin, served, mask(ER)) for _ in range(2)]
    golden = [task["tile"]["id"] for task, _ in made]
    for _ in range(2):  # two people get the same gold tiles
        who = person(app, admin, served, "annotator")
        had = []
        for _ in range(7):
            task = claimed(who, served)[0]
            had.append(task["tile"]["id"])
            assert task["prediction_id"] is None
            assert not {"blind", "source", "slot", "query_id"} & set(task)
            assert who.get(f"tasks/{task['id']}/mask").content == bytes(SIDE * SIDE)
            early = who.get(f"tasks/{task['id']}/feedback")
            assert early.status_code == 409
            sent = submit(who, task, mask(MITO))
            assert sent.status_code == 201
            assert set(sent.json()) == set(made[0][1])
        assert [had.index(tile) for tile in golden] == [2, 5]
    database = database_of(app)
    assert {row["id"] for _, row in made} < trained_on(database, served)
    with database.unit_of_work() as session:
        answers = session.scalars(
            select(Annotation)
            .join(Task, Task.id == Annotation.task_id)
            .where(Task.source == TaskSource.GOLD)
        ).all()
        assert len(answers) == 4
        assert not {str(row.id) for row in answers} & trained_ids(session)
        assert all(row.accepted_at is None for row in answers)


def trained_ids(session) -> set[str]:
    return {str(id) for id in session.scalars(select(TrainingSetItem.annotation_id))}


def test_gold_is_served_to_two_people_at_once_and_goes_when_given_back(
    app: FastAPI, admin: TestClient, served: str
) -> None:
    task, _ = gold(app, admin, served, mask(ER))
    share(admin, served, gold_share=1)
    one, two = (person(app, admin, served, "annotator") for _ in range(2))
    first, second = claimed(one, served)[0], claimed(two, served)[0]
    assert first["tile"]["id"] == second["tile"]["id"] == task["tile"]["id"]
    assert first["id"] != second["id"]
    one.post(f"tasks/{first['id']}/release")
    database = database_of(app)
    assert task_of(database, first).state is TaskState.WITHDRAWN
    # never again, and others than gold when no gold tile is left
    assert claimed(one, served)[0]["tile"]["id"] != task["tile"]["id"]


def test_feedback_names_the_worst_labels_and_where_they_are_wrong(
    app: FastAPI, admin: TestClient, served: str
) -> None:
    truth = block(ER, slice(0, 30), slice(0, 30))
    truth[40:50, 40:60] = MITO
    gold(app, admin, served, truth)
    share(admin, served, gold_share=1)
    who = person(app, admin, served, "annotator")
    task = claimed(who, served)[0]
    answer = truth.copy()
    answer[0:20, 0:20] = 0  # 400 of 900 pixels of ER
    answer[25, 29] = 0
    answer[60:64, 0:10] = MITO  # 40 pixels that are none, 200 that are
    submit(who, task, answer)
    told = who.get(f"tasks/{task['id']}/feedback")
    assert told.status_code == 200, told.text
    er, mito = told.json()["hints"]
    assert (er["label"], er["missed"], er["invented"]) == ("ER", 401, 0)
    assert er["dice"] == pytest.approx(2 * 499 / (2 * 499 + 401))
    assert er["text"].startswith("ER: you missed 401 of 900 pixels, most around x ")
    assert (er["y"] in range(20), er["x"] in range(20)) == (True, True)
    assert (mito["label"], mito["missed"], mito["invented"]) == ("mitochondria", 0, 40)
    assert mito["dice"] == pytest.approx(400 / 440)
    assert mito["y"] in range(60, 64)
    # others may not read it, reviewers may; other tasks have none
    other = person(app, admin, served, "annotator")
    assert other.get(f"tasks/{task['id']}/feedback").status_code == 403
    assert admin.get(f"tasks/{task['id']}/feedback").json() == told.json()
    plain = claimed(who, served)[0]
    submit(who, plain, mask())
    nothing = {"hints": [], "scores": [], "annotation_id": None}
    assert who.get(f"tasks/{plain['id']}/feedback").json() == nothing


def test_who_may_make_gold_and_of_what(
    app: FastAPI, admin: TestClient, served: str
) -> None:
    author = person(app, admin, served, "annotator")
    task = claimed(author, served)[0]
    row = submit(author, task, mask()).json()
    path = f"annotations/{row['id']}/gold"
    assert author.put(path).status_code == 403
    assert author.delete(path).status_code == 403
    assert author.get(f"projects/{served}/gold").status_code == 403
    assert author.get(f"projects/{served}/agreement").status_code == 403
    reviewer = person(app, admin, served, "reviewer")
    for _ in range(2):
        assert reviewer.put(path).status_code == 200
    (listed,) = reviewer.get(f"projects/{served}/gold").json()["items"]
    assert (listed["annotation_id"], listed["tile_id"]) == (row["id"], row["tile_id"])
    # a tile has one truth
    author.post(f"tasks/{task['id']}/reopen")
    newer = submit(author, claimed(author, served)[0], mask(ER)).json()
    assert reviewer.put(f"annotations/{newer['id']}/gold").status_code == 200
    (listed,) = reviewer.get(f"projects/{served}/gold").json()["items"]
    assert listed["annotation_id"] == newer["id"]
    for _ in range(2):
        assert reviewer.delete(f"annotations/{newer['id']}/gold").status_code == 204
    assert reviewer.get(f"projects/{served}/gold").json()["items"] == []
    author.post(f"annotations/{newer['id']}/retract")
    refused = reviewer.put(f"annotations/{newer['id']}/gold")
    assert refused.status_code == 409
    assert "accepted" in refused.json()["detail"]
    tag = admin.get(f"projects/{served}").headers["etag"]
    wrong = admin.patch(
        f"projects/{served}", json={"gold_share": 1.1}, headers={"If-Match": tag}
    )
    assert wrong.status_code == 422


def test_a_deleted_image_takes_its_gold_along(
    app: FastAPI, admin: TestClient, served: str
) -> None:
    task, _ = gold(app, admin, served, mask())
    assert admin.delete(f"images/{task['tile']['image_id']}").status_code == 204
    assert admin.get(f"projects/{served}/gold").json()["items"] == []


def test_agreement_equals_what_is_counted_by_hand(
    app: FastAPI, admin: TestClient, served: str
) -> None:
    path = f"projects/{served}/agreement"
    nothing = admin.get(path).json()
    assert nothing == {
        "gold_tiles": 0,
        "second": {"tiles": 0, "labels": {}},
        "gold": {"tiles": 0, "labels": {}},
        "people": [],
        "anchoring": {
            "shown": {"dice": None, "tiles": 0},
            "blind": {"dice": None, "tiles": 0},
        },
    }
    share(admin, served, second_share=1)
    author, other = (person(app, admin, served, "annotator") for _ in range(2))
    ten = block(ER, slice(0, 10), slice(0, 10))
    submit(author, claimed(author, served)[0], ten)
    half = block(ER, slice(0, 10), slice(5, 15))
    submit(other, claimed(other, served)[0], half)
    share(admin, served, second_share=0)
    shown = admin.get(path).json()
    assert shown["second"]["tiles"] == 1
    assert shown["second"]["labels"]["ER"] == {"dice": 0.5, "tiles": 1}
    assert shown["second"]["labels"]["mitochondria"] == {"dice": None, "tiles": 0}

    for value in (ER, MITO):
        gold(app, admin, served, block(value, slice(0, 10), slice(0, 10)))
    share(admin, served, gold_share=1)
    for who, raster in ((author, ten), (other, half)):
        for _ in range(2):  # the ER tile, then the one of mitochondria
            submit(who, claimed(who, served)[0], raster)
    shown = admin.get(path).json()
    assert (shown["gold_tiles"], shown["gold"]["tiles"]) == (2, 4)
    # ER: author 100 hit + 100 invented, other 50 hit + 50 missed + 50 and 100 invented
    er = shown["gold"]["labels"]["ER"]
    assert er == {"dice": pytest.approx(2 * 150 / (2 * 150 + 250 + 50)), "tiles": 4}
    assert shown["gold"]["labels"]["mitochondria"] == {"dice": 0, "tiles": 2}
    people = {entry["user_id"]: entry for entry in shown["people"]}
    assert set(people) == {str(id_of(author)), str(id_of(other))}
    of_author = people[str(id_of(author))]
    assert of_author["tiles"] == 2
    assert of_author["labels"]["ER"] == {"dice": pytest.approx(200 / 300), "tiles": 2}
    of_other = people[str(id_of(other))]["labels"]["ER"]
    assert of_other == {"dice": pytest.approx(100 / (100 + 150 + 50)), "tiles": 2}
    assert person(app, admin, served, "reviewer").get(path).status_code == 200


def test_gold_and_agreement_by_command_line(cisterna: Terminal, live: Live) -> None:
    slug = live.project()
    add_image(live.app, slug)
    edited = cisterna.json("project", "edit", slug, "--second-share", "0.5")
    assert edited["second_share"] == 0.5
    task = cisterna.json("task", "claim", slug)["tasks"][0]
    admin = client_with(live.app, live.token)
    row = submit(admin, task, mask(ER)).json()
    made = cisterna.json("task", "make-gold", row["id"])
    assert cisterna.json("project", "gold", slug) == [made]
    cisterna.json("project", "edit", slug, "--gold-share", "1")
    who = person(live.app, admin, slug, "annotator")
    answer = claimed(who, slug)[0]
    submit(who, answer, mask(MITO))
    hints_ = cisterna.json("task", "feedback", answer["id"])
    assert [hint["label"] for hint in hints_] == ["mitochondria", "ER"]
    status, out, _ = cisterna("project", "agreement", slug)
    assert status == 0
    assert re.search(r"gold +annotator \d+ +ER +0 +1 *\n", out)
    assert cisterna.json("project", "agreement", slug)["gold"]["tiles"] == 1
    assert cisterna("task", "end-gold", row["id"])[0] == 0
    assert cisterna.json("project", "gold", slug) == []


def test_anchoring_compares_shown_and_blind_masks_with_the_prediction(
    app: FastAPI,
    admin: TestClient,
    project: str,
    database: Database,
    store: ArtifactStore,
    tmp_path: Path,
) -> None:
    image = place(database, store, project, seed=1)
    live = version(database, store, project, lessons=annotate(database, image, [15]))
    swept = sweep(database, store, live, image, tmp_path / "sweep")
    assert admin.post(f"models/{live}/promote").status_code == 200
    tiles = {"tiles": [str(tile) for tile in image.tiles[:2]]}
    assert admin.post(f"projects/{project}/queries", json=tiles).status_code == 201
    share(admin, project, second_share=1)
    author, other = (person(app, admin, project, "annotator") for _ in range(2))
    task = claimed(author, project)[0]
    assert task["prediction_id"] == str(swept.id)
    box = task["tile"]["box"]
    predicted = swept.labels[
        box["y"] : box["y"] + box["h"], box["x"] : box["x"] + box["w"]
    ]
    sent = submit(author, task, predicted, prediction_id=task["prediction_id"])
    assert sent.status_code == 201, sent.text
    # a version that learnt from the first mask is no fair comparison for the second
    later = version(database, store, project)
    sweep(database, store, later, image, tmp_path / "later")
    second = claimed(other, project)[0]
    assert second["tile"]["id"] == task["tile"]["id"]
    blind = predicted.copy()
    blind[: SIDE // 2] = 0
    assert submit(other, second, blind).status_code == 201
    anchoring = admin.get(f"projects/{project}/agreement").json()["anchoring"]
    assert anchoring["shown"] == {"dice": 1, "tiles": 1}
    dice = []
    for value in (MITO, ER):
        found = (blind == value).sum()
        dice.append(2 * found / (found + (predicted == value).sum()))
    assert anchoring["blind"] == {"dice": pytest.approx(np.mean(dice)), "tiles": 1}


def test_advice_per_label_follows_the_live_rounds(
    admin: TestClient, project: str, database: Database, store: ArtifactStore
) -> None:
    path = f"projects/{project}/metrics"
    before = admin.get(path).json()["advice"]
    assert set(before) == {
        label["name"] for label in admin.get(f"projects/{project}").json()["labels"]
    }
    assert {entry["enough"] for entry in before.values()} == {None}
    image = place(database, store, project, seed=1, side=320)
    lessons = annotate(database, image, range(20))
    for number in (6, 12, 18):
        counts = {
            (Split.VALIDATION, ER): (700, 300, 300),
            (Split.VALIDATION, MITO): (500 + 10 * number, 300, 300),
        }
        made = version(
            database, store, project, counts=counts, lessons=lessons[:number]
        )
        with database.unit_of_work() as session:
            session.execute(
                update(Evaluation)
                .where(Evaluation.model_version_id == made)
                .values(dice_low=0.6, dice_high=0.8, recall_low=0.6, recall_high=0.8)
            )
        assert admin.post(f"models/{made}/promote").status_code == 200
    shown = admin.get(path).json()["advice"]
    assert shown["ER"]["enough"] is True
    assert "+0.000 from round 1 to round 3 with 12 new tiles" in shown["ER"]["reason"]
    assert shown["mitochondria"]["enough"] is False
    assert shown["nucleus"]["enough"] is None
    with database.unit_of_work() as session:
        session.execute(
            update(ModelVersion)
            .where(ModelVersion.ordinal == 2)
            .values(promoted_at=None)
        )
    assert admin.get(path).json()["advice"]["ER"]["enough"] is None


def measured(number: int, tiles: int, dice: float | None, half: float = 0.05):
    interval = None if dice is None else Interval(dice - half, dice + half)
    return Measured(number, tiles, dice, interval, dice, interval)


@pytest.mark.parametrize(
    ("rounds", "enough", "words"),
    [
        ([], None, "Nothing"),
        ([measured(1, 9, None)], None, "Nothing"),
        ([measured(1, 9, 0.96)], True, "recall is 0.960 (0.910–1.010)"),
        # the interval reaches below the target
        ([measured(1, 9, 0.94)], None, "1 live rounds"),
        ([measured(1, 6, 0.7), measured(2, 11, 0.7), measured(3, 17, 0.7)], None, "2"),
        (
            [measured(1, 6, 0.7), measured(2, 12, 0.7), measured(3, 18, 0.705)],
            True,
            "+0.005 from round 1 to round 3 with 12 new tiles",
        ),
        # rounds of few new tiles are passed over, earlier gains forgotten
        (
            [
                measured(1, 6, 0.2),
                measured(2, 12, 0.7),
                measured(3, 18, 0.7),
                measured(4, 20, 0.6),
                measured(5, 24, 0.7),
            ],
            True,
            "from round 2 to round 5",
        ),
        (
            [measured(1, 6, 0.7), measured(2, 12, 0.7), measured(3, 18, 0.71)],
            False,
            "+0.010",
        ),
        # it fell by more than chance: not known well enough
        (
            [measured(1, 6, 0.85), measured(2, 12, 0.8), measured(3, 18, 0.7)],
            False,
            "-0.150",
        ),
    ],
)
def test_advice_on_one_label(rounds, enough, words) -> None:
    advice = advise(rounds, 0.9)
    assert advice.enough is enough
    assert words in advice.reason


@unhurried
@given(rasters, arrays(np.uint8, (6, 7), elements=st.sampled_from([0, 2, 4])))
def test_compared_is_the_confusion_where_the_other_knows_all(truth, other) -> None:
    expected = confusion(truth, other, EVERY, {ER})
    assert compared(Opinion(truth, {ER}), Opinion(other, EVERY), EVERY) == expected


@unhurried
@given(rasters, rasters)
def test_agreement_is_mutual_and_silent_on_what_one_does_not_know(one, two) -> None:
    there = compared(Opinion(one, {ER}), Opinion(two, EVERY), EVERY)
    back = compared(Opinion(two, EVERY), Opinion(one, {ER}), EVERY)
    assert {v: Counts(c.tp, c.fn, c.fp) for v, c in back.items()} == there
    nothing = compared(
        Opinion(one, EVERY), Opinion(np.full_like(one, 255), EVERY), EVERY
    )
    assert set(nothing.values()) == {Counts()}


def test_at_most_three_hints_and_none_for_what_is_right() -> None:
    truth = np.repeat(np.arange(5, dtype=np.uint8), 4).reshape(5, 4)
    assert hints(Opinion(truth, EVERY), Opinion(truth, EVERY), EVERY) == []
    wrong = truth.copy()
    wrong[1:, 0] = 0
    wrong[2, 1] = 0
    got = hints(Opinion(truth, EVERY), Opinion(wrong, EVERY), EVERY)
    assert [(hint.value, hint.pixels, hint.missed) for hint in got] == [
        (2, 2, True),
        (1, 1, True),
        (3, 1, True),
    ]


@unhurried
@given(arrays(np.bool_, (9, 8)))
def test_the_largest_region_is_that_of_scipy(mask_) -> None:
    if not mask_.any():
        with pytest.raises(ValueError, match="no region"):
            largest(mask_)
        return
    parts, _ = ndimage.label(mask_)
    sizes = np.bincount(parts.ravel())
    y, x = largest(mask_)
    assert mask_[y, x]
    assert sizes[parts[y, x]] == sizes[1:].max()


@unhurried
@given(st.integers(1, 1000), st.integers(1, 50))
def test_every_nth_is_due(number, n) -> None:
    assert due(number, 1 / n) is (number % n == 0)
    assert not due(number, 0)


def test_a_larger_share_keeps_what_a_smaller_one_drew() -> None:
    ids = [uuid.UUID(int=n) for n in range(2000)]
    small, large = ({id for id in ids if drawn(3, id, s)} for s in (0.1, 0.4))
    assert small < large
    assert 120 < len(small) < 280
    assert 700 < len(large) < 900
    assert not any(drawn(3, id, 0) for id in ids)
    assert all(drawn(3, id, 1) for id in ids)
