"""Model versions, predictions and exports over HTTP."""

import io
import json
import math
import zipfile
from pathlib import Path

import numpy as np
import pytest
from api_fixtures import id_of, person
from fastapi import FastAPI
from fastapi.testclient import TestClient
from loop_fixtures import (
    ER,
    MITO,
    TILE,
    Placed,
    annotate,
    place,
    sweep,
    version,
    work_off,
)
from obstore.store import from_url
from PIL import Image as Picture
from sqlalchemy import select

from backend.api.archive import zipped
from backend.db import Database
from backend.domain.geometry import Box
from backend.domain.states import JobKind, ModelState, Split
from backend.imaging.arrays import open_array
from backend.models import Image, Job, ModelVersion
from backend.schemas.stored import StoredTree
from backend.services import downloads, maps, quality
from backend.storage import ArtifactStore


def test_a_version_tells_all_of_itself(
    admin: TestClient, project: str, database: Database, store: ArtifactStore
) -> None:
    image = place(database, store, project, seed=1)
    lessons = annotate(database, image, [3, 4], seconds=30, author_id=id_of(admin))
    id = version(
        database,
        store,
        project,
        lessons=lessons,
        counts={
            (Split.VALIDATION, MITO): (60, 20, 40),
            (Split.VALIDATION, ER): (0, 0, 0),
            (Split.TEST, MITO): (1, 0, 0),
        },
    )
    shown = admin.get(f"models/{id}").json()
    assert (shown["ordinal"], shown["state"], shown["tiles"]) == (1, "candidate", 2)
    mito = {
        "dice": 2 * 60 / (2 * 60 + 20 + 40),
        "iou": 60 / 120,
        "f1": 2 * 60 / (2 * 60 + 20 + 40),
        "precision": 60 / 80,
        "recall": 60 / 100,
        "ap": None,
        **dict.fromkeys(quality.ENDS),
    }
    assert shown["quality"]["validation"] == {
        "mitochondria": mito,
        "ER": dict.fromkeys(mito),
        "mean": mito,
    }
    assert shown["quality"]["test"]["mitochondria"]["dice"] == 1
    assert admin.get(f"projects/{project}/models").json()["items"] == [shown]
    learnt = admin.get(f"models/{id}/training-set", params={"limit": 1}).json()
    rest = admin.get(
        f"models/{id}/training-set", params={"cursor": learnt["next"]}
    ).json()
    both = [*learnt["items"], *rest["items"]]
    assert rest["next"] is None
    assert {item["annotation_id"] for item in both} == set(map(str, lessons))
    assert {item["tile_id"] for item in both} == {str(image.tiles[n]) for n in (3, 4)}
    assert {item["image_id"] for item in both} == {str(image.id)}
    assert {item["author"] for item in both} == {"admin"}
    assert {item["active_seconds"] for item in both} == {30}


def test_promoting_rejecting_and_going_back(
    admin: TestClient, project: str, database: Database, store: ArtifactStore
) -> None:
    assert admin.post(f"projects/{project}/rollback").status_code == 409
    first, second, third = (version(database, store, project) for _ in range(3))
    assert admin.post(f"models/{first}/promote").json()["state"] == "live"
    assert admin.post(f"models/{first}/promote").status_code == 409
    assert admin.post(f"models/{second}/promote").json()["state"] == "live"
    assert admin.get(f"models/{first}").json()["state"] == "retired"
    assert admin.post(f"models/{third}/reject").json()["state"] == "rejected"
    assert admin.post(f"models/{third}/promote").status_code == 409
    assert admin.post(f"models/{second}/reject").status_code == 409
    back = admin.post(f"projects/{project}/rollback").json()
    assert (back["id"], back["state"]) == (str(first), "live")
    forth = admin.post(f"projects/{project}/rollback").json()
    assert (forth["id"], forth["state"]) == (str(second), "live")
    with database.unit_of_work() as session:
        live = select(ModelVersion.id).where(ModelVersion.state == ModelState.LIVE)
        assert session.scalars(live).all() == [second]


def test_promoting_twice_while_the_first_sweep_waits(
    admin: TestClient, project: str, database: Database, store: ArtifactStore
) -> None:
    place(database, store, project, seed=1)
    first, second = (version(database, store, project) for _ in range(2))
    for id in (first, second, first, second):
        assert admin.post(f"models/{id}/promote").status_code == 200
    jobs = admin.get(f"projects/{project}/jobs").json()["items"]
    assert {job["kind"] for job in jobs} == {"predict"}


@pytest.mark.parametrize("role", ["viewer", "annotator", "reviewer"])
def test_only_a_manager_decides_what_serves(
    app: FastAPI,
    admin: TestClient,
    project: str,
    database: Database,
    store: ArtifactStore,
    role: str,
) -> None:
    id = version(database, store, project)
    someone = person(app, admin, project, role)
    for path in (
        f"models/{id}/promote",
        f"models/{id}/reject",
        f"projects/{project}/rollback",
        f"projects/{project}/trainings",
    ):
        assert someone.post(path, json={}).status_code == 403, path
    assert someone.get(f"models/{id}").status_code == 200
    assert someone.get(f"models/{id}/training-set").status_code == 200
    answer = someone.post(f"models/{id}/predictions", json={"image_ids": [str(id)]})
    assert answer.status_code == (422 if role == "reviewer" else 403)


def test_strangers_see_no_model(
    app: FastAPI,
    admin: TestClient,
    stranger: TestClient,
    project: str,
    database: Database,
    store: ArtifactStore,
    tmp_path: Path,
) -> None:
    image = place(database, store, project, seed=1, side=TILE)
    id = version(database, store, project)
    swept = sweep(database, store, id, image, tmp_path / "sweep").id
    other = admin.post("projects", json={"name": "Other", "preset": "liver"}).json()
    outsider = person(app, admin, other["slug"], "manager")
    for path in (
        f"models/{id}",
        f"models/{id}/training-set",
        f"models/{id}/predictions",
        f"models/{id}/download",
        f"images/{image.id}/predictions",
        f"predictions/{swept}",
        f"predictions/{swept}/labels",
        f"projects/{project}/models",
    ):
        assert stranger.get(path).status_code == 401, path
        assert outsider.get(path).status_code == 404, path


def test_a_model_comes_as_a_zip(
    admin: TestClient,
    project: str,
    database: Database,
    store: ArtifactStore,
    tmp_path: Path,
) -> None:
    weights = np.random.default_rng(0).bytes(9 * 2**20)
    folder = tmp_path / "model"
    (folder / "fold_0").mkdir(parents=True)
    (folder / "fold_0" / "final.pth").write_bytes(weights)
    (folder / "plans.json").write_text("{}")
    id = version(database, store, project, folder=folder)
    answer = admin.get(f"models/{id}/download")
    assert answer.headers["content-type"] == "application/zip"
    assert 'filename="liver-round-1.zip"' in answer.headers["content-disposition"]
    with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
        assert archive.testzip() is None
        assert archive.namelist() == [
            "liver-round-1/fold_0/final.pth",
            "liver-round-1/plans.json",
        ]
        assert archive.read("liver-round-1/fold_0/final.pth") == weights


def test_a_zip_never_holds_more_than_a_chunk(tmp_path: Path) -> None:
    store = ArtifactStore(tmp_path.as_uri())
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "big").write_bytes(bytes(40 * 2**20))
    tree = StoredTree("tree", store.put_tree("tree", tmp_path / "in"))
    sizes = [len(block) for block in zipped(store, tree, "x")]
    assert sum(sizes) > 40 * 2**20
    assert max(sizes) <= 2 * 8 * 2**20


def test_a_prediction_says_how_much_is_what(
    admin: TestClient,
    project: str,
    database: Database,
    store: ArtifactStore,
    tmp_path: Path,
) -> None:
    image = place(database, store, project, seed=1, side=TILE)
    id = version(database, store, project)
    swept = sweep(database, store, id, image, tmp_path / "sweep")
    shown = admin.get(f"predictions/{swept.id}").json()
    shares = {label["name"]: label for label in shown["labels"]}
    pixels = int((swept.labels == ER).sum())
    assert shares["ER"] == {
        "value": ER,
        "name": "ER",
        "pixels": pixels,
        "share": pixels / swept.labels.size,
    }
    assert shares["nucleus"]["pixels"] == 0
    assert math.isclose(sum(label["share"] for label in shown["labels"]), 1)
    assert (shown["members"], shown["seconds"]) == (4, 1.5)
    assert admin.get(f"models/{id}/predictions").json()["items"] == [shown]
    assert admin.get(f"images/{image.id}/predictions").json()["items"] == [shown]
    assert admin.get(f"models/{id}").json()["predictions"] == 1


def test_maps_are_the_sweep_s_own_numbers(
    admin: TestClient,
    project: str,
    database: Database,
    store: ArtifactStore,
    tmp_path: Path,
) -> None:
    image = place(database, store, project, seed=1)
    id = version(database, store, project)
    swept = sweep(database, store, id, image, tmp_path / "sweep")
    part = slice(10, 50), slice(200, 256)
    where = {"y": 10, "x": 200, "h": 40, "w": 56}
    expected = {
        "labels": swept.labels,
        "entropy": swept.entropy,
        "information": swept.information,
        "probability": swept.probabilities[4],
    }
    for name, array in expected.items():
        path = f"predictions/{swept.id}/{name}"
        named = {"label": "ER"} if name == "probability" else {}
        raw = admin.get(path, params={"format": "raw", **where, **named})
        assert raw.headers["x-shape"] == "40,56"
        assert raw.headers["x-level"] == "0"
        assert raw.headers["x-dtype"] == array.dtype.name
        assert (
            raw.content == array[part].astype(array.dtype.newbyteorder("<")).tobytes()
        )
        png = admin.get(path, params=named)
        assert Picture.open(io.BytesIO(png.content)).size == (256, 256)
    background = admin.get(
        f"predictions/{swept.id}/probability",
        params={"format": "raw", "label": "background"},
    )
    assert background.content == swept.probabilities[0].tobytes()
    labels = admin.get(f"predictions/{swept.id}/labels", params=where)
    shown = np.asarray(Picture.open(io.BytesIO(labels.content)))
    np.testing.assert_array_equal(shown, swept.labels[part])
    overlay = admin.get(f"predictions/{swept.id}/overlay", params=where)
    picture = np.asarray(Picture.open(io.BytesIO(overlay.content)))
    assert picture.shape[1] > 56  # the legend stands beside
    grey = picture[:40, :56][swept.labels[part] == 0]
    assert (grey[:, 0] == grey[:, 1]).all()
    coloured = picture[:40, :56][swept.labels[part] == MITO]
    assert (coloured[:, 0] > coloured[:, 1]).all()


@pytest.mark.parametrize(
    ("name", "params", "pointer"),
    [
        ("labels", {"y": 256}, "/region"),
        ("labels", {"h": 257}, "/region"),
        ("labels", {"level": 1}, "/level"),
        ("probability", {}, "/label"),
        ("probability", {"label": "peroxisome"}, "/label"),
        ("overlay", {"format": "raw"}, "/format"),
    ],
)
def test_a_wrong_region_names_the_mend(
    admin: TestClient,
    project: str,
    database: Database,
    store: ArtifactStore,
    tmp_path: Path,
    name: str,
    params: dict[str, str],
    pointer: str,
) -> None:
    image = place(database, store, project, seed=1)
    id = version(database, store, project)
    swept = sweep(database, store, id, image, tmp_path / "sweep").id
    answer = admin.get(f"predictions/{swept}/{name}", params=params)
    assert answer.status_code == 422
    assert [error["pointer"] for error in answer.json()["errors"]] == [pointer]
    assert admin.get(f"predictions/{swept}/colours").status_code == 422


def test_a_large_image_comes_at_the_level_that_fits(
    admin: TestClient,
    project: str,
    database: Database,
    store: ArtifactStore,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    image = place(database, store, project, seed=1, side=600)
    id = version(database, store, project)
    swept = sweep(database, store, id, image, tmp_path / "sweep")
    monkeypatch.setattr(maps, "MAX_REGION_PIXELS", 300 * 300)
    path = f"predictions/{swept.id}/labels"
    whole = admin.get(path, params={"format": "raw"})
    assert (whole.headers["x-level"], whole.headers["x-shape"]) == ("1", "300,300")
    assert whole.content == swept.labels[1::2, 1::2].tobytes()
    assert admin.get(path, params={"level": 0}).status_code == 413
    assert admin.get(f"predictions/{swept.id}/overlay").status_code == 200


def test_a_region_is_read_without_the_rest(tmp_path: Path) -> None:
    """Of a sparse file of 4 GiB only the rows of the region are read."""
    path = tmp_path / "huge.npy"
    array = np.lib.format.open_memmap(path, "w+", np.float16, (2, 32768, 32768))
    array[1, 30000:30004, 32000:32010] = np.arange(40).reshape(4, 10)
    array.flush()
    stored = open_array(from_url(tmp_path.as_uri()), "huge.npy")
    part = stored.read(Box(30001, 32000, 2, 10), plane=1)
    np.testing.assert_array_equal(part, np.arange(10, 30).reshape(2, 10))
    assert stored.size(5) == (1024, 1024)


@pytest.mark.parametrize("level", [0, 1, 2, 3])
def test_levels_hold_middle_pixels(tmp_path: Path, level: int) -> None:
    array = np.arange(3 * 37 * 21, dtype=np.uint16).reshape(3, 37, 21)
    np.save(tmp_path / "odd.npy", array)
    stored = open_array(from_url(tmp_path.as_uri()), "odd.npy")
    height, width = stored.size(level)
    got = stored.read(Box(0, 0, height, width), level, 2)
    step = 2**level
    rows = np.minimum(np.arange(height) * step + step // 2, 36)
    columns = np.minimum(np.arange(width) * step + step // 2, 20)
    np.testing.assert_array_equal(got, array[2][np.ix_(rows, columns)])
    with pytest.raises(ValueError, match="not inside"):
        stored.read(Box(0, 0, height + 1, 1), level)


def test_sweeps_on_request(
    admin: TestClient, project: str, database: Database, store: ArtifactStore
) -> None:
    spare = place(database, store, project, seed=1, split=Split.NONE)
    id = version(database, store, project)
    path = f"models/{id}/predictions"
    answer = admin.post(path, json={"image_ids": [str(spare.id)]})
    assert answer.status_code == 202, answer.text
    job = answer.json()
    assert answer.headers["location"] == f"/api/v1/jobs/{job['id']}"
    assert (job["kind"], job["lane"]) == ("predict", "cpu")
    assert job["payload"]["image_ids"] == [str(spare.id)]
    unknown = admin.post(path, json={"image_ids": [str(spare.id), str(id)]})
    assert unknown.status_code == 422
    assert unknown.json()["errors"][0]["pointer"] == "/image_ids"
    with database.unit_of_work() as session:
        row = session.get_one(ModelVersion, id)
        row.artifact_id, row.state = None, ModelState.FAILED
    assert admin.post(path, json={"image_ids": [str(spare.id)]}).status_code == 409
    assert admin.get(f"models/{id}/download").status_code == 409


def test_an_export_is_what_nnunet_reads(
    admin: TestClient,
    project: str,
    database: Database,
    store: ArtifactStore,
    tmp_path: Path,
) -> None:
    path = f"projects/{project}/exports"
    assert admin.post(path).status_code == 409
    pool = place(database, store, project, seed=1)
    test = place(database, store, project, seed=2, split=Split.TEST)
    place(database, store, project, seed=3)
    annotate(database, pool, [5])
    annotate(database, pool, [6], complete_for=(ER,))
    annotate(database, test, [0])
    answer = admin.post(path)
    assert answer.status_code == 202, answer.text
    assert admin.post(path).status_code == 409
    id = answer.json()["id"]
    assert admin.get(f"exports/{id}/download").status_code == 409
    assert work_off(database, store, tmp_path / "work") == [JobKind.EXPORT]
    files = unzipped(admin, id)
    described = json.loads(files["nnunet/dataset.json"])
    assert described["labels"] == {
        "background": 0,
        "nucleus": 1,
        "mitochondria": 2,
        "lipid droplet": 3,
        "ER": 4,
        "cell boundary": 5,
        "ignore": 6,
    }
    assert (described["numTraining"], described["file_ending"]) == (1, ".png")
    assert sorted(name for name in files if name.endswith(".png")) == [
        "labels/liver_0000.png",
        "labels/liver_0001.png",
        "nnunet/imagesTr/liver_0000_0000.png",
        "nnunet/imagesTs/liver_0001_0000.png",
        "nnunet/labelsTr/liver_0000.png",
        "nnunet/labelsTs/liver_0001.png",
    ]
    grey = pixels(files["nnunet/imagesTr/liver_0000_0000.png"])
    np.testing.assert_array_equal(grey, pool.grey)
    target, raw = np.full((256, 256), 6, np.uint8), np.full((256, 256), 255, np.uint8)
    complete, partly = box(pool, 5), box(pool, 6)
    target[complete] = pool.truth[complete]
    target[partly] = np.where(pool.truth[partly] == 0, 6, pool.truth[partly])
    raw[complete], raw[partly] = pool.truth[complete], pool.truth[partly]
    np.testing.assert_array_equal(
        pixels(files["nnunet/labelsTr/liver_0000.png"]), target
    )
    np.testing.assert_array_equal(pixels(files["labels/liver_0000.png"]), raw)
    about = json.loads(files["labels/labels.json"])
    assert about["images"] == {"liver_0000": "scene 1", "liver_0001": "scene 2"}
    assert about["tiles"]["liver_0000"] == [
        {"y": 64, "x": 64, "h": 64, "w": 64, "complete_for": [1, 2, 3, 4, 5]},
        {"y": 64, "x": 128, "h": 64, "w": 64, "complete_for": [ER]},
    ]

    # the next export takes its place, and a withdrawal ends both
    later = admin.post(path).json()["id"]
    work_off(database, store, tmp_path / "again")
    assert admin.get(f"exports/{id}/download").status_code == 409
    assert unzipped(admin, later).keys() == files.keys()
    with database.unit_of_work() as session:
        project = session.get_one(Image, pool.id).project_id
        downloads.forget(session, project, JobKind.EXPORT)
    assert admin.get(f"exports/{later}/download").status_code == 409
    with database.unit_of_work() as session:
        assert session.scalars(select(Job.result)).all() == [{}, {}]


def unzipped(client: TestClient, job: str) -> dict[str, bytes]:
    answer = client.get(f"exports/{job}/download")
    assert answer.status_code == 200, answer.text
    with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
        return {
            name.removeprefix("liver-export/"): archive.read(name)
            for name in archive.namelist()
        }


def pixels(png: bytes) -> np.ndarray:
    return np.asarray(Picture.open(io.BytesIO(png)))


def box(placed: Placed, position: int) -> tuple[slice, slice]:
    row, column = divmod(position, placed.truth.shape[1] // TILE)
    return (
        slice(row * TILE, (row + 1) * TILE),
        slice(column * TILE, (column + 1) * TILE),
    )
