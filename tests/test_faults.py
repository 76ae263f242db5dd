"""The whole loop with nnU-Net over REST, and what must not break it.

Everything is real: the processes of `cisterna up` on servers of their own, signals sent
to them and to nnU-Net's child, the broker stopped. Only the clock of the workers is
quicker, where a test says so.
"""

import asyncio
import hashlib
import json
import os
import re
import shutil
import signal
import tempfile
import time
import uuid
import zipfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from importlib.util import find_spec
from pathlib import Path

import httpx
import numpy as np
import pytest
from conftest import PREFIX
from numpy.typing import NDArray
from PIL import Image
from pydantic import SecretStr
from stage import free_port, wait

from backend.bus import Bus
from backend.cli.stack import stack
from backend.client import Cisterna
from backend.domain.states import (
    JobKind,
    JobState,
    ModelState,
    Promotion,
    QueryState,
    Split,
)
from backend.embedded import Process, Program, exclusive
from backend.embedded.home import home
from backend.schemas.image import ImageView
from backend.schemas.job import JobView
from backend.schemas.model import NewTraining
from backend.schemas.project import NewLabel, NewProject, ProjectEdit, Training
from backend.settings import Settings

U1 = NDArray[np.uint8]
DISC, STRIPE, GRAIN = 1, 2, 3
LABELS = ("disc", "stripe", "grain")
STEPS = 40  # a checkpoint is written at each tenth
LIVE = (JobState.QUEUED, JobState.RUNNING)


class Running:
    """The processes of `cisterna up` as this test started them, and an admin."""

    def __init__(self, processes: Sequence[Process], url: str, data_dir: Path) -> None:
        self._processes = {process.name: process for process in processes}
        self.url, self.data_dir = url, data_dir
        self.token = (data_dir / "admin.token").read_text().strip()
        self.service = Cisterna(url, self.token)

    def __getitem__(self, name: str) -> Program:
        process = self._processes[name]
        assert isinstance(process, Program)
        return process


@contextmanager
def running(database_url: str, **environment: str) -> Iterator[Running]:
    """Run broker, API and worker on a database; `environment` is theirs too."""
    directory = Path(tempfile.mkdtemp(prefix=PREFIX))
    with ExitStack() as undo:
        undo.callback(shutil.rmtree, directory)
        undo.callback(shutil.rmtree, home(directory))
        undo.enter_context(exclusive(directory))
        settings, processes = stack(
            Settings(
                data_dir=directory,
                database_url=SecretStr(database_url),
                port=free_port(),
            )
        )
        started = [p for p in processes if p.name != "beat"]
        for process in started:
            assert isinstance(process, Program)
            process.env.update(environment)
            undo.callback(process.stop)
            process.start()
        url = f"http://{settings.host}:{settings.port}"
        found = Running(started, url, directory)
        undo.callback(found.service.close)
        yield found


def scene(seed: int, side: int = 256) -> tuple[U1, U1]:
    """Dark discs, bright stripes and coarse grain in noise, and where they are."""
    random = np.random.default_rng(seed)
    y, x = np.mgrid[:side, :side]
    truth = np.zeros((side, side), np.uint8)
    truth[(y + 9 * seed) % 64 < 14] = STRIPE
    truth[(x + 17 * seed) % 128 < 22] = GRAIN
    for _ in range(side * side // 2500):
        cy, cx = random.integers(0, side, 2)
        truth[(y - cy) ** 2 + (x - cx) ** 2 < 11**2] = DISC
    grain = np.where((y // 3 + x // 3) % 2, 60, 200)
    grey = np.select([truth == DISC, truth == STRIPE, truth == GRAIN], [50, 200, grain])
    grey = np.where(truth == 0, 125 + 10 * (seed % 2), grey)
    noisy = grey + random.normal(0, 8, grey.shape)
    return np.clip(noisy, 0, 255).astype(np.uint8), truth


def project(service: Cisterna, segmenter: str = "nnunet", **changes: object) -> str:
    """A project with three labels, tiles of 64 pixels and short trainings."""
    body = NewProject.model_validate(
        {
            "name": f"Textures {uuid.uuid4().hex[:6]}",
            "labels": [NewLabel(name=name) for name in LABELS],
            "tile_size": 64,
            "query_size": 4,
            "segmenter": segmenter,
            "training": Training(steps=STEPS),
            **changes,
        }
    )
    return service.projects.create(body).slug


def upload(
    service: Cisterna,
    slug: str,
    grey: U1,
    folder: Path,
    split: Split = Split.POOL,
) -> ImageView:
    file = folder / f"{uuid.uuid4().hex}.png"
    Image.fromarray(grey).save(file)
    image = service.images.upload(slug, file, pixel_nm=5.0, split=split)
    return service.images.wait(image.id)


def taught(service: Cisterna, folder: Path) -> str:
    """A project whose one image is annotated in part; nobody promotes."""
    slug = project(service, promotion=Promotion.MANUAL)
    grey, truth = scene(1)
    image = upload(service, slug, grey, folder)
    service.images.import_labels(image.id, truth[:128], complete_for="all")
    return slug


def hashes(service: Cisterna, slug: str) -> dict[uuid.UUID, str]:
    """The hash of every annotation's mask."""
    return {
        row.id: hashlib.sha256(service.annotations.mask(row.id).tobytes()).hexdigest()
        for row in service.annotations.list(slug)
    }


def plans_of(service: Cisterna, model: uuid.UUID, folder: Path) -> str:
    """The hash of a version's plans.json, from its download."""
    file = folder / f"{model}.zip"
    service.models.download(model, file)
    with zipfile.ZipFile(file) as archive:
        (name,) = (n for n in archive.namelist() if n.endswith("plans.json"))
        return hashlib.sha256(archive.read(name)).hexdigest()


# Without the broker


@contextmanager
def listening(house: Running, slug: str) -> Iterator[Iterator[dict[str, str]]]:
    """The events of a project as they come, for two minutes at most."""
    with httpx.stream(
        "GET",
        f"{house.url}/api/v1/projects/{slug}/events",
        headers={"Authorization": f"Bearer {house.token}"},
        timeout=60,
    ) as answer:
        assert answer.status_code == 200
        lines = answer.iter_lines()
        assert next(lines).startswith(":")
        deadline = time.monotonic() + 120

        def events() -> Iterator[dict[str, str]]:
            event: dict[str, str] = {}
            for line in lines:  # there is a comment now and then, if nothing else
                assert time.monotonic() < deadline, "nothing was heard in time"
                if not line and event:
                    yield event
                    event = {}
                elif line and not line.startswith(":"):
                    name, _, value = line.partition(": ")
                    event[name] = value

        yield events()


def broker(house: Running) -> str:
    """What the service says of the broker; it must be ready either way."""
    answer = httpx.get(f"{house.url}/readyz", timeout=30)
    assert answer.status_code == 200, answer.text
    return str(answer.json()["broker"])


def test_work_goes_on_without_valkey_and_nothing_is_lost(
    make_database: Callable[[], str], tmp_path: Path
) -> None:
    with running(make_database()) as house:  # with the clock as it is delivered
        service = house.service
        slug = project(service, segmenter="forest")
        grey, truth = scene(1)
        image = upload(service, slug, grey, tmp_path)
        service.images.import_labels(image.id, truth[:64], complete_for="all")
        before = hashes(service, slug)
        # this worker hears nothing but the bell: its own clock looks once and sleeps
        worker = house["worker"]
        deaf = Program(
            house.data_dir,
            "deaf",
            worker.argv,
            {**worker.env, "CISTERNA_TICK_SECONDS": "3600"},
        )
        with ExitStack() as undo:
            undo.callback(deaf.stop)
            deaf.start()
            wait(lambda: "ready." in deaf.log.read_text(), "the worker is not ready")
            assert broker(house) == "ok"

            house["valkey"].stop()
            assert broker(house) == "away"
            (task,) = service.tasks.claim(slug).tasks
            box = task.tile.box
            mask = truth[box.y : box.y + box.h, box.x : box.x + box.w]
            submitted = service.tasks.submit(task.id, mask)
            assert submitted.accepted_at is not None
            job = service.trainings.start(slug)
            with listening(house, slug) as events:
                assert next(events)["event"] == "unavailable"
            version = service.jobs.wait_for_round(slug, job.id)
            done = service.jobs.get(job.id)
            assert done.started_at is not None
            assert (done.started_at - done.created_at).total_seconds() < 15
            assert done.attempts == 1
            assert service.models.get(version).state is ModelState.LIVE
            (next_task,) = service.tasks.claim(slug).tasks
            assert next_task.rank == 1
            assert broker(house) == "away"

            house["valkey"].start()
            assert broker(house) == "ok"
            worker.stop()
            with listening(house, slug) as events:
                later = service.trainings.start(slug)
                seen = set()
                for event in events:
                    said = json.loads(event["data"])
                    if said["object_id"] == str(later.id):
                        seen.add(said["state"])
                    if "succeeded" in seen:
                        break
            assert {"queued", "running", "succeeded"} <= seen
            pid = (house.data_dir / "run" / "deaf.pid").read_text().strip()
            assert str(service.jobs.get(later.id).worker).endswith(f":{pid}")
            newer = service.jobs.wait_for_round(slug, later.id)
            assert service.models.get(newer).state is ModelState.LIVE

        after = hashes(service, slug)
        assert set(after) == {*before, submitted.id}
        assert all(after[id] == hash for id, hash in before.items())
        assert after[submitted.id] == hashlib.sha256(mask.tobytes()).hexdigest()
        assert service.tasks.get(next_task.id).state == "claimed"
        trained = list(service.jobs.list(slug, kind=JobKind.TRAIN))
        assert [row.state for row in trained] == [JobState.SUCCEEDED] * 2
        assert not [row for row in service.jobs.list(slug) if row.state in LIVE]


def test_silence_does_not_pass_for_an_outage(valkey_url: str) -> None:
    async def first_words() -> list[object]:
        heard: list[object] = []
        async for entry in Bus(valkey_url).read(uuid.uuid4(), "$"):
            heard.append(entry)
            if len(heard) == 3:
                break
        return heard

    assert asyncio.run(first_words()) == [None] * 3


# Around nnU-Net's child


@pytest.fixture(scope="module")
def lively(make_database: Callable[[], str]) -> Iterator[Running]:
    """The stack with a clock that beats each second."""
    if find_spec("nnunetv2") is None:
        pytest.skip("the worker extra is not installed")
    with running(make_database(), CISTERNA_TICK_SECONDS="1") as found:
        yield found


def steps_in(log: str) -> list[int]:
    """The steps that a log tells of, in order."""
    return [int(step) for step in re.findall(r" step (\d+) of", log)]


def steps_by_attempt(log: str) -> list[list[int]]:
    """The steps that each attempt reported, in order."""
    return [steps_in(attempt) for attempt in re.split(r" Attempt \d+ on ", log)[1:]]


def children_of(parent: int, module: str) -> list[int]:
    """Processes that `parent` started to run a module."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):  # processes come and go
            status = (folder / "stat").read_text().rpartition(") ")[2].split()
            words = (folder / "cmdline").read_bytes().split(b"\0")
            if int(status[1]) == parent and module.encode() in words:
                found.append(int(folder.name))
    return found


def checkpoints(data_dir: Path, job: uuid.UUID) -> list[int]:
    """Steps whose checkpoints are whole."""
    folder = data_dir / "scratch" / str(job) / "keep" / "model" / "fold_0"
    return sorted(int(p.stem.rpartition("_")[2]) for p in folder.glob("*_0*.pth"))


def assert_one_sound_candidate(
    service: Cisterna, slug: str, job: JobView, learnt: dict[uuid.UUID, str]
) -> None:
    """One version, whose curve is that of one training from its start to its end."""
    (model,) = service.models.list(slug)
    assert str(model.id) == job.payload["model_version_id"]
    assert model.state is ModelState.CANDIDATE
    assert model.metrics["steps"] == STEPS
    curve = model.metrics["curve"]
    assert isinstance(curve, list)
    passed = [point["step"] for point in curve]
    assert passed == sorted(set(passed))
    assert passed[-1] == STEPS
    lessons = {lesson.annotation_id for lesson in service.models.training_set(model.id)}
    assert lessons == set(learnt)
    assert len(list(service.jobs.list(slug, kind=JobKind.TRAIN))) == 1


def test_a_killed_childs_training_goes_on_from_its_checkpoint(
    lively: Running, tmp_path: Path
) -> None:
    service = lively.service
    slug = taught(service, tmp_path)
    before = hashes(service, slug)
    assert len(before) == 8
    job = service.trainings.start(slug)
    wait(
        lambda: any(checkpoints(lively.data_dir, job.id)),
        "there is no checkpoint",
        seconds=180,
    )
    saved = checkpoints(lively.data_dir, job.id)[-1]
    worker = str(service.jobs.get(job.id).worker)
    (child,) = children_of(int(worker.rpartition(":")[2]), "worker.nnunet.child")
    os.kill(child, signal.SIGKILL)

    done = service.jobs.wait(job.id)
    # a kill is what a machine without memory left does: it is tried with less at once
    assert (done.attempts, done.error) == (1, None)
    assert done.worker == worker
    log = service.jobs.log(job.id)
    parts = log.split("Out of memory: trying again with half the batch")
    first, second = map(steps_in, parts)
    assert first[0] < saved < second[0]
    assert second[-1] == STEPS
    assert_one_sound_candidate(service, slug, done, before)
    assert hashes(service, slug) == before


def test_a_worker_that_is_terminated_hands_its_training_over(
    lively: Running, tmp_path: Path
) -> None:
    service = lively.service
    slug = taught(service, tmp_path)
    before = hashes(service, slug)
    job = service.trainings.start(slug)
    wait(
        lambda: any(steps_by_attempt(service.jobs.log(job.id))),
        "there is no step",
        seconds=180,
    )
    old = service.jobs.get(job.id)
    lively["worker"].signal(signal.SIGTERM)
    wait(lambda: not lively["worker"].is_running(), "the worker does not end")
    waiting = service.jobs.get(job.id)
    assert (waiting.state, waiting.attempts) == (JobState.QUEUED, 0)
    saved = checkpoints(lively.data_dir, job.id)[-1]
    (reached,) = steps_by_attempt(service.jobs.log(job.id))
    assert saved >= reached[-1] > 0

    lively["worker"].start()
    done = service.jobs.wait(job.id)
    assert (done.attempts, done.error) == (1, None)
    assert done.worker != old.worker
    _, second = steps_by_attempt(service.jobs.log(job.id))
    assert second[0] > saved
    assert_one_sound_candidate(service, slug, done, before)
    assert hashes(service, slug) == before


def test_the_loop_goes_round_with_nnunet(lively: Running, tmp_path: Path) -> None:
    service = lively.service
    slug = project(service)
    (grey, truth), (other, other_truth) = scene(1), scene(2)
    check, check_truth = scene(3, 128)
    pool = upload(service, slug, grey, tmp_path)
    spare = upload(service, slug, other, tmp_path)
    held_out = upload(service, slug, check, tmp_path, Split.VALIDATION)
    truths = {pool.id: truth, spare.id: other_truth}
    service.images.import_labels(pool.id, truth[:128], complete_for="all")
    service.images.import_labels(held_out.id, check_truth, complete_for="all")
    tiles = list(service.queries.tiles(slug, image=pool.id))
    lessons = {tile.annotation_id for tile in tiles if tile.annotation_id}
    assert len(lessons) == 8

    job = service.trainings.start(slug)
    version = service.jobs.wait_for_round(slug, job.id)
    newest_first = [row.kind for row in service.jobs.list(slug)]
    assert newest_first[:4] == ["score", "predict", "evaluate", "train"]
    model = service.models.get(version)
    assert (model.state, model.segmenter) == (ModelState.LIVE, "nnunet")
    learnt = {row.annotation_id for row in service.models.training_set(version)}
    assert learnt == lessons
    dice = {
        name: figures.dice for name, figures in model.quality[Split.VALIDATION].items()
    }
    assert set(dice) == {*LABELS, "mean"}
    assert (dice["disc"] or 0) > 0.5  # easy, even for so short a training
    swept = {row.image_id: row for row in service.predictions.of_model(version)}
    assert set(swept) == {pool.id, spare.id, held_out.id}
    decided = service.predictions.raster(swept[spare.id].id, "labels")
    assert decided.shape == other.shape
    assert set(np.unique(decided)) <= {0, DISC, STRIPE, GRAIN}
    entropy = service.predictions.raster(swept[spare.id].id, "entropy")
    assert entropy.max() > entropy.min() >= 0

    (query,) = (q for q in service.queries.list(slug) if q.state is QueryState.LIVE)
    assert (query.model_version_id, query.strategy) == (version, "er-gap")
    ranks = list(service.queries.ranks(query.id))
    assert [row.rank for row in ranks] == list(range(1, len(ranks) + 1))
    (task,) = service.tasks.claim(slug).tasks
    assert (task.rank, task.tile.id) == (1, ranks[0].tile.id)
    assert task.reason == ranks[0].reason
    assert task.reason
    assert task.prediction_id == swept[task.tile.image_id].id

    # and round again: the answer is learnt from, the plans stay as they are
    box = task.tile.box
    mask = truths[task.tile.image_id][box.y : box.y + box.h, box.x : box.x + box.w]
    answer = service.tasks.submit(task.id, mask, prediction=task.prediction_id)
    service.projects.edit(
        service.projects.get(slug), ProjectEdit(promotion=Promotion.MANUAL)
    )
    again = service.trainings.start(slug, NewTraining(steps=5))
    service.jobs.wait(again.id)
    newer = uuid.UUID(str(again.payload["model_version_id"]))
    learnt = {row.annotation_id for row in service.models.training_set(newer)}
    assert learnt == lessons | {answer.id}
    plans = {plans_of(service, model, tmp_path) for model in (version, newer)}
    assert len(plans) == 1
    assert service.models.get(version).state is ModelState.LIVE
    for row in service.jobs.list(slug, kind=JobKind.EVALUATE):
        if row.state in LIVE:
            service.jobs.cancel(row.id)
