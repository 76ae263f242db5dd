"""Uploads in pieces over REST: resuming, races, limits, expiry, who may do it."""

import asyncio
import base64
import datetime as dt
import re
import threading
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from email.utils import parsedate_to_datetime
from typing import Any

import pytest
from api_fixtures import client_with, database_of, person, run_jobs
from fastapi import FastAPI
from fastapi.testclient import TestClient
from httpx import Response
from sqlalchemy import select, update
from test_images import grey, png, stored, upload

from backend.models import Image, ResumableUpload
from backend.services import clock
from backend.services.access import now
from backend.services.uploads import LIFETIME
from backend.storage import ArtifactStore

TUS = {"Tus-Resumable": "1.0.0"}
PIECE = {**TUS, "Content-Type": "application/offset+octet-stream"}
DATA = png(grey())


def metadata(**about: Any) -> str:
    return ",".join(
        f"{key} {base64.b64encode(str(value).encode()).decode()}"
        for key, value in about.items()
    )


def begin(
    client: TestClient, project: str, size: int = len(DATA), **about: Any
) -> Response:
    headers = {
        **TUS,
        "Upload-Length": str(size),
        "Upload-Metadata": metadata(**{"name": "a.png", **about}),
    }
    return client.post(f"projects/{project}/uploads", headers=headers)


def begun(client: TestClient, project: str, **about: Any) -> str:
    """Begin an upload; returns its address."""
    answer = begin(client, project, **about)
    assert answer.status_code == 201, answer.text
    return address(answer)


def address(answer: Response) -> str:
    """Where the answer points, as the tests' clients take it."""
    return answer.headers["location"].removeprefix("/api/v1/")


def send(client: TestClient, path: str, offset: int, data: Any) -> Response:
    headers = {**PIECE, "Upload-Offset": str(offset)}
    return client.patch(path, content=data, headers=headers)


def offset_of(client: TestClient, path: str) -> int:
    answer = client.head(path, headers=TUS)
    assert answer.status_code == 204
    assert answer.headers["cache-control"] == "no-store"
    return int(answer.headers["upload-offset"])


def test_pieces_become_the_image_a_post_makes(
    app: FastAPI, admin: TestClient, project: str
) -> None:
    path = begun(admin, project, pixel_nm=4.6, donor="dönor 7", split="validation")
    third = len(DATA) // 3
    for start in range(0, len(DATA), third):
        assert offset_of(admin, path) == start
        answer = send(admin, path, start, DATA[start : start + third])
        assert answer.status_code == 204, answer.text
        assert answer.headers["tus-resumable"] == "1.0.0"
        assert offset_of(admin, path) == min(start + third, len(DATA))
    image = admin.get(address(answer)).json()
    assert image["name"] == "a.png"
    assert image["state"] == "uploaded"
    assert (image["pixel_nm"], image["pixel_source"]) == (4.6, "stated")
    assert (image["donor"], image["split"]) == ("dönor 7", "validation")
    assert admin.get(f"images/{image['id']}/original").content == DATA
    assert all(key.startswith("originals/") for key in stored(app))
    # a lost answer can be asked for again
    view = admin.get(path).json()
    assert (view["received"], view["image_id"]) == (len(DATA), image["id"])
    head = admin.head(path, headers=TUS)
    assert head.headers["location"] == f"/api/v1/images/{image['id']}"
    again = send(admin, path, len(DATA), b"")
    assert again.headers["location"] == head.headers["location"]
    run_jobs(app)
    assert admin.get(f"images/{image['id']}").json()["state"] == "ready"


def test_what_is_told_of_an_upload(admin: TestClient, project: str) -> None:
    answer = begin(admin, project, pixel_nm=4.6)
    assert answer.headers["upload-offset"] == "0"
    expires = parsedate_to_datetime(answer.headers["upload-expires"])
    assert expires - now() > LIFETIME - dt.timedelta(hours=1)
    head = admin.head(address(answer), headers=TUS)
    assert head.headers["upload-length"] == str(len(DATA))
    said = head.headers["upload-metadata"].split(",")
    assert f"name {base64.b64encode(b'a.png').decode()}" in said
    assert answer.json()["about"]["pixel_nm"] == 4.6
    options = admin.options(f"projects/{project}/uploads")
    assert options.status_code == 204
    assert options.headers["tus-version"] == "1.0.0"
    assert options.headers["tus-extension"] == "creation,expiration,termination"
    assert options.headers["tus-max-size"] == str(2 * 2**20)


def test_a_retried_beginning_begins_once(admin: TestClient, project: str) -> None:
    headers = {
        **TUS,
        "Upload-Length": "9",
        "Upload-Metadata": metadata(name="a"),
        "Idempotency-Key": uuid.uuid4().hex,
    }
    twice = [admin.post(f"projects/{project}/uploads", headers=headers) for _ in "ab"]
    assert [answer.status_code for answer in twice] == [201, 201]
    assert twice[0].headers["location"] == twice[1].headers["location"]


def break_off(app: FastAPI, client: TestClient, path: str, data: bytes) -> None:
    """Send a piece whose connection breaks after `data`."""
    messages = iter(
        [
            {"type": "http.request", "body": data, "more_body": True},
            {"type": "http.disconnect"},
        ]
    )

    async def receive() -> Any:
        return next(messages)

    async def send(message: Any) -> None:
        pass

    scope = {
        "type": "http",
        "method": "PATCH",
        "path": f"/api/v1/{path}",
        "raw_path": f"/api/v1/{path}".encode(),
        "root_path": "",
        "scheme": "http",
        "http_version": "1.1",
        "query_string": b"",
        "headers": [
            (b"authorization", client.headers["authorization"].encode()),
            (b"content-length", str(len(DATA)).encode()),
            *((k.lower().encode(), v.encode()) for k, v in PIECE.items()),
            (b"upload-offset", b"0"),
        ],
        "server": ("testserver", 80),
        "client": ("test", 1),
    }
    asyncio.run(app(scope, receive, send))


@pytest.mark.parametrize("arrived", [0, 1, 1000, len(DATA) - 1])
def test_a_broken_connection_is_resumed(
    app: FastAPI, admin: TestClient, project: str, arrived: int
) -> None:
    path = begun(admin, project)
    break_off(app, admin, path, DATA[:arrived])
    assert offset_of(admin, path) == arrived
    assert admin.get(f"projects/{project}/images").json()["items"] == []
    answer = send(admin, path, arrived, DATA[arrived:])
    assert answer.status_code == 204, answer.text
    image = address(answer)
    assert admin.get(f"{image}/original").content == DATA


def test_a_piece_for_the_wrong_place_changes_nothing(
    app: FastAPI, admin: TestClient, project: str
) -> None:
    path = begun(admin, project)
    send(admin, path, 0, DATA[:100])
    before = stored(app)
    for offset in (0, 99, 101, len(DATA), 10**18):
        answer = send(admin, path, offset, b"x")
        assert answer.status_code == 409, answer.text
        assert answer.json()["errors"][0]["pointer"] == "/Upload-Offset"
        assert "100 bytes" in answer.json()["detail"]
        assert answer.headers["tus-resumable"] == "1.0.0"
    assert offset_of(admin, path) == 100
    assert stored(app) == before


def test_of_two_pieces_at_once_one_counts(
    app: FastAPI, admin: TestClient, project: str
) -> None:
    path = begun(admin, project, size=6000)
    both = threading.Barrier(2)

    def piece(letter: bytes) -> Response:
        def blocks() -> Iterator[bytes]:
            yield letter * 1000
            both.wait(30)  # both are on their way now
            yield letter * 1000

        return send(admin, path, 0, blocks())

    with ThreadPoolExecutor(2) as pool:
        answers = list(pool.map(piece, (b"a", b"b")))
    assert sorted(answer.status_code for answer in answers) == [204, 409]
    assert offset_of(admin, path) == 2000
    winner = b"ab"[[a.status_code for a in answers].index(204)]
    [key] = stored(app)
    store: ArtifactStore = app.state.store
    assert store.get_bytes(key) == bytes([winner]) * 2000


def test_of_two_last_pieces_at_once_one_makes_the_image(
    app: FastAPI, admin: TestClient, project: str
) -> None:
    path = begun(admin, project)
    send(admin, path, 0, DATA[:500])
    with ThreadPoolExecutor(3) as pool:
        answers = list(pool.map(lambda _: send(admin, path, 500, DATA[500:]), range(3)))
    codes = sorted(answer.status_code for answer in answers)
    assert codes == [204, 409, 409]
    [image] = admin.get(f"projects/{project}/images").json()["items"]
    assert admin.get(f"images/{image['id']}/original").content == DATA
    assert len(stored(app)) == 1


def test_finished_by_another_request_while_the_parts_are_joined(
    app: FastAPI,
    admin: TestClient,
    project: str,
    store: ArtifactStore,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    path = begun(admin, project)
    send(admin, path, 0, DATA[:500])
    stream = store.stream
    winners: list[Response] = []

    def slow(key: str) -> Iterator[bytes]:
        monkeypatch.setattr(store, "stream", stream)
        winners.append(send(admin, path, 500, DATA[500:]))
        yield from stream(key)

    monkeypatch.setattr(store, "stream", slow)
    assert send(admin, path, 500, DATA[500:]).status_code == 409
    assert winners[0].status_code == 204
    assert len(stored(app)) == 1


def test_larger_than_allowed(app: FastAPI, admin: TestClient, project: str) -> None:
    answer = begin(admin, project, size=2 * 2**20 + 1)
    assert answer.status_code == 413
    assert answer.json()["errors"][0]["pointer"] == "/Upload-Length"
    assert "CISTERNA_MAX_UPLOAD_BYTES" in answer.json()["detail"]


@pytest.mark.parametrize("streamed", [False, True])
def test_more_bytes_than_announced(
    app: FastAPI, admin: TestClient, project: str, streamed: bool
) -> None:
    path = begun(admin, project, size=100)
    send(admin, path, 0, bytes(60))
    before = stored(app)
    answer = send(admin, path, 60, iter([bytes(20)] * 3) if streamed else bytes(41))
    assert answer.status_code == 413
    assert answer.json()["errors"][0]["pointer"] == "/Content-Length"
    assert offset_of(admin, path) == 60
    assert stored(app) == before


@pytest.mark.parametrize(
    ("changes", "status", "pointer"),
    [
        ({"Upload-Length": None}, 422, "/header/upload-length"),
        ({"Upload-Length": "0"}, 422, "/header/upload-length"),
        ({"Upload-Length": "-1"}, 422, "/header/upload-length"),
        ({"Upload-Metadata": None}, 422, "/header/upload-metadata"),
        ({"Upload-Metadata": ""}, 422, "/Upload-Metadata"),
        ({"Upload-Metadata": "name a.png"}, 422, "/Upload-Metadata"),
        ({"Upload-Metadata": "name /w=="}, 422, "/Upload-Metadata"),
        ({"Upload-Metadata": metadata(donor="x")}, 422, "/Upload-Metadata"),
        ({"Upload-Metadata": metadata(name="a", pixel_nm=-1)}, 422, "/Upload-Metadata"),
        ({"Upload-Metadata": metadata(name="a", pixels=1)}, 422, "/Upload-Metadata"),
        ({"Upload-Metadata": metadata(name="a\0")}, 422, None),
        ({"Tus-Resumable": None}, 412, None),
        ({"Tus-Resumable": "0.2.2"}, 412, None),
    ],
)
def test_beginnings_we_refuse(
    admin: TestClient,
    project: str,
    changes: dict[str, str | None],
    status: int,
    pointer: str | None,
) -> None:
    headers = {**TUS, "Upload-Length": "9", "Upload-Metadata": metadata(name="a")}
    given = {k: v for k, v in {**headers, **changes}.items() if v is not None}
    answer = admin.post(f"projects/{project}/uploads", headers=given)
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["tus-resumable"] == "1.0.0"
    if pointer is not None:
        assert answer.json()["errors"][0]["pointer"] == pointer
    if status == 412:
        assert answer.headers["tus-version"] == "1.0.0"
        assert "Tus-Resumable" in answer.json()["detail"]


@pytest.mark.parametrize(
    ("changes", "status", "pointer"),
    [
        ({"Content-Type": "application/octet-stream"}, 422, "/Content-Type"),
        ({"Upload-Offset": None}, 422, "/header/upload-offset"),
        ({"Upload-Offset": "-1"}, 422, "/header/upload-offset"),
        ({"Tus-Resumable": None}, 412, None),
    ],
)
def test_pieces_we_refuse(
    admin: TestClient,
    project: str,
    changes: dict[str, str | None],
    status: int,
    pointer: str | None,
) -> None:
    path = begun(admin, project)
    headers = {**PIECE, "Upload-Offset": "0", **changes}
    given = {k: v for k, v in headers.items() if v is not None}
    answer = admin.patch(path, content=b"x", headers=given)
    assert answer.status_code == status, answer.text
    if pointer is not None:
        assert answer.json()["errors"][0]["pointer"] == pointer
    assert offset_of(admin, path) == 0


def test_a_file_that_cannot_be_an_image_keeps_its_pieces(
    app: FastAPI, admin: TestClient, project: str
) -> None:
    known = upload(admin, project, DATA, name="known").json()
    path = begun(admin, project)
    send(admin, path, 0, DATA[:100])
    before = stored(app)
    answer = send(admin, path, 100, DATA[100:])
    assert answer.status_code == 409
    assert answer.json()["errors"][0]["pointer"] == "/sha256"
    assert known["id"] in answer.json()["detail"]
    assert offset_of(admin, path) == 100
    assert stored(app) == before
    # the mend: that image goes, and the last piece comes again
    assert admin.delete(f"images/{known['id']}").status_code == 204
    answer = send(admin, path, 100, DATA[100:])
    assert answer.status_code == 204, answer.text
    assert admin.get(f"{address(answer)}/original").content == DATA


def test_the_same_file_again_gives_the_image_there_is(
    app: FastAPI, admin: TestClient, project: str
) -> None:
    known = upload(admin, project, DATA).json()
    before = stored(app)
    answer = send(admin, begun(admin, project), 0, DATA)
    assert answer.headers["location"] == f"/api/v1/images/{known['id']}"
    assert stored(app) == before


def test_other_bytes_than_stated(app: FastAPI, admin: TestClient, project: str) -> None:
    path = begun(admin, project, sha256="0" * 64)
    answer = send(admin, path, 0, DATA)
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["pointer"] == "/sha256"
    assert stored(app) == set()


def test_cancelled(app: FastAPI, admin: TestClient, project: str) -> None:
    path = begun(admin, project)
    send(admin, path, 0, DATA[:100])
    assert admin.delete(path, headers=TUS).status_code == 204
    assert stored(app) == set()
    assert admin.get(path).status_code == 404
    assert admin.head(path, headers=TUS).status_code == 404
    assert send(admin, path, 100, DATA[100:]).status_code == 404
    assert admin.delete(path, headers=TUS).status_code == 404
    assert stored(app) == set()


def test_cancelled_under_way(app: FastAPI, admin: TestClient, project: str) -> None:
    path = begun(admin, project)

    def blocks() -> Iterator[bytes]:
        yield DATA[:100]
        assert admin.delete(path, headers=TUS).status_code == 204
        yield DATA[100:200]

    assert send(admin, path, 0, blocks()).status_code == 404
    assert stored(app) == set()


def test_forgotten_uploads_expire(
    app: FastAPI, admin: TestClient, project: str
) -> None:
    old, fresh, done = (begun(admin, project, name=n) for n in ("a", "b", "c"))
    image = address(send(admin, done, 0, DATA))
    for path in (old, fresh):
        send(admin, path, 0, DATA[:100])
    ids = [uuid.UUID(path.rpartition("/")[2]) for path in (old, done)]
    with database_of(app).unit_of_work() as session:
        session.execute(
            update(ResumableUpload)
            .where(ResumableUpload.id.in_(ids))
            .values(expires_at=now())
        )
    assert send(admin, old, 100, DATA[100:]).status_code == 404
    clock.collect(database_of(app), app.state.store)
    with database_of(app).unit_of_work() as session:
        [left] = session.scalars(select(ResumableUpload.id))
        assert str(left) in fresh
        assert session.scalars(select(Image)).one()
    assert send(admin, fresh, 100, DATA[100:200]).status_code == 204
    assert admin.get(f"{image}/original").content == DATA
    assert sum(key.startswith("uploads/") for key in stored(app)) == 2


def test_a_piece_puts_the_expiry_off(
    app: FastAPI, admin: TestClient, project: str
) -> None:
    path = begun(admin, project)
    with database_of(app).unit_of_work() as session:
        session.execute(
            update(ResumableUpload).values(expires_at=now() + dt.timedelta(minutes=1))
        )
    answer = send(admin, path, 0, DATA[:100])
    expires = parsedate_to_datetime(answer.headers["upload-expires"])
    assert expires - now() > dt.timedelta(hours=1)


def test_who_may_do_what(app: FastAPI, admin: TestClient, project: str) -> None:
    manager = person(app, admin, project, "manager")
    path = begun(manager, project)
    assert send(manager, path, 0, DATA[:100]).status_code == 204
    other = admin.post("projects", json={"name": "Other"}).json()["slug"]
    for client, status in (
        (person(app, admin, project, "reviewer"), 403),
        (person(app, admin, project, "annotator"), 403),
        (person(app, admin, other, "manager"), 404),
        (client_with(app), 401),
    ):
        assert begin(client, project).status_code == status
        assert client.get(path).status_code == status
        assert client.head(path, headers=TUS).status_code == status
        assert send(client, path, 100, DATA[100:]).status_code == status
        assert client.delete(path, headers=TUS).status_code == status
    reader = admin.post("tokens", json={"name": "r", "read_only": True}).json()
    assert send(client_with(app, reader["secret"]), path, 100, b"").status_code == 403
    assert send(admin, path, 100, DATA[100:]).status_code == 204


def test_keys_hold_ids_alone(app: FastAPI, admin: TestClient, project: str) -> None:
    path = begun(admin, project, name="../étude ☃.png", donor="Ann")
    send(admin, path, 0, DATA[:10])
    [key] = stored(app)
    assert re.fullmatch(r"uploads/[0-9a-f-]{36}/0-[0-9a-f-]{36}", key)
