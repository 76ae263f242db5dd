"""Models on this machine: fetched once, used by many jobs and loaded by children."""

import hashlib
import json
import os
import shutil
import time
from contextlib import suppress
from pathlib import Path
from tempfile import mkdtemp

from backend.schemas.stored import StoredTree
from backend.storage import ArtifactStore

_KEPT = 4
_IN_USE = 3600.0  # seconds: a job may still read what it asked for


def local_model(model: StoredTree, store: ArtifactStore, cache: Path) -> Path:
    """Return a folder that holds the model's files, fetched if need be.

    Its name follows from the files, so the same folder is always the same model.
    """
    models = cache / "models"
    files = json.dumps(model.manifest, sort_keys=True).encode()
    folder = models / hashlib.sha256(files).hexdigest()[:32]
    if not _is_whole(folder, model):
        models.mkdir(parents=True, exist_ok=True)
        draft = Path(mkdtemp(prefix=".draft-", dir=models))
        try:
            store.fetch_tree(model.prefix, model.manifest, draft)
            # Another slot may have been faster, and its child may be reading by now.
            if not _is_whole(folder, model):
                _remove(folder)
                draft.rename(folder)
        except OSError:
            if not _is_whole(folder, model):
                raise
        finally:
            shutil.rmtree(draft, ignore_errors=True)
    os.utime(folder)
    _make_room(models)
    return folder


def _is_whole(folder: Path, model: StoredTree) -> bool:
    try:
        return folder.is_dir() and all(
            (folder / name).stat().st_size == entry["bytes"]
            for name, entry in model.manifest.items()
        )
    except FileNotFoundError:
        return False


def _make_room(models: Path) -> None:
    """Remove all but the models used last."""
    used = []
    for path in models.iterdir():
        with suppress(FileNotFoundError):  # another slot's draft
            used.append((path.stat().st_mtime, path))
    for when, path in sorted(used, reverse=True)[_KEPT:]:
        if time.time() - when > _IN_USE:
            _remove(path)


def _remove(folder: Path) -> None:
    """Remove a folder; a half removed one never bears the name of a whole one."""
    if folder.exists():
        doomed = Path(mkdtemp(prefix=".doomed-", dir=folder.parent))
        shutil.rmtree(folder.rename(doomed / folder.name).parent, ignore_errors=True)
