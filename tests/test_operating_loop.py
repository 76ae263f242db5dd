"""A precision floor through the whole loop, with `forest` as the segmenter."""

import io
import uuid
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from api_fixtures import person
from fastapi import FastAPI
from fastapi.testclient import TestClient
from loop_fixtures import (
    ER,
    MITO,
    Placed,
    Silent,
    annotate,
    place,
    run_one,
    sweep,
    version,
    work_off,
)
from numpy.typing import NDArray
from sqlalchemy import Select, select
from test_cli import Terminal, cisterna

from backend.db import Database
from backend.domain.states import JobKind, Split
from backend.models import Evaluation, Job, ModelVersion, Prediction
from backend.ranker import TileStatistics
from backend.services import artifacts, evaluations
from backend.storage import ArtifactStore
from worker.desk import Desk
from worker.forest.segmenter import ForestSegmenter
from worker.segmenter import Stop
from worker.segmenters import Segmenters
from worker.steps import evaluate

metrics = pytest.importorskip("sklearn.metrics")
__all__ = ["cisterna"]
FLOOR = 0.6
ARRAYS = ("labels", "probabilities", "entropy", "information")


def give_floor(client: TestClient, project: str, floor: float | None) -> None:
    """Set the ER's precision floor; all the recall it allows is wanted."""
    etag = client.get(f"projects/{project}").headers["ETag"]
    answer = client.patch(
        f"projects/{project}/labels/{ER}",
        json={"precision_floor": floor, "target_recall": 1},
        headers={"If-Match": etag},
    )
    assert answer.status_code == 200, answer.text
    assert answer.json()["precision_floor"] == floor


def one_round(
    client: TestClient, project: str, database: Database, store: ArtifactStore, at: Path
) -> dict[str, Any]:
    """Train a forest and do all that follows; return the version as it is shown."""
    answer = client.post(f"projects/{project}/trainings", json={"segmenter": "forest"})
    assert answer.status_code == 202, answer.text
    work_off(database, store, at)
    shown: dict[str, Any] = client.get(f"projects/{project}/models").json()["items"][0]
    return shown


def stored(
    database: Database, store: ArtifactStore, model: str, image: Placed, at: Path
) -> tuple[dict[str, NDArray[Any]], TileStatistics, dict[str, object]]:
    """Return a stored sweep: its arrays, its statistics, and its pixels by label."""
    with database.unit_of_work() as session:
        row = session.scalars(
            select(Prediction).where(
                Prediction.image_id == image.id,
                Prediction.model_version_id == uuid.UUID(model),
            )
        ).one()
        tree = artifacts.tree(session, row.artifact_id)
        pixels = dict(row.label_pixels)
    arrays = {
        name: np.load(io.BytesIO(store.get_bytes(f"{tree.prefix}/{name}.npy")))
        for name in ARRAYS
    }
    assert {*tree.manifest} == {*(f"{name}.npy" for name in ARRAYS), "tiles.npz"}
    path = at / f"{uuid.uuid4()}.npz"
    store.fetch_file(f"{tree.prefix}/tiles.npz", path)
    return arrays, TileStatistics.load(path), pixels


def evaluated(database: Database, model: str) -> Evaluation:
    """Return what was counted of the ER on validation tiles."""
    with database.unit_of_work() as session:
        row = session.get_one(Evaluation, (uuid.UUID(model), Split.VALIDATION, ER))
        assert row.positives is not None
        assert row.negatives is not None
        session.expunge(row)
    return row


def test_a_floor_raises_recall_wherever_labels_are_served(
    admin: TestClient,
    project: str,
    database: Database,
    store: ArtifactStore,
    tmp_path: Path,
) -> None:
    pool = place(database, store, project, seed=1)
    check = place(database, store, project, seed=3, split=Split.VALIDATION)
    test = place(database, store, project, seed=4, split=Split.TEST)
    annotate(database, pool, [5, 6])
    annotate(database, check, range(16))
    annotate(database, test, [0, 1, 2])
    give_floor(admin, project, None)
    plain = one_round(admin, project, database, store, tmp_path / "plain")
    give_floor(admin, project, FLOOR)
    tuned = one_round(admin, project, database, store, tmp_path / "tuned")
    assert plain["offsets"] == {}
    assert {*tuned["offsets"]} == {"ER"}
    assert tuned["offsets"]["ER"] > 0

    before, after = (shown["quality"]["validation"]["ER"] for shown in (plain, tuned))
    assert after["recall"] > before["recall"]
    assert FLOOR <= after["precision"] < before["precision"]
    assert after["ap"] == before["ap"]  # the same forest: probabilities are its own
    for image in (pool, check, test):
        old, old_tiles, _ = stored(database, store, plain["id"], image, tmp_path)
        new, tiles, pixels = stored(database, store, tuned["id"], image, tmp_path)
        for name in ARRAYS[1:]:
            np.testing.assert_array_equal(old[name], new[name])
        changed = old["labels"] != new["labels"]
        assert changed.any()
        assert (new["labels"][changed] == ER).all()
        p = new["probabilities"][4].astype(float)
        rest = np.delete(new["probabilities"], 4, axis=0).max(axis=0)
        share = np.exp(tuned["offsets"]["ER"]) * p
        sure = np.abs(share - rest) > 3 * np.exp(tuned["offsets"]["ER"])  # rounded p
        np.testing.assert_array_equal((new["labels"] == ER)[sure], (share > rest)[sure])
        assert pixels[str(ER)] == (new["labels"] == ER).sum()
        # what the ranker reads follows the served labels
        assert tiles.area[:, ER - 1].sum() == (new["labels"] == ER).sum()
        missed = p[new["labels"] != ER].sum() / 255
        rounding = 0.5 / 255 * (new["labels"] != ER).sum()
        assert abs(tiles.p_missed[:, ER - 1].sum() - missed) <= rounding
        assert tiles.p_missed[:, ER - 1].sum() < old_tiles.p_missed[:, ER - 1].sum()
        assert tiles.p_missed[:, ER - 1].sum() < old_tiles.p_missed[:, ER - 1].sum()
        assert tiles.logit_histogram[:, ER - 1].sum() == (new["labels"] != ER).sum()

    # calibration sees the pixels that the statistics count
    row = evaluated(database, tuned["id"])
    _, tiles, _ = stored(database, store, tuned["id"], check, tmp_path)
    assert row.undecided_missed is not None
    assert row.undecided_others is not None
    assert sum(row.undecided_missed) == row.fn
    np.testing.assert_array_equal(
        np.add(row.undecided_missed, row.undecided_others),
        tiles.logit_histogram[:, ER - 1].sum(axis=0),
    )


def test_the_curve_is_scikit_learn_s(
    admin: TestClient,
    project: str,
    database: Database,
    store: ArtifactStore,
    tmp_path: Path,
) -> None:
    pool = place(database, store, project, seed=1)
    check = place(database, store, project, seed=3, split=Split.VALIDATION)
    annotate(database, pool, [5, 6])
    annotate(database, check, range(16))
    tuned = one_round(admin, project, database, store, tmp_path / "round")
    path = f"projects/{project}/models/{tuned['id']}/precision-recall"
    shown = admin.get(path).json()
    assert (shown["round"], shown["split"]) == (1, "validation")
    curves = {label["value"]: label for label in shown["labels"]}
    arrays, _, _ = stored(database, store, tuned["id"], check, tmp_path)
    for value in (MITO, ER):
        q, truth = arrays["probabilities"][value].ravel(), check.truth.ravel() == value
        precision, recall, at = metrics.precision_recall_curve(truth, q)
        found = [
            (point["probability"], point["precision"], point["recall"])
            for point in reversed(curves[value]["points"])
        ]
        wanted = zip(at / 255, precision[:-1], recall[:-1], strict=True)
        assert found == [pytest.approx(point) for point in wanted]
        assert len(found) <= 256
        assert curves[value]["average_precision"] == pytest.approx(
            metrics.average_precision_score(truth, q)
        )
    er, mito = curves[ER], curves[MITO]
    measured = tuned["quality"]["validation"]["ER"]
    assert er["precision_floor"] == 0.8
    assert er["operating_point"] == {
        "offset": tuned["offsets"].get("ER", 0),
        "precision": measured["precision"],
        "recall": measured["recall"],
    }
    assert (mito["precision_floor"], mito["operating_point"]["offset"]) == (None, 0)
    assert admin.get(path, params={"split": "test"}).json()["labels"] == []


def test_who_sees_curves_and_what_is_refused(
    app: FastAPI,
    admin: TestClient,
    stranger: TestClient,
    project: str,
    database: Database,
    store: ArtifactStore,
) -> None:
    id = version(database, store, project, counts={(Split.TEST, ER): (6, 2, 4)})
    path = f"projects/{project}/models/{id}/precision-recall"
    (label,) = admin.get(path, params={"split": "test"}).json()["labels"]
    assert label["points"] == []  # measured before curves were kept
    assert label["operating_point"] == {"offset": 0, "precision": 0.75, "recall": 0.6}
    assert person(app, admin, project, "viewer").get(path).status_code == 200
    assert stranger.get(path).status_code == 401
    answer = admin.get(path, params={"split": "pool"})
    assert answer.status_code == 422
    other = admin.post("projects", json={"name": "Other", "preset": "liver"}).json()
    elsewhere = f"projects/{other['slug']}/models/{id}/precision-recall"
    assert admin.get(elsewhere).status_code == 404


@pytest.mark.parametrize("floor", [0, 1, -0.2, 1.5, "high"])
def test_a_bad_floor_is_refused_by_name(
    admin: TestClient, project: str, floor: object
) -> None:
    label = {"name": "peroxisome", "precision_floor": floor}
    etag = admin.get(f"projects/{project}").headers["ETag"]
    for answer, pointer in (
        (admin.post(f"projects/{project}/labels", json=label), "/body/precision_floor"),
        (
            admin.patch(
                f"projects/{project}/labels/{ER}",
                json={"precision_floor": floor},
                headers={"If-Match": etag},
            ),
            "/body/precision_floor",
        ),
        (
            admin.post("projects", json={"name": "New", "labels": [label]}),
            "/body/labels/0/precision_floor",
        ),
    ):
        assert answer.status_code == 422
        assert [error["pointer"] for error in answer.json()["errors"]] == [pointer]


def test_a_floor_comes_with_the_preset_and_goes_by_null(
    admin: TestClient, project: str
) -> None:
    def floors() -> dict[str, float | None]:
        labels = admin.get(f"projects/{project}").json()["labels"]
        return {label["name"]: label["precision_floor"] for label in labels}

    assert floors()["ER"] == 0.8
    assert floors()["mitochondria"] is None
    etag = admin.get(f"projects/{project}").headers["ETag"]
    admin.patch(
        f"projects/{project}/labels/{ER}",
        json={"priority": 2},
        headers={"If-Match": etag},
    )
    assert floors()["ER"] == 0.8  # left out, it stays
    give_floor(admin, project, None)
    assert floors()["ER"] is None
    added = {"name": "peroxisome", "precision_floor": 0.5}
    assert admin.post(f"projects/{project}/labels", json=added).status_code == 201
    assert floors()["peroxisome"] == 0.5


def test_a_sweep_from_before_the_evaluation_goes(
    admin: TestClient,
    project: str,
    database: Database,
    store: ArtifactStore,
    tmp_path: Path,
) -> None:
    pool = place(database, store, project, seed=1)
    check = place(database, store, project, seed=3, split=Split.VALIDATION)
    annotate(database, pool, [5, 6])
    annotate(database, check, range(16))
    give_floor(admin, project, FLOOR)
    admin.post(f"projects/{project}/trainings", json={"segmenter": "forest"})
    assert run_one(database, store, tmp_path / "train") is JobKind.TRAIN
    with database.unit_of_work() as session:
        model = session.scalars(select(ModelVersion.id)).one()
    early = sweep(database, store, model, pool, tmp_path / "early").id
    promoted = admin.post(f"models/{model}/promote")  # does not wait either
    assert promoted.status_code == 200, promoted.text
    work_off(database, store, tmp_path / "rest")
    shown = admin.get(f"models/{model}").json()
    assert shown["state"] == "live"
    assert shown["offsets"]["ER"] > 0
    assert shown["predictions"] == 2
    assert admin.get(f"predictions/{early}").status_code == 404
    arrays, tiles, _ = stored(database, store, str(model), pool, tmp_path)
    assert tiles.area[:, ER - 1].sum() == (arrays["labels"] == ER).sum()


def test_an_evaluation_goes_on_where_it_was(
    admin: TestClient,
    project: str,
    database: Database,
    store: ArtifactStore,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pool = place(database, store, project, seed=1)
    check = place(database, store, project, seed=3, split=Split.VALIDATION)
    test = place(database, store, project, seed=4, split=Split.TEST)
    annotate(database, pool, [5, 6])
    annotate(database, check, range(16))
    annotate(database, test, [0])
    give_floor(admin, project, FLOOR)
    admin.post(f"projects/{project}/trainings", json={"segmenter": "forest"})
    assert run_one(database, store, tmp_path / "train") is JobKind.TRAIN
    with database.unit_of_work() as session:
        work = evaluations.prepare(session, session.scalars(newest_job()).one())
    swept: list[tuple[str, bool]] = []
    predict = ForestSegmenter.predict

    def watched(self: ForestSegmenter, *given: Any, **asked: Any) -> Any:
        swept.append((given[1].id, bool(asked["offsets"])))
        if len(swept) == 3:
            raise Stop
        return predict(self, *given, **asked)

    monkeypatch.setattr(ForestSegmenter, "predict", watched)
    with closing(Segmenters(tmp_path / "slot")) as segmenters:
        (tmp_path / "keep").mkdir()
        (tmp_path / "cache").mkdir()
        desk = Desk(tmp_path, tmp_path / "keep", tmp_path / "cache", segmenters)
        with pytest.raises(Stop):
            evaluate.run(work, store, Silent(), desk)
        first = evaluate.run(work, store, Silent(), desk)
        again = evaluate.run(work, store, Silent(), desk)
    # validation twice, since an offset was found; test tiles have no say in that
    one, other = (str(image.id) for image in work.images)
    chosen_on, only_measured = (one, other) if one == str(check.id) else (other, one)
    assert swept[0] == (chosen_on, False)
    assert sorted(swept[1:]) == sorted(
        [(chosen_on, True), (only_measured, True), swept[2]]
    )
    assert first.offsets
    assert again.measured == first.measured
    assert not list((tmp_path / "keep" / chosen_on).glob("*crops*"))


def newest_job() -> Select[Job]:
    return select(Job).where(Job.kind == JobKind.EVALUATE)


def test_a_sweep_that_ran_meanwhile_is_made_again(
    admin: TestClient,
    project: str,
    database: Database,
    store: ArtifactStore,
    tmp_path: Path,
) -> None:
    pool = place(database, store, project, seed=1)
    annotate(database, pool, [5, 6])
    give_floor(admin, project, None)
    model = one_round(admin, project, database, store, tmp_path / "round")["id"]
    before, _, _ = stored(database, store, model, pool, tmp_path)

    def offset() -> None:
        with database.unit_of_work() as session:
            session.get_one(ModelVersion, uuid.UUID(model)).offsets = {str(ER): 1.5}

    asked = {"image_ids": [str(pool.id)]}
    assert admin.post(f"models/{model}/predictions", json=asked).status_code == 202
    run_one(database, store, tmp_path / "late", offset)
    kept, _, _ = stored(database, store, model, pool, tmp_path)
    np.testing.assert_array_equal(kept["labels"], before["labels"])
    assert work_off(database, store, tmp_path / "again") == [JobKind.PREDICT]
    after, _, _ = stored(database, store, model, pool, tmp_path)
    assert (after["labels"] == ER).sum() > (before["labels"] == ER).sum()


def test_the_command_line_sets_floors_and_prints_curves(cisterna: Terminal) -> None:
    live, slug = cisterna.live, cisterna.live.project()
    labels = cisterna.json(
        "project", "edit-label", slug, "ER", "--precision-floor", 0.7
    )
    assert labels["precision_floor"] == 0.7
    off = cisterna.json("project", "edit-label", slug, "ER", "--no-precision-floor")
    assert off["precision_floor"] is None
    status, _, err = cisterna(
        "project", "add-label", slug, "peroxisome", "--precision-floor", 2
    )
    assert status != 0
    assert "precision_floor" in err
    database, store = live.app.state.database, live.app.state.store
    id = version(database, store, slug, counts={(Split.VALIDATION, ER): (6, 2, 4)})
    with database.unit_of_work() as session:
        row = session.get_one(Evaluation, (id, Split.VALIDATION, ER))
        row.positives = [0] * 55 + [4] + [0] * 144 + [6] + [0] * 55
        row.negatives = [0] * 55 + [10] + [0] * 144 + [2] + [0] * 55
        session.get_one(ModelVersion, id).offsets = {str(ER): 0.5}
    (label,) = cisterna.json("model", "curve", id)["labels"]
    assert [point["recall"] for point in label["points"]] == [0.6, 1.0]
    assert label["operating_point"]["offset"] == 0.5
    status, out, _ = cisterna("model", "curve", id)
    assert status == 0
    lines = [line.split() for line in out.splitlines()]
    assert lines[1] == ["ER", "served", "0.6", "0.75", "-", "0.5", "-", "-"]
    assert lines[7][:6] == ["ER", "recall", "0.6", "0.6", "0.75", "0.7843"]
    assert lines[-1][:5] == ["ER", "recall", "1.0", "1", "0.4545"]
    status, _, err = cisterna("model", "curve", id, "--split", "test")
    assert status == 0
    assert "not been measured on test tiles" in err
