"""The artifact store on a folder and on S3 over HTTP, and the service on S3."""

import hashlib
import re
import time
import uuid
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import httpx
import numpy as np
import obstore
import pytest
from api_fixtures import run_jobs
from fastapi import FastAPI
from fastapi.testclient import TestClient
from moto.server import ThreadedMotoServer
from obstore.store import from_url
from pydantic import SecretStr
from test_images import RAW, grey, png

from backend.domain.geometry import Box
from backend.domain.states import ImageState
from backend.imaging.arrays import open_array
from backend.imaging.pyramid import copy_level0, levels, read_region, write_pyramid
from backend.settings import Settings
from backend.storage import CHUNK, ArtifactStore, job_prefix, upload_key

MANY = 10 * 2**20 + 12345
"""More bytes than one request of a multipart upload carries."""


@pytest.fixture(scope="module")
def s3() -> Iterator[str]:
    """Address of an S3 server on loopback."""
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def bucket(s3: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """URL of an empty bucket; the environment is that of docker-compose.yml."""
    for name, value in {
        "AWS_ENDPOINT_URL": s3,
        "AWS_REGION": "us-east-1",
        "AWS_ALLOW_HTTP": "true",
        "AWS_ACCESS_KEY_ID": "cisterna",
        "AWS_SECRET_ACCESS_KEY": "a secret of tests",
        "NO_PROXY": "127.0.0.1",
    }.items():
        monkeypatch.setenv(name, value)
    name = f"bucket-{uuid.uuid4()}"
    assert httpx.put(f"{s3}/{name}", trust_env=False).status_code == 200
    return f"s3://{name}"


@pytest.fixture(params=["file", "bucket", "prefix"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """URL of an empty store of each kind."""
    if request.param == "file":
        return (tmp_path / "artifacts").as_uri()
    bucket: str = request.getfixturevalue("bucket")
    return bucket if request.param == "bucket" else f"{bucket}/a/prefix"


@pytest.fixture
def artifacts(url: str) -> ArtifactStore:
    return ArtifactStore(url)


def keys(store: ArtifactStore) -> list[str]:
    return sorted(entry["path"] for page in obstore.list(store.root) for entry in page)


def content(size: int) -> bytes:
    return np.random.default_rng(size).bytes(size)


@pytest.mark.parametrize("size", [0, 1, CHUNK, MANY])
def test_a_file_there_and_back(
    artifacts: ArtifactStore, tmp_path: Path, size: int
) -> None:
    data = content(size)
    here = tmp_path / "here"
    here.write_bytes(data)
    entry = artifacts.put_file("jobs/a/1/weights", here)
    assert entry == {"sha256": hashlib.sha256(data).hexdigest(), "bytes": size}
    assert artifacts.get_bytes("jobs/a/1/weights") == data
    blocks = list(artifacts.stream("jobs/a/1/weights"))
    assert b"".join(blocks) == data
    assert all(0 < len(block) <= CHUNK for block in blocks)
    there = artifacts.fetch_file("jobs/a/1/weights", tmp_path / "new" / "there")
    assert there.read_bytes() == data
    assert artifacts.put_bytes("jobs/a/1/other", data) == entry
    assert keys(artifacts) == ["jobs/a/1/other", "jobs/a/1/weights"]


def test_what_is_not_there(artifacts: ArtifactStore, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        artifacts.get_bytes("originals/none")
    with pytest.raises(FileNotFoundError):
        list(artifacts.stream("originals/none"))
    with pytest.raises(FileNotFoundError):
        artifacts.fetch_file("originals/none", tmp_path / "none")
    with pytest.raises(FileNotFoundError):
        open_array(artifacts.root, "originals/none")
    artifacts.delete("originals/none")
    artifacts.delete_tree("jobs/none")


def test_a_tree_there_and_back(artifacts: ArtifactStore, tmp_path: Path) -> None:
    files = {"a.json": b"{}", "0/c/0/0": content(5000), "empty": b""}
    for name, data in files.items():
        path = tmp_path / "tree" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    manifest = artifacts.put_tree("jobs/a/1/tree", tmp_path / "tree")
    assert {name: entry["bytes"] for name, entry in manifest.items()} == {
        name: len(data) for name, data in files.items()
    }
    folder = artifacts.fetch_tree("jobs/a/1/tree", manifest, tmp_path / "back")
    assert {n: (folder / n).read_bytes() for n in manifest} == files
    artifacts.put_bytes("jobs/a/1/tree/0/c/0/0", content(5001))
    with pytest.raises(ValueError, match="0/c/0/0 does not match"):
        artifacts.fetch_tree("jobs/a/1/tree", manifest, tmp_path / "torn")


def test_a_tree_is_deleted_and_nothing_beside_it(artifacts: ArtifactStore) -> None:
    kept = ["jobs/ab/1/x", "jobs/a.x", "jobs/b", "originals/jobs/a/1"]
    gone = ["jobs/a/1/x", "jobs/a/2/deep/er/y", *(f"jobs/a/3/{n}" for n in range(1100))]
    for key in kept + (gone if "s3:" in artifacts.url else gone[:60]):
        artifacts.put_bytes(key, b"")
    artifacts.delete_tree("jobs/a")
    assert keys(artifacts) == sorted(kept)
    artifacts.delete("jobs/b")
    assert "jobs/b" not in keys(artifacts)


@pytest.mark.parametrize("size", [0, 1, MANY])
def test_an_upload_shows_at_its_close(artifacts: ArtifactStore, size: int) -> None:
    data = content(size)
    upload = artifacts.receive("originals/p/u")
    for start in range(0, size, 2**20):
        upload.write(data[start : start + 2**20])
    assert upload.bytes == size
    assert keys(artifacts) == []
    entry = upload.close()
    assert entry == {"sha256": hashlib.sha256(data).hexdigest(), "bytes": size}
    upload.abort()
    assert artifacts.get_bytes("originals/p/u") == data


@pytest.mark.parametrize("blocks", [0, 1, 25])
def test_an_aborted_upload_never_shows(
    artifacts: ArtifactStore, tmp_path: Path, blocks: int
) -> None:
    upload = artifacts.receive("originals/p/u")
    for _ in range(blocks):
        upload.write(content(2**20))
    upload.abort()
    assert keys(artifacts) == []
    with pytest.raises(FileNotFoundError):
        artifacts.get_bytes("originals/p/u")
    wait_until(lambda: not [p for p in tmp_path.rglob("*") if p.is_file()])


def wait_until(true: Callable[[], bool]) -> None:
    """Wait until it is true; the test's own time limit ends it."""
    while not true():
        time.sleep(0.05)


def test_a_slow_reader_gets_the_whole_blob(bucket: str) -> None:
    store = ArtifactStore(bucket)
    data = content(4 * CHUNK)
    store.put_bytes("originals/p/u", data)
    store.root = from_url(
        bucket,
        client_options={"timeout": "4s", "allow_http": True},
        retry_config={"max_retries": 0, "retry_timeout": timedelta(0)},
    )
    blocks = store.stream("originals/p/u")
    digest = hashlib.sha256(next(blocks))
    time.sleep(5)
    for block in blocks:
        digest.update(block)
    assert digest.digest() == hashlib.sha256(data).digest()


def test_pyramids_and_their_regions(artifacts: ArtifactStore, tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    image = rng.integers(0, 256, (1100, 700), np.uint8)
    below = artifacts.below("jobs/a/1/pyramid")
    written = write_pyramid(below, image, 8.0)
    assert written.levels == 3
    assert all(key.startswith("jobs/a/1/pyramid/") for key in keys(artifacts))
    # another process reads
    below = ArtifactStore(artifacts.url).below("jobs/a/1/pyramid")
    assert levels(below) == ((1100, 700), (550, 350), (275, 175))
    box = Box(500, 490, 300, 200)
    assert np.array_equal(read_region(below, 0, box), image[box.slices])
    means = image[:550, :350].reshape(275, 2, 175, 2).mean((1, 3))
    assert np.array_equal(
        read_region(below, 1, Box(0, 0, 275, 175)), np.floor(means + 0.5)
    )
    assert np.array_equal(np.load(copy_level0(below, tmp_path / "level0.npy")), image)


def test_arrays_are_read_by_ranges(artifacts: ArtifactStore, tmp_path: Path) -> None:
    planes = np.random.default_rng(2).random((3, 600, 500), np.float32)
    path = tmp_path / "probabilities.npy"
    np.save(path, planes)
    artifacts.put_file("jobs/a/1/sweep/probabilities.npy", path)
    stored = open_array(artifacts.root, "jobs/a/1/sweep/probabilities.npy")
    assert (stored.shape, stored.dtype) == (planes.shape, planes.dtype)
    box = Box(100, 50, 400, 300)
    assert np.array_equal(stored.read(box, plane=2), planes[2][box.slices])
    assert np.array_equal(
        stored.read(Box(0, 0, 150, 125), level=2, plane=1), planes[1, 2::4, 2::4]
    )


def test_keys_hold_ids_alone() -> None:
    id = uuid.UUID(int=7)
    assert job_prefix(id, 3) == f"jobs/{id}/3"
    assert upload_key(id).startswith(f"originals/{id}/")
    assert upload_key(id) != upload_key(id)


@pytest.fixture
def settings(database_url: str, valkey_url: str, tmp_path: Path, url: str) -> Settings:
    """Settings of the service on a store of each kind."""
    return Settings(
        database_url=SecretStr(database_url),
        broker_url=SecretStr(valkey_url),
        data_dir=tmp_path / "data",
        storage_url=url,
    )


def test_an_upload_in_pieces(
    app: FastAPI, admin: TestClient, project: str, store: ArtifactStore
) -> None:
    data = content(CHUNK + 4321)
    tus = {"Tus-Resumable": "1.0.0"}
    begun = admin.post(
        f"projects/{project}/uploads",
        headers={
            **tus,
            "Upload-Length": str(len(data)),
            "Upload-Metadata": "name YS50aWY=",
        },
    )
    assert begun.status_code == 201, begun.text
    path = f"uploads/{begun.json()['id']}"
    kind = {"Content-Type": "application/offset+octet-stream"}
    for start, end in ((0, CHUNK), (CHUNK, CHUNK + 1), (CHUNK + 1, len(data))):
        place = {"Upload-Offset": str(start)}
        answer = admin.patch(
            path, content=data[start:end], headers={**tus, **kind, **place}
        )
        assert answer.status_code == 204, answer.text
    [key] = keys(store)
    assert key.startswith("originals/")
    assert store.get_bytes(key) == data
    image = admin.get(path).json()["image_id"]
    assert admin.get(f"images/{image}").json()["bytes"] == len(data)


def test_an_image_from_upload_to_erasure(
    app: FastAPI, admin: TestClient, project: str, store: ArtifactStore
) -> None:
    data = png(grey())
    params = {"name": "../../étude\\☃ #1?.png"}
    answer = admin.post(
        f"projects/{project}/images", params=params, content=data, headers=RAW
    )
    assert answer.status_code == 202, answer.text
    run_jobs(app)
    path = f"images/{answer.json()['id']}"
    assert admin.get(path).json()["state"] == ImageState.READY
    # what a person wrote is in no key
    own = re.compile(
        r"(originals/[0-9a-f-]{36}/[0-9a-f-]{36}|jobs/[0-9a-f-]{36}/\d+/.+)"
    )
    assert keys(store)
    for key in keys(store):
        assert own.fullmatch(key)
        assert "tude" not in key
    region = admin.get(f"{path}/region", params={"h": 100, "w": 150})
    assert region.status_code == 200, region.text
    assert admin.get(f"{path}/original").content == data
    assert admin.delete(path).status_code == 204
    run_jobs(app)
    assert keys(store) == []
