"""Models leave for nnU-Net, as ONNX, as BioImage.IO; what comes in runs no code."""

import io
import json
import os
import pickle
import shutil
import socket
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from api_fixtures import person
from fastapi import FastAPI
from fastapi.testclient import TestClient
from loop_fixtures import version
from numpy.typing import NDArray
from PIL import Image
from test_cli import Terminal, cisterna

pytest.importorskip("torch", reason="the worker extra is not installed")
pytest.importorskip("nnunetv2", reason="the worker extra is not installed")

import onnx
import onnxruntime
import torch
from test_nnunet import DISC, STRIPE, Log, image_of, scene, training_data
from torch import Tensor, nn

from backend.db import Database
from backend.domain.geometry import Box
from backend.models import ModelVersion
from backend.storage import ArtifactStore
from worker.nnunet import checkpoints, weights
from worker.nnunet.architecture import build_network, read_plans
from worker.nnunet.bioimage import document, test_image
from worker.nnunet.graph import Network, open_network, write_graph
from worker.nnunet.model import open_model
from worker.nnunet.numbering import Numbering
from worker.nnunet.resampling import WorkingImage
from worker.nnunet.segmenter import NNUNetSegmenter
from worker.nnunet.windows import starts, weight
from worker.segmenter import Budget, SegmenterError

test_image.__test__ = False  # type: ignore[attr-defined]
__all__ = ["cisterna"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a model that has learnt a little."""
    home = tmp_path_factory.mktemp("travel")
    segmenter = NNUNetSegmenter("cpu", home / "scratch")
    data = training_data(home / "data")
    segmenter.train(data, home / "model", None, Budget(40), Log())
    segmenter.close()
    return home / "model"


@pytest.fixture(scope="module")
def network(folder: Path) -> Network:
    return open_network(folder)


@pytest.fixture
def copied(folder: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(folder, tmp_path / "copied"))


def test_a_training_leaves_weights_beside_the_checkpoint(folder: Path) -> None:
    path = folder / "fold_0" / weights.FILE
    assert checkpoints.is_whole(path)
    found = weights.load(path, torch.device("cpu"))
    final = checkpoints.load(folder / "fold_0" / checkpoints.FINAL, torch.device("cpu"))
    assert final["trainer_name"] == "nnUNetTrainer"
    same(found, final["network_weights"])
    # nnU-Net's networks hold the encoder's tensors under several names
    assert path.stat().st_size < 1.1 * sum(p.numel() * 4 for p in parameters(folder))


def same(found: dict[str, Tensor], expected: dict[str, Tensor]) -> None:
    assert found.keys() == expected.keys()
    assert all(torch.equal(found[name], expected[name]) for name in expected)


def parameters(folder: Path) -> list[Tensor]:
    return list(build_network(read_plans(folder), 3).parameters())


def test_tensors_of_other_shapes_survive_sharing(tmp_path: Path) -> None:
    whole = torch.arange(16.0).reshape(4, 4)
    state = {"a": whole, "b": whole[1:], "c": whole, "d": whole.T, "e": whole[0]}
    weights.save(state, tmp_path / weights.FILE)
    same(weights.load(tmp_path / weights.FILE, torch.device("cpu")), state)


class Bomb:
    """Makes a folder when it is unpickled."""

    def __init__(self, at: Path) -> None:
        self.at = at

    def __reduce__(self) -> tuple[object, ...]:
        return os.mkdir, (str(self.at),)


def test_a_pickle_is_neither_run_nor_needed(copied: Path, tmp_path: Path) -> None:
    final, burst = copied / "fold_0" / checkpoints.FINAL, tmp_path / "burst"
    final.write_bytes(pickle.dumps(Bomb(burst)))
    expected = open_network(copied).module.state_dict()
    assert len(open_model(copied).values) == 2
    final.unlink()
    found = open_network(copied).module.state_dict()
    same(found, expected)
    assert not burst.exists()
    # and in the place of the weights it is no weights
    (copied / "fold_0" / weights.FILE).write_bytes(pickle.dumps(Bomb(burst)))
    with pytest.raises(SegmenterError, match="not what was written"):
        open_model(copied)
    content = pickle.dumps(Bomb(burst))
    path = copied / "fold_0" / weights.FILE
    checkpoints.write_whole(path, lambda file: file.write(content))
    with pytest.raises(SegmenterError, match="not a network's weights"):
        open_model(copied)
    assert not burst.exists()


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("network_class_name", "burst.Network"),
        ("network_class_name", ["burst"]),
        ("conv_op", "burst.Conv"),
        ("dropout_op", "burst.Dropout"),
        ("nonlin", {"burst": 1}),
        ("_kw_requires_import", ["conv_op", "features_per_stage"]),
        ("_kw_requires_import", None),
        ("arch_kwargs", "burst"),
    ],
)
def test_plans_import_nothing_foreign(
    copied: Path, monkeypatch: pytest.MonkeyPatch, key: str, value: object
) -> None:
    burst = copied / "burst.py"
    burst.write_text("from pathlib import Path\nPath(__file__).unlink()\n")
    monkeypatch.syspath_prepend(str(copied))
    plans = json.loads((copied / "plans.json").read_text())
    planned = plans["configurations"]["2d"]["architecture"]
    place = planned if key in planned else planned["arch_kwargs"]
    assert key in place
    place[key] = value
    (copied / "plans.json").write_text(json.dumps(plans))
    for opened in (open_model, open_network):
        with pytest.raises(SegmenterError, match=r"^The plans of this model"):
            opened(copied)
    assert burst.exists()


def test_a_network_leaves_in_every_format(
    cisterna: Terminal, folder: Path, network: Network, tmp_path: Path
) -> None:
    live, slug = cisterna.live, cisterna.live.project()
    id = stored(live.app.state.database, live.app.state.store, slug, folder)
    files = {
        name: tmp_path / f"out.{name}" for name in ("nnunet", "onnx", "bioimageio")
    }
    with live.working():
        for name, file in files.items():
            words = ("model", "export", id, "--format", name, "--out", file)
            status, _, err = cisterna(*words)
            assert status == 0, err
    assert not list(tmp_path.glob("*.part"))
    computes_the_same(files["onnx"], network)
    is_a_package(files["bioimageio"])
    predicts_the_same(files["nnunet"], network, folder, tmp_path)


def stored(database: Database, store: ArtifactStore, slug: str, folder: Path) -> Any:
    """Add the model to a project as a trained version."""
    id = version(database, store, slug, folder=folder)
    with database.unit_of_work() as session:
        session.get_one(ModelVersion, id).segmenter = "nnunet"
    return id


def test_a_download_says_how_the_model_is_served(
    admin: TestClient, project: str, database: Database, store: ArtifactStore
) -> None:
    id = version(database, store, project)
    answer = admin.get(f"models/{id}/download")
    with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
        assert archive.namelist() == []
    with database.unit_of_work() as session:
        session.get_one(ModelVersion, id).offsets = {"4": 0.7}
    answer = admin.get(f"models/{id}/download")
    with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
        (name,) = archive.namelist()
        told = json.loads(archive.read(name))
    assert name == "liver-round-1/operating_point.json"
    assert told["offsets"] == [{"value": 4, "label": "ER", "logit_offset": 0.7}]
    assert "log(probability) + offset" in told["rule"]


def computes_the_same(file: Path, network: Network) -> None:
    """The graph gives torch's probabilities at many sizes and says what it wants."""
    graph = onnx.load(file)
    onnx.checker.check_model(graph, full_check=True)
    said = {entry.key: entry.value for entry in graph.metadata_props}
    assert json.loads(said["label_values"]) == [0, DISC, STRIPE]
    assert json.loads(said["channels"]) == ["background", "disc", "stripe"]
    assert said["pixel_nm"] == "5"
    assert said["network"].startswith("fold_0, one of 1")
    session = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])
    step = int(said["multiple_of"])
    random = np.random.default_rng(0)
    for rows, columns in ((2, 2), (4, 4), (3, 5), (8, 2)):
        shape = (1, 1, rows * step, columns * step)
        scores = random.normal(size=shape).astype(np.float32)
        (found,) = session.run(None, {"image": scores})
        with torch.inference_mode():
            expected = network.module(torch.from_numpy(scores)).numpy()
        assert found.dtype == np.float32
        assert found.shape == (1, 3, *shape[2:])
        difference = np.abs(found - expected).max()
        assert difference < 1e-4


def is_a_package(file: Path) -> None:
    """BioImage.IO's own validator accepts it, and its test images hold, offline."""
    from bioimageio.spec import InvalidDescr, load_description

    with pytest.MonkeyPatch.context() as offline:
        offline.setattr(socket.socket, "connect", no_network)
        offline.setattr(socket, "getaddrinfo", no_network)
        found = load_description(file)
    assert not isinstance(found, InvalidDescr), found.validation_summary.format()
    assert found.validation_summary.status == "valid-format"
    with zipfile.ZipFile(file) as archive:
        described = json.loads(archive.read("rdf.yaml"))
        (entry,) = described["inputs"]
        grey = np.load(io.BytesIO(archive.read("test_input.npy")))
        expected = np.load(io.BytesIO(archive.read("test_output.npy")))
        graph = archive.read("weights.onnx")
        text = archive.read("README.md").decode()
    assert [axis.get("scale") for axis in entry["axes"]] == [None, None, 5, 5]
    assert entry["preprocessing"][0]["id"] == "zero_mean_unit_variance"
    assert described["authors"] == [{"name": "admin"}]
    assert "## Validation" in text
    scores = (grey - grey.mean()) / (grey.std() + 1e-6)
    session = onnxruntime.InferenceSession(graph, providers=["CPUExecutionProvider"])
    (answer,) = session.run(None, {"image": scores})
    np.testing.assert_allclose(answer, expected, atol=1e-4)


def no_network(*_: object) -> None:
    raise OSError("there is no network here")


def predicts_the_same(file: Path, network: Network, folder: Path, home: Path) -> None:
    """nnU-Net installs the zip by its own command and decides on the same labels."""
    with zipfile.ZipFile(file) as archive:
        assert sorted(archive.namelist()) == [
            f"Dataset001_liver/nnUNetTrainer__nnUNetPlans__2d/{name}"
            for name in (
                "dataset.json",
                "fold_0/checkpoint_final.pth",
                "model.json",
                "plans.json",
            )
        ]
    pixels, _ = scene(10)
    pixels = pixels[:, :200]
    (home / "in").mkdir()
    Image.fromarray(pixels).save(home / "in" / "case_0000.png")
    stock("nnUNetv2_install_pretrained_model_from_zip", file, home=home)
    options = ("-c", "2d", "-f", 0, "-device", "cpu", "-npp", 0, "-nps", 0)
    name = "Dataset001_liver"
    where = ("-d", name, "-i", home / "in", "-o", home / "o")
    stock("nnUNetv2_predict", *where, *options, home=home)
    theirs = np.array(Image.open(home / "o" / "case.png"))
    image = WorkingImage.open(image_of(home, "case", pixels), 5.0)
    ours = reference(network.module.network, image, network.patch)
    assert len(np.unique(theirs)) == 3
    different = float((ours != theirs).mean())
    assert different <= 0.001
    decoded = Numbering(network.values).decode(theirs.astype(np.uint8))
    assert set(np.unique(decoded)) == {0, DISC, STRIPE}


def stock(command: str, *words: object, home: Path) -> None:
    """Run one of nnU-Net's commands."""
    names = ("raw", "preprocessed", "results")
    done = subprocess.run(
        [Path(sys.executable).with_name(command), *map(str, words)],
        env={
            **os.environ,
            "OMP_NUM_THREADS": "1",
            **{f"nnUNet_{name}": str(home / name) for name in names},
        },
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def reference(
    network: nn.Module, image: WorkingImage, patch: tuple[int, int]
) -> NDArray[np.int64]:
    """Decide labels as nnU-Net does, from the sweep's own pieces.

    fp32, windows as large as the patch that overlap by half, and logits, not
    probabilities, averaged over flips and windows; no class is given a head start.
    """
    height, width = image.shape
    scores = torch.from_numpy(image.read(Box(0, 0, height, width)))[None, None]
    gauss, total = weight(patch), torch.zeros(())
    for y in starts(height, patch[0], 0.5):
        for x in starts(width, patch[1], 0.5):
            here = np.s_[..., y : y + patch[0], x : x + patch[1]]
            seen = scores[here]
            with torch.inference_mode():
                logits = sum(
                    torch.flip(network(torch.flip(seen, axes)), axes)
                    for axes in ((), (2,), (3,), (2, 3))
                )
            place = torch.zeros(logits.shape[1], height, width)
            place[here] = logits[0] * gauss
            total = total + place
    decided: NDArray[np.int64] = total.argmax(0).numpy()
    return decided


def test_packages_are_replaced_and_guarded(
    app: FastAPI,
    admin: TestClient,
    stranger: TestClient,
    project: str,
    database: Database,
    store: ArtifactStore,
    folder: Path,
) -> None:
    forest = version(database, store, project)
    for format in ("onnx", "bioimageio"):
        answer = admin.post(f"models/{forest}/packages", json={"format": format})
        assert answer.status_code == 409
        assert "forest" in answer.json()["detail"]
    answer = admin.get(f"models/{forest}/download", params={"format": "nnunet"})
    assert answer.status_code == 409
    path = f"models/{stored(database, store, project, folder)}/packages"
    assert admin.post(path, json={"format": "exe"}).status_code == 422
    assert stranger.post(path, json={"format": "onnx"}).status_code == 401
    viewer = person(app, admin, project, "viewer")
    assert viewer.post(path, json={"format": "onnx"}).status_code == 403
    answer = admin.post(path, json={"format": "onnx"})
    assert answer.status_code == 202, answer.text
    job = answer.json()
    assert answer.headers["location"] == f"/api/v1/jobs/{job['id']}"
    assert (job["kind"], job["lane"]) == ("package", "cpu")
    assert admin.post(path, json={"format": "onnx"}).status_code == 409
    assert admin.get(f"packages/{job['id']}/download").status_code == 409
    assert stranger.get(f"packages/{job['id']}/download").status_code == 401


def test_the_document_tells_what_is_known(network: Network) -> None:
    about: dict[str, Any] = {"project": "Liver", "round": 3, "tiles": 7}
    figures = {"disc": 0.91234, "stripe": None, "mean": 0.91234}
    told = document(network, {**about, "dice": {"validation": {}, "test": figures}})
    assert "| disc | 0.912 |" in told
    assert "| stripe | – |" in told
    assert "7 annotated tiles" in told
    assert f"in {network.steps} optimiser steps" in told
    assert "5 nm per pixel" in told
    assert "| 1 | 3 | disc |" in told
    plain = document(network, {**about, "dice": {}})
    assert "nothing is known" in plain
    assert "take the most probable channel" in plain


def test_offsets_travel_as_words_and_leave_the_network_alone(
    folder: Path, network: Network, tmp_path: Path
) -> None:
    about = {"project": "Liver", "round": 3, "tiles": 7, "dice": {}}
    served = open_network(folder, {DISC: 0.7})
    told = document(served, about)
    assert "logit offsets: disc 0.7." in told
    assert "greatest log(probability) + offset" in told
    assert "most probable" not in told
    for number, each in enumerate((network, served)):
        write_graph(each, tmp_path / f"{number}.onnx")
    plain, shifted = (onnx.load(tmp_path / f"{number}.onnx") for number in (0, 1))
    facts = {entry.key: entry.value for entry in shifted.metadata_props}
    assert json.loads(facts["logit_offsets"]) == {"disc": 0.7}
    assert plain.graph == shifted.graph
