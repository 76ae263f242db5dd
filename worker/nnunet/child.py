"""The child process in which nnU-Net lives: `python -m worker.nnunet.child`.

nnU-Net and torch are imported by the handlers only, after the environment is set.
"""

import logging
import os
import shutil
import sys
import time
from pathlib import Path
from typing import Any

from worker.child import Emit, Stopped, serve, stop_requested
from worker.nnunet.messages import unpack_image, unpack_training
from worker.segmenter import Budget, Progress, SegmenterError


def train(request: dict[str, Any], emit: Emit) -> dict[str, Any]:
    """Plan, prepare and train into a folder; returns settings and metrics."""
    into = Path(request["into"])
    emit(Progress("starting nnU-Net"))
    _settle(into / "work")
    with _Memory():
        from worker.nnunet.training import train as run

        try:
            done = run(
                unpack_training(request["data"]),
                into,
                Path(request["start_from"]) if request["start_from"] else None,
                request["profile"],
                Budget(**request["budget"]),
                emit,
                stop_requested,
            )
        finally:
            shutil.rmtree(into / "work", ignore_errors=True)
    if done is None:
        raise Stopped
    return done


def predict(request: dict[str, Any], emit: Emit) -> dict[str, Any]:
    """Sweep one image; keeps the model for the next one."""
    began = time.monotonic()
    into, folder = Path(request["into"]), Path(request["model"])
    with _Memory():
        from worker.nnunet.model import DESCRIPTION, open_model
        from worker.nnunet.sweep import sweep

        # Not the path alone: a scratch folder may hold another model by now.
        written = folder / DESCRIPTION
        key = (folder, written.stat().st_mtime_ns if written.exists() else None)
        if _loaded.get("key") != key:
            emit(Progress("loading the model"))
            _loaded.update(key=key, model=open_model(folder))

        def check() -> None:
            if stop_requested():
                raise Stopped

        def progress(fraction: float) -> None:
            emit(Progress(f"{fraction:.0%} of the image", fraction))

        image = unpack_image(request["image"])
        members = sweep(_loaded["model"], image, request["tile"], into, progress, check)
    return {"members": members, "seconds": time.monotonic() - began}


_loaded: dict[str, Any] = {}


class _Memory:
    """Turns torch's ways of running out of memory into one plain sentence."""

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: Any, error: BaseException | None, trace: Any) -> None:
        text = str(error)
        if "out of memory" in text or "can't allocate memory" in text:
            raise SegmenterError(
                "The device ran out of memory; another job may be using it.",
                retryable=True,
            ) from error


def _settle(folder: Path) -> None:
    """Point nnU-Net at a folder; its paths are read each time they are used."""
    for name in ("raw", "preprocessed", "results"):
        os.environ[f"nnUNet_{name}"] = str(folder / name)


def processors() -> int:
    """Return how many processors this process may use, containers' quotas included."""
    allowed = len(os.sched_getaffinity(0))
    try:
        quota, period = Path("/sys/fs/cgroup/cpu.max").read_text().split()
    except (OSError, ValueError):
        return allowed
    if quota == "max":
        return allowed
    return max(1, min(allowed, round(int(quota) / int(period))))


def main() -> None:
    """Set the environment and answer requests."""
    os.environ.setdefault("OMP_NUM_THREADS", str(processors()))
    os.environ.update(
        nnUNet_n_proc_DA="0",
        nnUNet_def_n_proc="1",
        nnUNet_compile="f",
        nnUNet_wandb_enabled="0",
        MPLBACKEND="agg",
    )
    logging.basicConfig(level=logging.INFO, stream=sys.stdout)
    serve({"train": train, "predict": predict})


if __name__ == "__main__":
    main()
