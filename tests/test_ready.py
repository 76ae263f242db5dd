"""Children between jobs: what stays loaded, who makes room, what little memory does."""

import json
import os
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import pytest
from loop_fixtures import Silent, version
from pydantic import SecretStr
from test_forest import scene, training

from backend.db import Database, connect
from backend.domain.states import JobKind, JobState, Lane
from backend.models import Job, ModelVersion, Project
from backend.models import Label as LabelRow
from backend.schemas.stored import StoredTree
from backend.services import jobs, models
from backend.settings import Settings
from backend.storage import ArtifactStore
from worker import ready as waiting
from worker.desk import Desk
from worker.forest.segmenter import ForestSegmenter
from worker.models import local_model
from worker.nnunet import segmenter as nnunet
from worker.nnunet.segmenter import NNUNetSegmenter
from worker.ready import Ready
from worker.runner import KINDS, Kind, Runner
from worker.segmenter import (
    Budget,
    ImageData,
    OutOfMemory,
    Progress,
    Report,
    SegmenterError,
)
from worker.segmenters import Segmenters

# Little memory

ENTRY = """
import json, os, signal
from pathlib import Path
from worker.serving import serve

def act(request, emit):
    asked = Path(__file__).with_name("asked")
    with asked.open("a") as file:
        file.write(json.dumps([os.getpid(), request["smaller"]]) + chr(10))
    how = json.loads(Path(__file__).with_name("how").read_text())
    number = len(asked.read_text().splitlines()) - 1
    if number < len(how):
        if how[number] == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        if how[number] == "python":
            raise MemoryError
        if how[number] == "processor":
            raise RuntimeError("DefaultCPUAllocator: can't allocate memory: 8 bytes")
        if how[number] == "gpu":
            raise type("OutOfMemoryError", (RuntimeError,), {})("CUDA out of memory.")
        if how[number] == "bug":
            raise ZeroDivisionError("oh")
    return {"settings": {}, "metrics": {}, "members": 3, "seconds": 0.5}

if __name__ == "__main__":
    serve({"train": act, "predict": act})
"""


class Listener:
    def __init__(self) -> None:
        self.heard: list[str] = []

    def __call__(self, progress: Progress) -> None:
        self.heard.append(progress.message)

    def check(self) -> None:
        return


@pytest.fixture
def cramped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[NNUNetSegmenter]:
    (tmp_path / "entry.py").write_text(ENTRY)
    monkeypatch.setattr(nnunet, "_ENTRY", (str(tmp_path / "entry.py"),))
    segmenter = NNUNetSegmenter("cpu", tmp_path / "scratch")
    yield segmenter
    segmenter.close()


def look(segmenter: NNUNetSegmenter, folder: Path, report: Report) -> int:
    image = ImageData("i", folder / "i.npy", 0.0, 1.0, None)
    return segmenter.predict(folder, image, 8, folder / "into", report).members


def learn(segmenter: NNUNetSegmenter, folder: Path, report: Report) -> int:
    pixels, truth = scene(1)
    data = training(folder, truth, pixels)
    segmenter.train(data, folder / "model", None, Budget(steps=1), report)
    return 3


def asked(folder: Path) -> list[bool]:
    """Whether each request was for less."""
    lines = (folder / "asked").read_text().splitlines()
    return [json.loads(line)[1] for line in lines]


@pytest.mark.parametrize("how", ["kill", "python", "processor", "gpu"])
@pytest.mark.parametrize(("ask", "less"), [(look, "half the window"), (learn, "batch")])
def test_a_lack_of_memory_is_met_with_a_smaller_request(
    cramped: NNUNetSegmenter,
    tmp_path: Path,
    how: str,
    ask: Callable[[NNUNetSegmenter, Path, Report], int],
    less: str,
) -> None:
    (tmp_path / "how").write_text(f'["{how}"]')
    report = Listener()
    assert ask(cramped, tmp_path, report) == 3
    assert asked(tmp_path) == [False, True]
    (said,) = report.heard
    assert said.startswith("Out of memory: trying again with half")
    assert less in said
    # the images of a model are many: no second crash for the next of them
    assert ask(cramped, tmp_path, report) == 3
    assert asked(tmp_path) == [False, True, True]
    other = tmp_path / "other"
    other.mkdir()
    assert ask(cramped, other, report) == 3
    assert asked(tmp_path) == [False, True, True, False]


@pytest.mark.parametrize("how", [("kill", "kill"), ("gpu", "kill"), ("kill", "python")])
def test_memory_that_never_suffices_is_a_sentence_that_names_the_mend(
    cramped: NNUNetSegmenter, tmp_path: Path, how: tuple[str, str]
) -> None:
    (tmp_path / "how").write_text(f'["{how[0]}", "{how[1]}"]')
    with pytest.raises(SegmenterError, match="smaller profile") as caught:
        look(cramped, tmp_path, Silent())
    assert not caught.value.retryable
    assert not isinstance(caught.value, OutOfMemory)
    assert asked(tmp_path) == [False, True]


def test_another_failure_is_not_tried_again_with_less(
    cramped: NNUNetSegmenter, tmp_path: Path
) -> None:
    (tmp_path / "how").write_text('["bug"]')
    with pytest.raises(SegmenterError, match="ZeroDivisionError"):
        look(cramped, tmp_path, Silent())
    assert asked(tmp_path) == [False]


# What stays loaded


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    database = connect(database_url)
    yield database
    database.close()


@pytest.fixture
def store(tmp_path: Path) -> ArtifactStore:
    return ArtifactStore((tmp_path / "artifacts").as_uri())


class Loads:
    """What real children were made to load, in order, and by which thread."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.notes: list[str] = []
        self.segmenters: list[ForestSegmenter] = []
        load = ForestSegmenter.load

        def noted(segmenter: ForestSegmenter, model: Path, report: Report) -> None:
            load(segmenter, model, report)
            self.notes.append((model / "note").read_text())
            self.segmenters.append(segmenter)

        monkeypatch.setattr(ForestSegmenter, "load", noted)

    def alive(self) -> bool:
        """Whether the child of the last load still runs."""
        return self.segmenters[-1]._child._process is not None


@pytest.fixture
def loads(monkeypatch: pytest.MonkeyPatch) -> Loads:
    return Loads(monkeypatch)


@pytest.fixture
def project(database: Database) -> uuid.UUID:
    with database.unit_of_work() as session:
        row = Project(slug="p", name="P", segmenter="forest")
        row.labels = [LabelRow(value=3, name="grain", colour="#ffffff")]
        session.add(row)
        session.flush()
        return row.id


@pytest.fixture
def versions(
    database: Database, store: ArtifactStore, project: uuid.UUID, tmp_path: Path
) -> list[uuid.UUID]:
    """Two candidates whose folders differ in a note."""
    pixels, truth = scene(1)
    data, folder = training(tmp_path, truth, pixels), tmp_path / "model"
    forest = ForestSegmenter(tmp_path / "forest")
    forest.train(data, folder, None, Budget(steps=1), Silent())
    forest.close()
    made = []
    for note in ("one", "two"):
        (folder / "note").write_text(note)
        made.append(version(database, store, "p", folder=folder))
    return made


def promote(database: Database, id: uuid.UUID) -> None:
    with database.unit_of_work() as session:
        models.promote(session, None, session.get_one(ModelVersion, id))


def wait_for(what: Callable[[], bool], seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.05)


def test_an_idle_slot_follows_promotions_and_rollbacks(
    database: Database,
    database_url: str,
    store: ArtifactStore,
    project: uuid.UUID,
    versions: list[uuid.UUID],
    loads: Loads,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    nothing = Kind(lambda *_: None, lambda *_: None, lambda *_: None)
    for kind in JobKind:
        monkeypatch.setitem(KINDS, kind, nothing)
    settings = Settings(
        database_url=SecretStr(database_url), data_dir=tmp_path / "data", lanes=("cpu",)
    )
    runner = Runner(settings, database, store)
    with database.unit_of_work() as session:
        first = jobs.enqueue(
            session, JobKind.EVALUATE, Lane.CPU, {}, project_id=project
        ).id
    with ExitStack() as stack:
        runner.start()
        stack.callback(runner.join)
        stack.callback(runner.stop)

        def ended() -> bool:
            with database.unit_of_work() as session:
                return session.get_one(Job, first).state is JobState.SUCCEEDED

        wait_for(ended, 20)
        assert loads.notes == []  # nothing is live yet
        # Settings() beats often enough for ten seconds, the start of a child included
        for id, note in zip(
            (*versions, versions[0]), ("one", "two", "one"), strict=True
        ):
            promote(database, id)
            wait_for(lambda n=note: loads.notes[-1:] == [n], 10)  # type: ignore[misc]
        assert loads.notes == ["one", "two", "one"]
        assert len(set(loads.segmenters)) == 1
        assert loads.alive()
    assert not loads.alive()
    assert not (tmp_path / "data" / "residents" / runner._name).exists()


@pytest.fixture
def slot(
    database: Database, store: ArtifactStore, tmp_path: Path
) -> Iterator[tuple[Ready, Segmenters, threading.Event]]:
    """A slot's readiness, its segmenters, and what stops the worker."""
    segmenters, stopping = Segmenters(tmp_path / "residents"), threading.Event()
    cache = tmp_path / "cache"
    ready = Ready(Lane.CPU, database, store, cache, segmenters, stopping)
    yield ready, segmenters, stopping
    segmenters.close()


def worked(ready: Ready, project: uuid.UUID, kind: JobKind = JobKind.PREDICT) -> None:
    ready.worked(Job(kind=kind, project_id=project))


def test_an_idle_child_makes_room_for_a_training_and_comes_back(
    database: Database,
    project: uuid.UUID,
    versions: list[uuid.UUID],
    loads: Loads,
    slot: tuple[Ready, Segmenters, threading.Event],
) -> None:
    ready, _, _ = slot
    promote(database, versions[0])
    worked(ready, project)
    ready.look(crowded=False)
    assert loads.notes == ["one"]
    assert loads.alive()
    ready.look(crowded=True)
    assert not loads.alive()
    ready.look(crowded=False)
    ready.look(crowded=False)
    assert loads.notes == ["one", "one"]
    assert loads.alive()


def test_a_child_without_work_for_long_ends(
    database: Database,
    project: uuid.UUID,
    versions: list[uuid.UUID],
    loads: Loads,
    slot: tuple[Ready, Segmenters, threading.Event],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ready, _, _ = slot
    promote(database, versions[0])
    worked(ready, project)
    ready.look(crowded=False)
    assert loads.alive()
    monkeypatch.setattr(waiting, "IDLE_SECONDS", 0.0)
    ready.look(crowded=False)
    assert not loads.alive()
    promote(database, versions[1])
    ready.look(crowded=False)
    assert loads.notes == ["one"]


def test_a_new_worker_starts_with_what_was_worked_for_last(
    database: Database,
    store: ArtifactStore,
    project: uuid.UUID,
    versions: list[uuid.UUID],
    loads: Loads,
    tmp_path: Path,
) -> None:
    promote(database, versions[0])
    with closing(Segmenters(tmp_path / "residents")) as segmenters:

        def look(lane: Lane) -> None:
            cache, stopping = tmp_path / "cache", threading.Event()
            args = lane, database, store, cache, segmenters, stopping
            Ready(*args, eager=True).look(crowded=False)

        look(Lane.CPU)
        assert loads.notes == []
        with database.unit_of_work() as session:
            jobs.enqueue(session, JobKind.PREDICT, Lane.CPU, {}, project_id=project)
        look(Lane.GPU)
        assert loads.notes == []
        look(Lane.CPU)
        assert loads.notes == ["one"]


def test_a_slot_loads_nothing_for_jobs_without_a_model_or_of_another_lane(
    database: Database,
    project: uuid.UUID,
    versions: list[uuid.UUID],
    loads: Loads,
    slot: tuple[Ready, Segmenters, threading.Event],
) -> None:
    ready, _, _ = slot
    promote(database, versions[0])
    ready.look(crowded=False)
    worked(ready, project, JobKind.SCORE)
    ready.look(crowded=False)
    with database.unit_of_work() as session:
        session.get_one(ModelVersion, versions[0]).segmenter = "nnunet"
    worked(ready, project)
    ready.look(crowded=False)
    assert loads.notes == []


def test_a_model_that_cannot_be_loaded_is_left_to_the_next_job(
    database: Database,
    store: ArtifactStore,
    project: uuid.UUID,
    versions: list[uuid.UUID],
    loads: Loads,
    slot: tuple[Ready, Segmenters, threading.Event],
    tmp_path: Path,
) -> None:
    ready, _, _ = slot
    (tmp_path / "model" / "forest.joblib").write_bytes(b"rubbish")
    promote(database, version(database, store, "p", folder=tmp_path / "model"))
    worked(ready, project)
    ready.look(crowded=False)
    ready.look(crowded=False)
    assert loads.notes == []
    promote(database, versions[0])
    worked(ready, project)
    ready.look(crowded=False)
    assert loads.notes == ["one"]


def test_a_worker_that_stops_loads_nothing_more(
    database: Database,
    project: uuid.UUID,
    versions: list[uuid.UUID],
    loads: Loads,
    slot: tuple[Ready, Segmenters, threading.Event],
) -> None:
    ready, _, stopping = slot
    promote(database, versions[0])
    worked(ready, project)
    stopping.set()
    ready.look(crowded=False)
    assert loads.notes == []


def test_a_slot_keeps_its_segmenters_until_it_closes_them(tmp_path: Path) -> None:
    desk = Desk(tmp_path, tmp_path, tmp_path, Segmenters(tmp_path))
    forest = desk.segmenter("forest", {})
    assert desk.segmenter("forest", {"profile": "cpu"}) is forest
    network = desk.segmenter("nnunet", {"profile": "cpu"})
    assert desk.segmenter("nnunet", {}) is network
    assert desk.segmenter("nnunet", {"profile": "gpu-8gb"}) is not network
    # one at a time: each may hold the device's memory
    assert desk.segmenter("forest", {}) is not forest
    again = desk.segmenter("forest", {})
    desk.segmenters.close()
    assert desk.segmenter("forest", {}) is not again


# Models on this machine


def stored(store: ArtifactStore, folder: Path, content: str) -> StoredTree:
    folder.mkdir(exist_ok=True)
    (folder / "weights").write_text(content)
    key = f"models/{uuid.uuid4()}"
    return StoredTree(key, store.put_tree(key, folder))


def test_a_model_is_fetched_once_and_known_by_its_content(
    store: ArtifactStore, tmp_path: Path
) -> None:
    cache = tmp_path / "cache"
    one = stored(store, tmp_path / "m", "one")
    twin = stored(store, tmp_path / "m", "one")
    two = stored(store, tmp_path / "m", "two")
    folder = local_model(one, store, cache)
    assert (folder / "weights").read_text() == "one"
    store.delete_tree(one.prefix)
    assert local_model(one, store, cache) == folder
    assert local_model(twin, store, cache) == folder
    assert local_model(two, store, cache) != folder


def test_a_damaged_copy_is_fetched_again(store: ArtifactStore, tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    tree = stored(store, tmp_path / "m", "one")
    folder = local_model(tree, store, cache)
    (folder / "weights").write_text("on")
    assert (local_model(tree, store, cache) / "weights").read_text() == "one"
    (folder / "weights").unlink()
    assert (local_model(tree, store, cache) / "weights").read_text() == "one"
    assert list(folder.parent.iterdir()) == [folder]


def test_a_model_another_slot_was_faster_with_is_left_alone(
    store: ArtifactStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its child may be reading it already."""
    cache = tmp_path / "cache"
    tree = stored(store, tmp_path / "m", "one")
    fetch, inodes = ArtifactStore.fetch_tree, list[int]()

    def slowly(self: ArtifactStore, *arguments: Any) -> Path:
        monkeypatch.setattr(ArtifactStore, "fetch_tree", fetch)
        inodes.append(local_model(tree, store, cache).stat().st_ino)  # the other slot
        return fetch(self, *arguments)

    monkeypatch.setattr(ArtifactStore, "fetch_tree", slowly)
    folder = local_model(tree, store, cache)
    assert [folder.stat().st_ino] == inodes
    assert list(folder.parent.iterdir()) == [folder]


def test_what_cannot_be_fetched_leaves_nothing(
    store: ArtifactStore, tmp_path: Path
) -> None:
    tree = stored(store, tmp_path / "m", "one")
    store.put_bytes(f"{tree.prefix}/weights", b"two")
    with pytest.raises(ValueError, match="hash"):
        local_model(tree, store, tmp_path / "cache")
    assert list((tmp_path / "cache" / "models").iterdir()) == []


def test_the_models_used_last_stay(store: ArtifactStore, tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    trees = [stored(store, tmp_path / "m", str(number)) for number in range(6)]
    folders = [local_model(tree, store, cache) for tree in trees[:5]]
    assert all(folder.exists() for folder in folders)  # a job may read any of them
    for hours, folder in enumerate(reversed(folders), start=2):
        then = time.time() - 3600 * hours
        os.utime(folder, (then, then))
    local_model(trees[0], store, cache)
    last = local_model(trees[5], store, cache)
    kept = {folders[0], folders[4], folders[3], last}
    assert set(last.parent.iterdir()) == kept


def test_only_nnunet_makes_idle_children_make_room(
    settings: Settings, database: Database, store: ArtifactStore
) -> None:
    runner = Runner(settings, database, store)
    runner._trainings[uuid.uuid4()] = Lane.CPU
    assert not runner._is_crowded(Lane.CPU)
    runner._trainings[uuid.uuid4()] = Lane.GPU
    assert runner._is_crowded(Lane.GPU)
    assert not runner._is_crowded(Lane.CPU)
