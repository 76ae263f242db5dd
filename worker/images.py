"""Pixels of images on this machine: fetched once, used by many jobs.

All that was made of one image and outlives a job lies in one folder of the cache,
`images/<id>`: its pixels, and the cases prepared from it. Erasing an image is removing
its folder.
"""

import contextlib
import os
import shutil
import time
import uuid
from collections.abc import Callable, Collection
from pathlib import Path

import numpy as np

from backend.imaging.pyramid import copy_level0
from backend.schemas.stored import StoredImage
from backend.storage import ArtifactStore
from worker.desk import Desk
from worker.segmenter import ImageData

_PIXELS = "level0.npy"
_SHARE = 0.25
"""How much of the room that would be free without them the kept pixels may take."""
_UNUSED = 30 * 24 * 3600.0  # seconds


def folder_of_images(cache: Path) -> Path:
    """Return the folder in which each image has a folder called by its id."""
    return cache / "images"


def local_image(image: StoredImage, store: ArtifactStore, desk: Desk) -> ImageData:
    """Return an image's level 0 as a .npy file of this attempt, fetched if need be.

    The file is a second name of the kept one, so that this attempt goes on reading
    pixels that were evicted meanwhile.
    """
    kept = folder_of_images(desk.cache) / str(image.id) / _PIXELS
    path = desk.scratch / "images" / f"{image.id}.npy"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    if _is_whole(kept, image):
        with contextlib.suppress(OSError):  # evicted this moment, or another disk
            os.link(kept, path)
            os.utime(kept)
    if not path.exists():
        copy_level0(store.below(image.pyramid), path)
        with contextlib.suppress(OSError):  # as above: then it is fetched again
            kept.parent.mkdir(parents=True, exist_ok=True)
            kept.unlink(missing_ok=True)
            os.link(path, kept)
            _make_room(folder_of_images(desk.cache), kept)
    return ImageData(
        str(image.id), path, image.mean, image.sd, image.pixel_nm, image.name
    )


def forget_erased(
    cache: Path, present: Callable[[Collection[uuid.UUID]], Collection[uuid.UUID]]
) -> None:
    """Remove what was made of images that are gone, or that nobody used for a month.

    `present` tells which of some images are there.
    """
    images = folder_of_images(cache)
    if not images.exists():
        return
    folders = {uuid.UUID(path.name): path for path in images.iterdir()}
    there = set(present(list(folders)))
    for id, folder in folders.items():
        if id not in there or _last_used(folder) < time.time() - _UNUSED:
            shutil.rmtree(folder, ignore_errors=True)


def _is_whole(path: Path, image: StoredImage) -> bool:
    try:
        pixels = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError):
        return False
    shape: tuple[int, ...] = pixels.shape
    return shape == (image.height, image.width)


def _make_room(images: Path, newest: Path) -> None:
    """Remove the pixels unused longest until the others take a share at most."""
    found = []
    for path in images.glob(f"*/{_PIXELS}"):
        with contextlib.suppress(FileNotFoundError):
            facts = path.stat()
            found.append((facts.st_mtime, facts.st_size, path))
    held = sum(size for _, size, _ in found)
    room = _SHARE * (shutil.disk_usage(images).free + held)
    for _, size, path in sorted(found):
        if held <= room:
            break
        if path != newest:
            path.unlink(missing_ok=True)
            held -= size


def _last_used(folder: Path) -> float:
    times = []
    for path in (folder, *folder.iterdir()):
        with contextlib.suppress(FileNotFoundError):
            times.append(path.stat().st_mtime)
    return max(times, default=0.0)
