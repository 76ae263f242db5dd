"""Control tiles: blank, drawn by chance, and every second one joins validation."""

import uuid
from collections.abc import Sequence

import numpy as np
import pytest
from api_fixtures import person
from fastapi import FastAPI
from fastapi.testclient import TestClient
from loop_fixtures import (
    ER,
    Placed,
    annotate,
    place,
    project_id,
    sweep,
    version,
)
from sqlalchemy import select

from backend.db import Database
from backend.domain.states import ModelState, QueryState, Split, TaskSource
from backend.models import (
    AuditEntry,
    Project,
    Query,
    QueryTile,
    Task,
    Tile,
    TrainingSet,
    TrainingSetItem,
)
from backend.services import controls, orders, starts
from backend.storage import ArtifactStore

TILE = 64
HEAD = ("control-validation", "missed:ER", "control")


def asked(
    database: Database, slug: str, tiles: Sequence[uuid.UUID], components: Sequence[str]
) -> uuid.UUID:
    """Serve a ranking whose components chose these tiles."""
    with database.unit_of_work() as session:
        project = session.scalars(select(Project).where(Project.slug == slug)).one()
        query = Query(
            project_id=project.id,
            strategy="er-gap",
            seed=0,
            state=QueryState.SUPERSEDED,
        )
        session.add(query)
        session.flush()
        session.add_all(
            QueryTile(
                query_id=query.id,
                rank=rank,
                tile_id=tile,
                score=1.0,
                parts={"component": component, component: 1.0},
                reason="because",
            )
            for rank, (tile, component) in enumerate(
                zip(tiles, components, strict=True), start=1
            )
        )
        session.flush()
        orders.make_live(session, query)
        return query.id


def claim(client: TestClient, project: str) -> dict:
    answer = client.post(f"projects/{project}/claims", json={"count": 1})
    return answer.json()["tasks"][0]


def submit(client: TestClient, task: dict, image: Placed, database: Database) -> dict:
    with database.unit_of_work() as session:
        box = session.get_one(Tile, uuid.UUID(task["tile"]["id"])).box
    mask = np.ascontiguousarray(image.truth[box.slices])
    answer = client.post(f"tasks/{task['id']}/annotations", content=mask.tobytes())
    assert answer.status_code == 201, answer.text
    return answer.json()


def split_of(database: Database, tile: uuid.UUID) -> Split:
    with database.unit_of_work() as session:
        return session.get_one(Tile, tile).split


def moves(database: Database) -> list[AuditEntry]:
    with database.unit_of_work() as session:
        return list(
            session.scalars(
                select(AuditEntry).where(AuditEntry.action == "join validation")
            )
        )


def test_every_second_control_tile_joins_validation_when_it_is_accepted(
    admin: TestClient, project: str, database: Database, store: ArtifactStore
) -> None:
    image = place(database, store, project, seed=1)
    tiles = [image.tiles[n] for n in (5, 7, 13)]
    asked(database, project, tiles, HEAD)
    for tile, ends in zip(
        tiles, (Split.VALIDATION, Split.POOL, Split.POOL), strict=True
    ):
        task = claim(admin, project)
        assert task["tile"]["id"] == str(tile)
        assert task["tile"]["split"] == "pool"
        made = submit(admin, task, image, database)
        assert made["accepted_at"]
        assert split_of(database, tile) is ends
    (moved,) = moves(database)
    assert (moved.object_kind, moved.object_id) == ("tile", str(tiles[0]))
    assert set(moved.detail) == {"annotation"}
    listed = admin.get(f"projects/{project}/tiles", params={"split": "validation"})
    (shown,) = listed.json()["items"]
    assert (shown["id"], shown["state"]) == (str(tiles[0]), "annotated")
    with database.unit_of_work() as session:
        id = project_id(database, project)
        assert controls.accepted(session, id) == 2


def test_control_tiles_are_painted_on_a_blank_tile(
    admin: TestClient,
    project: str,
    database: Database,
    store: ArtifactStore,
    tmp_path: object,
) -> None:
    image = place(database, store, project, seed=1)
    model = version(database, store, project, state=ModelState.LIVE)
    shown = sweep(database, store, model, image, tmp_path / "sweep")  # type: ignore[operator]
    asked(database, project, [image.tiles[n] for n in (5, 7, 13)], HEAD)
    seen = []
    for _ in HEAD:
        task = claim(admin, project)
        seen.append(task["prediction_id"])
        submit(admin, task, image, database)
    assert seen == [None, str(shown.id), None]
    with database.unit_of_work() as session:
        sources = session.scalars(select(Task.source).order_by(Task.rank)).all()
    assert sources == [TaskSource.CONTROL, TaskSource.QUERY, TaskSource.CONTROL]


def test_neighbours_of_a_tile_that_joined_are_ranked_no_more(
    admin: TestClient, project: str, database: Database, store: ArtifactStore
) -> None:
    image = place(database, store, project, seed=1)  # four by four tiles
    apart = place(database, store, project, seed=2, split=Split.VALIDATION)
    annotate(database, apart, [0])
    asked(database, project, [image.tiles[5]], ["control-validation"])
    submit(admin, claim(admin, project), image, database)
    with database.unit_of_work() as session:
        id = project_id(database, project)
        kept_out = set(session.scalars(orders.unranked(id)))
    beside = {image.tiles[n] for n in (1, 4, 5, 6, 9)}
    assert kept_out == beside | {apart.tiles[0]}
    with database.unit_of_work() as session:
        started = starts.make(session, session.get_one(Project, id))
        assert started is not None
        head = session.scalars(
            select(QueryTile.tile_id).where(QueryTile.query_id == started.id)
        ).all()
    assert len(head) == 10
    assert not beside & set(head)
    # people may still choose them
    chosen = admin.post(
        f"projects/{project}/queries", json={"tiles": [str(image.tiles[4])]}
    )
    assert chosen.status_code == 201, chosen.text


def test_with_review_it_joins_when_the_reviewer_accepts(
    app: FastAPI,
    admin: TestClient,
    project: str,
    database: Database,
    store: ArtifactStore,
) -> None:
    image = place(database, store, project, seed=1)
    etag = admin.get(f"projects/{project}").headers["ETag"]
    admin.patch(
        f"projects/{project}", json={"review": True}, headers={"If-Match": etag}
    ).raise_for_status()
    first, second = image.tiles[5], image.tiles[15]
    asked(database, project, [first, second], ["control-validation"] * 2)
    reviewer = person(app, admin, project, "reviewer")
    for _ in range(2):
        submit(admin, claim(admin, project), image, database)
    assert split_of(database, first) is Split.POOL

    def review() -> dict:
        body = {"kind": "review", "count": 1}
        answer = reviewer.post(f"projects/{project}/claims", json=body)
        return answer.json()["tasks"][0]

    judged = reviewer.post(f"tasks/{review()['id']}/verdict", json={"accept": True})
    assert judged.status_code == 200, judged.text
    assert split_of(database, first) is Split.VALIDATION
    submit(reviewer, review(), image, database)  # the reviewer's own mask
    assert split_of(database, second) is Split.VALIDATION
    assert len(moves(database)) == 2


def test_a_tile_that_was_learnt_from_stays_in_the_pool(
    admin: TestClient, project: str, database: Database, store: ArtifactStore
) -> None:
    image = place(database, store, project, seed=1)
    asked(database, project, [image.tiles[5]], ["control-validation"])
    task = claim(admin, project)
    (learnt,) = annotate(database, image, [5])
    with database.unit_of_work() as session:
        kept = TrainingSet(project_id=project_id(database, project))
        session.add(kept)
        session.flush()
        item = TrainingSetItem(
            training_set_id=kept.id, annotation_id=learnt, tile_id=image.tiles[5]
        )
        session.add(item)
    submit(admin, task, image, database)
    assert split_of(database, image.tiles[5]) is Split.POOL
    assert moves(database) == []


def test_a_lapsed_control_tile_is_still_one(
    admin: TestClient, project: str, database: Database, store: ArtifactStore
) -> None:
    """A newer order withdraws it unless it asks for the tile itself."""
    image = place(database, store, project, seed=1)
    asked(database, project, [image.tiles[5]], ["control-validation"])
    task = claim(admin, project)
    asked(database, project, [image.tiles[5], image.tiles[15]], ["missed:ER"] * 2)
    assert admin.post(f"tasks/{task['id']}/release").status_code == 200
    again = claim(admin, project)
    assert again["id"] == task["id"]
    submit(admin, again, image, database)
    assert split_of(database, image.tiles[5]) is Split.VALIDATION


@pytest.mark.parametrize("component", ["missed:ER", "random", "chosen", ER, None])
def test_nothing_else_is_a_control(component: str | None) -> None:
    found = controls.source_of(component, TaskSource.QUERY)
    assert found is TaskSource.QUERY
