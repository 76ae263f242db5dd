"""Prepared cases that outlive their job: a round prepares what is new or has changed.

A case is kept under the id of its image and the hash of all it was made from, so it is
never out of date, only unused. It is written beside its place and moved there whole,
and every file is checked against its hash before it is used again.
"""

import hashlib
import json
import os
import shutil
import time
import uuid
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any

_FACTS = "case.json"
_UNUSED = 24 * 3600.0  # seconds: another job may be about to use what we do not


def key_of(sources: Any) -> str:
    """Return the key of a case made from these plain values."""
    text = json.dumps(sources, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def take(place: Path, target: Path) -> dict[str, Any] | None:
    """Give a kept case the names `target` + suffix and return its facts.

    Returns None if there is no such case, or if it is torn, which removes it.
    """
    if not place.exists():
        return None
    try:
        facts: dict[str, Any] = json.loads((place / _FACTS).read_text())
        for suffix, digest in facts["files"].items():
            file = target.with_name(target.name + suffix)
            _link(place / f"case{suffix}", file)
            if digest_of(file) != digest:
                raise ValueError(f"{place / suffix} is torn")
        os.utime(place)
    except (OSError, ValueError, KeyError):
        for file in target.parent.glob(f"{target.name}[._]*"):
            file.unlink()
        shutil.rmtree(place, ignore_errors=True)
        return None
    return facts


def put(place: Path, write: Callable[[Path], dict[str, Any]]) -> None:
    """Keep a case: `write` leaves files whose names begin with the path it is given.

    What it returns are facts to keep beside them.
    """
    part = place.with_name(f"{place.name}.{uuid.uuid4().hex}.part")
    part.mkdir(parents=True)
    try:
        facts = write(part / "case")
        files = {p.name.removeprefix("case"): digest_of(p) for p in part.iterdir()}
        (part / _FACTS).write_text(json.dumps({**facts, "files": files}))
        part.rename(place)
    except OSError:
        if not place.exists():  # else another job was faster
            raise
    finally:
        shutil.rmtree(part, ignore_errors=True)


def forget_unused(folder: Path, used: Collection[str]) -> None:
    """Remove the cases of one image that neither this round nor the last day used."""
    if not folder.exists():
        return
    for place in folder.iterdir():
        if not place.is_dir() or place.name in used:
            continue
        try:
            is_old = place.stat().st_mtime < time.time() - _UNUSED
        except FileNotFoundError:
            continue
        if is_old:
            shutil.rmtree(place, ignore_errors=True)


def digest_of(path: Path) -> str:
    """Return the hash of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _link(source: Path, to: Path) -> None:
    """Give a file a second name; on another disk, copy it."""
    try:
        os.link(source, to)
    except FileNotFoundError:
        raise
    except OSError:
        shutil.copyfile(source, to)
