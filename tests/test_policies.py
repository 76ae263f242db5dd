"""Policies: what makes them fire, what puts them off, and that they fire once."""

import datetime as dt
import uuid
import zlib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from api_fixtures import person
from fastapi import FastAPI
from fastapi.testclient import TestClient
from sqlalchemy import select, update

from backend.db import Database, connect
from backend.domain.states import ImageState, JobKind, JobState, ModelState, Split
from backend.models import (
    Annotation,
    Artifact,
    Image,
    Job,
    Label,
    ModelVersion,
    Policy,
    PolicyFiring,
    Project,
    Tile,
)
from backend.services import clock, policies

UTC = dt.UTC
NOON = dt.datetime(2026, 6, 10, 12, tzinfo=UTC)


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    database = connect(database_url)
    yield database
    database.close()


@pytest.fixture
def project_id(database: Database) -> uuid.UUID:
    """A project whose image has room for a hundred annotations."""
    with database.unit_of_work() as session:
        project = Project(slug="p", name="P", segmenter="forest")
        project.labels = [Label(value=1, name="er", colour="#ffffff")]
        session.add(project)
        session.flush()
        pyramid = Artifact(project_id=project.id, key="k", bytes=0)
        session.add(pyramid)
        session.flush()
        image = Image(
            project_id=project.id,
            name="i",
            sha256="0" * 64,
            bytes=0,
            state=ImageState.READY,
            height=4,
            width=400,
            pyramid_id=pyramid.id,
        )
        session.add(image)
        session.flush()
        session.add_all(
            Tile(
                project_id=project.id,
                image_id=image.id,
                position=number,
                y=0,
                x=4 * number,
                h=4,
                w=4,
                split=Split.VALIDATION if number == 99 else Split.POOL,
            )
            for number in range(100)
        )
        return project.id


def annotate(
    database: Database, project_id: uuid.UUID, count: int, split: Split = Split.POOL
) -> None:
    """Accept one annotation on each of `count` tiles that have none."""
    mask = np.zeros((4, 4), np.uint8)
    mask[:2] = 1
    with database.unit_of_work() as session:
        free = session.scalars(
            select(Tile)
            .where(Tile.id.not_in(select(Annotation.tile_id)), Tile.split == split)
            .order_by(Tile.position)
            .limit(count)
        ).all()
        assert len(free) == count
        session.add_all(
            Annotation(
                project_id=project_id,
                tile_id=tile.id,
                revision=1,
                raster=zlib.compress(mask.tobytes()),
                sha256="0" * 64,
                complete_for=[1],
                accepted_at=dt.datetime.now(UTC),
            )
            for tile in free
        )


Add = Callable[..., uuid.UUID]


@pytest.fixture
def add(database: Database, project_id: uuid.UUID) -> Add:
    def put(watermark: dt.datetime = NOON, **columns: object) -> uuid.UUID:
        with database.unit_of_work() as session:
            row = Policy(
                project_id=project_id, name="n", watermark=watermark, **columns
            )
            session.add(row)
            session.flush()
            return row.id

    return put


def consider(database: Database, id: uuid.UUID, at: dt.datetime) -> bool:
    """Ask the policy at a time; whether it started a training."""
    with database.unit_of_work() as session:
        return policies.consider(session, id, at) is not None


def finish(
    database: Database,
    state: JobState = JobState.SUCCEEDED,
    model: ModelState = ModelState.TRAINING,
) -> None:
    """End the training under way, long ago as far as intervals are concerned."""
    with database.unit_of_work() as session:
        session.execute(
            update(Job).values(state=state, created_at=NOON - dt.timedelta(days=900))
        )
        session.execute(
            update(ModelVersion)
            .where(ModelVersion.state == ModelState.TRAINING)
            .values(state=model)
        )


def outcomes(database: Database) -> list[str]:
    with database.unit_of_work() as session:
        return list(
            session.scalars(select(PolicyFiring.outcome).order_by(PolicyFiring.id))
        )


def trainings(database: Database) -> int:
    with database.unit_of_work() as session:
        return len(session.scalars(select(Job).where(Job.kind == JobKind.TRAIN)).all())


def test_it_fires_after_so_many_new_annotations(
    database: Database, project_id: uuid.UUID, add: Add
) -> None:
    id = add(every_annotations=3)
    annotate(database, project_id, 2)
    annotate(database, project_id, 1, Split.VALIDATION)
    assert not consider(database, id, NOON)
    annotate(database, project_id, 1)
    assert consider(database, id, NOON)
    finish(database)
    assert not consider(database, id, NOON)
    annotate(database, project_id, 2)
    assert not consider(database, id, NOON)
    annotate(database, project_id, 1)
    assert consider(database, id, NOON)
    assert trainings(database) == 2


def test_however_many_clocks_run_it_fires_once(
    database: Database, project_id: uuid.UUID, add: Add
) -> None:
    add(every_annotations=3)
    add(cron="* * * * *")
    annotate(database, project_id, 3)
    with ThreadPoolExecutor(5) as pool:
        list(pool.map(lambda _: clock.tick(database), range(5)))
    assert trainings(database) == 1


def test_without_the_clocks_lock_the_window_decides(
    database: Database, project_id: uuid.UUID, add: Add
) -> None:
    id = add(cron="0 * * * *")
    annotate(database, project_id, 1)
    at = NOON + dt.timedelta(minutes=61)
    with ThreadPoolExecutor(5) as pool:
        fired = list(pool.map(lambda _: consider(database, id, at), range(5)))
    assert sum(fired) == 1
    assert len(outcomes(database)) == 1


def test_nothing_new_means_no_training(
    database: Database, project_id: uuid.UUID, add: Add
) -> None:
    id = add(cron="0 * * * *")
    hour = dt.timedelta(hours=1)
    assert not consider(database, id, NOON + 1.1 * hour)
    annotate(database, project_id, 1)
    # the window at one o'clock is used up, though something is new now
    assert not consider(database, id, NOON + 1.2 * hour)
    assert consider(database, id, NOON + 2.1 * hour)
    finish(database)
    assert not consider(database, id, NOON + 3.1 * hour)
    assert trainings(database) == 1
    assert [text.split()[0] for text in outcomes(database)] == [
        "Nothing",
        "A",
        "Nothing",
    ]


def test_what_cannot_be_trained_is_said_and_not_tried_at_every_tick(
    database: Database, project_id: uuid.UUID, add: Add
) -> None:
    id = add(every_annotations=1)
    with database.unit_of_work() as session:
        session.execute(update(Project).values(segmenter="forest"))
    annotate(database, project_id, 1)
    with database.unit_of_work() as session:
        # one class only: everything is label 1
        session.execute(update(Tile).where(Tile.position == 0).values(h=2))
        raster = zlib.compress(np.ones((2, 4), np.uint8).tobytes())
        session.connection().exec_driver_sql(
            "ALTER TABLE annotations DISABLE TRIGGER USER"
        )
        session.execute(update(Annotation).values(raster=raster))
    assert not consider(database, id, NOON)
    assert not consider(database, id, NOON)
    assert len(outcomes(database)) == 1
    assert "one class" in outcomes(database)[0]
    annotate(database, project_id, 1)
    assert consider(database, id, NOON)


def test_a_training_that_failed_gets_another_chance(
    database: Database, project_id: uuid.UUID, add: Add
) -> None:
    count, nightly = add(every_annotations=2), add(cron="0 2 * * *")
    annotate(database, project_id, 2)
    assert consider(database, count, NOON)
    finish(database, JobState.FAILED, ModelState.FAILED)
    assert not consider(database, count, NOON)
    assert consider(database, nightly, NOON + dt.timedelta(days=1))
    finish(database, JobState.FAILED, ModelState.FAILED)
    annotate(database, project_id, 2)
    assert consider(database, count, NOON)


def test_one_training_at_a_time_puts_the_window_off(
    database: Database, project_id: uuid.UUID, add: Add
) -> None:
    count, hourly = add(every_annotations=1), add(cron="0 * * * *")
    annotate(database, project_id, 1)
    assert consider(database, count, NOON)
    annotate(database, project_id, 1)
    later = NOON + dt.timedelta(minutes=65)
    assert not consider(database, hourly, later)
    assert not consider(database, count, later)
    finish(database)
    assert consider(database, hourly, later + dt.timedelta(minutes=5))


def test_the_minimum_interval_counts_from_the_last_start(
    database: Database, project_id: uuid.UUID, add: Add
) -> None:
    id = add(every_annotations=1, minimum_minutes=60)
    annotate(database, project_id, 1)
    assert consider(database, id, NOON)
    finish(database)
    with database.unit_of_work() as session:
        session.execute(update(Job).values(created_at=NOON))
    annotate(database, project_id, 1)
    assert not consider(database, id, NOON + dt.timedelta(minutes=59))
    assert consider(database, id, NOON + dt.timedelta(minutes=60))


@pytest.mark.parametrize(
    ("begin", "end", "quiet", "loud"),
    [
        ("08:00", "18:00", ("08:00", "12:30", "17:59"), ("07:59", "18:00", "23:00")),
        ("22:00", "06:00", ("22:00", "23:59", "00:00", "05:59"), ("06:00", "21:59")),
    ],
)
def test_quiet_hours_are_in_the_projects_time_zone(
    database: Database,
    project_id: uuid.UUID,
    add: Add,
    begin: str,
    end: str,
    quiet: tuple[str, ...],
    loud: tuple[str, ...],
) -> None:
    with database.unit_of_work() as session:
        session.execute(update(Project).values(time_zone="Asia/Tokyo"))
    id = add(
        every_annotations=1,
        quiet_from=dt.time.fromisoformat(begin),
        quiet_until=dt.time.fromisoformat(end),
    )

    def at(clock: str) -> dt.datetime:
        return dt.datetime.fromisoformat(f"2026-06-10T{clock}:30+09:00").astimezone(UTC)

    for time in quiet:
        annotate(database, project_id, 1)
        assert not consider(database, id, at(time)), time
    for time in loud:
        annotate(database, project_id, 1)
        assert consider(database, id, at(time)), time
        finish(database)


def test_a_window_in_quiet_hours_fires_when_they_end(
    database: Database, project_id: uuid.UUID, add: Add
) -> None:
    id = add(cron="0 13 * * *", quiet_from=dt.time(12), quiet_until=dt.time(14))
    annotate(database, project_id, 1)
    assert not consider(database, id, NOON + dt.timedelta(minutes=61))
    assert consider(database, id, NOON + dt.timedelta(minutes=121))


def test_windows_missed_while_nothing_ran_fire_once(
    database: Database, project_id: uuid.UUID, add: Add
) -> None:
    id = add(cron="0 2 * * *")
    annotate(database, project_id, 1)
    after = NOON + dt.timedelta(days=10)
    assert consider(database, id, after)
    finish(database)
    annotate(database, project_id, 1)
    assert not consider(database, id, after + dt.timedelta(hours=1))


@pytest.mark.parametrize(
    "night", ["2026-03-28", "2026-10-24"], ids=["spring", "autumn"]
)
@pytest.mark.parametrize("cron", ["30 2 * * *", "59 2 * * *"])
def test_a_nightly_policy_fires_once_a_night_when_clocks_change(
    database: Database, project_id: uuid.UUID, add: Add, night: str, cron: str
) -> None:
    with database.unit_of_work() as session:
        session.execute(update(Project).values(time_zone="Europe/Berlin"))
    at = dt.datetime.fromisoformat(f"{night}T18:00").replace(
        tzinfo=ZoneInfo("Europe/Berlin")
    )
    id = add(cron=cron, watermark=at)
    fired = []
    for step in range(72):  # half-hours of two nights, and clocks that jump about
        now = at.astimezone(UTC) + dt.timedelta(minutes=30 * step)
        annotate(database, project_id, 1)
        for jump in (0, -60, 0, 45):
            if consider(database, id, now + dt.timedelta(minutes=jump)):
                fired.append(now.astimezone(at.tzinfo).date())
                finish(database)
    assert len(fired) == len(set(fired)) == 2


def test_a_disabled_policy_rests(
    database: Database, project_id: uuid.UUID, add: Add
) -> None:
    add(every_annotations=1, enabled=False)
    annotate(database, project_id, 1)
    clock.tick(database)
    assert trainings(database) == 0


# Routes


def test_policies_are_made_edited_and_deleted(admin: TestClient, project: str) -> None:
    where = f"projects/{project}/policies"
    made = admin.post(where, json={"name": "nightly", "cron": "0 2 * * *"})
    assert made.status_code == 201, made.text
    id, tag = made.json()["id"], made.headers["etag"]
    assert made.headers["location"].endswith(f"{where}/{id}")
    assert made.json()["last_firing"] is None
    edited = admin.patch(
        f"{where}/{id}",
        json={
            "cron": None,
            "every_annotations": 5,
            "quiet_from": "08:00",
            "quiet_until": "18:00",
        },
        headers={"If-Match": tag},
    )
    assert edited.status_code == 200, edited.text
    read = admin.get(f"{where}/{id}")
    assert read.json() == edited.json()
    assert (read.json()["cron"], read.json()["quiet_from"]) == (None, "08:00:00")
    assert read.headers["etag"] == edited.headers["etag"] != tag
    assert [row["id"] for row in admin.get(where).json()["items"]] == [id]
    stale = {"If-Match": tag}
    assert admin.patch(f"{where}/{id}", json={}, headers=stale).status_code == 412
    assert admin.patch(f"{where}/{id}", json={}).status_code == 428
    assert admin.delete(f"{where}/{id}", headers=stale).status_code == 412
    fresh = {"If-Match": read.headers["etag"]}
    assert admin.delete(f"{where}/{id}", headers=fresh).status_code == 204
    assert admin.get(f"{where}/{id}").status_code == 404


def test_a_firing_does_not_make_an_edit_stale(
    database: Database, project_id: uuid.UUID, add: Add
) -> None:
    id = add(cron="* * * * *")
    annotate(database, project_id, 1)
    assert consider(database, id, NOON + dt.timedelta(minutes=5))
    with database.unit_of_work() as session:
        assert session.get_one(Policy, id).version == 1


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "every_annotations"),
        ({"cron": "61 * * * *"}, "cron"),
        ({"cron": "0 2 * *"}, "cron"),
        ({"cron": "* * * * * *"}, "cron"),
        ({"cron": "@daily"}, "cron"),
        ({"cron": "R 2 * * *"}, "cron"),
        ({"cron": "H(0-7) 2 * * *"}, "cron"),
        ({"cron": "0 0 30 2 *"}, "cron"),
        ({"cron": "tomorrow at two please then"}, "cron"),
        ({"cron": "0 2 * * *", "quiet_from": "08:00"}, "quiet_until"),
        (
            {"cron": "0 2 * * *", "quiet_from": "08:00", "quiet_until": "08:00"},
            "quiet_until",
        ),
        (
            {"cron": "0 2 * * *", "quiet_from": "08:00Z", "quiet_until": "09:00"},
            "quiet_from",
        ),
        ({"every_annotations": 0}, "every_annotations"),
        ({"cron": "0 2 * * *", "minimum_minutes": -1}, "minimum_minutes"),
    ],
)
def test_a_wrong_policy_is_refused_with_the_field_named(
    admin: TestClient, project: str, body: dict[str, object], field: str
) -> None:
    where = f"projects/{project}/policies"
    answer = admin.post(where, json={"name": "n", **body})
    assert answer.status_code == 422, answer.text
    assert answer.json()["errors"][0]["pointer"].endswith(f"/{field}")
    made = admin.post(where, json={"name": "n", "every_annotations": 1})
    if not body:
        body = {"every_annotations": None}
    edit = admin.patch(
        f"{where}/{made.json()['id']}",
        json=body,
        headers={"If-Match": made.headers["etag"]},
    )
    assert edit.status_code == 422, edit.text


@pytest.mark.parametrize(
    "cron", ["*/15 8-18 * * MON-FRI", "0 3 1 MAR,APR *", "0 2 * * THU"]
)
def test_names_of_days_and_months_are_cron(
    admin: TestClient, project: str, cron: str
) -> None:
    answer = admin.post(
        f"projects/{project}/policies", json={"name": "n", "cron": cron}
    )
    assert answer.status_code == 201, answer.text


def test_policies_are_for_managers(
    app: FastAPI, admin: TestClient, stranger: TestClient, project: str
) -> None:
    where = f"projects/{project}/policies"
    body = {"name": "n", "every_annotations": 1}
    id = admin.post(where, json=body).json()["id"]
    reviewer = person(app, admin, project, "reviewer")
    assert reviewer.get(f"{where}/{id}").status_code == 200
    assert reviewer.post(where, json=body).status_code == 403
    tag = {"If-Match": '"1"'}
    assert reviewer.patch(f"{where}/{id}", json={}, headers=tag).status_code == 403
    assert reviewer.delete(f"{where}/{id}", headers=tag).status_code == 403
    assert stranger.get(where).status_code == 401
    admin.post("projects", json={"name": "Other"}).raise_for_status()
    assert admin.get(f"projects/other/policies/{id}").status_code == 404
