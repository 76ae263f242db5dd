"""Strategies and their parameters: told, and refused with the field and the mend."""

from typing import Any

import pytest
from fastapi.testclient import TestClient
from loop_fixtures import place, project_id, version

from backend.db import Database
from backend.domain.states import JobKind, Lane, ModelState
from backend.ranker import STRATEGIES, Parameters
from backend.services import jobs, queries
from backend.storage import ArtifactStore


def test_people_can_read_what_they_may_choose(admin: TestClient) -> None:
    told = admin.get("strategies").json()
    names = [strategy["name"] for strategy in told["strategies"]]
    assert names == list(STRATEGIES)
    assert {"er-gap", "random", "clasp-entropy", "foreground-random-66"} <= set(names)
    assert all(strategy["description"].endswith(".") for strategy in told["strategies"])
    dials = {dial["name"]: dial for dial in told["parameters"]}
    assert dials["controls"]["default"] is None
    for name, dial in dials.items():
        assert dial["description"]
        assert dial["low"] < dial["high"]
        default = getattr(Parameters(), name)
        assert dial["default"] == default
        Parameters.of({name: dial["low"]})


WRONG: list[tuple[dict[str, Any], str, str]] = [
    ({"strategy": "best"}, "/strategy", "choose one of er-gap"),
    (
        {"strategy_parameters": {"colour": 1}},
        "/strategy_parameters/colour",
        "choose among",
    ),
    (
        {"strategy_parameters": {"controls": 0.9}},
        "/strategy_parameters/controls",
        "must lie between 0 and 0.5",
    ),
    (
        {"strategy": "random", "strategy_parameters": {"budget": 0}},
        "/strategy_parameters/budget",
        "must lie between 1",
    ),
]


@pytest.mark.parametrize(("wrong", "pointer", "mend"), WRONG)
def test_what_no_ranking_could_use_is_refused(
    admin: TestClient, project: str, wrong: dict[str, Any], pointer: str, mend: str
) -> None:
    etag = admin.get(f"projects/{project}").headers["ETag"]
    for answer in (
        admin.post("projects", json={"name": "x", **wrong}),
        admin.patch(f"projects/{project}", json=wrong, headers={"If-Match": etag}),
    ):
        assert answer.status_code == 422, answer.text
        assert answer.headers["content-type"] == "application/problem+json"
        (error,) = answer.json()["errors"]
        assert error["pointer"] == pointer
        assert mend in error["detail"]
    assert admin.get(f"projects/{project}").headers["ETag"] == etag
    assert len(admin.get("projects").json()["items"]) == 1


def test_parameters_reach_the_ranking(
    admin: TestClient, project: str, database: Database, store: ArtifactStore
) -> None:
    dials = {"controls": 0.25, "budget": 40.0}
    etag = admin.get(f"projects/{project}").headers["ETag"]
    edit = {"strategy": "entropy", "strategy_parameters": dials}
    answer = admin.patch(f"projects/{project}", json=edit, headers={"If-Match": etag})
    assert answer.status_code == 200, answer.text
    assert answer.json()["strategy_parameters"] == dials
    place(database, store, project, seed=1)
    id = version(database, store, project, state=ModelState.LIVE)
    with database.unit_of_work() as session:
        job = jobs.enqueue(
            session,
            JobKind.SCORE,
            Lane.CPU,
            {"model_version_id": str(id)},
            project_id=project_id(database, project),
        )
        work = queries.prepare(session, job)
    assert (work.strategy, dict(work.parameters)) == ("entropy", dials)
