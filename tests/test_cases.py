"""A round prepares what is new, and nothing of an erased image is kept."""

import json
import os
import shutil
import uuid
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from loop_fixtures import scene
from numpy.typing import NDArray

from backend.domain.geometry import Box
from backend.domain.labels import UNKNOWN, Label, LabelSchema
from backend.imaging.pyramid import write_pyramid
from backend.schemas.stored import StoredImage
from backend.storage import ArtifactStore
from worker.desk import Desk
from worker.images import folder_of_images, forget_erased, local_image
from worker.segmenter import (
    Budget,
    ImageData,
    SegmenterError,
    TrainingData,
    TrainingTile,
)
from worker.segmenters import Segmenters

pytest.importorskip("nnunetv2", reason="the worker extra is not installed")

from nnunetv2.training.dataloading.nnunet_dataset import nnUNetDatasetBlosc2

from worker.messages import pack_training, unpack_training
from worker.nnunet.dataset import Dataset, build
from worker.nnunet.planner import (
    DATASET,
    FINGERPRINT,
    drift,
    find_profile,
    fingerprint,
    frozen_fingerprint,
    plan,
)
from worker.nnunet.training import train

PATCH = (64, 64)
SCHEMA = LabelSchema((Label(2, "mito", "#EE6677"), Label(4, "er", "#228833")))
Tile = Callable[..., TrainingTile]


@pytest.fixture
def image(tmp_path: Path) -> ImageData:
    grey, _ = scene(1, 256)
    np.save(tmp_path / "image.npy", grey)
    figures = float(grey.mean()), float(grey.std())
    return ImageData("a", tmp_path / "image.npy", *figures, 4.0, "liver.tif")


@pytest.fixture
def tile(tmp_path: Path) -> Tile:
    """Make an annotated tile of 64 pixels at a place; `but` changes its mask."""
    _, truth = scene(1, 256)

    def make(
        y: int, x: int, but: Callable[[NDArray[np.uint8]], None] = lambda mask: None
    ) -> TrainingTile:
        box = Box(y, x, 64, 64)
        mask = truth[box.slices].copy()
        but(mask)
        name = uuid.uuid4().hex
        np.save(tmp_path / f"{name}.npy", mask)
        return TrainingTile(name, "a", box, tmp_path / f"{name}.npy")

    return make


@pytest.fixture
def data(image: ImageData, tile: Tile, tmp_path: Path) -> TrainingData:
    """Two tiles far apart and one to monitor, with a shelf for cases."""
    return TrainingData(
        SCHEMA,
        {"a": image},
        (tile(0, 0), tile(192, 192)),
        (tile(0, 192),),
        4.0,
        0,
        cases=tmp_path / "shelf",
    )


def counts(made: Dataset) -> tuple[int, int]:
    return made.prepared, made.reused


def files_of(made: Dataset, identifier: str) -> dict[str, int]:
    """Suffix and inode of a case's files."""
    return {
        path.name.removeprefix(identifier): path.stat().st_ino
        for path in made.folder.glob(f"{identifier}*")
    }


def contents_of(made: Dataset) -> dict[str, tuple[bytes, bytes, str]]:
    """Pixels, numbers and properties of all cases, as nnU-Net loads them."""
    loader = nnUNetDatasetBlosc2(str(made.folder))
    found = {}
    for case in made.cases:
        pixels, numbers, _, properties = loader.load_case(case.identifier)
        places = str(properties["class_locations"])
        found[case.identifier] = pixels[:].tobytes(), numbers[:].tobytes(), places
    return found


def test_a_second_round_prepares_the_new_tile_only(
    data: TrainingData, tile: Tile, tmp_path: Path
) -> None:
    first = build(data, tmp_path / "first", PATCH)
    assert counts(first) == (3, 0)
    old = files_of(first, "tile_00000")
    assert set(old) == {".b2nd", "_seg.b2nd", ".pkl"}
    shutil.copytree(tmp_path / "first", tmp_path / "kept")
    shutil.rmtree(tmp_path / "first")  # as the end of a job does

    more = replace(data, tiles=(*data.tiles, tile(192, 0)))
    second = build(more, tmp_path / "second", PATCH)
    assert counts(second) == (1, 3)
    assert files_of(second, "tile_00000") == old
    described = json.loads((tmp_path / f"second/{DATASET}/dataset.json").read_text())
    assert described["numTraining"] == 3
    (split,) = json.loads(
        (tmp_path / f"second/{DATASET}/splits_final.json").read_text()
    )
    assert split["train"] == ["tile_00000", "tile_00001", "tile_00002"]
    assert split["val"] == ["tile_00003"]
    assert [c.annotation_id for c in second.cases] == [
        t.annotation_id for t in (*more.tiles, *more.validation)
    ]
    afresh = build(replace(more, cases=None), tmp_path / "afresh", PATCH)
    assert counts(afresh) == (4, 0)
    assert contents_of(afresh) == contents_of(second)
    assert [c.labelled for c in afresh.cases] == [c.labelled for c in second.cases]


def test_a_neighbour_that_changes_the_margin_prepares_again(
    data: TrainingData, tile: Tile, tmp_path: Path
) -> None:
    build(data, tmp_path / "first", PATCH)
    near = tile(0, 64)
    assert counts(
        build(replace(data, tiles=(*data.tiles, near)), tmp_path / "second", PATCH)
    ) == (2, 2)

    def repaint(mask: NDArray[np.uint8]) -> None:
        mask[:8, :8] = 2

    def same(mask: NDArray[np.uint8]) -> None:
        return

    for but, expected in ((repaint, (2, 2)), (same, (0, 4))):
        again = replace(data, tiles=(*data.tiles, tile(0, 64, but)))
        assert counts(build(again, tmp_path / "third", PATCH)) == expected


@pytest.mark.parametrize(
    "change",
    [
        lambda d: replace(d, working_nm=8.0),
        lambda d: replace(d, images={"a": replace(d.images["a"], mean=1.0)}),
        lambda d: replace(
            d, schema=LabelSchema((Label(1, "new", "#000000"), *SCHEMA.labels))
        ),
    ],
)
def test_what_a_case_depends_on_prepares_again(
    data: TrainingData,
    tmp_path: Path,
    change: Callable[[TrainingData], TrainingData],
) -> None:
    build(data, tmp_path / "first", PATCH)
    assert counts(build(change(data), tmp_path / "second", PATCH)) == (3, 0)
    assert counts(build(data, tmp_path / "third", (32, 32))) == (3, 0)
    assert counts(build(data, tmp_path / "fourth", PATCH)) == (0, 3)


@pytest.mark.parametrize("file", ["case.b2nd", "case_seg.b2nd", "case.pkl"])
@pytest.mark.parametrize("how", ["cut", "flip", "lost"])
def test_a_torn_case_is_not_used(
    data: TrainingData, tmp_path: Path, file: str, how: str
) -> None:
    first = build(data, tmp_path / "first", PATCH)
    wanted = contents_of(first)
    torn = next((tmp_path / "shelf" / "a").iterdir()) / file
    whole = torn.read_bytes()
    torn.unlink()  # its other name keeps what the first round reads
    if how == "cut":
        torn.write_bytes(whole[:-1])
    elif how == "flip":
        torn.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    second = build(data, tmp_path / "second", PATCH)
    assert counts(second) == (1, 2)
    assert contents_of(second) == wanted


def test_a_crash_while_keeping_leaves_no_case(
    data: TrainingData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def crash(path: Path, to: Path) -> None:
        raise OSError("No space left on device")

    with monkeypatch.context() as broken, pytest.raises(OSError, match="space"):
        broken.setattr(Path, "rename", crash)
        build(data, tmp_path / "first", PATCH)
    assert list((tmp_path / "shelf" / "a").iterdir()) == []
    assert counts(build(data, tmp_path / "second", PATCH)) == (3, 0)


def test_a_tile_of_unknown_pixels_is_remembered_as_empty(
    data: TrainingData, tile: Tile, tmp_path: Path
) -> None:
    def forget(mask: NDArray[np.uint8]) -> None:
        mask[:] = UNKNOWN

    more = replace(data, tiles=(*data.tiles, tile(64, 64, forget)))
    for expected in ((4, 0), (0, 4)):
        made = build(more, tmp_path / "made", PATCH)
        assert counts(made) == expected
        assert len(made.cases) == 3


def test_cases_nobody_used_for_a_day_are_removed(
    data: TrainingData, tmp_path: Path
) -> None:
    build(data, tmp_path / "first", PATCH)
    shelf = tmp_path / "shelf" / "a"
    fewer = replace(data, tiles=data.tiles[:1])
    build(fewer, tmp_path / "second", PATCH)
    assert len(list(shelf.iterdir())) == 3
    for place in shelf.iterdir():
        os.utime(place, (0, 0))
    build(fewer, tmp_path / "third", PATCH)
    assert len(list(shelf.iterdir())) == 2
    assert counts(build(data, tmp_path / "fourth", PATCH)) == (1, 2)


def test_an_annotation_with_strange_values_leaves_nothing_behind(
    data: TrainingData, tile: Tile, tmp_path: Path
) -> None:
    def spoil(mask: NDArray[np.uint8]) -> None:
        mask[0, 0] = 77

    with pytest.raises(SegmenterError, match="77"):
        build(replace(data, tiles=(tile(0, 0, spoil),), validation=()), tmp_path, PATCH)
    assert list((tmp_path / "shelf" / "a").iterdir()) == []


def test_a_request_travels_whole(data: TrainingData) -> None:
    data = replace(data, emphasis={4: 0.5, 2: 0.5}, fresh=frozenset({"x", "y"}))
    sent = json.loads(json.dumps(pack_training(data)))
    assert unpack_training(sent) == data


def test_drift_says_what_no_longer_fits(data: TrainingData, tmp_path: Path) -> None:
    image = data.images["a"]
    frozen = fingerprint(data)
    assert drift(frozen, data, PATCH) == []

    def said(**changes: object) -> str:
        odd = replace(image, id="b", **changes)  # type: ignore[arg-type]
        (text,) = drift(frozen, replace(data, images={"a": image, "b": odd}), PATCH)
        return text

    assert drift(frozen, replace(data, images={"a": image, "b": image}), PATCH) == []
    finer = said(name="fine.tif", pixel_nm=2.0)
    assert finer.startswith("fine.tif: pixel size far from the 4 nm of the plans")
    assert "replan" in finer
    assert said(pixel_nm=6.1).startswith("liver.tif: pixel size")
    assert "state it" in said(pixel_nm=None)
    assert "inverted contrast" in said(mean=image.mean / 3)
    assert "empty margin" in said(sd=image.sd * 2.5)
    np.save(tmp_path / "small.npy", np.zeros((63, 300), np.uint8))
    assert "less than a patch of 64 x 64" in said(path=tmp_path / "small.npy", name="")

    odd = [replace(image, id=str(n), name=f"{n}.tif", pixel_nm=1.0) for n in range(5)]
    (many,) = drift(frozen, replace(data, images={i.id: i for i in odd}), PATCH)
    assert many.startswith("0.tif, 1.tif, 2.tif and 2 more: pixel size")
    # other bit depths are not drift, nor are models without figures of their data
    assert (
        drift(
            frozen,
            replace(
                data,
                images={"a": replace(image, mean=257 * image.mean, sd=257 * image.sd)},
            ),
            PATCH,
        )
        == []
    )
    assert drift({}, data, PATCH) == []


def test_a_fingerprint_is_frozen_with_its_plans(
    data: TrainingData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("raw", "preprocessed", "results"):
        monkeypatch.setenv(f"nnUNet_{name}", str(tmp_path / name))
    plan(data, find_profile("cpu", 128), tmp_path / "raw", tmp_path / "preprocessed")
    made = tmp_path / "preprocessed" / DATASET
    assert frozen_fingerprint(tmp_path / "no", None, made)["images"] == [
        {"mean": data.images["a"].mean, "sd": data.images["a"].sd}
    ]
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / FINGERPRINT).write_text('{"images": []}')
    assert frozen_fingerprint(tmp_path / "model", made) == {"images": []}
    assert frozen_fingerprint(None) == {}


def test_a_model_remembers_what_was_planned_for(
    data: TrainingData, tile: Tile, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("raw", "preprocessed", "results"):
        monkeypatch.setenv(f"nnUNet_{name}", str(tmp_path / name))
    monkeypatch.setenv("nnUNet_n_proc_DA", "0")

    def made(data: TrainingData, name: str, start: Path | None) -> dict[str, Any]:
        told: list[str] = []
        done = train(
            data,
            tmp_path / name,
            start,
            "cpu",
            Budget(2),
            lambda progress: told.append(progress.message),
            lambda: False,
        )
        assert done is not None
        metrics: dict[str, Any] = done["metrics"]
        assert set(metrics["warnings"]) <= set(told)
        return metrics

    first = made(data, "first", None)
    assert (first["prepared"], first["reused"]) == (3, 0)
    assert first["warnings"] == []
    faint = replace(data.images["a"], sd=3 * data.images["a"].sd)
    more = replace(
        data, tiles=(*data.tiles, tile(192, 0)), images={"a": faint}, cases=None
    )
    second = made(more, "second", tmp_path / "first")
    assert "inverted contrast" in second["warnings"][0]
    assert (tmp_path / "second" / FINGERPRINT).read_text() == (
        tmp_path / "first" / FINGERPRINT
    ).read_text()
    # what was odd at first is what newer images are compared with after a replan
    assert made(replace(more, plans=None), "third", None)["warnings"] == []


# Pixels


@pytest.fixture
def desk(tmp_path: Path) -> Callable[[str], Desk]:
    def at(job: str) -> Desk:
        scratch = tmp_path / job
        return Desk(scratch, scratch / "keep", tmp_path / "cache", Segmenters(tmp_path))

    return at


def stored(store: ArtifactStore, seed: int) -> StoredImage:
    grey, _ = scene(seed, 300)
    written = write_pyramid(store.below(f"p{seed}"), grey, 4.0)
    height, width = grey.shape
    figures = written.mean, written.sd, 4.0
    name = f"{seed}.tif"
    return StoredImage(uuid.uuid4(), name, f"p{seed}", height, width, *figures)


def test_pixels_are_fetched_once(desk: Callable[[str], Desk], tmp_path: Path) -> None:
    store = ArtifactStore((tmp_path / "store").as_uri())
    image = stored(store, 1)
    one = local_image(image, store, desk("one"))
    np.testing.assert_array_equal(np.load(one.path), scene(1, 300)[0])
    assert one.name == "1.tif"
    store.delete_tree("p1")
    two = local_image(image, store, desk("two"))
    assert two.path.samefile(one.path)
    one.path.unlink()  # a step that has done with it
    np.testing.assert_array_equal(np.load(two.path), scene(1, 300)[0])


def test_torn_pixels_are_fetched_again(
    desk: Callable[[str], Desk], tmp_path: Path
) -> None:
    store = ArtifactStore((tmp_path / "store").as_uri())
    image = stored(store, 1)
    local_image(image, store, desk("one"))
    kept = folder_of_images(tmp_path / "cache") / str(image.id) / "level0.npy"
    whole = kept.read_bytes()
    kept.unlink()
    kept.write_bytes(whole[:-1000])
    again = local_image(image, store, desk("two"))
    np.testing.assert_array_equal(np.load(again.path), scene(1, 300)[0])
    assert kept.read_bytes() == whole


def test_pixels_unused_longest_make_room(
    desk: Callable[[str], Desk], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = ArtifactStore((tmp_path / "store").as_uri())
    images = [stored(store, seed) for seed in (1, 2, 3)]
    size = 300 * 300 + 128

    def usage(path: Path) -> shutil._ntuple_diskusage:
        held = sum(1 for _ in path.glob("*/level0.npy"))
        free = (10 - held) * size  # room for 2.5 images
        return shutil._ntuple_diskusage(0, 0, free)

    monkeypatch.setattr("worker.images.shutil.disk_usage", usage)
    kept = [
        folder_of_images(tmp_path / "cache") / str(image.id) / "level0.npy"
        for image in images
    ]
    for number, image in enumerate(images[:2]):
        local_image(image, store, desk("one"))
        os.utime(kept[number], (number, number))
    local_image(images[0], store, desk("two"))  # used again: now the newest
    third = local_image(images[2], store, desk("three"))
    assert [path.exists() for path in kept] == [True, False, True]
    assert third.path.exists()
    held = tmp_path / "one" / "images" / f"{images[1].id}.npy"
    np.testing.assert_array_equal(np.load(held), scene(2, 300)[0])


def test_nothing_made_of_an_erased_image_stays(
    data: TrainingData, tmp_path: Path
) -> None:
    cache = tmp_path / "cache"
    forget_erased(cache, lambda ids: ids)  # nothing there yet
    gone, here, idle = (uuid.uuid4() for _ in range(3))
    for id in (gone, here, idle):
        named = {str(id): data.images["a"]}
        tiles = tuple(replace(tile, image_id=str(id)) for tile in data.tiles)
        one = replace(
            data,
            images=named,
            tiles=tiles,
            validation=(),
            cases=folder_of_images(cache),
        )
        build(one, tmp_path / "made", PATCH)
    folders = {id: folder_of_images(cache) / str(id) for id in (gone, here, idle)}
    for path in (folders[idle], *folders[idle].iterdir()):
        os.utime(path, (0, 0))
    forget_erased(cache, lambda ids: set(ids) - {gone})
    assert [folder.exists() for folder in folders.values()] == [False, True, False]
