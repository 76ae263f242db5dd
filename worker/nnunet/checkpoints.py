"""Checkpoints that are whole or absent.

Each is written beside its place, synced and renamed, and has its SHA-256 in a file next
to it; only then are older ones removed. A kill at any moment leaves one to go on from.
They hold tensors and plain values alone and are read as such: nothing is unpickled.
"""

import hashlib
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

import torch

FINAL = "checkpoint_final.pth"
_KEPT = 2


def save(checkpoint: dict[str, Any], path: Path) -> None:
    """Write a checkpoint and its hash so that a crash leaves the old or the new one."""
    write_whole(path, lambda file: torch.save(checkpoint, file))


def write_whole(path: Path, write: Callable[[BinaryIO], object]) -> None:
    """Let `write` fill a file and put its hash beside it, each whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".part")
    with part.open("wb") as file:
        write(file)
        file.flush()
        os.fsync(file.fileno())
    _replace(_hash_path(path), f"{_digest(part)}  {path.name}\n".encode())
    part.replace(path)
    _sync(path.parent)


def save_step(checkpoint: dict[str, Any], folder: Path, step: int) -> None:
    """Write the checkpoint of a step; keep it and the one before."""
    save(checkpoint, folder / f"checkpoint_{step:07d}.pth")
    for old in _steps(folder)[_KEPT:]:
        _remove(old)


def newest(folder: Path) -> Path | None:
    """Return the newest whole checkpoint of a step; moves torn ones aside."""
    for path in _steps(folder):
        if is_whole(path):
            return path
        path.rename(path.with_suffix(".torn"))
    return None


def clear_steps(folder: Path) -> None:
    """Remove all but the final checkpoint once it stands, what a crash left too."""
    final = folder / FINAL
    for path in folder.glob("checkpoint_*"):
        if path not in (final, _hash_path(final)):
            path.unlink(missing_ok=True)


def is_whole(path: Path) -> bool:
    """Whether a checkpoint is there and is what was written."""
    try:
        return _hash_path(path).read_text().split()[0] == _digest(path)
    except (FileNotFoundError, IndexError):
        return False


def load(path: Path, device: torch.device) -> dict[str, Any]:
    """Read a checkpoint: tensors and plain values only."""
    found: dict[str, Any] = torch.load(path, map_location=device, weights_only=True)
    return found


def _steps(folder: Path) -> list[Path]:
    found = folder.glob("checkpoint_*.pth")
    numbered = [p for p in found if re.fullmatch(r"checkpoint_\d{7}\.pth", p.name)]
    return sorted(numbered, reverse=True)


def _hash_path(path: Path) -> Path:
    return path.with_name(f"{path.name}.sha256")


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _replace(path: Path, content: bytes) -> None:
    part = path.with_suffix(".sha256.part")
    with part.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    part.replace(path)


def _remove(path: Path) -> None:
    path.unlink(missing_ok=True)
    _hash_path(path).unlink(missing_ok=True)


def _sync(folder: Path) -> None:
    """Make renames in a folder survive a power cut."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
