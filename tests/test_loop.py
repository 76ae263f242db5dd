"""The loop of services and steps, with `forest` as the segmenter, on PostgreSQL."""

import datetime as dt
import io
import threading
import uuid
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from api_fixtures import id_of
from fastapi import FastAPI
from fastapi.testclient import TestClient
from loop_fixtures import (
    EVERY,
    MITO,
    Placed,
    annotate,
    place,
    project_id,
    run_one,
    version,
    work_off,
)
from sqlalchemy import select
from sqlalchemy.orm import Session

from backend.db import Database
from backend.domain.errors import Conflict
from backend.domain.metrics import Counts
from backend.domain.states import (
    JobKind,
    Lane,
    ModelState,
    Promotion,
    QueryState,
    Split,
    TaskState,
)
from backend.models import (
    Evaluation,
    Job,
    ModelVersion,
    Prediction,
    Project,
    Query,
    QueryTile,
    Task,
    Tile,
    TrainingSetItem,
)
from backend.ranker import TileStatistics
from backend.services import artifacts, jobs, models, trainings
from backend.services.access import Principal
from backend.storage import ArtifactStore

ROUND = [JobKind.TRAIN, JobKind.EVALUATE, JobKind.PREDICT, JobKind.SCORE]


def train(database: Database, slug: str) -> None:
    with database.unit_of_work() as session:
        project = session.scalars(select(Project).where(Project.slug == slug)).one()
        trainings.request(session, project, segmenter="forest")


def live_query(database: Database) -> Query:
    with database.unit_of_work() as session:
        return session.scalars(
            select(Query).where(Query.state == QueryState.LIVE)
        ).one()


def test_two_rounds_and_the_way_back(
    app: FastAPI,
    admin: TestClient,
    project: str,
    database: Database,
    store: ArtifactStore,
    tmp_path: Path,
) -> None:
    pool = [place(database, store, project, seed=seed) for seed in (1, 2)]
    check = place(database, store, project, seed=3, split=Split.VALIDATION)
    test = place(database, store, project, seed=4, split=Split.TEST)
    annotate(database, pool[0], [5, 6])
    annotate(database, check, range(16))
    annotate(database, test, [0, 1, 2], complete_for=(4,))

    train(database, project)
    assert work_off(database, store, tmp_path / "first") == ROUND
    with database.unit_of_work() as session:
        first = session.scalars(select(ModelVersion)).one()
        assert first.state is ModelState.LIVE
        assert first.settings["values"] == list(EVERY)
        swept = set(session.scalars(select(Prediction.image_id)))
        assert swept == {image.id for image in (*pool, check, test)}
        counts = counted(session.scalars(select(Evaluation)).all())
        assert counts == {
            **brute_force(session, store, check, range(16), EVERY, Split.VALIDATION),
            **brute_force(session, store, test, range(3), (4,), Split.TEST),
        }
        validation = {v: c for (s, v), c in counts.items() if s is Split.VALIDATION}
        assert (validation[2].dice or 0) > 0.6  # dark discs are easy to learn
    old = live_query(database)
    with database.unit_of_work() as session:
        head = session.execute(
            select(QueryTile.rank, QueryTile.tile_id)
            .where(QueryTile.query_id == old.id)
            .order_by(QueryTile.rank)
        ).all()
        assert [rank for rank, _ in head] == list(range(1, 11))
        tasks = session.execute(
            select(Task.rank, Task.tile_id, Task.state).order_by(Task.rank)
        ).all()
        assert tasks == [(*row, TaskState.OPEN) for row in head]
        tiles = [session.get_one(Tile, tile) for _, tile in head]
        assert {tile.split for tile in tiles} == {Split.POOL}
        known = {pool[0].tiles[5], pool[0].tiles[6]}
        assert not known & {tile.id for tile in tiles}
        assert old.scores_id is not None
        stored = artifacts.tree(session, old.scores_id)
        path = tmp_path / "tiles.npz"
        store.fetch_file(f"{stored.prefix}/tiles.npz", path)
        assert len(TileStatistics.load(path)) == 64  # of all images, in and out

    # one person works on rank 1, another has submitted rank 2
    claimed = admin.post(f"projects/{project}/claims", json={"count": 2}).json()
    held = [task["id"] for task in claimed["tasks"]]
    assert [task["rank"] for task in claimed["tasks"]] == [1, 2]
    etag = admin.get(f"projects/{project}").headers["ETag"]
    answer = admin.patch(
        f"projects/{project}", json={"review": True}, headers={"If-Match": etag}
    )
    assert answer.status_code == 200, answer.text
    done = admin.post(f"tasks/{held[1]}/annotations", content=bytes(64 * 64))
    assert done.status_code == 201, done.text

    held_tiles = {tile for _, tile in head[:2]}
    left = [n for n, tile in enumerate(pool[1].tiles) if tile not in held_tiles]
    fresh = [left[0], left[-1]]
    annotate(database, pool[1], fresh)
    annotated = {pool[1].tiles[position] for position in fresh}
    train(database, project)
    assert work_off(database, store, tmp_path / "second") == ROUND
    new = live_query(database)
    assert new.id != old.id
    with database.unit_of_work() as session:
        states = dict(session.execute(select(Task.id, Task.state)).all())
        assert [states[task.id] for task in by_query(session, old)] == [
            TaskState.CLAIMED,
            TaskState.SUBMITTED,
            *[TaskState.WITHDRAWN] * 8,
        ]
        again = {task.tile_id for task in by_query(session, new)}
        assert len(again) == 10
        assert not again & (held_tiles | annotated)

    with database.unit_of_work() as session:
        row = session.get_one(Project, project_id(database, project))
        assert models.rollback(session, whoami(admin), row).ordinal == 1
    assert work_off(database, store, tmp_path / "back") == []  # served at once
    assert live_query(database).id == old.id
    with database.unit_of_work() as session:
        versions = session.execute(
            select(ModelVersion.ordinal, ModelVersion.state).order_by(
                ModelVersion.ordinal
            )
        ).all()
        assert versions == [(1, ModelState.LIVE), (2, ModelState.RETIRED)]
        open_ = session.execute(
            select(Task.rank, Task.tile_id)
            .where(Task.state == TaskState.OPEN, Task.query_id == old.id)
            .order_by(Task.rank)
        ).all()
        taken = held_tiles | annotated
        assert open_ == [row for row in head if row.tile_id not in taken]
        states = Counter(session.scalars(select(Task.state)))
        assert states[TaskState.CLAIMED] == 1


def by_query(session: Session, query: Query) -> list[Task]:
    statement = select(Task).where(Task.query_id == query.id, Task.kind == "annotate")
    return list(session.scalars(statement.order_by(Task.rank)))


def whoami(client: TestClient) -> Principal:
    me = client.get("me").json()
    return Principal(id_of(client), me["name"], me["is_admin"])


def counted(rows: Sequence[Evaluation]) -> dict[tuple[Split, int], Counts]:
    return {(row.split, row.value): Counts(row.tp, row.fp, row.fn) for row in rows}


def brute_force(
    session: Session,
    store: ArtifactStore,
    placed: Placed,
    positions: Sequence[int],
    complete_for: Sequence[int],
    split: Split,
) -> dict[tuple[Split, int], Counts]:
    """Count pixel by pixel, from the stored labels and the truth that was annotated."""
    row = session.scalars(
        select(Prediction).where(Prediction.image_id == placed.id)
    ).one()
    tree = artifacts.tree(session, row.artifact_id)
    stored = store.get_bytes(f"{tree.prefix}/labels.npy")
    labels = np.load(io.BytesIO(stored))
    counts = {}
    for value in EVERY:
        tp = fp = fn = 0
        for position in positions:
            box = session.get_one(Tile, placed.tiles[position]).box
            truth, said = placed.truth[box.slices], labels[box.slices]
            known = (truth != 0) | (value in complete_for)
            tp += int(((truth == value) & (said == value)).sum())
            fp += int((known & (truth != value) & (said == value)).sum())
            fn += int(((truth == value) & (said != value)).sum())
        counts[split, value] = Counts(tp, fp, fn)
    return counts


def test_a_training_needs_something_to_tell_apart(
    app: FastAPI,
    admin: TestClient,
    project: str,
    database: Database,
    store: ArtifactStore,
) -> None:
    def refused() -> str:
        answer = admin.post(f"projects/{project}/trainings", json={})
        assert answer.status_code == 409, answer.text
        assert answer.json()["type"] == "urn:cisterna:problem:nothing-to-train"
        return str(answer.json()["detail"])

    image = place(database, store, project, seed=1)
    held_out = place(database, store, project, seed=2, split=Split.TEST)
    annotate(database, held_out, [0, 1])
    assert "no accepted annotation in the pool" in refused()
    annotate(database, image, [0], value=255)
    assert "Every annotated pixel is unknown" in refused()
    annotate(database, image, [1], value=4)
    assert "one class only" in refused()
    annotate(database, image, [2], value=0, complete_for=(2,))
    assert "one class only" in refused()  # all of it may be ER
    annotate(database, image, [3], value=0, complete_for=(4,))
    answer = admin.post(f"projects/{project}/trainings", json={"segmenter": "forest"})
    assert answer.status_code == 202, answer.text
    again = admin.post(f"projects/{project}/trainings", json={})
    assert again.status_code == 409


def test_what_is_retracted_before_the_training_starts_is_not_learnt(
    app: FastAPI,
    admin: TestClient,
    project: str,
    database: Database,
    store: ArtifactStore,
) -> None:
    image = place(database, store, project, seed=1)
    first, second = annotate(database, image, [0, 1])
    train(database, project)
    assert admin.post(f"annotations/{first}/retract").status_code == 200
    with database.unit_of_work() as session:
        job = session.scalars(select(Job)).one()
        work = trainings.prepare(session, job)
    assert [tile.annotation_id for tile in work.tiles] == [second]
    with database.unit_of_work() as session:
        left = session.scalars(select(TrainingSetItem.annotation_id)).all()
    assert left == [second]


def test_a_failed_training_leaves_a_failed_version(
    app: FastAPI,
    project: str,
    database: Database,
    store: ArtifactStore,
) -> None:
    image = place(database, store, project, seed=1)
    annotate(database, image, [0])
    train(database, project)
    with database.unit_of_work() as session:
        claimed = jobs.claim(session, list(Lane), "test", dt.timedelta(minutes=1))
        assert claimed is not None
        jobs.fail(session, claimed, "out of memory", retryable=False)
    with database.unit_of_work() as session:
        assert session.scalars(select(ModelVersion.state)).one() is ModelState.FAILED


def test_a_forest_never_replaces_a_network(
    app: FastAPI,
    project: str,
    database: Database,
    store: ArtifactStore,
) -> None:
    serving = version(database, store, project, state=ModelState.LIVE)
    better = version(database, store, project)
    with database.unit_of_work() as session:
        session.get_one(ModelVersion, serving).segmenter = "nnunet"
    with database.unit_of_work() as session:
        row = session.scalars(select(Project)).one()
        candidate = session.get_one(ModelVersion, better)
        models.promote_if_better_kind(session, row, candidate)
    with database.unit_of_work() as session:
        assert session.get_one(ModelVersion, serving).state is ModelState.LIVE
        assert session.get_one(ModelVersion, better).state is ModelState.REJECTED


def test_two_promotions_at_once_leave_one_live(
    app: FastAPI, project: str, database: Database, store: ArtifactStore
) -> None:
    place(database, store, project, seed=1)
    version(database, store, project, state=ModelState.LIVE)
    both = [version(database, store, project) for _ in range(2)]
    start = threading.Barrier(2)

    def promote(id: uuid.UUID) -> None:
        with database.unit_of_work() as session:
            row = session.get_one(ModelVersion, id)
            start.wait(10)
            models.promote(session, None, row)

    with ThreadPoolExecutor(2) as threads:
        list(threads.map(promote, both))
    with database.unit_of_work() as session:
        states = Counter(session.scalars(select(ModelVersion.state)))
    assert states == {ModelState.LIVE: 1, ModelState.RETIRED: 2}


def test_promoting_the_same_version_at_once_happens_once(
    app: FastAPI, project: str, database: Database, store: ArtifactStore
) -> None:
    only = version(database, store, project)
    start = threading.Barrier(2)

    def promote(_: int) -> bool:
        try:
            with database.unit_of_work() as session:
                row = session.get_one(ModelVersion, only)
                start.wait(10)
                models.promote(session, None, row)
        except Conflict:
            return False
        return True

    with ThreadPoolExecutor(2) as threads:
        assert sorted(threads.map(promote, range(2))) == [False, True]
    with database.unit_of_work() as session:
        assert len(session.scalars(select(Job)).all()) == 1


def test_a_label_added_after_the_training_is_simply_never_said(
    app: FastAPI,
    admin: TestClient,
    project: str,
    database: Database,
    store: ArtifactStore,
    tmp_path: Path,
) -> None:
    """The planes of a sweep are those of the training, not of today's schema."""
    pool = place(database, store, project, seed=1)
    check = place(database, store, project, seed=3, split=Split.VALIDATION)
    annotate(database, pool, [5, 6])
    annotate(database, check, range(4))
    with database.unit_of_work() as session:
        row = session.scalars(select(Project)).one()
        row.promotion = Promotion.MANUAL
    train(database, project)
    assert run_one(database, store, tmp_path / "train") is JobKind.TRAIN
    added = admin.post(f"projects/{project}/labels", json={"name": "peroxisome"})
    assert added.status_code == 201, added.text
    assert work_off(database, store, tmp_path / "rest") == [JobKind.EVALUATE]
    with database.unit_of_work() as session:
        rows = {row.value: row for row in session.scalars(select(Evaluation))}
        assert set(rows) == {*EVERY, added.json()["value"]}
        assert rows[added.json()["value"]].tp == 0
        assert (rows[MITO].average_precision or 0) > 0.6
    candidate = admin.get(f"projects/{project}/models").json()["items"][0]
    assert candidate["state"] == "candidate"
    assert candidate["quality"]["validation"]["peroxisome"]["dice"] is None
    promoted = admin.post(f"models/{candidate['id']}/promote")
    assert promoted.status_code == 200, promoted.text
    assert work_off(database, store, tmp_path / "after") == ROUND[2:]
    assert live_query(database).model_version_id is not None


def test_images_that_come_during_a_sweep_are_swept_too(
    app: FastAPI,
    project: str,
    database: Database,
    store: ArtifactStore,
    tmp_path: Path,
) -> None:
    pool = place(database, store, project, seed=1)
    annotate(database, pool, [5, 6])
    train(database, project)
    for kind in ROUND[:2]:
        assert run_one(database, store, tmp_path / kind) is kind
    late: list[Placed] = []

    def upload() -> None:
        late.append(place(database, store, project, seed=2))

    run_one(database, store, tmp_path / "sweep", meanwhile=upload)
    assert work_off(database, store, tmp_path / "rest").count(JobKind.PREDICT) == 1
    with database.unit_of_work() as session:
        images = set(session.scalars(select(Prediction.image_id)))
        assert images == {pool.id, late[0].id}
        asked = select(Tile.image_id).join(QueryTile, QueryTile.tile_id == Tile.id)
        newest = live_query(database).id
        assert late[0].id in session.scalars(asked.where(QueryTile.query_id == newest))
