"""Projects that share images: own rows and tiles, one set of bytes."""

import io
import threading
import uuid
from typing import Any

import numpy as np
import pytest
from api_fixtures import person, run_jobs
from fastapi import FastAPI
from fastapi.testclient import TestClient
from PIL import Image as Picture
from sqlalchemy import select

from backend.db import Database
from backend.domain.states import ImageState
from backend.models import Artifact, Image
from backend.services import artifacts, erasures
from backend.services.access import Principal
from backend.storage import ArtifactStore


def upload(admin: TestClient, project: str, seed: int, split: str = "pool") -> Any:
    grey = np.random.default_rng(seed).integers(0, 256, (96, 128), np.uint8)
    file = io.BytesIO()
    Picture.fromarray(grey).save(file, "PNG")
    answer = admin.post(
        f"projects/{project}/images",
        params={"name": f"{seed}.png", "split": split, "pixel_nm": 4.6, "donor": "d"},
        content=file.getvalue(),
        headers={"Content-Type": "application/octet-stream"},
    )
    assert answer.status_code == 202, answer.text
    return answer.json()


def share(admin: TestClient, project: str, name: str, **more: Any) -> Any:
    body = {"name": name, "preset": "liver", "tile_size": 64, "query_size": 2}
    return admin.post("projects", json=body | {"images_from": project} | more)


def listed(admin: TestClient, project: str) -> dict[str, Any]:
    rows = admin.get(f"projects/{project}/images").json()["items"]
    return {row["name"]: row for row in rows}


def stored(store: ArtifactStore, key: str) -> list[Any]:
    return [entry for page in store.below(key).list() for entry in page]


@pytest.fixture
def filled(app: FastAPI, admin: TestClient, project: str) -> str:
    upload(admin, project, 1)
    upload(admin, project, 2, "test")
    run_jobs(app)
    return project


def test_a_copy_has_the_images_and_nothing_that_was_made_of_them(
    app: FastAPI, admin: TestClient, filled: str, store: ArtifactStore
) -> None:
    before = listed(admin, filled)
    first = before["1.png"]["id"]
    labels = np.full((96, 128), 4, np.uint8)
    admin.post(
        f"images/{first}/labels",
        content=_png(labels),
        headers={"Content-Type": "application/octet-stream"},
    )
    answer = share(admin, filled, "Second")
    assert answer.status_code == 201, answer.text
    after = listed(admin, "second")
    assert set(after) == set(before)
    own = {"id", "project_id", "uploaded_by", "version"}
    for name, row in after.items():
        assert row["id"] != before[name]["id"]
        assert {k: v for k, v in row.items() if k not in own} == {
            k: v for k, v in before[name].items() if k not in own
        }
    assert run_jobs(app) == [], "nothing is decoded again"
    tiles = admin.get("projects/second/tiles", params={"limit": 200}).json()["items"]
    assert len(tiles) == 8
    assert {(tile["split"], tile["state"]) for tile in tiles} == {
        ("pool", "open"),
        ("test", "free"),
    }
    for id in (first, after["1.png"]["id"]):
        where = {"y": 3, "x": 5, "h": 20, "w": 30, "format": "raw"}
        found = admin.get(f"images/{id}/region", params=where)
        grey = np.random.default_rng(1).integers(0, 256, (96, 128), np.uint8)
        assert found.content == grey[3:23, 5:35].tobytes()
    claimed = admin.post("projects/second/claims", json={}).json()["tasks"]
    assert claimed[0]["tile"]["image_id"] == after["1.png"]["id"]


def test_bytes_go_with_the_last_image_that_needs_them(
    app: FastAPI, admin: TestClient, filled: str, database: Database
) -> None:
    share(admin, filled, "Second")
    share(admin, "second", "Third")
    ids = [listed(admin, slug)["1.png"]["id"] for slug in (filled, "second", "third")]
    with database.unit_of_work() as session:
        image = session.get_one(Image, uuid.UUID(ids[0]))
        pyramid = image.pyramid_id
    for gone in (ids[0], ids[2]):
        assert admin.delete(f"images/{gone}").status_code == 204
        assert admin.get(f"images/{gone}/region").status_code == 409
        assert admin.get(f"images/{ids[1]}/region").status_code == 200
        original = admin.get(f"images/{ids[1]}/original")
        assert original.content.startswith(b"\x89PNG")
    with database.unit_of_work() as session:
        key = session.get_one(Artifact, pyramid).key
    store: ArtifactStore = app.state.store
    assert stored(store, key)
    assert admin.delete(f"images/{ids[1]}").status_code == 204
    with database.unit_of_work() as session:
        assert session.get(Artifact, pyramid) is None
    assert not stored(store, key)


def test_two_that_let_go_at_once_leave_nothing_behind(
    app: FastAPI, admin: TestClient, filled: str, database: Database
) -> None:
    share(admin, filled, "Second")
    ids = [uuid.UUID(listed(admin, slug)["1.png"]["id"]) for slug in (filled, "second")]
    me = admin.get("me").json()
    principal = Principal(uuid.UUID(me["id"]), me["name"], is_admin=True)
    both = threading.Barrier(2)
    failed: list[BaseException] = []

    def erase(id: uuid.UUID) -> None:
        try:
            with database.unit_of_work() as session:
                session.execute(select(1))
                both.wait(10)
                erasures.erase(session, principal, id)
        except BaseException as error:  # noqa: BLE001 - shown by the test
            failed.append(error)

    threads = [threading.Thread(target=erase, args=(id,)) for id in ids]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert not failed
    with database.unit_of_work() as session:
        waiting = select(Artifact.id).where(Artifact.deleted_at.is_not(None))
        assert len(session.scalars(waiting).all()) == 2
        assert artifacts.erase(session, app.state.store) == 2


def test_what_cannot_be_shared_is_refused(
    app: FastAPI, admin: TestClient, filled: str, database: Database
) -> None:
    wrong = share(admin, filled, "Other tiles", tile_size=128)
    assert wrong.status_code == 422
    assert "tiles of 64 pixels" in wrong.json()["detail"]
    assert share(admin, "nowhere", "Nothing").status_code == 404
    for role, status in (("annotator", 403), ("manager", 201)):
        somebody = person(app, admin, filled, role)
        assert share(somebody, filled, f"By a {role}").status_code == status
    slugs = {p["slug"] for p in admin.get("projects").json()["items"]}
    assert slugs == {filled, "by-a-manager"}
    with database.unit_of_work() as session:
        mine = uuid.UUID(listed(admin, filled)["2.png"]["id"])
        session.get_one(Image, mine).state = ImageState.UPLOADED
    unready = share(admin, filled, "Third")
    assert unready.status_code == 409
    assert "wait" in unready.json()["detail"]


def _png(mask: Any) -> bytes:
    file = io.BytesIO()
    Picture.fromarray(mask).save(file, "PNG")
    return file.getvalue()
