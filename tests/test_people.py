"""Accounts, tokens, one-time links, sessions and roles."""

import datetime as dt
import stat
import threading
import uuid

import pytest
from api_fixtures import client_with, database_of, id_of, person
from fastapi import FastAPI
from fastapi.testclient import TestClient
from sqlalchemy import select, update

from backend.api.deps import COOKIE
from backend.models import AuditEntry, Link, Session, Token, User
from backend.services import people
from backend.services.access import now
from backend.settings import Settings

OWN = {"Origin": "http://testserver"}


def test_first_start_leaves_one_admin_token(app: FastAPI, settings: Settings) -> None:
    file = settings.admin_token_file
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    first = file.read_text()
    with database_of(app).unit_of_work() as session:
        assert not people.ensure_admin(session, file)
    assert file.read_text() == first
    with database_of(app).unit_of_work() as session:
        assert len(session.scalars(select(Token)).all()) == 1


def test_a_start_that_died_before_its_commit_is_done_again(
    app: FastAPI, settings: Settings
) -> None:
    database = database_of(app)
    file = settings.data_dir / "other.token"
    with database.unit_of_work() as session:
        session.execute(update(User).values(name="was admin"))
    with database.sessions() as session:
        assert people.ensure_admin(session, file)
        session.rollback()
    lost = file.read_text().strip()
    with database.unit_of_work() as session:
        assert people.ensure_admin(session, file)
    assert client_with(app, lost).get("me").status_code == 401
    good = client_with(app, file.read_text().strip())
    assert good.get("me").json()["is_admin"] is True


def test_me(admin: TestClient, project: str, app: FastAPI) -> None:
    me = admin.get("me").json()
    assert me["name"] == "admin"
    assert [m["slug"] for m in me["memberships"]] == [project]
    annotator = person(app, admin, project, "annotator")
    me = annotator.get("me").json()
    assert me["is_admin"] is False
    assert me["memberships"][0]["role"] == "annotator"


def test_token_is_shown_once_and_can_be_revoked(
    app: FastAPI, admin: TestClient
) -> None:
    made = admin.post("tokens", json={"name": "notebook"}).json()
    assert made["secret"].startswith(made["prefix"])
    mine = client_with(app, made["secret"])
    assert mine.get("me").status_code == 200
    listed = admin.get("tokens").json()["items"]
    assert {t["name"] for t in listed} == {"notebook", "first start"}
    assert all("secret" not in t and "digest" not in t for t in listed)
    assert admin.delete(f"tokens/{made['id']}").status_code == 204
    answer = mine.get("me")
    assert answer.status_code == 401
    assert "revoked" in answer.json()["detail"]


def test_read_only_token_changes_nothing(app: FastAPI, admin: TestClient) -> None:
    made = admin.post("tokens", json={"name": "look", "read_only": True}).json()
    reader = client_with(app, made["secret"])
    assert reader.get("me").json()["read_only"] is True
    answer = reader.post("tokens", json={"name": "more"})
    assert answer.status_code == 403
    assert "read-only" in answer.json()["detail"]


def test_expired_token(app: FastAPI, admin: TestClient) -> None:
    made = admin.post("tokens", json={"name": "short", "days": 1}).json()
    with database_of(app).unit_of_work() as session:
        session.execute(
            update(Token)
            .where(Token.id == uuid.UUID(made["id"]))
            .values(expires_at=now() - dt.timedelta(seconds=1))
        )
    assert client_with(app, made["secret"]).get("me").status_code == 401


def test_somebody_elses_token_cannot_be_revoked(
    app: FastAPI, admin: TestClient, project: str
) -> None:
    made = admin.post("tokens", json={"name": "mine"}).json()
    other = person(app, admin, project, "manager")
    assert other.delete(f"tokens/{made['id']}").status_code == 404
    assert client_with(app, made["secret"]).get("me").status_code == 200


def test_invitation_becomes_a_cookie_session(
    app: FastAPI, admin: TestClient, project: str
) -> None:
    invited = admin.post(f"projects/{project}/invitations", json={"role": "annotator"})
    token = invited.json()["token"]
    assert invited.json()["link"].endswith(f"#join={token}")
    browser = client_with(app)
    answer = browser.post("sessions", json={"token": token, "name": "Mira"})
    assert answer.status_code == 201
    cookie = answer.headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=lax" in cookie
    assert token not in cookie
    assert answer.json()["memberships"][0]["role"] == "annotator"
    assert browser.get("me").json()["name"] == "Mira"
    assert browser.get(f"projects/{project}").status_code == 200


def test_cookie_needs_own_origin_to_change_state(
    app: FastAPI, admin: TestClient, project: str
) -> None:
    invited = admin.post(f"projects/{project}/invitations", json={"role": "viewer"})
    browser = client_with(app)
    token = invited.json()["token"]
    assert (
        browser.post("sessions", json={"token": token, "name": "Bo"}).status_code == 201
    )
    body = {"name": "t"}
    assert browser.post("tokens", json=body).status_code == 403
    foreign = {"Origin": "https://evil.example"}
    assert browser.post("tokens", json=body, headers=foreign).status_code == 403
    assert browser.post("tokens", json=body, headers=OWN).status_code == 201


def test_a_foreign_page_cannot_sign_anybody_in(
    app: FastAPI, admin: TestClient, project: str
) -> None:
    invited = admin.post(f"projects/{project}/invitations", json={"role": "viewer"})
    answer = client_with(app).post(
        "sessions",
        json={"token": invited.json()["token"], "name": "X"},
        headers={"Origin": "https://evil.example"},
    )
    assert answer.status_code == 403
    assert "set-cookie" not in answer.headers


def test_sign_out_ends_the_session(app: FastAPI, admin: TestClient) -> None:
    browser = signed_in(app, admin)
    kept = browser.cookies[COOKIE]
    assert browser.delete("sessions").status_code == 204
    assert browser.get("me").status_code == 401
    again = client_with(app)
    again.cookies.set(COOKIE, kept)
    assert again.get("me").status_code == 401


def test_session_expires(app: FastAPI, admin: TestClient) -> None:
    browser = signed_in(app, admin)
    with database_of(app).unit_of_work() as session:
        session.execute(
            update(Session).values(expires_at=now() - dt.timedelta(seconds=1))
        )
    assert browser.get("me").status_code == 401


def signed_in(app: FastAPI, admin: TestClient) -> TestClient:
    link = admin.post(f"users/{id_of(admin)}/links", json={}).json()
    browser = client_with(app)
    answer = browser.post("sessions", json={"token": link["token"]})
    assert answer.status_code == 201, answer.text
    return browser


def test_link_works_once_even_for_two_at_the_same_moment(
    app: FastAPI, admin: TestClient, project: str
) -> None:
    invited = admin.post(f"projects/{project}/invitations", json={"role": "viewer"})
    token = invited.json()["token"]
    answers: list[int] = []
    gate = threading.Barrier(4)

    def come(name: str) -> None:
        gate.wait()
        answer = client_with(app).post("sessions", json={"token": token, "name": name})
        answers.append(answer.status_code)

    threads = [threading.Thread(target=come, args=(f"P{n}",)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(answers) == [201, 401, 401, 401]
    with database_of(app).unit_of_work() as session:
        assert len(session.scalars(select(User).where(User.name.like("P_"))).all()) == 1


def test_link_without_a_name_stays_unused(
    app: FastAPI, admin: TestClient, project: str
) -> None:
    invited = admin.post(f"projects/{project}/invitations", json={"role": "viewer"})
    token = invited.json()["token"]
    browser = client_with(app)
    answer = browser.post("sessions", json={"token": token})
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["pointer"] == "/name"
    taken = browser.post("sessions", json={"token": token, "name": "admin"})
    assert taken.status_code == 409
    assert (
        browser.post("sessions", json={"token": token, "name": "Li"}).status_code == 201
    )


@pytest.mark.parametrize("ruin", ["expired", "unknown", "maker disabled"])
def test_links_that_are_no_good(
    app: FastAPI, admin: TestClient, project: str, ruin: str
) -> None:
    manager = person(app, admin, project, "manager")
    invited = manager.post(f"projects/{project}/invitations", json={"role": "viewer"})
    token = invited.json()["token"]
    if ruin == "expired":
        with database_of(app).unit_of_work() as session:
            session.execute(
                update(Link).values(expires_at=now() - dt.timedelta(seconds=1))
            )
    elif ruin == "unknown":
        token = "cst_nothing"
    else:
        admin.patch(f"users/{id_of(manager)}", json={"disabled": True})
    answer = client_with(app).post("sessions", json={"token": token, "name": "New"})
    assert answer.status_code == 401
    assert "ask for a new one" in answer.json()["detail"]


def test_somebody_signed_in_keeps_the_account_and_the_greater_role(
    app: FastAPI, admin: TestClient, project: str
) -> None:
    first = admin.post(f"projects/{project}/invitations", json={"role": "reviewer"})
    browser = client_with(app)
    browser.post("sessions", json={"token": first.json()["token"], "name": "Rosa"})
    other = admin.post("projects", json={"name": "Kidney"}).json()["slug"]
    second = admin.post(f"projects/{other}/invitations", json={"role": "viewer"})
    third = admin.post(f"projects/{project}/invitations", json={"role": "viewer"})
    for link in (second, third):
        answer = browser.post(
            "sessions", json={"token": link.json()["token"]}, headers=OWN
        )
        assert answer.status_code == 201, answer.text
    roles = {m["slug"]: m["role"] for m in browser.get("me").json()["memberships"]}
    assert roles == {project: "reviewer", other: "viewer"}


def test_nobody_grants_more_than_they_hold(
    app: FastAPI, admin: TestClient, project: str
) -> None:
    reviewer = person(app, admin, project, "reviewer")
    path = f"projects/{project}/invitations"
    assert reviewer.post(path, json={"role": "manager"}).status_code == 403
    assert reviewer.post(path, json={"role": "reviewer"}).status_code == 201
    annotator = person(app, admin, project, "annotator")
    assert annotator.post(path, json={"role": "viewer"}).status_code == 403


def test_memberships(app: FastAPI, admin: TestClient, project: str) -> None:
    manager = person(app, admin, project, "manager")
    annotator = person(app, admin, project, "annotator")
    path = f"projects/{project}/memberships"
    assert annotator.get(path).status_code == 403
    roles = {m["role"] for m in manager.get(path).json()}
    assert roles == {"manager", "annotator"}
    someone = f"{path}/{id_of(annotator)}"
    answer = manager.put(someone, json={"role": "viewer"})
    assert answer.json()["role"] == "viewer"
    assert annotator.get("me").json()["memberships"][0]["role"] == "viewer"
    assert annotator.put(someone, json={"role": "manager"}).status_code == 403
    assert manager.delete(someone).status_code == 204
    assert annotator.get(f"projects/{project}").status_code == 404
    assert manager.delete(someone).status_code == 404
    assert (
        manager.put(f"{path}/{uuid.uuid4()}", json={"role": "viewer"}).status_code
        == 404
    )


def test_admin_adds_disables_and_enables_people(
    app: FastAPI, admin: TestClient
) -> None:
    made = admin.post("users", json={"name": "Noor"})
    assert made.status_code == 201
    path = f"users/{made.json()['id']}"
    link = admin.post(f"{path}/links", json={"hours": 1}).json()
    browser = client_with(app)
    assert browser.post("sessions", json={"token": link["token"]}).status_code == 201
    assert admin.patch(path, json={"disabled": True}).json()["disabled_at"]
    assert browser.get("me").status_code == 401
    assert admin.post(f"{path}/links", json={}).status_code == 409
    assert admin.patch(path, json={"disabled": False}).json()["disabled_at"] is None
    assert admin.post(f"{path}/links", json={}).status_code == 201
    names = {u["name"] for u in admin.get("users").json()["items"]}
    assert names == {"admin", "Noor"}
    own = admin.patch(f"users/{id_of(admin)}", json={"disabled": True})
    assert own.status_code == 409


def test_only_admins_see_and_add_people(
    app: FastAPI, admin: TestClient, project: str
) -> None:
    manager = person(app, admin, project, "manager")
    assert manager.get("users").status_code == 403
    assert manager.post("users", json={"name": "x"}).status_code == 403
    mine = f"users/{id_of(manager)}"
    assert manager.post(f"{mine}/links", json={}).status_code == 403
    assert manager.patch(mine, json={"disabled": False}).status_code == 403


def test_what_people_do_is_written_down_without_secrets(
    app: FastAPI, admin: TestClient, project: str
) -> None:
    person(app, admin, project, "annotator")
    with database_of(app).unit_of_work() as session:
        entries = session.scalars(select(AuditEntry)).all()
        actions = {(e.action, e.object_kind) for e in entries}
        assert {("invite", "link"), ("redeem", "link"), ("create", "token")} <= actions
        assert not any("cst_" in str(e.detail) for e in entries)
