"""Images over REST: upload, ingest, bad files, regions, edits, deletion."""

import asyncio
import datetime as dt
import hashlib
import io
import threading
import uuid
import zlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
import tifffile
from api_fixtures import client_with, database_of, id_of, person, run_jobs
from fastapi import FastAPI
from fastapi.testclient import TestClient
from httpx import Response
from PIL import Image as Picture
from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from backend.domain.masks import pack
from backend.domain.states import (
    ImageState,
    JobState,
    ModelState,
    Split,
    TaskState,
)
from backend.models import (
    Annotation,
    Artifact,
    AuditEntry,
    Draft,
    Image,
    Job,
    ModelVersion,
    Prediction,
    Query,
    Task,
    Tile,
    TrainingSet,
    TrainingSetItem,
)
from backend.services import images
from backend.services.access import now
from backend.storage import ArtifactStore

RAW = {"Content-Type": "application/octet-stream"}


def grey(height: int = 100, width: int = 150, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width), np.uint8)


def deep() -> np.ndarray:
    return grey(seed=3).astype(np.uint16) * 257


def colour() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 255, (9, 9, 3), np.uint8)


def stack() -> bytes:
    return tiff(np.stack([grey(), grey()]), photometric="minisblack")


def png(pixels: np.ndarray | Picture.Image, **options: Any) -> bytes:
    picture = pixels if isinstance(pixels, Picture.Image) else Picture.fromarray(pixels)
    buffer = io.BytesIO()
    picture.save(buffer, "PNG", **options)
    return buffer.getvalue()


def tiff(pixels: np.ndarray, **options: Any) -> bytes:
    buffer = io.BytesIO()
    tifffile.imwrite(buffer, pixels, **options)
    return buffer.getvalue()


def upload(
    client: TestClient, project: str, data: bytes, name: str = "a.png", **about: Any
) -> Response:
    return client.post(
        f"projects/{project}/images",
        params={"name": name, **about},
        content=data,
        headers=RAW,
    )


def ready(
    app: FastAPI, admin: TestClient, project: str, pixels: np.ndarray, **about: Any
) -> dict[str, Any]:
    """Upload and ingest an image."""
    answer = upload(admin, project, png(pixels), **about)
    assert answer.status_code == 202, answer.text
    run_jobs(app)
    image: dict[str, Any] = admin.get(f"images/{answer.json()['id']}").json()
    assert image["state"] == "ready", image
    return image


def stored(app: FastAPI) -> set[str]:
    """Keys of all bytes in the store."""
    store: ArtifactStore = app.state.store
    return {entry["path"] for batch in store.root.list() for entry in batch}


def test_upload_and_ingest(app: FastAPI, admin: TestClient, project: str) -> None:
    pixels = grey()
    data = png(pixels)
    answer = upload(
        admin,
        project,
        data,
        pixel_nm=4.6,
        donor="d1",
        group="g1",
        split="validation",
        sha256=hashlib.sha256(data).hexdigest(),
    )
    assert answer.status_code == 202
    image = answer.json()
    assert answer.headers["location"] == f"/api/v1/images/{image['id']}"
    assert image["state"] == "uploaded"
    assert image["height"] is None
    [job] = run_jobs(app)
    assert job.state is JobState.SUCCEEDED
    image = admin.get(f"images/{image['id']}").json()
    assert image["state"] == "ready"
    assert (image["height"], image["width"]) == (100, 150)
    assert (image["dtype"], image["levels"]) == ("uint8", 1)
    assert image["mean"] == pytest.approx(pixels.mean())
    assert image["sd"] == pytest.approx(pixels.std())
    assert (image["pixel_nm"], image["pixel_source"]) == (4.6, "stated")
    assert image["please"] is None
    with database_of(app).unit_of_work() as session:
        tiles = session.scalars(select(Tile).order_by(Tile.position)).all()
        assert [(t.y, t.x, t.h, t.w) for t in tiles] == [
            (0, 0, 64, 64),
            (0, 64, 64, 64),
            (0, 128, 64, 22),
            (64, 0, 36, 64),
            (64, 64, 36, 64),
            (64, 128, 36, 22),
        ]
        assert {t.split for t in tiles} == {Split.VALIDATION}
        assert session.scalar(select(func.count()).select_from(Query)) == 0
    # nothing but what rows point at stays in the store
    with database_of(app).unit_of_work() as session:
        keys = [a.key for a in session.scalars(select(Artifact))]
    assert all(any(k.startswith(key) for key in keys) for k in stored(app))


def test_the_order_draws_on_all_pool_images_whatever_comes_after_them(
    app: FastAPI, admin: TestClient, project: str
) -> None:
    for number, split in enumerate(["pool", "pool", "pool", "validation", "none"]):
        data = png(grey(200, 200, seed=number))
        upload(admin, project, data, name=f"image {number}", split=split)
    with ThreadPoolExecutor(2) as slots:
        list(slots.map(lambda _: run_jobs(app), range(2)))
    images = admin.get(f"projects/{project}/images").json()["items"]
    assert {image["state"] for image in images} == {"ready"}
    pool = {image["id"] for image in images if image["split"] == "pool"}
    live = admin.get(f"projects/{project}/queries").json()["items"][0]
    ranks = admin.get(f"queries/{live['id']}/tiles").json()["items"]
    assert {rank["tile"]["image_id"] for rank in ranks} == pool


def test_two_ingests_that_end_together_do_not_wait_for_each_other(
    app: FastAPI, admin: TestClient, project: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(2):
        upload(admin, project, png(grey(200, 200, seed=number)), name=f"{number}")
    # both have written tiles of the project when the first one locks it
    both, ends = threading.Barrier(2, timeout=60), []

    def announce(session: Session, image: Image) -> None:
        ends.append(image.id)
        if len(ends) <= 2:
            both.wait()

    monkeypatch.setattr(images, "announce", announce)
    with ThreadPoolExecutor(2) as slots:
        list(slots.map(lambda _: run_jobs(app), range(2)))
    assert len(ends) == 2  # a deadlock's loser would have ended once more
    assert len(set(ends)) == 2


def test_a_rejected_image_does_not_hold_up_the_order(
    app: FastAPI, admin: TestClient, project: str
) -> None:
    for number in range(2):
        upload(admin, project, png(grey(seed=number)), name=f"image {number}")
    upload(admin, project, b"no image at all", name="broken")
    run_jobs(app)
    live = admin.get(f"projects/{project}/queries").json()["items"][0]
    ranks = admin.get(f"queries/{live['id']}/tiles").json()["items"]
    assert len({rank["tile"]["image_id"] for rank in ranks}) == 2


def test_first_pool_image_brings_a_first_order_of_tiles(
    app: FastAPI, admin: TestClient, project: str
) -> None:
    first = ready(app, admin, project, grey(seed=1), name="one")
    with database_of(app).unit_of_work() as session:
        query = session.scalars(select(Query)).one()
        assert query.strategy == "start"
        assert session.scalar(select(func.count()).select_from(Task)) == 6
    for number in (2, 3):
        upload(admin, project, png(grey(seed=number)), name=f"image {number}")
    run_jobs(app)
    with database_of(app).unit_of_work() as session:
        assert session.scalar(select(func.count()).select_from(Query)) == 2
        served = session.scalars(
            select(Tile.image_id)
            .distinct()
            .join(Task, Task.tile_id == Tile.id)
            .where(Task.state == TaskState.OPEN)
        ).all()
        assert len(served) == 3
        assert uuid.UUID(first["id"]) in served


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (lambda: tiff(grey(seed=3)), "uint8"),
        (lambda: tiff(grey(seed=3), bigtiff=True), "uint8"),
        (lambda: tiff(grey(seed=3), compression="lzw"), "uint8"),
        (lambda: tiff(deep(), compression="zlib"), "uint16"),
        (lambda: png(deep()), "uint16"),
        (lambda: png(np.repeat(grey(seed=3)[..., None], 3, 2)), "uint8"),
    ],
    ids=["tiff", "bigtiff", "lzw", "deflate 16 bit", "png 16 bit", "grey as rgb"],
)
def test_files_we_read(
    app: FastAPI, admin: TestClient, project: str, data: Any, expected: str
) -> None:
    image = upload(admin, project, data()).json()
    run_jobs(app)
    image = admin.get(f"images/{image['id']}").json()
    assert image["state"] == "ready", image["error"]
    assert image["dtype"] == expected
    raw = admin.get(f"images/{image['id']}/region", params={"format": "raw"})
    kind = np.dtype(expected).newbyteorder("<")
    shown = np.frombuffer(raw.content, kind).reshape(100, 150)
    assert np.array_equal(shown, deep() if expected == "uint16" else grey(seed=3))
    assert "please state it" in image["please"]


def palette() -> bytes:
    picture = Picture.fromarray(grey()).convert("P")
    picture.putpalette([n % 256 for n in range(768)])
    return png(picture)


def zero_size() -> bytes:
    header = bytearray(png(grey()))
    header[16:24] = bytes(8)
    header[29:33] = zlib.crc32(bytes(header[12:29])).to_bytes(4, "big")
    return bytes(header)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (lambda: png(grey())[:-3000], ""),
        (lambda: tiff(grey())[:-3000], ""),
        (lambda: b"this is no image at all, only some text", "PNG or TIFF"),
        (palette, "palette"),
        (lambda: png(colour()), "colours"),
        (lambda: tiff(grey().astype(np.float32)), "floating-point"),
        (zero_size, "nothing in it"),
        (stack, "cisterna image add --pages"),
        (lambda: png(np.zeros((1025, 1024), np.uint8)), "more than the"),
    ],
    ids=[
        "truncated png",
        "truncated tiff",
        "no image",
        "palette",
        "colour",
        "float",
        "zero size",
        "several pages",
        "too many pixels",
    ],
)
def test_files_we_refuse(
    app: FastAPI, admin: TestClient, project: str, data: Any, reason: str
) -> None:
    good = ready(app, admin, project, grey(seed=9), name="good")
    image = upload(admin, project, data(), name="bad").json()
    [job] = run_jobs(app)
    assert job.state is JobState.FAILED
    assert job.attempts == 1
    bad = admin.get(f"images/{image['id']}").json()
    assert bad["state"] == "rejected"
    assert bad["error"] == job.error
    assert len(bad["error"]) > 20
    assert "Traceback" not in bad["error"]
    assert reason in bad["error"]
    assert admin.get(f"images/{good['id']}").json()["state"] == "ready"
    assert upload(admin, project, data(), name="again").status_code == 202


def test_oversized_is_refused_before_and_while_it_is_sent(
    app: FastAPI, admin: TestClient, project: str
) -> None:
    limit = app.state.settings.max_upload_bytes
    answer = upload(admin, project, bytes(limit + 1))
    assert answer.status_code == 413
    assert "CISTERNA_MAX_UPLOAD_BYTES" in answer.json()["detail"]

    def blocks() -> Iterator[bytes]:
        for _ in range(limit // 65536 + 1):
            yield bytes(65536)

    answer = admin.post(
        f"projects/{project}/images",
        params={"name": "x"},
        content=blocks(),
        headers=RAW,
    )
    assert answer.status_code == 413
    assert stored(app) == set()
    assert admin.get(f"projects/{project}/images").json()["items"] == []


def test_a_connection_that_breaks_leaves_nothing(
    app: FastAPI, admin: TestClient, project: str
) -> None:
    messages = iter(
        [
            {"type": "http.request", "body": b"half of it", "more_body": True},
            {"type": "http.disconnect"},
        ]
    )
    sent = []

    async def receive() -> Any:
        return next(messages)

    async def send(message: Any) -> None:
        sent.append(message)

    token = admin.headers["authorization"].encode()
    path = f"/api/v1/projects/{project}/images"
    scope = {
        "type": "http",
        "method": "POST",
        "path": path,
        "raw_path": path.encode(),
        "root_path": "",
        "scheme": "http",
        "http_version": "1.1",
        "query_string": b"name=x",
        "headers": [
            (b"content-type", b"application/octet-stream"),
            (b"content-length", b"1000"),
            (b"authorization", token),
        ],
        "server": ("testserver", 80),
        "client": ("test", 1),
    }
    asyncio.run(app(scope, receive, send))
    assert sent[0]["status"] == 422
    assert stored(app) == set()
    assert admin.get(f"projects/{project}/images").json()["items"] == []


@pytest.mark.parametrize(
    ("data", "about", "pointer"),
    [
        (b"", {}, "/file"),
        (b"abc", {"sha256": "0" * 64}, "/sha256"),
        (b"abc", {"sha256": "xyz"}, "/query/sha256"),
        (b"abc", {"pixel_nm": -1}, "/query/pixel_nm"),
        (b"abc", {"pixel_nm": "inf"}, "/query/pixel_nm"),
        (b"abc", {"split": "other"}, "/query/split"),
        (b"abc", {"pixelsize": 3}, "/query/pixelsize"),
        (b"abc", {"name": ""}, "/query/name"),
    ],
)
def test_bad_uploads_leave_nothing(
    app: FastAPI,
    admin: TestClient,
    project: str,
    data: bytes,
    about: dict[str, Any],
    pointer: str,
) -> None:
    answer = upload(admin, project, data, **about)
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["pointer"] == pointer
    assert stored(app) == set()
    with database_of(app).unit_of_work() as session:
        assert session.scalar(select(func.count()).select_from(Job)) == 0


def test_a_form_is_refused_with_the_mend(admin: TestClient, project: str) -> None:
    answer = admin.post(
        f"projects/{project}/images", params={"name": "x"}, files={"file": b"abc"}
    )
    assert answer.status_code == 422
    assert "application/octet-stream" in answer.json()["detail"]


def test_the_same_bytes_again(app: FastAPI, admin: TestClient, project: str) -> None:
    first = upload(admin, project, png(grey()), name="a").json()
    keys = stored(app)
    again = upload(admin, project, png(grey()), name="a")
    assert again.status_code == 200
    assert again.json()["id"] == first["id"]
    other = upload(admin, project, png(grey()), name="b")
    assert other.status_code == 409
    assert first["id"] in other.json()["detail"]
    assert stored(app) == keys
    elsewhere = admin.post("projects", json={"name": "Other"}).json()["slug"]
    assert upload(admin, elsewhere, png(grey()), name="b").status_code == 202


def test_who_may_do_what(app: FastAPI, admin: TestClient, project: str) -> None:
    image = ready(app, admin, project, grey())
    path = f"images/{image['id']}"
    annotator = person(app, admin, project, "annotator")
    assert annotator.get(path).status_code == 200
    assert annotator.get(f"{path}/region").status_code == 200
    assert annotator.get(f"{path}/original").status_code == 200
    assert upload(annotator, project, b"x").status_code == 403
    headers = {"If-Match": '"1"'}
    edit = annotator.patch(path, json={"name": "x"}, headers=headers)
    assert edit.status_code == 403
    assert annotator.delete(path).status_code == 403
    stranger = admin.post("projects", json={"name": "Other"}).json()["slug"]
    outsider = person(app, admin, stranger, "manager")
    for suffix in ("", "/region", "/original"):
        assert outsider.get(path + suffix).status_code == 404
    assert outsider.delete(path).status_code == 404
    assert upload(outsider, project, b"x").status_code == 404
    reader = admin.post("tokens", json={"name": "r", "read_only": True}).json()
    assert upload(client_with(app, reader["secret"]), project, b"x").status_code == 403
    assert admin.get(f"images/{uuid.uuid4()}").status_code == 404


def test_regions(app: FastAPI, admin: TestClient, project: str) -> None:
    pixels = grey(600, 700)
    image = ready(app, admin, project, pixels)
    assert image["levels"] == 2
    path = f"images/{image['id']}/region"
    box = {"y": 10, "x": 20, "h": 30, "w": 40}
    raw = admin.get(path, params={**box, "format": "raw"})
    assert raw.headers["x-shape"] == "30,40"
    assert raw.headers["x-dtype"] == "uint8"
    assert raw.headers["cache-control"].startswith("private")
    assert raw.headers["x-content-type-options"] == "nosniff"
    assert raw.content == pixels[10:40, 20:60].tobytes()
    shown = admin.get(path, params={**box, "low": 100, "high": 200})
    assert shown.headers["content-type"] == "image/png"
    picture = np.asarray(Picture.open(io.BytesIO(shown.content))).astype(float)
    expected = np.clip((pixels[10:40, 20:60].astype(float) - 100) / 100 * 255, 0, 255)
    assert np.abs(picture - expected).max() <= 0.5
    small = admin.get(path, params={"level": 1, "format": "raw"})
    assert small.headers["x-shape"] == "300,350"
    for wrong in (
        {"y": 590, "h": 20},
        {"x": 700},
        {"level": 2},
        {"low": 9, "high": 9},
        {"h": 0},
        {"level": -1},
    ):
        assert admin.get(path, params=wrong).status_code == 422, wrong


def test_original_is_a_download_and_nothing_else(
    app: FastAPI, admin: TestClient, project: str
) -> None:
    data = b"<script>alert(1)</script>"
    image = upload(admin, project, data, name='ä"\r\nx.html').json()
    answer = admin.get(f"images/{image['id']}/original")
    assert answer.content == data
    assert answer.headers["content-type"] == "application/octet-stream"
    disposition = answer.headers["content-disposition"]
    assert disposition == "attachment; filename*=UTF-8''%C3%A4%22%0D%0Ax.html"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert "sandbox" in answer.headers["content-security-policy"]


def test_not_ready_images_have_no_regions(admin: TestClient, project: str) -> None:
    image = upload(admin, project, png(grey())).json()
    answer = admin.get(f"images/{image['id']}/region")
    assert answer.status_code == 409
    assert "uploaded" in answer.json()["detail"]


def test_edit(app: FastAPI, admin: TestClient, project: str) -> None:
    image = ready(app, admin, project, grey(), donor="d1", split="none")
    path = f"images/{image['id']}"
    tag = admin.get(path).headers["etag"]
    assert admin.patch(path, json={"pixel_nm": 5}).status_code == 428
    answer = admin.patch(
        path, json={"pixel_nm": 5, "donor": "", "group": "g"}, headers={"If-Match": tag}
    )
    assert answer.status_code == 200
    changed = answer.json()
    assert (changed["pixel_nm"], changed["pixel_source"]) == (5, "stated")
    assert (changed["donor"], changed["group"]) == (None, "g")
    stale = admin.patch(path, json={"name": "x"}, headers={"If-Match": tag})
    assert stale.status_code == 412


def test_split_changes_only_while_nothing_depends_on_it(
    app: FastAPI, admin: TestClient, project: str
) -> None:
    image = ready(app, admin, project, grey(), split="none")
    path = f"images/{image['id']}"

    def move(split: str) -> Response:
        tag = admin.get(path).headers["etag"]
        return admin.patch(path, json={"split": split}, headers={"If-Match": tag})

    assert move("validation").status_code == 200
    with database_of(app).unit_of_work() as session:
        assert set(session.scalars(select(Tile.split))) == {Split.VALIDATION}
    assert move("pool").status_code == 200
    with database_of(app).unit_of_work() as session:
        assert session.scalar(select(func.count()).select_from(Task)) == 6
    refused = move("validation")
    assert refused.status_code == 409
    assert "asked for" in refused.json()["detail"]
    path = f"images/{ready(app, admin, project, grey(seed=1), split='test')['id']}"
    refused = move("pool")
    assert refused.status_code == 409
    assert "leaves the test split" in refused.json()["detail"]


def test_a_size_stated_during_ingest_beats_the_file(
    app: FastAPI, admin: TestClient, project: str
) -> None:
    image = upload(admin, project, png(grey(), dpi=(5_080_000, 5_080_000))).json()
    path = f"images/{image['id']}"
    tag = admin.get(path).headers["etag"]
    admin.patch(path, json={"pixel_nm": 7}, headers={"If-Match": tag})
    run_jobs(app)
    assert admin.get(path).json()["pixel_nm"] == 7
    other = upload(
        admin, project, png(grey(seed=4), dpi=(5_080_000, 5_080_000)), name="b"
    ).json()
    run_jobs(app)
    seen = admin.get(f"images/{other['id']}").json()
    assert seen["pixel_nm"] == pytest.approx(5, rel=0.01)
    assert seen["pixel_source"] == "file"


def test_listing(app: FastAPI, admin: TestClient, project: str) -> None:
    for number in range(3):
        upload(admin, project, png(grey(seed=number)), name=f"{number}")
    path = f"projects/{project}/images"
    page = admin.get(path, params={"limit": 2}).json()
    assert [i["name"] for i in page["items"]] == ["2", "1"]
    rest = admin.get(path, params={"limit": 2, "cursor": page["next"]}).json()
    assert [i["name"] for i in rest["items"]] == ["0"]
    assert rest["next"] is None
    assert admin.get(path, params={"state": "ready"}).json()["items"] == []
    assert len(admin.get(path, params={"split": "pool"}).json()["items"]) == 3


def test_delete_takes_bytes_and_masks_and_marks_models(
    app: FastAPI, admin: TestClient, project: str
) -> None:
    image = ready(app, admin, project, grey(), donor="d1")
    other = ready(app, admin, project, grey(seed=1), name="other")
    kept = stored(app)
    id = uuid.UUID(image["id"])
    store: ArtifactStore = app.state.store
    with database_of(app).unit_of_work() as session:
        tile = session.scalars(select(Tile).where(Tile.image_id == id)).first()
        assert tile is not None
        author = id_of(admin)
        mask = np.ones((tile.h, tile.w), np.uint8)
        annotation = Annotation(
            project_id=tile.project_id,
            tile_id=tile.id,
            revision=1,
            author_id=author,
            raster=pack(mask),
            sha256=hashlib.sha256(mask.tobytes()).hexdigest(),
            complete_for=[1],
            accepted_at=now(),
        )
        learnt = TrainingSet(project_id=tile.project_id)
        session.add_all([annotation, learnt])
        session.flush()
        session.add(
            TrainingSetItem(
                training_set_id=learnt.id,
                annotation_id=annotation.id,
                tile_id=tile.id,
            )
        )
        unrelated = TrainingSet(project_id=tile.project_id)
        session.add(unrelated)
        session.flush()
        versions = [
            ModelVersion(
                project_id=tile.project_id,
                ordinal=number,
                segmenter="forest",
                state=ModelState.TRAINING,
                training_set_id=training_set.id,
            )
            for number, training_set in ((1, learnt), (2, unrelated))
        ]
        session.add_all(versions)
        sweep = Artifact(
            project_id=tile.project_id, key="jobs/x/1/sweep", manifest={}, bytes=3
        )
        session.add(sweep)
        session.flush()
        store.put_bytes("jobs/x/1/sweep/labels.npy", b"abc")
        prediction = Prediction(
            project_id=tile.project_id,
            model_version_id=versions[0].id,
            image_id=id,
            artifact_id=sweep.id,
            members=1,
            seconds=1.0,
        )
        session.add(prediction)
        session.add(
            Draft(
                author_id=author,
                tile_id=tile.id,
                raster=pack(mask),
                complete_for=[],
                updated_at=now(),
            )
        )
        session.execute(
            update(Task)
            .where(Task.tile_id == tile.id, Task.state == TaskState.OPEN)
            .values(
                state=TaskState.CLAIMED,
                assignee_id=author,
                lease_until=now() + dt.timedelta(hours=1),
            )
        )
    assert admin.delete(f"images/{id}").status_code == 204
    gone = admin.get(f"images/{id}").json()
    assert gone["state"] == "deleted"
    assert gone["sha256"] == image["sha256"]
    assert gone["deleted_at"]
    left = stored(app)
    assert left < kept
    assert len(left) == len(kept) // 2
    with database_of(app).unit_of_work() as session:
        row = session.scalars(select(Annotation)).one()
        assert row.erased_at is not None
        assert session.scalar(select(Annotation.raster)) is None
        assert session.scalar(select(func.count()).select_from(Draft)) == 0
        assert session.scalar(select(func.count()).select_from(Prediction)) == 0
        states = session.scalars(
            select(Task.state)
            .distinct()
            .join(Tile, Tile.id == Task.tile_id)
            .where(Tile.image_id == id)
        ).all()
        assert states == [TaskState.WITHDRAWN]
        tainted = {
            v.ordinal: v.tainted_at for v in session.scalars(select(ModelVersion))
        }
        assert tainted[1] is not None
        assert tainted[2] is None
        assert session.scalar(
            select(AuditEntry).where(
                AuditEntry.action == "delete", AuditEntry.object_id == str(id)
            )
        )
    assert admin.get(f"images/{id}/region").status_code == 409
    assert admin.get(f"images/{id}/original").status_code == 409
    assert admin.delete(f"images/{id}").status_code == 204
    assert admin.get(f"images/{other['id']}/region").status_code == 200
    names = [i["name"] for i in admin.get(f"projects/{project}/images").json()["items"]]
    assert names == ["other"]
    assert upload(admin, project, png(grey()), name="back").status_code == 202


def test_delete_before_ingest_leaves_nothing(
    app: FastAPI, admin: TestClient, project: str
) -> None:
    image = upload(admin, project, png(grey())).json()
    assert admin.delete(f"images/{image['id']}").status_code == 204
    assert run_jobs(app) == []
    assert stored(app) == set()
    with database_of(app).unit_of_work() as session:
        assert session.scalars(select(Job.state)).one() is JobState.CANCELLED
        assert session.scalars(select(Image.state)).one() is ImageState.DELETED


def test_cancelled_ingest_says_so(
    app: FastAPI, admin: TestClient, project: str
) -> None:
    image = upload(admin, project, png(grey())).json()
    with database_of(app).unit_of_work() as session:
        job = session.scalars(select(Job)).one()
    assert admin.post(f"jobs/{job.id}/cancel").status_code in (200, 202)
    seen = admin.get(f"images/{image['id']}").json()
    assert seen["state"] == "rejected"
    assert "cancelled" in seen["error"]
