"""Queries, the tasks they become, and tiles with their state, over HTTP."""

import uuid
from collections.abc import Sequence

import pytest
from api_fixtures import person
from fastapi import FastAPI
from fastapi.testclient import TestClient
from loop_fixtures import annotate, place, project_id, version
from sqlalchemy import select

from backend.db import Database
from backend.domain.states import ModelState, QueryState, Split
from backend.models import Project, Query, QueryTile
from backend.services import orders, starts
from backend.storage import ArtifactStore


def choose(client: TestClient, project: str, tiles: Sequence[uuid.UUID]) -> dict:
    answer = client.post(
        f"projects/{project}/queries", json={"tiles": [str(tile) for tile in tiles]}
    )
    assert answer.status_code == 201, answer.text
    return answer.json()


def test_chosen_tiles_are_served_in_the_order_given(
    admin: TestClient, project: str, database: Database, store: ArtifactStore
) -> None:
    image = place(database, store, project, seed=1)
    tiles = [image.tiles[n] for n in (7, 2, 11, 0, 15)]
    query = choose(admin, project, tiles)
    assert (query["strategy"], query["state"], query["size"]) == ("chosen", "live", 5)
    assert admin.get(f"queries/{query['id']}").json() == query
    first = admin.get(f"queries/{query['id']}/tiles", params={"limit": 3}).json()
    rest = admin.get(
        f"queries/{query['id']}/tiles", params={"cursor": first["next"]}
    ).json()
    assert len(first["items"]) == 3
    assert rest["next"] is None
    ranks = [*first["items"], *rest["items"]]
    assert [item["rank"] for item in ranks] == [1, 2, 3, 4, 5]
    assert [item["tile"]["id"] for item in ranks] == [str(tile) for tile in tiles]
    assert ranks[0]["tile"]["box"] == {"y": 64, "x": 192, "h": 64, "w": 64}
    assert {item["component"] for item in ranks} == {"chosen"}
    assert {item["reason"] for item in ranks} == {"Chosen by admin."}
    assert all(item["parts"] == {} for item in ranks)
    served = admin.post(f"projects/{project}/claims", json={"count": 2}).json()["tasks"]
    assert [task["tile"]["id"] for task in served] == [str(tile) for tile in tiles[:2]]
    newer = choose(admin, project, [image.tiles[1]])
    listed = admin.get(f"projects/{project}/queries").json()["items"]
    assert [(item["id"], item["state"]) for item in listed] == [
        (newer["id"], "live"),
        (query["id"], "superseded"),
    ]


def test_after_chosen_tiles_the_start_goes_on(
    admin: TestClient, project: str, database: Database, store: ArtifactStore
) -> None:
    """Else nobody would get a tile any more until somebody trained."""
    image = place(database, store, project, seed=1)
    choose(admin, project, [image.tiles[3]])
    served = admin.post(f"projects/{project}/claims", json={"count": 2}).json()["tasks"]
    first, second = (task["tile"]["id"] for task in served)
    assert first == str(image.tiles[3])
    assert second != first
    (live, chosen) = admin.get(f"projects/{project}/queries").json()["items"]
    assert (live["strategy"], live["state"]) == ("start", "live")
    assert (chosen["strategy"], chosen["state"]) == ("chosen", "superseded")


def test_a_query_of_the_ranker_gives_numbers_and_reasons(
    admin: TestClient, project: str, database: Database, store: ArtifactStore
) -> None:
    place(database, store, project, seed=1)
    with database.unit_of_work() as session:
        row = session.scalars(select(Project)).one()
        made = starts.make(session, row)
        assert made is not None
        id = made.id
    shown = admin.get(f"queries/{id}").json()
    assert (shown["strategy"], shown["model_version_id"]) == ("start", None)
    assert shown["size"] == 10  # the query and its reserve
    items = admin.get(f"queries/{id}/tiles").json()["items"]
    with database.unit_of_work() as session:
        stored = session.scalars(
            select(QueryTile).where(QueryTile.query_id == id).order_by(QueryTile.rank)
        ).all()
    for item, row in zip(items, stored, strict=True):
        assert item["tile"]["id"] == str(row.tile_id)
        assert item["score"] == row.score
        assert {**item["parts"], "component": item["component"]} == row.parts
        assert item["reason"] == row.reason


def test_what_cannot_be_chosen(
    admin: TestClient, project: str, database: Database, store: ArtifactStore
) -> None:
    image = place(database, store, project, seed=1)
    held_out = place(database, store, project, seed=2, split=Split.TEST)
    annotate(database, image, [0])

    def refused(*tiles: uuid.UUID) -> tuple[int, list[str]]:
        answer = admin.post(
            f"projects/{project}/queries", json={"tiles": [str(t) for t in tiles]}
        )
        pointers = [error["pointer"] for error in answer.json()["errors"]]
        return answer.status_code, pointers

    assert refused(image.tiles[1], image.tiles[1]) == (422, ["/tiles"])
    assert refused(held_out.tiles[0]) == (422, ["/tiles"])
    assert refused(uuid.uuid4()) == (422, ["/tiles"])
    assert refused(image.tiles[0]) == (409, ["/tiles"])
    assert refused()[0] == 422
    assert admin.get(f"projects/{project}/queries").json()["items"] == []


def test_ranking_again_needs_a_live_version_and_runs_once(
    admin: TestClient, project: str, database: Database, store: ArtifactStore
) -> None:
    path = f"projects/{project}/queries/rerank"
    assert admin.post(path).status_code == 409
    id = version(database, store, project, state=ModelState.LIVE)
    answer = admin.post(path)
    assert answer.status_code == 202, answer.text
    job = answer.json()
    assert (job["kind"], job["payload"]) == ("score", {"model_version_id": str(id)})
    assert answer.headers["location"] == f"/api/v1/jobs/{job['id']}"
    assert admin.post(path).status_code == 409


@pytest.mark.parametrize(
    ("role", "status"), [("viewer", 403), ("annotator", 403), ("reviewer", 201)]
)
def test_who_may_choose(
    app: FastAPI,
    admin: TestClient,
    project: str,
    database: Database,
    store: ArtifactStore,
    role: str,
    status: int,
) -> None:
    image = place(database, store, project, seed=1)
    someone = person(app, admin, project, role)
    answer = someone.post(
        f"projects/{project}/queries", json={"tiles": [str(image.tiles[0])]}
    )
    assert answer.status_code == status
    again = someone.post(f"projects/{project}/queries/rerank")
    assert again.status_code == (409 if status == 201 else 403)
    assert someone.get(f"projects/{project}/queries").status_code == 200
    assert someone.get(f"projects/{project}/tiles").status_code == 200


@pytest.mark.parametrize("cursor", ["-1", "x", "٣", "1" * 20])
def test_a_foreign_cursor_is_refused(
    admin: TestClient,
    project: str,
    database: Database,
    store: ArtifactStore,
    cursor: str,
) -> None:
    image = place(database, store, project, seed=1)
    query = choose(admin, project, [image.tiles[0]])
    answer = admin.get(f"queries/{query['id']}/tiles", params={"cursor": cursor})
    assert answer.status_code == 422


def test_strangers_see_no_query(
    app: FastAPI,
    admin: TestClient,
    project: str,
    database: Database,
    store: ArtifactStore,
) -> None:
    image = place(database, store, project, seed=1)
    query = choose(admin, project, [image.tiles[0]])["id"]
    other = admin.post("projects", json={"name": "Other", "preset": "liver"}).json()
    outsider = person(app, admin, other["slug"], "manager")
    for path in (
        f"queries/{query}",
        f"queries/{query}/tiles",
        f"projects/{project}/queries",
        f"projects/{project}/tiles",
    ):
        assert outsider.get(path).status_code == 404, path
    tiles = {"tiles": [str(image.tiles[0])]}
    answer = outsider.post(f"projects/{other['slug']}/queries", json=tiles)
    assert answer.status_code == 422  # a tile of another project


def test_tiles_tell_what_has_become_of_them(
    admin: TestClient, project: str, database: Database, store: ArtifactStore
) -> None:
    image = place(database, store, project, seed=1)
    place(database, store, project, seed=2, split=Split.TEST)
    (accepted,) = annotate(database, image, [9])
    choose(admin, project, [image.tiles[n] for n in (4, 5, 6, 7)])

    def claim() -> str:
        answer = admin.post(f"projects/{project}/claims", json={"count": 1})
        return str(answer.json()["tasks"][0]["id"])

    done = admin.post(f"tasks/{claim()}/annotations", content=bytes(64 * 64))
    assert done.status_code == 201, done.text
    skipped = admin.post(f"tasks/{claim()}/skip", json={"reason": "out of focus"})
    assert skipped.status_code == 200, skipped.text
    claim()

    def states(**params: str) -> dict[int, str]:
        items, cursor = [], None
        while True:
            more = {"cursor": cursor} if cursor else {}
            page = admin.get(
                f"projects/{project}/tiles", params={"limit": 10, **params, **more}
            ).json()
            items += page["items"]
            if (cursor := page["next"]) is None:
                break
        assert len({item["id"] for item in items}) == len(items)
        for item in items:
            assert (item["annotation_id"] is not None) == (item["state"] == "annotated")
        return {item["position"]: item["state"] for item in items}

    special = {4: "annotated", 5: "skipped", 6: "claimed", 7: "open", 9: "annotated"}
    assert states(image=str(image.id)) == {
        position: special.get(position, "free") for position in range(16)
    }
    assert states(split="pool") == states(image=str(image.id))
    for state in {"free", "submitted", "returned", *special.values()}:
        alone = {at: found for at, found in special.items() if found == state}
        if state == "free":
            alone = {at: "free" for at in range(16) if at not in special}
        assert states(split="pool", state=state) == alone
    assert set(states(split="test").values()) == {"free"}
    assert admin.post(f"annotations/{accepted}/retract").status_code == 200
    assert states(split="pool")[9] == "free"
    assert 9 not in states(split="pool", state="annotated")
    assert admin.post(f"tasks/{done.json()['task_id']}/reopen").status_code == 200
    again = admin.get(f"tiles/{image.tiles[4]}").json()
    assert (again["state"], again["annotation_id"]) == ("returned", done.json()["id"])
    listed = admin.get(f"projects/{project}/tiles", params={"state": "returned"})
    assert listed.json()["items"] == [again]


def test_a_rank_is_served_again_after_a_choice_of_others(
    admin: TestClient, project: str, database: Database, store: ArtifactStore
) -> None:
    """Serving an older Query again opens what it asked for and nobody did meanwhile."""
    image = place(database, store, project, seed=1)
    first = choose(admin, project, [image.tiles[n] for n in (0, 1, 2)])
    choose(admin, project, [image.tiles[3]])
    annotate(database, image, [1])
    with database.unit_of_work() as session:
        query = session.get_one(Query, uuid.UUID(first["id"]))
        assert query.project_id == project_id(database, project)
        orders.make_live(session, query)
        assert query.state is QueryState.LIVE
    served = admin.post(f"projects/{project}/claims", json={"count": 2}).json()["tasks"]
    assert [(task["rank"], task["tile"]["id"]) for task in served] == [
        (1, str(image.tiles[0])),
        (3, str(image.tiles[2])),
    ]
