"""The child process in which nnU-Net lives: `python -m worker.nnunet.child`.

nnU-Net and torch are imported by the handlers only, after the environment is set. One
model stays loaded between requests; a training takes its place.
"""

import ctypes
import gc
import logging
import os
import shutil
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from worker.crops import unpack_crops, unpack_offsets
from worker.messages import unpack_image, unpack_training
from worker.segmenter import Budget, Progress
from worker.serving import Emit, Stopped, breathe, serve, stop_requested


def train(request: dict[str, Any], emit: Emit) -> dict[str, Any]:
    """Plan, prepare and train into a folder; returns settings and metrics."""
    into = Path(request["into"])
    emit(Progress("starting nnU-Net"))
    _settle(into / "work")
    from worker.nnunet.training import train as run

    _loaded.clear()
    _let_go()
    try:
        done = run(
            unpack_training(request["data"]),
            into,
            Path(request["start_from"]) if request["start_from"] else None,
            request["profile"],
            Budget(**request["budget"]),
            emit,
            stop_requested,
            smaller=request["smaller"],
        )
    finally:
        shutil.rmtree(into / "work", ignore_errors=True)
    if done is None:
        raise Stopped
    _let_go()
    return done


def load(request: dict[str, Any], emit: Emit) -> dict[str, Any]:
    """Keep a model ready for the next `predict`; says whether it was loaded anew."""
    from worker.nnunet.model import DESCRIPTION, open_model

    folder = Path(request["model"])
    # not the path alone: the folder may hold another model by now
    written = folder / DESCRIPTION
    key = (folder, written.stat().st_mtime_ns if written.exists() else None)
    if _loaded.get("key") == key:
        return {"anew": False}
    emit(Progress("loading the model"))
    _loaded.clear()
    _let_go()
    _loaded.update(key=key, model=open_model(folder))
    return {"anew": True}


def predict(request: dict[str, Any], emit: Emit) -> dict[str, Any]:
    """Sweep one image; the model stays for the next one."""
    began = time.monotonic()
    load(request, emit)
    from worker.nnunet.sweep import sweep

    def progress(fraction: float) -> None:
        emit(Progress(f"{fraction:.0%} of the image", fraction))

    members = sweep(
        _loaded["model"],
        unpack_image(request["image"]),
        request["tile"],
        Path(request["into"]),
        progress,
        breathe,
        offsets=unpack_offsets(request["offsets"]),
        crops=unpack_crops(request["crops"]),
        smaller=request["smaller"],
    )
    return {"members": members, "seconds": time.monotonic() - began}


_loaded: dict[str, Any] = {}


def _let_go() -> None:
    """Give memory back that nothing needs any more: to the device and the system."""
    import torch

    gc.collect()
    torch.cuda.empty_cache()
    with suppress(AttributeError):  # not every C library has it
        ctypes.CDLL(None).malloc_trim(0)


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
    serve({"train": train, "predict": predict, "load": load})


if __name__ == "__main__":
    main()
