"""A small real loop in which control tiles join validation, and lessons are drawn."""

import io
import json
import uuid
from pathlib import Path

import numpy as np
from fastapi.testclient import TestClient
from loop_fixtures import (
    ER,
    MITO,
    annotate,
    place,
    project_id,
    work_off,
)
from sqlalchemy import select

from backend.db import Database
from backend.domain.states import JobKind, QueryState, Split, TaskSource
from backend.models import (
    Annotation,
    Evaluation,
    ModelVersion,
    Prediction,
    Project,
    Query,
    QueryTile,
    Task,
    Tile,
    TrainingSetItem,
)
from backend.ranker.cost import PARTS as COST_PARTS
from backend.schemas.loop import ASKED
from backend.services import artifacts, knowledge, trainings
from backend.storage import ArtifactStore

ROUND = [JobKind.TRAIN, JobKind.EVALUATE, JobKind.PREDICT, JobKind.SCORE]
SIZE = 8


def train(database: Database) -> None:
    with database.unit_of_work() as session:
        project = session.scalars(select(Project)).one()
        trainings.request(session, project, segmenter="forest")


def components(database: Database, query: uuid.UUID) -> dict[uuid.UUID, str]:
    with database.unit_of_work() as session:
        rows = session.scalars(
            select(QueryTile)
            .where(QueryTile.query_id == query)
            .order_by(QueryTile.rank)
        )
        return {row.tile_id: str(row.parts["component"]) for row in rows}


def live(database: Database) -> Query:
    with database.unit_of_work() as session:
        return session.scalars(
            select(Query).where(Query.state == QueryState.LIVE)
        ).one()


def test_the_validation_set_grows_by_control_tiles_that_are_never_learnt(
    admin: TestClient,
    project: str,
    database: Database,
    store: ArtifactStore,
    tmp_path: Path,
) -> None:
    etag = admin.get(f"projects/{project}").headers["ETag"]
    admin.patch(
        f"projects/{project}", json={"query_size": SIZE}, headers={"If-Match": etag}
    ).raise_for_status()
    pool = {
        image.id: image
        for image in (place(database, store, project, seed=seed) for seed in (1, 2, 3))
    }
    first = next(iter(pool.values()))
    annotate(database, first, [5, 6])
    train(database)
    assert work_off(database, store, tmp_path / "first") == ROUND
    query = live(database)
    asked = components(database, query.id)
    head = list(asked.items())
    for batch in range(0, len(head) - SIZE, SIZE):
        assert sum("control" in name for _, name in head[batch : batch + SIZE]) == 1
    for_validation = {id for id, name in head if name == "control-validation"}
    to_learn = {id for id, name in head if name == "control"}
    assert for_validation
    assert to_learn

    # people paint the first four batches, from the pre-label where there is one
    painted: list[uuid.UUID] = []
    while len(painted) < 4 * SIZE:
        (task,) = admin.post(f"projects/{project}/claims", json={}).json()["tasks"]
        id = uuid.UUID(task["tile"]["id"])
        assert (task["prediction_id"] is None) == ("control" in asked[id])
        box = task["tile"]["box"]
        rows = slice(box["y"], box["y"] + box["h"])
        columns = slice(box["x"], box["x"] + box["w"])
        truth = pool[uuid.UUID(task["tile"]["image_id"])].truth[rows, columns]
        answer = admin.post(
            f"tasks/{task['id']}/annotations",
            content=np.ascontiguousarray(truth).tobytes(),
            params={"active_seconds": 60.0},
        )
        assert answer.status_code == 201, answer.text
        painted.append(id)
    assert painted == [id for id, _ in head[: len(painted)]]

    train(database)
    assert work_off(database, store, tmp_path / "second") == ROUND
    joined = for_validation & set(painted)
    with database.unit_of_work() as session:
        splits = dict(session.execute(select(Tile.id, Tile.split)).all())
        assert {id for id, split in splits.items() if split != Split.POOL} == joined
        learnt = set(session.scalars(select(TrainingSetItem.tile_id)))
        expected = {first.tiles[5], first.tiles[6]} | set(painted)
        assert learnt == expected - joined
        second = session.scalars(
            select(ModelVersion).where(ModelVersion.ordinal == 2)
        ).one()
        measured = session.scalars(
            select(Evaluation).where(Evaluation.model_version_id == second.id)
        ).all()
        assert {row.split for row in measured} == {Split.VALIDATION}
        tiles = dict(session.execute(select(Annotation.id, Annotation.tile_id)).all())
        for row in measured:
            counted = {tiles[uuid.UUID(id)] for id in row.by_annotation or {}}
            assert counted == joined
        sources = session.execute(select(Task.tile_id, Task.source)).all()
        controls = {id for id, source in sources if source is TaskSource.CONTROL}
        assert controls >= joined | (to_learn & set(painted))

    # what the first version missed was counted from its own sweep
    with database.unit_of_work() as session:
        rows = session.scalars(
            select(QueryTile).where(QueryTile.query_id == query.id)
        ).all()
        taught = {row.tile_id: row.lessons for row in rows if row.lessons}
        assert set(taught) == set(painted)
        old = session.scalars(
            select(ModelVersion.id).where(ModelVersion.ordinal == 1)
        ).one()
        for id in painted[:5]:
            tile = session.get_one(Tile, id)
            tree = artifacts.tree(
                session,
                session.scalars(
                    select(Prediction.artifact_id).where(
                        Prediction.model_version_id == old,
                        Prediction.image_id == tile.image_id,
                    )
                ).one(),
            )
            said = np.load(io.BytesIO(store.get_bytes(f"{tree.prefix}/labels.npy")))
            truth = pool[tile.image_id].truth[tile.box.slices]
            for value in (ER, MITO):
                missed = ((truth == value) & (said[tile.box.slices] != value)).sum()
                assert taught[id][str(value)]["missed"] == missed
        new = live(database)
        scores = artifacts.tree(session, new.scores_id)
        assert ASKED in scores.manifest
    known = json.loads(store.get_bytes(f"{scores.prefix}/knowledge.json"))
    assert known["controls"] == len((for_validation | to_learn) & set(painted))
    assert 0 < known["spent"] < 1
    assert known["calibration"]["4"]["a"] > 0
    with database.unit_of_work() as session:
        id = project_id(database, project)
        timed = knowledge.timed(session, id)
        before = knowledge.lessons(session, id)
    assert len(timed) == sum("control" not in asked[id] for id in painted)
    assert all(tile.parts.keys() >= set(COST_PARTS) for tile in timed)
    assert {tile.minutes for tile in timed} == {1.0}
    assert len(before[ER]) == len(painted)

    (one, two) = admin.get(f"projects/{project}/metrics").json()["rounds"]
    found = one["found"]["ER"]
    drawn = {id for id in painted if "control" in asked[id]}
    assert found["chance_tiles"] == len(drawn)
    assert found["chosen_tiles"] == len(painted) - len(drawn)
    total = found["chance_missed"] + found["chosen_missed"]
    assert total == sum(taught[id][str(ER)]["missed"] for id in painted)
    assert two["found"] == {}
    # and the next order leaves them and their neighbours alone
    again = set(components(database, new.id))
    assert not again & (set(painted) | {first.tiles[5], first.tiles[6]})

    # once the sweep is gone, what was learnt from it stays
    with database.unit_of_work() as session:
        for row in session.scalars(
            select(Prediction).where(Prediction.model_version_id == old)
        ):
            session.delete(row)
    answer = admin.post(f"projects/{project}/queries/rerank")
    assert answer.status_code == 202, answer.text
    assert work_off(database, store, tmp_path / "third") == [JobKind.SCORE]
    with database.unit_of_work() as session:
        newest = live(database)
        tree = artifacts.tree(session, newest.scores_id)
    known = json.loads(store.get_bytes(f"{tree.prefix}/knowledge.json"))
    assert set(known["corrections"]) == {"1", "2", "3", "4", "5"}
    assert known["corrections"]["4"]["weights"]

    # a retracted mask teaches nothing more
    with database.unit_of_work() as session:
        last = session.scalars(
            select(Annotation.id).where(Annotation.tile_id == painted[-1])
        ).one()
    assert admin.post(f"annotations/{last}/retract").status_code == 200
    with database.unit_of_work() as session:
        after = knowledge.lessons(session, project_id(database, project))
    assert len(after[ER]) == len(painted) - 1
