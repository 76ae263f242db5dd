"""Schedules, plans and shares: what a training is asked to do, and why."""

import datetime as dt
import uuid
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Self, cast

import pytest
from api_fixtures import person
from fastapi import FastAPI
from fastapi.testclient import TestClient
from hypothesis import given
from hypothesis import strategies as st
from loop_fixtures import ER, MITO, Placed, Silent, annotate, place
from sqlalchemy import select, update

from backend.db import Database
from backend.domain.errors import Conflict
from backend.domain.labels import LIVER, Label, LabelSchema
from backend.domain.states import Lane, ModelState, Split
from backend.models import Evaluation, Image, Job, ModelVersion, Policy, Project
from backend.ranker import Measured, class_needs, patch_shares
from backend.schemas.loop import TrainResult, TrainWork
from backend.schemas.stored import StoredTree
from backend.services import jobs, models, policies, trainings
from backend.services.access import now
from backend.storage import ArtifactStore
from worker.desk import Desk
from worker.images import folder_of_images, forget_erased
from worker.runner import Runner
from worker.segmenter import Budget, TrainedModel, TrainingData
from worker.segmenters import Segmenters
from worker.steps.train import run


@dataclass
class Loop:
    """Rounds of one project, trained by nobody."""

    database: Database
    project: str
    pool: Placed
    works: list[TrainWork] = field(default_factory=list)

    def finish(
        self, plans: str = "1", promoted: bool = True, **reported: object
    ) -> ModelVersion:
        """Conclude the training that waits; the version it makes becomes live."""
        with self.database.unit_of_work() as session:
            job = jobs.claim(session, [Lane.GPU, Lane.CPU], "t", dt.timedelta(hours=1))
            assert job is not None
            work = trainings.prepare(session, job)
            self.works.append(work)
            # what a child reports is merged as it comes
            reported = {"working_nm": work.working_nm, **reported}
            manifest: Any = {"plans.json": {"sha256": plans * 64, "bytes": 1}}
            tree = StoredTree(f"models/{uuid.uuid4()}", manifest)
            trainings.conclude(session, job, TrainResult(tree, reported, {}))
            jobs.succeed(session, job)
            version = jobs.version_of(session, job)
            if promoted:
                models.promote(session, None, version)
            # what follows from a training is not run here
            session.execute(
                update(Job).where(Job.state == "queued").values(state="cancelled")
            )
            return version

    def request(self, **settings: object) -> ModelVersion:
        """Ask for a training as policies do."""
        with self.database.unit_of_work() as session:
            row = session.scalars(select(Project)).one()
            job = trainings.request(session, row, settings=settings)
            return jobs.version_of(session, job)

    def round(self, *tiles: int, **settings: object) -> tuple[str, str]:
        """Annotate, train, promote; return the schedule and the reason."""
        annotate(self.database, self.pool, tiles)
        self.request(**settings)
        made = self.finish()
        return str(made.settings["schedule"]), str(made.settings["schedule_reason"])


@pytest.fixture
def loop(app: FastAPI, project: str, database: Database, store: ArtifactStore) -> Loop:
    return Loop(database, project, place(database, store, project, seed=1))


def test_auto_is_quick_and_every_fifth_round_full(loop: Loop) -> None:
    rounds = [loop.round(0, 1, 2, 3)]
    rounds += [loop.round(tile) for tile in range(4, 11)]
    assert [schedule for schedule, _ in rounds] == [
        "full",
        *["quick"] * 4,
        "full",
        *["quick"] * 2,
    ]
    assert "No version is live yet" in rounds[0][1]
    assert rounds[1][1].startswith("1 new beside 4 tiles that round 1 knew")
    assert "one round in 5 is full" in rounds[5][1]
    full, quick = loop.works[0], loop.works[1]
    assert (full.start_from, full.plans, full.fresh) == (None, None, frozenset())
    assert full.settings["steps"] == 1500
    assert quick.start_from is not None
    assert quick.start_from.manifest["plans.json"]["sha256"] == "1" * 64
    assert quick.plans is None
    assert quick.settings["steps"] == 300
    assert len(quick.tiles) == 5
    (new,) = quick.fresh
    assert new not in {tile.annotation_id for tile in full.tiles}
    again = loop.works[5]
    assert again.start_from is None
    assert again.plans is not None


def test_auto_is_full_when_quick_would_not_do(loop: Loop, admin: TestClient) -> None:
    assert loop.round(0, 1)[0] == "full"
    assert loop.round(2, 3)[0] == "quick"
    assert loop.round() == ("full", "Nothing is new since round 2.")
    assert loop.round(4, 5, 6, 7, 8) == (
        "full",
        "More tiles are new (5) than known (4).",
    )
    with loop.database.unit_of_work() as session:
        session.execute(update(ModelVersion).values(tainted_at=now()))
    schedule, reason = loop.round(9)
    assert (schedule, "was withdrawn" in reason) == ("full", True)
    added = admin.post(f"projects/{loop.project}/labels", json={"name": "vesicle"})
    assert added.status_code == 201
    assert loop.round(10)[0] == "quick"  # weights are carried over label by label


def test_a_forest_is_always_grown_anew(loop: Loop) -> None:
    annotate(loop.database, loop.pool, [0, 1])
    with loop.database.unit_of_work() as session:
        session.scalars(select(Project)).one().segmenter = "forest"
    for _ in range(2):
        assert loop.round()[1] == "A forest is always grown anew."
    with loop.database.unit_of_work() as session:
        session.scalars(select(Project)).one().segmenter = "nnunet"
    schedule, reason = loop.round(2)
    assert (schedule, "is a forest" in reason) == ("full", True)


def test_what_was_asked_for_stands_above_auto(loop: Loop) -> None:
    assert loop.round(0, 1, schedule="quick")[0] == "full"  # a wish, not an order
    assert loop.round(2, schedule="full") == ("full", "It was asked for.")
    assert loop.round(schedule="quick") == ("quick", "It was asked for.")
    assert loop.round(3, full_every=1)[0] == "full"
    assert loop.round(4, steps=7)[0] == "quick"
    assert loop.works[-1].settings["steps"] == 7
    assert loop.round(5, schedule="full", folds=3)[0] == "full"
    assert loop.works[-1].settings["folds"] == 3


def test_requests_that_cannot_be_are_refused_with_the_field(
    loop: Loop, admin: TestClient
) -> None:
    annotate(loop.database, loop.pool, [0, 1])
    path = f"projects/{loop.project}/trainings"
    for body, status, field_ in (
        ({"schedule": "quick"}, 409, "/schedule"),
        ({"schedule": "slow"}, 422, "/body/schedule"),
        ({"schedule": "quick", "replan": True}, 422, "/schedule"),
        ({"segmenter": "forest", "replan": True}, 422, "/replan"),
        ({"segmenter": "forest", "schedule": "quick"}, 422, "/schedule"),
        ({"folds": 0}, 422, "/body/folds"),
        ({"folds": 6}, 422, "/body/folds"),
        ({"stop_at_plateau": "often"}, 422, "/body/stop_at_plateau"),
        ({"replan": "later"}, 422, "/body/replan"),
    ):
        answer = admin.post(path, json=body)
        assert answer.status_code == status, answer.text
        assert answer.json()["errors"][0]["pointer"] == field_, body
    for training, field_ in (
        ({"full_every": 0}, "full_every"),
        ({"quick_steps": 0}, "quick_steps"),
        ({"schedule": "never"}, "schedule"),
    ):
        answer = admin.post("projects", json={"name": "n", "training": training})
        assert answer.status_code == 422
        assert answer.json()["errors"][0]["pointer"] == f"/body/training/{field_}"
    answer = admin.post(path, json={"schedule": "full", "stop_at_plateau": False})
    assert answer.status_code == 202, answer.text
    asked = loop.finish().settings
    assert (asked["schedule"], asked["stop_at_plateau"]) == ("full", False)


def test_plans_are_made_anew_only_when_asked(
    app: FastAPI, loop: Loop, admin: TestClient
) -> None:
    loop.round(0, 1, 2, 3)
    assert loop.works[-1].working_nm == 4.0
    with loop.database.unit_of_work() as session:
        session.execute(update(Image).values(pixel_nm=6.0))
    loop.round(4)
    assert loop.works[-1].working_nm == 4.0

    annotate(loop.database, loop.pool, [5])
    path = f"projects/{loop.project}/trainings"
    reviewer = person(app, admin, loop.project, "reviewer")
    assert reviewer.post(path, json={"replan": True}).status_code == 403
    assert admin.post(path, json={"replan": True}).status_code == 202
    made = loop.finish(plans="2", promoted=False)
    work = loop.works[-1]
    assert (work.plans, work.start_from, work.working_nm) == (None, None, 6.0)
    assert made.settings["plans"] == {"version": 2, "sha256": "2" * 64}
    assert admin.get(f"projects/{loop.project}").json()["working_nm"] == 6.0
    shown = admin.get(f"models/{made.id}").json()
    assert shown["plans_version"] == 2
    assert shown["schedule"] == "full"
    assert shown["schedule_reason"] == "Plans are made anew."
    assert shown["warnings"] == []

    # the live version has the old plans: nothing goes on from it
    schedule, reason = loop.round(6)
    assert (schedule, "has other plans" in reason) == ("full", True)
    assert loop.works[-1].plans is not None
    assert loop.works[-1].plans.manifest["plans.json"]["sha256"] == "2" * 64
    assert loop.works[-1].working_nm == 6.0
    assert loop.round(7)[0] == "quick"
    assert (
        admin.get(f"projects/{loop.project}/models").json()["items"][0]["plans_version"]
        == 2
    )


def test_who_rejects_new_plans_keeps_the_old(loop: Loop, admin: TestClient) -> None:
    loop.round(0, 1)
    with loop.database.unit_of_work() as session:
        session.execute(update(Image).values(pixel_nm=6.0))
    loop.request(replan=True)
    candidate = loop.finish(plans="2", promoted=False)
    assert admin.post(f"models/{candidate.id}/reject").status_code == 200
    assert loop.round(2)[0] == "quick"
    assert loop.works[-1].working_nm == 4.0
    loop.request(replan=True)
    third = loop.finish(plans="3")
    assert third.settings["plans"] == {"version": 3, "sha256": "3" * 64}


def test_who_rolls_back_from_new_plans_goes_back_to_the_old(
    loop: Loop, admin: TestClient
) -> None:
    loop.round(0, 1)
    with loop.database.unit_of_work() as session:
        session.execute(update(Image).values(pixel_nm=6.0))
    loop.request(replan=True)
    loop.finish(plans="2")
    assert admin.post(f"projects/{loop.project}/rollback").status_code == 200
    annotate(loop.database, loop.pool, [2])
    settings = loop.request().settings
    assert (settings["schedule"], settings["plans"]) == ("quick", {"version": 1})


def test_plans_made_without_a_pixel_size_stay_without(loop: Loop) -> None:
    with loop.database.unit_of_work() as session:
        session.execute(update(Image).values(pixel_nm=None))
    loop.round(0, 1)
    with loop.database.unit_of_work() as session:
        session.execute(update(Image).values(pixel_nm=6.0))
    loop.round(2)
    assert [work.working_nm for work in loop.works] == [None, None]


def test_a_night_is_full_though_the_day_was_quick(
    loop: Loop, admin: TestClient
) -> None:
    loop.round(0, 1, 2)
    assert loop.round(3)[0] == "quick"
    body = {"name": "nightly", "cron": "0 2 * * *", "schedule": "full"}
    made = admin.post(f"projects/{loop.project}/policies", json=body).json()
    id = uuid.UUID(made["id"])
    with loop.database.unit_of_work() as session:
        assert policies.consider(session, id, now() + dt.timedelta(days=2))
    assert loop.finish().settings["schedule"] == "full"
    with loop.database.unit_of_work() as session:
        assert policies.consider(session, id, now() + dt.timedelta(days=4)) is None


def test_warnings_of_a_training_are_shown(loop: Loop, admin: TestClient) -> None:
    loop.round(0, 1)
    with loop.database.unit_of_work() as session:
        row = session.scalars(select(ModelVersion)).one()
        row.metrics = {"warnings": ["fine.tif: pixel size far from the plans."]}
        id = row.id
    shown = admin.get(f"models/{id}").json()
    assert shown["warnings"] == ["fine.tif: pixel size far from the plans."]


def test_a_policy_says_which_schedule_it_wants(loop: Loop, admin: TestClient) -> None:
    loop.round(0, 1, 2)
    path = f"projects/{loop.project}/policies"
    body = {"name": "often", "every_annotations": 1}
    often = admin.post(path, json=body).json()
    assert often["schedule"] == "auto"
    body = {"name": "nightly", "cron": "0 2 * * *", "schedule": "full"}
    nightly = admin.post(path, json=body).json()
    assert nightly["schedule"] == "full"
    wrong = admin.post(path, json={**body, "schedule": "slow"})
    assert wrong.json()["errors"][0]["pointer"] == "/body/schedule"
    for policy, schedule in ((often, "quick"), (nightly, "full")):
        annotate(loop.database, loop.pool, [3 if schedule == "quick" else 4])
        with loop.database.unit_of_work() as session:
            row = session.get_one(Policy, uuid.UUID(policy["id"]))
            assert policies.consider(session, row.id, now() + dt.timedelta(days=2))
        assert loop.finish().settings["schedule"] == schedule


def test_who_learnt_from_erased_data_by_way_of_weights_is_marked(
    loop: Loop, admin: TestClient, database: Database, store: ArtifactStore
) -> None:
    other = place(database, store, loop.project, seed=2)
    (gone,) = annotate(database, other, [0])
    loop.round(0, 1)
    assert admin.post(f"annotations/{gone}/retract").status_code == 200
    assert loop.round(2)[0] == "quick"  # does not learn the tile, but its heir
    assert loop.round(3)[0] == "quick"
    assert loop.round(schedule="full")[0] == "full"
    loop.request()  # a quick one that waits
    assert admin.delete(f"images/{other.id}").status_code == 204
    with database.unit_of_work() as session:
        rows = session.scalars(select(ModelVersion).order_by(ModelVersion.ordinal))
        tainted = [row.tainted_at is not None for row in rows]
    assert tainted == [True, True, True, False, False]


def test_a_worker_forgets_what_it_kept_of_an_erased_image(
    app: FastAPI,
    admin: TestClient,
    project: str,
    database: Database,
    store: ArtifactStore,
) -> None:
    runner = Runner(app.state.settings, database, store)
    gone, here = (place(database, store, project, seed=seed) for seed in (1, 2))
    images = folder_of_images(runner._cache)
    kept = [images / str(image.id) for image in (gone, here)]
    for folder in kept:
        folder.mkdir(parents=True)
    for expected in ([True, True], [False, True]):
        forget_erased(runner._cache, runner._present)
        assert [folder.exists() for folder in kept] == expected
        assert admin.delete(f"images/{gone.id}").status_code == 204


def test_a_quick_training_never_goes_on_from_withdrawn_data(
    loop: Loop, database: Database
) -> None:
    loop.round(0, 1)
    annotate(database, loop.pool, [2])
    loop.request()
    with database.unit_of_work() as session:
        session.execute(
            update(ModelVersion)
            .where(ModelVersion.state == ModelState.LIVE)
            .values(tainted_at=now())
        )
    with pytest.raises(Conflict, match="withdrawn before this training"):
        loop.finish()


class Recorder:
    """A segmenter, and the only one of its slot, that keeps what it is asked."""

    def named(self, name: str, settings: object) -> Self:
        return self

    def train(
        self,
        data: TrainingData,
        into: Path,
        start_from: Path | None,
        budget: Budget,
        report: object,
    ) -> TrainedModel:
        self.data, self.start_from, self.budget = data, start_from, budget
        into.mkdir(parents=True)
        return TrainedModel(into, {}, {})


def test_the_step_hands_the_segmenter_what_was_decided(
    loop: Loop, store: ArtifactStore, tmp_path: Path
) -> None:
    def model(name: str) -> StoredTree:
        folder = tmp_path / name
        (folder / "fold_0").mkdir(parents=True)
        (folder / "plans.json").write_text("{}")
        (folder / "fold_0" / "weights.safetensors").write_text("w")
        return StoredTree(name, store.put_tree(name, folder))

    def step(work: TrainWork, name: str) -> Recorder:
        seen, scratch = Recorder(), tmp_path / name
        segmenters = cast(Segmenters, seen)
        desk = Desk(scratch, scratch / "keep", tmp_path / "cache", segmenters)
        run(work, store, Silent(), desk)
        return seen

    loop.round(0, 1)
    loop.round(2, folds=3, stop_at_plateau=False, schedule="full")
    loop.round(3, minutes=2.5)
    _, full, quick = loop.works
    seen = step(replace(full, plans=model("planned")), "one")
    assert seen.start_from is None
    assert seen.data.plans is not None
    assert [path.name for path in seen.data.plans.rglob("*")] == ["plans.json"]
    assert seen.budget == Budget(1500, None, plateau=False, folds=3)
    assert seen.data.cases == tmp_path / "cache" / "images"
    seen = step(replace(quick, start_from=model("live")), "two")
    assert seen.start_from is not None
    assert (seen.start_from / "fold_0" / "weights.safetensors").read_text() == "w"
    assert seen.data.plans is None
    assert seen.budget == Budget(300, 2.5, plateau=True, folds=1)
    assert seen.data.fresh == set(map(str, quick.fresh))
    assert len(seen.data.fresh) == 1
    assert seen.data.emphasis == quick.emphasis


def test_half_of_the_patches_are_for_the_priority_class(
    loop: Loop, database: Database
) -> None:
    loop.round(0, 1, 2, 3)
    emphasis = loop.works[-1].emphasis
    assert emphasis == pytest.approx({MITO: 0.5, ER: 0.5})  # no other is annotated
    everything = [*range(4, 10)]
    annotate(database, loop.pool, everything[:1], value=1)
    annotate(database, loop.pool, everything[1:2], value=3)
    loop.round()
    before = loop.works[-1].emphasis
    assert before[ER] == pytest.approx(0.5)
    assert before[1] == pytest.approx(before[MITO])
    with database.unit_of_work() as session:
        live = session.scalars(
            select(ModelVersion.id).where(ModelVersion.state == ModelState.LIVE)
        ).one()
        for value, found in ((1, 95), (MITO, 20), (3, 95), (ER, 50)):
            session.add(
                Evaluation(
                    model_version_id=live,
                    split=Split.VALIDATION,
                    value=value,
                    tp=found,
                    fp=100 - found,
                    fn=100 - found,
                    tiles=20,
                )
            )
    loop.round(7)
    after = loop.works[-1].emphasis
    assert after[ER] == pytest.approx(0.5)
    assert after[MITO] > 2 * after[1]
    assert sum(after.values()) == pytest.approx(1)


@given(
    st.lists(st.floats(0.1, 10), min_size=1, max_size=6),
    st.sets(st.integers(0, 6)),
    st.lists(st.one_of(st.none(), st.floats(0, 1)), min_size=6, max_size=6),
)
def test_shares_sum_to_one_over_what_is_annotated(
    priorities: list[float], present: set[int], recalls: list[float | None]
) -> None:
    schema = LabelSchema(
        tuple(
            Label(value, str(value), "#000000", priority)
            for value, priority in enumerate(priorities, start=1)
        )
    )
    measured = {
        value: Measured(recall, recall, 20)
        for value, recall in enumerate(recalls[: len(priorities)], start=1)
    }
    shares = patch_shares(schema, class_needs(schema, measured), present)
    known = present & set(schema.values)
    assert set(shares) == known
    if not known:
        return
    assert sum(shares.values()) == pytest.approx(1)
    assert min(shares.values()) > 0
    first = schema.priority_label
    if first is not None and first.value in known and len(known) > 1:
        assert shares[first.value] == 0.5


def test_without_figures_the_owner_decides() -> None:
    shares = patch_shares(LIVER, class_needs(LIVER, {}), LIVER.values)
    assert shares == pytest.approx({1: 0.125, 2: 0.125, 3: 0.125, 4: 0.5, 5: 0.125})
