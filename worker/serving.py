"""The child's side of a conversation with its parent, `worker.child`: `serve`."""

import ctypes
import json
import math
import os
import signal
import traceback
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from backend.domain.errors import DomainError
from worker.process import PARENT, REPLIES
from worker.segmenter import OutOfMemory, Progress, SegmenterError

Emit = Callable[[Progress], None]
Handler = Callable[[dict[str, Any], Emit], dict[str, Any]]

_NO_MEMORY = (
    "MemoryError",
    "out of memory",
    "Cannot allocate memory",
    "can't allocate memory",
    "bad_alloc",
    "ALLOC_FAILED",
)
"""What Python, CUDA, the system and torch on a processor say."""


class Stopped(Exception):
    """A handler raises it when it ends early because `stop_requested()`."""


_stop = False


def stop_requested() -> bool:
    """Whether this process was asked to save its state and end."""
    return _stop


def breathe() -> None:
    """Give way to a stop where nothing has to be saved."""
    if stop_requested():
        raise Stopped


def serve(handlers: Mapping[str, Handler]) -> None:
    """Answer requests until the parent hangs up; the whole main of a child.

    A handler takes the request and a function that emits progress, and returns the
    result as plain values. Its DomainError and SegmenterError reach the parent word for
    word. The entry module may import what it likes first: if the parent ended
    meanwhile, so does the child here.
    """
    _tie_to_parent(int(os.environ.pop(PARENT)))
    replies = int(os.environ.pop(REPLIES))
    os.set_inheritable(replies, False)
    requests = os.fdopen(os.dup(0), "rb")
    with Path(os.devnull).open("rb") as nothing:
        os.dup2(nothing.fileno(), 0)

    def say(reply: Mapping[str, Any]) -> None:
        rest = line(reply)
        while rest:
            rest = rest[os.write(replies, rest) :]

    for request in requests:
        signal.signal(signal.SIGTERM, _remember_stop)
        say(_answer(handlers, json.loads(request), say))
        if _stop:
            return
        signal.signal(
            signal.SIGTERM, signal.SIG_DFL
        )  # an idle child has nothing to save


def _answer(
    handlers: Mapping[str, Handler],
    request: dict[str, Any],
    say: Callable[[Mapping[str, Any]], None],
) -> dict[str, Any]:
    def emit(progress: Progress) -> None:
        say({"progress": asdict(progress)})

    try:
        return {"result": handlers[request["do"]](request, emit)}
    except Stopped:
        return {"stopped": True}
    except DomainError as error:
        return _failure(error.detail)
    except SegmenterError as error:
        return _failure(str(error), error.retryable, isinstance(error, OutOfMemory))
    except Exception as error:  # noqa: BLE001 - the parent decides, the log has the trace
        traceback.print_exc()
        name = f"{type(error).__name__}: {error}"
        if lacks_memory(name):
            return _failure("The background process ran out of memory.", True, True)
        text = f"The background process failed: {name}"
        return _failure(text[:500], isinstance(error, OSError))


def _failure(
    text: str, retryable: bool = False, memory: bool = False
) -> dict[str, Any]:
    return {"error": text, "retryable": retryable, "memory": memory}


def _remember_stop(signum: int, frame: object) -> None:
    global _stop
    _stop = True


def _tie_to_parent(parent: int) -> None:
    """End when the parent does, and so does every process forked from here."""
    libc = ctypes.CDLL(None, use_errno=True)
    death_signal = 1  # PR_SET_PDEATHSIG in linux/prctl.h; a fork does not inherit it

    def tie() -> None:
        libc.prctl(death_signal, signal.SIGKILL, 0, 0, 0)

    tie()
    if os.getppid() != parent:
        os._exit(1)
    os.register_at_fork(after_in_child=tie)


def line(message: Mapping[str, Any]) -> bytes:
    """Return a request or a reply as a line of strict JSON."""
    return json.dumps(_plain(message)).encode() + b"\n"


def _plain(value: Any) -> Any:
    """Make values fit for strict JSON: paths to text, NaN and infinity to null."""
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, Path):
        return str(value)
    if hasattr(value, "item"):  # a numpy scalar
        value = value.item()
    return None if isinstance(value, float) and not math.isfinite(value) else value


def lacks_memory(text: str) -> bool:
    """Whether an error or a log's end says that there was too little memory."""
    return any(sign in text for sign in _NO_MEMORY)
