"""A person is asked for the ER alone: the whole loop learns "ER" or "not ER"."""

from pathlib import Path
from typing import Any

import numpy as np
from fastapi import FastAPI
from fastapi.testclient import TestClient
from loop_fixtures import ER, MITO, Placed, annotate, place, work_off
from sqlalchemy import select
from sqlalchemy.orm import Session

from backend.db import Database
from backend.domain.metrics import Counts
from backend.domain.states import JobKind, Split, TaskState
from backend.models import Evaluation, ModelVersion, Task, Tile
from backend.services import trainings
from backend.storage import ArtifactStore


def recall(database: Database, ordinal: int, value: int) -> float:
    """A version's recall of a label on the validation tiles."""
    with database.unit_of_work() as session:
        row = session.scalars(
            select(Evaluation)
            .join(ModelVersion)
            .where(
                ModelVersion.ordinal == ordinal,
                Evaluation.split == Split.VALIDATION,
                Evaluation.value == value,
            )
        ).one()
        found = Counts(row.tp, row.fp, row.fn).recall
    assert found is not None
    return found


def train(admin: TestClient, project: str) -> None:
    body = {"segmenter": "forest"}
    answer = admin.post(f"projects/{project}/trainings", json=body)
    assert answer.status_code == 202, answer.text


def test_an_er_pass_keeps_the_mitochondria(
    app: FastAPI,
    admin: TestClient,
    project: str,
    database: Database,
    store: ArtifactStore,
    tmp_path: Path,
) -> None:
    pool = [place(database, store, project, seed=seed) for seed in (1, 2)]
    check = place(database, store, project, seed=3, split=Split.VALIDATION)
    annotate(database, pool[0], [5, 6])
    annotate(database, check, range(16))
    train(admin, project)
    work_off(database, store, tmp_path / "first")
    before = recall(database, 1, MITO)
    assert before > 0.7

    with database.unit_of_work() as session:
        waiting = select(Task.tile_id).where(Task.state == TaskState.OPEN)
        tiles = [str(id) for id in session.scalars(waiting.order_by(Task.rank))]
    queries = f"projects/{project}/queries"
    refused = admin.post(queries, json={"tiles": tiles, "complete_for": [77]})
    assert refused.status_code == 422
    assert refused.json()["errors"][0]["pointer"] == "/complete_for"
    asked = admin.post(queries, json={"tiles": tiles, "complete_for": [ER]})
    assert asked.status_code == 201, asked.text
    passed_over = 0
    for _ in range(3):
        claimed = admin.post(f"projects/{project}/claims", json={"count": 2}).json()
        for task in claimed["tasks"]:
            assert task["complete_for"] == [ER]
            truth = truth_of(database, task, pool)
            passed_over += int((truth == MITO).sum())
            er = np.where(truth == ER, truth, np.uint8(0))
            done = admin.post(
                f"tasks/{task['id']}/annotations",
                content=er.tobytes(),
                headers={"Content-Type": "application/octet-stream"},
            )
            # who says nothing says no more than was asked
            assert done.status_code == 201, done.text
            assert done.json()["complete_for"] == [ER]
    assert passed_over > 200  # else nothing could have been unlearnt

    train(admin, project)
    assert work_off(database, store, tmp_path / "second")[:2] == [
        JobKind.TRAIN,
        JobKind.EVALUATE,
    ]
    assert recall(database, 2, MITO) > before - 0.03
    assert recall(database, 2, ER) > 0.7


def test_one_tile_of_er_and_not_er_can_be_trained_on(
    app: FastAPI,
    admin: TestClient,
    project: str,
    database: Database,
    store: ArtifactStore,
    tmp_path: Path,
) -> None:
    image = place(database, store, project, seed=1)
    annotate(database, image, [5], complete_for=(ER,))
    with database.unit_of_work() as session:
        tile = session.get_one(Tile, image.tiles[5])
        shown = set(np.unique(image.truth[tile.box.slices]).tolist()) - {0}
    train(admin, project)
    with database.unit_of_work() as session:
        version = session.scalars(select(ModelVersion)).one()
        work = trainings.prepare(session, job_of(session))
        assert [tile.complete_for for tile in work.tiles] == [(ER,)]
        assert set(work.emphasis) == shown
        assert version.settings["values"] == [1, 2, 3, 4, 5]
    assert work_off(database, store, tmp_path / "work")[0] == JobKind.TRAIN


def truth_of(
    database: Database, task: dict[str, Any], pool: list[Placed]
) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    """The truth of a task's tile."""
    with database.unit_of_work() as session:
        tile = session.get_one(Tile, session.get_one(Task, task["id"]).tile_id)
        (placed,) = (image for image in pool if image.id == tile.image_id)
        return placed.truth[tile.box.slices]


def job_of(session: Session) -> Any:
    from backend.models import Job

    return session.scalars(select(Job).where(Job.kind == JobKind.TRAIN)).one()
