"""What tests of the loop stand on: small images with known truth, and a tiny runner."""

import datetime as dt
import uuid
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import select

from backend.db import Database
from backend.domain.geometry import TileGrid
from backend.domain.masks import pack
from backend.domain.states import (
    ImageState,
    JobKind,
    Lane,
    ModelState,
    Split,
)
from backend.imaging.pyramid import write_pyramid
from backend.models import (
    Annotation,
    Artifact,
    Evaluation,
    Image,
    Job,
    ModelVersion,
    Prediction,
    Project,
    Tile,
    TrainingSet,
    TrainingSetItem,
)
from backend.schemas.stored import StoredTree
from backend.services import artifacts, jobs
from backend.services.access import now
from backend.storage import ArtifactStore
from worker.desk import Desk
from worker.segmenter import Progress
from worker.segmenters import Segmenters

U1 = NDArray[np.uint8]
MITO, ER = 2, 4
EVERY = (1, 2, 3, 4, 5)
SIDE, TILE = 256, 64


class Silent:
    """A report nobody reads."""

    def __call__(self, progress: Progress) -> None:
        return

    def check(self) -> None:
        return


def scene(seed: int, side: int = SIDE) -> tuple[U1, U1]:
    """Dark discs (mitochondria) and pale stripes (ER) on noise; image and truth."""
    rng = np.random.default_rng(seed)
    yy, xx = np.mgrid[:side, :side]
    truth = np.zeros((side, side), np.uint8)
    truth[(yy + 3 * seed + (6 * np.sin(xx / 20)).astype(int)) % 32 < 5] = ER
    for _ in range(side * side // 4000):
        y, x = rng.integers(0, side, 2)
        truth[(yy - y) ** 2 + (xx - x) ** 2 < 12**2] = MITO
    grey = np.select([truth == MITO, truth == ER], [80.0, 190.0], 140.0)
    grey += rng.normal(0, 12, grey.shape)
    return np.clip(grey, 0, 255).astype(np.uint8), truth


@dataclass(frozen=True, slots=True)
class Placed:
    """An image in the database, and its truth."""

    id: uuid.UUID
    tiles: tuple[uuid.UUID, ...]
    grey: U1
    truth: U1


def place(
    database: Database,
    store: ArtifactStore,
    project: str,
    *,
    seed: int,
    split: Split = Split.POOL,
    side: int = SIDE,
) -> Placed:
    """Add a ready image with a real pyramid and its tiles."""
    grey, truth = scene(seed, side)
    key = f"placed/{uuid.uuid4()}"
    written = write_pyramid(store.below(key), grey, 4.0)
    with database.unit_of_work() as session:
        row = session.scalars(select(Project).where(Project.slug == project)).one()
        pyramid = Artifact(project_id=row.id, key=key, manifest={}, bytes=1)
        session.add(pyramid)
        session.flush()
        image = Image(
            project_id=row.id,
            name=f"scene {seed}",
            sha256=uuid.uuid4().hex * 2,
            bytes=grey.size,
            state=ImageState.READY,
            split=split,
            height=side,
            width=side,
            dtype="uint8",
            levels=written.levels,
            mean=written.mean,
            sd=written.sd,
            pixel_nm=4.0,
            pyramid_id=pyramid.id,
        )
        session.add(image)
        session.flush()
        tiles = [
            Tile(
                project_id=row.id,
                image_id=image.id,
                position=position,
                y=box.y,
                x=box.x,
                h=box.h,
                w=box.w,
                split=split,
            )
            for position, box in enumerate(TileGrid(side, side, row.tile_size))
        ]
        session.add_all(tiles)
        session.flush()
        ids = tuple(tile.id for tile in tiles)
    return Placed(image.id, ids, grey, truth)


def annotate(
    database: Database,
    placed: Placed,
    positions: Sequence[int],
    *,
    complete_for: Sequence[int] = EVERY,
    value: int | None = None,
    seconds: float | None = None,
    author_id: uuid.UUID | None = None,
) -> list[uuid.UUID]:
    """Accept the truth of these tiles, or a mask of one value, as annotations."""
    made = []
    with database.unit_of_work() as session:
        for position in positions:
            tile = session.get_one(Tile, placed.tiles[position])
            mask = placed.truth[tile.box.slices]
            if value is not None:
                mask = np.full_like(mask, value)
            row = Annotation(
                project_id=tile.project_id,
                tile_id=tile.id,
                revision=1,
                raster=pack(mask),
                sha256="0" * 64,
                complete_for=list(complete_for),
                active_seconds=seconds,
                author_id=author_id,
                imported=True,
                accepted_at=now(),
            )
            session.add(row)
            session.flush()
            made.append(row.id)
    return made


def project_id(database: Database, slug: str) -> uuid.UUID:
    """Id of a project."""
    with database.unit_of_work() as session:
        return session.scalars(select(Project.id).where(Project.slug == slug)).one()


def run_one(
    database: Database,
    store: ArtifactStore,
    scratch: Path,
    meanwhile: Callable[[], object] = lambda: None,
) -> JobKind | None:
    """Run the oldest waiting job; `meanwhile` happens before its conclusion."""
    with database.unit_of_work() as session:
        job = jobs.claim(session, list(Lane), "test", dt.timedelta(minutes=10))
        if job is None:
            return None
        id, fence, kind = job.id, job.fence, job.kind
    service = import_module(f"backend.services.{jobs.NOUNS[kind]}")
    step = import_module(f"worker.steps.{kind}")
    with database.unit_of_work() as session:
        value = service.prepare(session, session.get_one(Job, id))
    desk = Desk(scratch, scratch / "keep", scratch / "cache", Segmenters(scratch))
    desk.keep.mkdir(parents=True)
    desk.cache.mkdir()
    with closing(desk.segmenters):
        result = step.run(value, store, Silent(), desk)
    meanwhile()
    with database.unit_of_work() as session:
        job = jobs.lock_fenced(session, id, fence)
        service.conclude(session, job, result)
        jobs.succeed(session, job)
    return kind


def work_off(database: Database, store: ArtifactStore, scratch: Path) -> list[JobKind]:
    """Run every waiting job and those that follow from it; return their kinds."""
    done: list[JobKind] = []
    while kind := run_one(database, store, scratch / str(len(done))):
        done.append(kind)
    return done


def version(
    database: Database,
    store: ArtifactStore,
    slug: str,
    *,
    state: ModelState = ModelState.CANDIDATE,
    counts: Mapping[tuple[Split, int], tuple[int, int, int]] | None = None,
    lessons: Sequence[uuid.UUID] = (),
    folder: Path | None = None,
) -> uuid.UUID:
    """Add a version as a training and its evaluation would leave it."""
    with database.unit_of_work() as session:
        project = session.scalars(select(Project).where(Project.slug == slug)).one()
        learnt = TrainingSet(project_id=project.id)
        session.add(learnt)
        session.flush()
        for id in lessons:
            tile = session.get_one(Annotation, id).tile_id
            session.add(
                TrainingSetItem(
                    training_set_id=learnt.id, annotation_id=id, tile_id=tile
                )
            )
        key = f"models/{uuid.uuid4()}"
        manifest = store.put_tree(key, folder) if folder else {}
        weights = artifacts.add_tree(session, project.id, StoredTree(key, manifest))
        others = session.scalars(
            select(ModelVersion.id).where(ModelVersion.project_id == project.id)
        ).all()
        row = ModelVersion(
            project_id=project.id,
            ordinal=len(others) + 1,
            segmenter="forest",
            state=state,
            training_set_id=learnt.id,
            artifact_id=weights.id,
            settings={"values": list(EVERY)},
            metrics={"seconds": 12.5},
        )
        session.add(row)
        session.flush()
        session.add_all(
            Evaluation(
                model_version_id=row.id,
                split=split,
                value=value,
                tp=tp,
                fp=fp,
                fn=fn,
                tiles=3,
                average_precision=None,
            )
            for (split, value), (tp, fp, fn) in (counts or {}).items()
        )
        session.flush()
        return row.id


@dataclass(frozen=True, slots=True)
class Swept:
    """A stored prediction and the arrays in it."""

    id: uuid.UUID
    labels: U1
    probabilities: U1
    entropy: NDArray[np.float16]
    information: NDArray[np.float16]


def sweep(
    database: Database,
    store: ArtifactStore,
    version_id: uuid.UUID,
    placed: Placed,
    folder: Path,
) -> Swept:
    """Store a prediction made of noise, with the files a real sweep leaves."""
    rng = np.random.default_rng(1)
    shape = placed.truth.shape
    arrays = {
        "labels": rng.choice(np.array([0, MITO, ER], np.uint8), shape),
        "probabilities": rng.integers(0, 256, (6, *shape), np.uint8),
        "entropy": rng.random(shape).astype(np.float16),
        "information": rng.random(shape).astype(np.float16),
    }
    folder.mkdir(parents=True)
    for name, array in arrays.items():
        np.save(folder / f"{name}.npy", array)
    key = f"sweeps/{uuid.uuid4()}"
    tree = StoredTree(key, store.put_tree(key, folder))
    values, pixels = np.unique(arrays["labels"], return_counts=True)
    with database.unit_of_work() as session:
        row = session.get_one(ModelVersion, version_id)
        prediction = Prediction(
            project_id=row.project_id,
            model_version_id=version_id,
            image_id=placed.id,
            artifact_id=artifacts.add_tree(session, row.project_id, tree).id,
            members=4,
            seconds=1.5,
            label_pixels={str(v): int(n) for v, n in zip(values, pixels, strict=True)},
        )
        session.add(prediction)
        session.flush()
        return Swept(prediction.id, **arrays)
