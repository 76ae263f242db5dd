"""The client: retries that do nothing twice, errors of one line, uploads, masks."""

import hashlib
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from live_fixtures import Live
from PIL import Image as Picture

from backend.client import (
    ApiError,
    Cisterna,
    ClientError,
    JobFailed,
    ServerAway,
    pieces,
)
from backend.client import transport as transport_module
from backend.domain.states import JobState, Split
from backend.schemas.person import NewToken, TokenView
from backend.schemas.project import NewLabel, NewProject, ProjectEdit

Answer = tuple[int, object]


@contextmanager
def scripted(*answers: Answer | None) -> Iterator[tuple[str, list[dict[str, str]]]]:
    """Serve these answers in turn; None drops the connection without a word."""
    waiting, seen = list(answers), list[dict[str, str]]()

    class Handler(BaseHTTPRequestHandler):
        def respond(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            body = self.rfile.read(length).decode(errors="replace")
            seen.append({**dict(self.headers), "path": self.path, "body": body})
            answer = waiting.pop(0)
            if answer is None:
                self.close_connection = True
                return
            status, value = answer
            data = json.dumps(value).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        do_GET = do_POST = do_PATCH = do_DELETE = respond

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", seen
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def problem(status: int, detail: str) -> Answer:
    return status, {
        "type": "urn:cisterna:problem:x",
        "title": "Refused",
        "status": status,
        "detail": detail,
        "instance": "/",
        "errors": [],
    }


@pytest.fixture(autouse=True)
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transport_module, "FIRST_PAUSE", 0.01)


TOKEN = {
    "id": "6f0c4c1e-5a1d-4a53-8f6a-0f7f3a6f9a10",
    "name": "n",
    "prefix": "cst_",
    "read_only": False,
    "created_at": "2026-01-01T00:00:00Z",
    "expires_at": None,
    "last_used_at": None,
    "revoked_at": None,
    "secret": "cst_x",
}


def test_a_lost_post_is_sent_again_under_the_same_key() -> None:
    away, running = problem(503, "Away."), problem(409, "This key is still running.")
    with (
        scripted(None, away, running, (201, TOKEN)) as (url, seen),
        Cisterna(url, "t") as service,
    ):
        assert service.people.create_token(NewToken(name="n")).secret == "cst_x"
    assert len(seen) == 4
    assert len({request["Idempotency-Key"] for request in seen}) == 1
    assert {request["body"] for request in seen} == {'{"name":"n"}'}


def test_a_conflict_of_the_first_try_is_not_tried_again() -> None:
    running = problem(409, "A training is still running.")
    with (
        scripted(running) as (url, seen),
        Cisterna(url, "t") as service,
        pytest.raises(ApiError) as refused,
    ):
        service.people.create_token(NewToken(name="n"))
    assert refused.value.status == 409
    assert len(seen) == 1


def test_an_edit_whose_answer_was_lost_is_not_sent_twice() -> None:
    with (
        scripted(None) as (url, seen),
        Cisterna(url, "t") as service,
        pytest.raises(ServerAway),
    ):
        service.people.revoke_token(TOKEN["id"])  # type: ignore[arg-type]
    assert len(seen) == 1


def test_nobody_there_and_somebody_else_are_one_line_each() -> None:
    with Cisterna("http://127.0.0.1:9", "t") as service, pytest.raises(ServerAway) as e:
        service.people.me()
    assert "http://127.0.0.1:9" in str(e.value)
    assert "\n" not in str(e.value)
    with (
        scripted((404, {"error": "nginx"}), (200, {"me": 1})) as (url, _),
        Cisterna(url, "t") as service,
    ):
        for _ in range(2):
            with pytest.raises(ServerAway):
                service.people.me()


def test_an_error_tells_title_and_mend_in_one_line(live: Live) -> None:
    with pytest.raises(ApiError) as refused:
        live.service.projects.get("nowhere")
    assert refused.value.status == 404
    assert "\n" not in str(refused.value)
    assert str(refused.value).startswith("Not found: ")
    with Cisterna(live.url, "cst_wrong") as other, pytest.raises(ApiError) as refused:
        other.people.me()
    assert refused.value.status == 401


def test_projects_are_edited_as_they_were_read(live: Live) -> None:
    projects = live.service.projects
    before = projects.create(NewProject(name="Liver", preset="liver"))
    after = projects.edit(before, ProjectEdit(query_size=7))
    assert (after.query_size, after.strategy) == (7, before.strategy)
    with pytest.raises(ApiError) as refused:
        projects.edit(before, ProjectEdit(query_size=8))
    assert refused.value.status == 412
    projects.add_label(before.slug, NewLabel(name="peroxisome"))
    assert "peroxisome" in {label.name for label in projects.get(before.slug).labels}


def test_lists_go_on_over_pages(live: Live) -> None:
    for number in range(5):
        live.service.people.create_token(NewToken(name=f"t{number}"))
    pages = live.service._transport.pages("tokens", TokenView, {"limit": 2})
    assert len({token.id for token in pages}) == 6  # the first start's, too


def test_uploads_stream_hash_and_are_safe_to_repeat(
    live: Live, tmp_path: Path, grey: Callable[[Path], Path]
) -> None:
    slug = live.project()
    file = grey(tmp_path / "a.png")
    told: list[tuple[int, int]] = []

    def on_progress(sent: int, total: int) -> None:
        told.append((sent, total))

    images = live.service.images
    first = images.upload(slug, file, pixel_nm=4.6, on_progress=on_progress)
    assert told[-1] == (file.stat().st_size, file.stat().st_size)
    assert (first.pixel_nm, first.split) == (4.6, Split.POOL)
    assert images.upload(slug, file).id == first.id
    with pytest.raises(ApiError) as refused:
        images.upload(slug, file, name="the same under another name")
    assert refused.value.status == 409


def test_a_large_file_survives_broken_connections(
    live: Live, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pieces, "PIECE", 3000)
    file, slug = tmp_path / "large.png", live.project()
    file.write_bytes(noise := np.random.default_rng(1).bytes(10_000))
    http = live.service.images._transport._http
    request, lost = http.request, iter(["request", None, "answer", None, "request"])

    def breaking(method: str, path: str, **rest: Any) -> httpx.Response:
        fault = next(lost, None) if method == "PATCH" else None
        if fault == "request":
            raise httpx.ReadError("broken")
        answer = request(method, path, **rest)
        if fault == "answer":
            raise httpx.ReadError("broken")
        return answer

    monkeypatch.setattr(http, "request", breaking)
    seen: list[tuple[int, int]] = []
    image = live.service.images.upload(
        slug, file, pixel_nm=4.6, on_progress=lambda *now: seen.append(now)
    )
    assert image.sha256 == hashlib.sha256(noise).hexdigest()
    assert (image.name, image.pixel_nm) == ("large.png", 4.6)
    assert [sent for sent, _ in seen] == [0, 3000, 6000, 9000, 9000, 10_000]


def test_a_large_file_is_given_up_in_the_end(
    live: Live, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pieces, "PIECE", 3000)
    file, slug = tmp_path / "large.png", live.project()
    file.write_bytes(bytes(10_000))
    http = live.service.images._transport._http
    request, tries = http.request, list[str]()

    def breaking(method: str, path: str, **rest: Any) -> httpx.Response:
        if method != "PATCH":
            return request(method, path, **rest)
        tries.append(path)
        raise httpx.ReadError("broken")

    monkeypatch.setattr(http, "request", breaking)
    with pytest.raises(ServerAway, match="broken"):
        live.service.images.upload(slug, file)
    assert len(tries) == pieces.TRIES


def test_masks_go_there_and_back(
    live: Live, tmp_path: Path, grey: Callable[[Path], Path]
) -> None:
    service, slug = live.service, live.project()
    image = service.images.upload(slug, grey(tmp_path / "a.png"))
    live.work()
    image = service.images.wait(image.id)
    truth = np.asarray(Picture.open(tmp_path / "a.png"))
    assert np.array_equal(service.images.region(image.id), truth)
    region = service.images.region(image.id, y=3, x=5, h=7, w=11)
    assert np.array_equal(region, truth[3:10, 5:16])

    task = service.tasks.claim(slug).tasks[0]
    assert not service.tasks.mask(task.id).any()
    assert service.tasks.draft(task.id) is None
    drawn = np.zeros((task.tile.box.h, task.tile.box.w), np.uint8)
    drawn[2:9, 4:30] = 4
    service.tasks.save_draft(task.id, drawn)
    service.tasks.save_draft(task.id, drawn, complete_for=[4])
    assert np.array_equal(service.tasks.draft(task.id), drawn)
    made = service.tasks.submit(task.id, drawn, complete_for=[4])
    assert made.complete_for == [4]
    assert np.array_equal(service.annotations.mask(made.id), drawn)
    with pytest.raises(ApiError, match="tile is"):
        service.tasks.submit(task.id, drawn[:10])


def test_label_images_come_in_as_files_and_as_arrays(
    live: Live, tmp_path: Path, grey: Callable[[Path], Path]
) -> None:
    service, slug = live.service, live.project()
    image = service.images.upload(slug, grey(tmp_path / "a.png"), split=Split.TEST)
    live.work()
    labels = np.zeros((96, 80), np.uint8)
    labels[:40] = 9
    with pytest.raises(ApiError):
        service.images.import_labels(image.id, labels)
    Picture.fromarray(labels).save(tmp_path / "labels.png")
    done = service.images.import_labels(
        image.id, tmp_path / "labels.png", value_map="9=ER", complete_for="all"
    )
    assert done.pixels["4"] == 40 * 80
    assert len(done.annotations) == 4


def test_a_failed_job_is_told_by_its_own_words(live: Live, tmp_path: Path) -> None:
    service, slug = live.service, live.project()
    (tmp_path / "no.png").write_bytes(b"this is no image at all")
    image = service.images.upload(slug, tmp_path / "no.png")
    job = next(service.jobs.list(slug))
    live.work()
    seen: list[JobState] = []
    with pytest.raises(JobFailed) as failed:
        service.jobs.wait(job.id, lambda job: seen.append(job.state))
    assert seen == [JobState.FAILED]
    assert "\n" not in str(failed.value)
    with pytest.raises(ClientError, match="rejected"):
        service.images.wait(image.id)
    assert "Attempt 1" in service.jobs.log(job.id)
