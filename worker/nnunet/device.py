"""What the machine offers a child: processors, a GPU, a fast number format."""

import os
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from functools import cache
from pathlib import Path

import torch

Precision = Callable[[], AbstractContextManager[object]]


def pick_device() -> torch.device:
    """Return the first GPU if there is one, else the processor."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def precision(device: torch.device) -> Precision:
    """Return the mixed precision to compute in.

    bfloat16 on processors that multiply it in hardware (elsewhere it is emulated and
    slower than float32), nnU-Net's own float16 on a GPU.
    """
    if device.type == "cuda":
        return lambda: torch.autocast("cuda")
    if _multiplies_bfloat16():
        return lambda: torch.autocast("cpu", torch.bfloat16)
    return nullcontext


def augmentation_processes(device: torch.device) -> int:
    """Return how many processes prepare batches; a processor has none to spare."""
    if device.type == "cpu":
        return 0
    return max(1, min(12, len(os.sched_getaffinity(0)) - 1))


@cache
def _multiplies_bfloat16() -> bool:
    try:
        flags = Path("/proc/cpuinfo").read_text().split()
    except OSError:
        return False
    return "avx512_bf16" in flags or "amx_bf16" in flags
