"""What every route shares: credentials, problem+json, replays, revisions, cursors."""

import base64
import re
import threading
import uuid
from collections.abc import Iterator

import pytest
from api_fixtures import API, client_with, database_of, person
from fastapi import FastAPI
from fastapi.routing import iter_route_contexts
from fastapi.testclient import TestClient
from sqlalchemy import func, select

from backend.api import problems
from backend.api.routing import MAX_BODY
from backend.app import PUBLIC
from backend.domain import errors
from backend.models import IdempotencyKey, Project

MEDIA = "application/problem+json"


def routes(app: FastAPI) -> Iterator[tuple[str, str]]:
    """Method and path of every route, from the schema and the routes themselves."""
    seen = set()
    for path, methods in app.openapi()["paths"].items():
        seen |= {(method.upper(), path) for method in methods}
    for route in iter_route_contexts(app.routes):
        seen |= {(method, route.path) for method in route.methods or ()}
    yield from sorted(seen)


def test_nothing_answers_without_credentials(app: FastAPI) -> None:
    guarded = [(m, p) for m, p in routes(app) if p not in PUBLIC]
    assert len(guarded) > 25
    bare = TestClient(app, raise_server_exceptions=False)
    for method, path in guarded:
        address = re.sub(r"{[^}]+}", str(uuid.uuid4()), path)
        for headers in ({}, {"Authorization": "Bearer cst_wrong"}):
            answer = bare.request(method, address, headers=headers)
            assert answer.status_code == 401, f"{method} {path}: {answer.text}"
            assert answer.headers["content-type"] == MEDIA, path
            assert answer.headers["www-authenticate"] == "Bearer", path


def test_every_body_has_an_example(app: FastAPI) -> None:
    schema = app.openapi()
    components = schema["components"]["schemas"]
    missing = []
    for path, methods in schema["paths"].items():
        for method, operation in methods.items():
            content = operation.get("requestBody", {}).get("content", {})
            body = content.get("application/json")
            if body is None:
                continue
            model = components[body["schema"]["$ref"].rpartition("/")[2]]
            fields = model.get("properties", {}).values()
            if not {"example", "examples"} & body.keys() and not any(
                "examples" in f for f in fields
            ):
                missing.append(f"{method} {path}")
    assert missing == []


def test_every_domain_error_has_a_status() -> None:
    def below(kind: type[errors.DomainError]) -> Iterator[type[errors.DomainError]]:
        yield kind
        for child in kind.__subclasses__():
            yield from below(child)

    for kind in below(errors.DomainError):
        nearest = next(k for k in kind.__mro__ if k in problems.STATUS)
        assert kind is errors.DomainError or nearest is not errors.DomainError, kind


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "nothing/here", 404),
        ("PUT", "projects", 405),
        ("GET", "projects/none", 404),
        ("GET", f"images/{uuid.uuid4()}", 404),
        ("GET", "images/not-an-id", 422),
        ("GET", "projects?limit=0", 422),
    ],
)
def test_errors_are_problems(
    admin: TestClient, method: str, path: str, status: int
) -> None:
    answer = admin.request(method, path)
    assert answer.status_code == status
    assert answer.headers["content-type"] == MEDIA
    body = answer.json()
    assert body["status"] == status
    assert body["type"].startswith("urn:cisterna:problem:")
    assert body["instance"] == f"/api/v1/{path.partition('?')[0]}"
    assert len(body["detail"].split()) > 4  # a sentence


@pytest.mark.parametrize(
    ("content", "kind", "pointer", "words"),
    [
        (b'{"name": "x",', "application/json", "/body", "no JSON from character 13"),
        (b"[1]", "application/json", "/body", "dictionary"),
        (b'{"name": "x"}', "text/plain", "/header/content-type", "application/json"),
        (
            b'{"name": "x"}',
            "application/x-www-form-urlencoded",  # what curl -d says
            "/header/content-type",
            "application/json",
        ),
        (b'{"name": "a\\u0000b"}', "application/json", "/body/name", "NUL"),
        (
            b'{"name": "x", "labels": [{"name": "a"}, {"name": "a"}]}',
            "application/json",
            "/labels/1/name",
            "already",
        ),
    ],
)
def test_a_wrong_body_is_a_problem_that_names_the_place(
    admin: TestClient, content: bytes, kind: str, pointer: str, words: str
) -> None:
    answer = admin.post("projects", content=content, headers={"Content-Type": kind})
    assert answer.status_code in (409, 422), answer.text
    assert answer.headers["content-type"] == MEDIA
    (error,) = answer.json()["errors"]
    assert error["pointer"] == pointer
    assert words in error["detail"]
    assert words in answer.json()["detail"]


def test_a_nul_in_an_address_is_named(admin: TestClient, project: str) -> None:
    for path, pointer in (
        ("projects/%00", "/project"),
        (f"projects/{project}/images?cursor=a%00", "/cursor"),
    ):
        answer = admin.get(path)
        assert answer.status_code == 422
        assert answer.json()["errors"][0]["pointer"] == pointer
        assert "NUL" in answer.json()["detail"]


def test_an_edit_without_if_match_is_told_where_it_belongs(
    admin: TestClient, project: str
) -> None:
    answer = admin.patch(f"projects/{project}", json={"name": "x"})
    assert answer.status_code == 428
    assert answer.json()["errors"][0]["pointer"] == "/If-Match"


def test_a_body_that_never_ends_is_cut_off(admin: TestClient) -> None:
    def blocks() -> Iterator[bytes]:
        for _ in range(MAX_BODY // 2**20 + 2):
            yield bytes(2**20)

    answer = admin.post(
        "projects", content=blocks(), headers={"Content-Type": "application/json"}
    )
    assert answer.status_code == 413
    assert answer.headers["content-type"] == MEDIA


def test_a_bug_shows_an_id_and_no_traceback(app: FastAPI, admin: TestClient) -> None:
    @app.get("/boom")
    def boom() -> None:
        raise RuntimeError("secret words")

    answer = admin.get(f"{API.removesuffix('/api/v1/')}/boom")
    assert answer.status_code == 500
    assert answer.headers["content-type"] == MEDIA
    assert "secret" not in answer.text


def test_idempotent_retry_gets_the_first_answer(
    app: FastAPI, admin: TestClient
) -> None:
    key = {"Idempotency-Key": "k-1"}
    first = admin.post("projects", json={"name": "Once"}, headers=key)
    again = admin.post("projects", json={"name": "Once"}, headers=key)
    assert first.status_code == again.status_code == 201
    assert again.content == first.content
    for name in ("location", "etag", "content-type"):
        assert again.headers[name] == first.headers[name]
    assert again.headers["idempotency-replayed"] == "true"
    assert "idempotency-replayed" not in first.headers
    with database_of(app).unit_of_work() as session:
        assert session.scalar(select(func.count()).select_from(Project)) == 1


def test_a_key_belongs_to_one_request_and_one_person(
    app: FastAPI, admin: TestClient, project: str
) -> None:
    key = {"Idempotency-Key": "k-1"}
    admin.post("projects", json={"name": "Once"}, headers=key)
    answer = admin.post("projects", json={"name": "Twice"}, headers=key)
    assert answer.status_code == 422
    assert answer.json()["type"].endswith("idempotency-mismatch")
    other = person(app, admin, project, "viewer")
    answer = other.post("projects", json={"name": "Twice"}, headers=key)
    assert answer.status_code == 201


def test_a_failed_request_leaves_its_key_free(app: FastAPI, admin: TestClient) -> None:
    key = {"Idempotency-Key": "k-1"}
    body = {"name": "x", "labels": [{"name": "a"}, {"name": "a"}]}
    assert admin.post("projects", json=body, headers=key).status_code == 409
    with database_of(app).unit_of_work() as session:
        assert session.scalar(select(func.count()).select_from(IdempotencyKey)) == 0
        assert session.scalar(select(func.count()).select_from(Project)) == 0
    answer = admin.post("projects", json={"name": "x"}, headers=key)
    assert answer.status_code == 201


def test_two_at_once_do_the_work_once(app: FastAPI, admin: TestClient) -> None:
    gate = threading.Barrier(4)
    answers: list[int] = []

    def post() -> None:
        gate.wait()
        answer = admin.post(
            "projects", json={"name": "Race"}, headers={"Idempotency-Key": "r"}
        )
        answers.append(answer.status_code)

    threads = [threading.Thread(target=post) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert 201 in answers
    assert set(answers) <= {201, 409}
    with database_of(app).unit_of_work() as session:
        assert session.scalar(select(func.count()).select_from(Project)) == 1


@pytest.mark.parametrize(
    ("if_match", "status"),
    [
        (None, 428),
        ('"1"', 200),
        ("1", 200),
        ('"2"', 412),
        ('W/"1"', 200),
        ('W/"2"', 412),
        ("*", 422),
        ('"99999999999"', 422),
    ],
)
def test_if_match(
    admin: TestClient, project: str, if_match: str | None, status: int
) -> None:
    headers = {"If-Match": if_match} if if_match else {}
    answer = admin.patch(f"projects/{project}", json={"query_size": 5}, headers=headers)
    assert answer.status_code == status, answer.text
    if status != 200:
        assert answer.headers["content-type"] == MEDIA
        assert admin.get(f"projects/{project}").json()["query_size"] == 2


def test_of_two_edits_of_one_revision_one_wins(
    app: FastAPI, admin: TestClient, project: str
) -> None:
    gate = threading.Barrier(3)
    answers: list[int] = []

    def edit(size: int) -> None:
        gate.wait()
        answer = admin.patch(
            f"projects/{project}",
            json={"query_size": size},
            headers={"If-Match": '"1"'},
        )
        answers.append(answer.status_code)

    threads = [threading.Thread(target=edit, args=(n,)) for n in (3, 4, 5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(answers) == [200, 412, 412]


def test_pages_hold_each_row_once(admin: TestClient) -> None:
    for number in range(7):
        admin.post("projects", json={"name": f"P {number}"})
    seen, cursor = [], None
    while True:
        page = admin.get(
            "projects",
            params={"limit": 3, "cursor": cursor} if cursor else {"limit": 3},
        ).json()
        seen += [p["name"] for p in page["items"]]
        cursor = page["next"]
        if cursor is None:
            break
        admin.post("projects", json={"name": f"Later {cursor[-9:]}"})
    assert seen == [f"P {n}" for n in reversed(range(7))]


@pytest.mark.parametrize(
    "cursor",
    [
        "x",
        "%00",
        base64.urlsafe_b64encode(b"2024-01-01 nothing").decode(),
        base64.urlsafe_b64encode(b"2024-01-01T00:00:00").decode(),
        base64.urlsafe_b64encode(b"\xff\xfe").decode(),
        "é",
    ],
)
def test_cursors_of_others_are_refused(admin: TestClient, cursor: str) -> None:
    answer = admin.get("projects", params={"cursor": cursor})
    assert answer.status_code == 422, answer.text
    assert answer.json()["errors"][0]["pointer"] == "/cursor"


def test_the_schema_names_the_problem_it_promises(
    app: FastAPI, stranger: TestClient
) -> None:
    schema = client_with(app).get("http://testserver/api/openapi.json").json()
    assert "Problem" in schema["components"]["schemas"]
    used = set(
        re.findall(r'"#/components/schemas/([^"]+)"', str(schema).replace("'", '"'))
    )
    assert used <= set(schema["components"]["schemas"])
