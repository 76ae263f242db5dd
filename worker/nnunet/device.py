"""What the machine offers a child: processors, a GPU, a fast number format."""

import ctypes
import os
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from functools import cache
from pathlib import Path

import torch

_TRIM, _MAP = -1, -3  # M_TRIM_THRESHOLD and M_MMAP_THRESHOLD of malloc.h
_KEPT, _MAPPED = 1 << 30, 1 << 27  # bytes kept; a block so large is mapped alone

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
def keep_memory() -> None:
    """Let freed blocks of many megabytes stay in this process for the next ones.

    The C library hands them back to the kernel at once, and every feature map then
    begins with page faults: a seventh of the time of a window of 512². Other C
    libraries lack the call or ignore it.
    """
    adjust = getattr(ctypes.CDLL(None), "mallopt", None)
    if adjust is not None:
        adjust(_MAP, _MAPPED)
        adjust(_TRIM, _KEPT)


@cache
def _multiplies_bfloat16() -> bool:
    try:
        flags = Path("/proc/cpuinfo").read_text().split()
    except OSError:
        return False
    return "avx512_bf16" in flags or "amx_bf16" in flags
