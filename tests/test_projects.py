"""Projects and their labels over REST."""

import uuid

import pytest
from api_fixtures import database_of, person
from fastapi import FastAPI
from fastapi.testclient import TestClient
from sqlalchemy import select

from backend.models import AuditEntry


def test_create_from_a_preset(admin: TestClient) -> None:
    answer = admin.post("projects", json={"name": "Human Liver 7", "preset": "liver"})
    assert answer.status_code == 201
    made = answer.json()
    assert made["slug"] == "human-liver-7"
    assert answer.headers["location"] == "/api/v1/projects/human-liver-7"
    other = admin.post("projects", json={"name": "Zürich " + 90 * "x"}).json()
    assert other["slug"] == "zurich-" + 73 * "x"
    assert answer.headers["etag"] == '"1"'
    assert [label["name"] for label in made["labels"]] == [
        "nucleus",
        "mitochondria",
        "lipid droplet",
        "ER",
        "cell boundary",
    ]
    assert [label["value"] for label in made["labels"]] == [1, 2, 3, 4, 5]
    er = made["labels"][3]
    assert er["priority"] > max(
        label["priority"] for label in made["labels"] if label is not er
    )
    assert made["training"] == {
        "profile": "cpu",
        "schedule": "auto",
        "full_every": 5,
        "steps": 1500,
        "quick_steps": 300,
        "minutes": None,
        "stop_at_plateau": True,
        "folds": 1,
    }
    assert admin.get(f"projects/{made['id']}").json() == made
    assert admin.get("projects/human-liver-7").json() == made


@pytest.mark.parametrize(
    ("body", "status", "pointer"),
    [
        ({}, 422, "/body/name"),
        ({"name": ""}, 422, "/body/name"),
        ({"name": "!!!"}, 422, "/slug"),
        ({"name": "x", "slug": "Has Space"}, 422, "/body/slug"),
        ({"name": "x", "preset": "kidney"}, 422, "/body/preset"),
        ({"name": "x", "tile_size": 8}, 422, "/body/tile_size"),
        ({"name": "x", "tilesize": 64}, 422, "/body/tilesize"),
        ({"name": "x", "strategy": "best"}, 422, "/strategy"),
        ({"name": "x", "time_zone": "Mars/Olympus"}, 422, "/time_zone"),
        ({"name": "x", "labels": [{"name": "a", "value": 255}]}, 422, None),
        (
            {"name": "x", "labels": [{"name": "a"}, {"name": "a"}]},
            409,
            "/labels/1/name",
        ),
        (
            {
                "name": "x",
                "labels": [{"name": "a", "value": 3}, {"name": "b", "value": 3}],
            },
            409,
            "/labels/1/value",
        ),
    ],
)
def test_bad_projects(
    admin: TestClient, body: dict[str, object], status: int, pointer: str | None
) -> None:
    answer = admin.post("projects", json=body)
    assert answer.status_code == status, answer.text
    if pointer:
        assert answer.json()["errors"][0]["pointer"] == pointer
    assert admin.get("projects").json()["items"] == []


def test_a_slug_belongs_to_one_project(admin: TestClient) -> None:
    assert admin.post("projects", json={"name": "A b"}).status_code == 201
    answer = admin.post("projects", json={"name": "a  B"})
    assert answer.status_code == 409
    assert answer.json()["errors"][0]["pointer"] == "/slug"


def test_members_see_their_projects_only(
    app: FastAPI, admin: TestClient, project: str
) -> None:
    viewer = person(app, admin, project, "viewer")
    admin.post("projects", json={"name": "Secret"})
    assert [p["slug"] for p in viewer.get("projects").json()["items"]] == [project]
    hidden, missing = viewer.get("projects/secret"), viewer.get("projects/nothing")
    assert hidden.status_code == missing.status_code == 404
    assert hidden.json()["detail"] == missing.json()["detail"]
    assert viewer.get(f"projects/{uuid.uuid4()}").status_code == 404


def test_edit(app: FastAPI, admin: TestClient, project: str) -> None:
    path = f"projects/{project}"
    tag = admin.get(path).headers["etag"]
    answer = admin.patch(
        path,
        json={"query_size": 20, "review": True, "training": {"steps": 10}},
        headers={"If-Match": tag},
    )
    assert answer.status_code == 200, answer.text
    assert answer.json()["query_size"] == 20
    assert answer.json()["review"] is True
    assert answer.json()["training"]["steps"] == 10
    assert answer.headers["etag"] != tag
    assert admin.get(path).headers["etag"] == answer.headers["etag"]
    with database_of(app).unit_of_work() as session:
        entry = session.scalars(
            select(AuditEntry).where(AuditEntry.action == "edit")
        ).one()
        assert entry.detail["query_size"] == 20


def test_only_managers_edit(app: FastAPI, admin: TestClient, project: str) -> None:
    path = f"projects/{project}"
    tag = {"If-Match": admin.get(path).headers["etag"]}
    reviewer = person(app, admin, project, "reviewer")
    answer = reviewer.patch(path, json={"query_size": 3}, headers=tag)
    assert answer.status_code == 403
    assert "manager" in answer.json()["detail"]
    manager = person(app, admin, project, "manager")
    answer = manager.patch(path, json={"query_size": 3}, headers=tag)
    assert answer.status_code == 200


def test_labels_are_added_and_never_change_value(
    admin: TestClient, project: str
) -> None:
    path = f"projects/{project}"
    before = admin.get(path).headers["etag"]
    made = admin.post(f"{path}/labels", json={"name": "peroxisome"})
    assert made.status_code == 201
    assert made.json()["value"] == 6
    again = admin.post(f"{path}/labels", json={"name": "peroxisome"})
    assert again.status_code == 409
    taken = admin.post(f"{path}/labels", json={"name": "x", "value": 2})
    assert taken.status_code == 409
    tag = admin.get(path).headers["etag"]
    assert tag != before
    edited = admin.patch(
        f"{path}/labels/6", json={"priority": 2.5}, headers={"If-Match": tag}
    )
    assert edited.status_code == 200
    assert edited.json()["priority"] == 2.5
    stale = admin.patch(
        f"{path}/labels/6", json={"priority": 1}, headers={"If-Match": tag}
    )
    assert stale.status_code == 412
    tag = admin.get(path).headers["etag"]
    headers = {"If-Match": tag}
    value = admin.patch(f"{path}/labels/6", json={"value": 7}, headers=headers)
    assert value.status_code == 422
    unknown = admin.patch(f"{path}/labels/99", json={"priority": 1}, headers=headers)
    assert unknown.status_code in (404, 422)
    same = admin.patch(f"{path}/labels/6", json={"name": "ER"}, headers=headers)
    assert same.status_code == 409
