"""The parent's side of child processes: how they are started, spoken to and stopped.

The parent holds a `Child`; the child's entry module calls `worker.serving.serve`.
Requests travel over the child's stdin and replies over a pipe of their own, both as
JSON lines: stdout is no channel because libraries print there, so it goes to a log
together with stderr.

A request is `{"do": name, …}`. Its replies are any number of `{"progress": {…}}`, then
one of `{"result": {…}}`, `{"error": text, "retryable": bool, "memory": bool}` or
`{"stopped": true}`; `memory` says that the error was a lack of it.
"""

import os
import re
import signal
import time
from collections import deque
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Self

from worker.process import Limits, Process
from worker.segmenter import OutOfMemory, Progress, Report, SegmenterError
from worker.serving import lacks_memory, line

_POLL_SECONDS = 0.5
_HEARD_SECONDS = 3.0
_LOG_BYTES = 2**20
_PASSED_ON = re.compile(
    r"PATH|HOME|LANG|LC_\w+|LD_LIBRARY_PATH|CUDA_VISIBLE_DEVICES|\w+_NUM_THREADS"
)


class Child:
    """A Python process in its own session that answers requests one at a time.

    It is started by the first request, and again if it died since. `arguments` follow
    the interpreter, e.g. `("-m", "worker.decode")`. It sees a clean environment plus
    `environment`: no database address, no secret. `scratch` is its working directory
    and its TMPDIR, and holds its log. `grace` is the seconds a checkpoint may take.

    The kernel kills the child when the *thread* that started it ends, so the thread
    that sends the first request must outlive the child.
    """

    def __init__(
        self,
        arguments: Sequence[str],
        *,
        scratch: Path,
        environment: Mapping[str, str] | None = None,
        limits: Limits | None = None,
        grace: float = 60.0,
    ) -> None:
        self._arguments = tuple(arguments)
        self._scratch = scratch.absolute()
        self._environment = dict(environment or {})
        self._limits = limits or Limits()
        self._grace = grace
        self._process: Process | None = None
        self._log = self._scratch / "child.log"

    def request(self, message: Mapping[str, Any], report: Report) -> dict[str, Any]:
        """Send `{"do": name, …}`, pass progress on to `report`, return the result.

        `report.check()` is called at least twice a second. Whatever it or `report`
        raises (`Stop`) ends the child, SIGTERM first, and is raised again. Raises
        SegmenterError if the request failed or the child died, OutOfMemory if that was
        for lack of memory; the next request then starts a new child.
        """
        process = self._running()
        process.send(line(message))
        try:
            while True:
                report.check()
                ended = process.ended()  # before reading: its last words come first
                for reply in process.replies(0.0 if ended else _POLL_SECONDS):
                    if "progress" in reply:
                        report(Progress(**reply["progress"]))
                    elif "result" in reply:
                        result: dict[str, Any] = reply["result"]
                        return result
                    elif "error" in reply:
                        self.close()
                        if reply["memory"]:
                            raise OutOfMemory(reply["error"])
                        raise SegmenterError(
                            reply["error"], retryable=reply["retryable"]
                        )
                    else:
                        self.close()
                        raise _stopped_from_outside(report)
                if ended:
                    self._process = None
                    raise self._why(process.kill())
        except BaseException:
            self._stop()
            raise

    def log_tail(self, lines: int = 20) -> str:
        """Return the last `lines` lines that the present or last child printed."""
        try:
            with self._log.open("rb") as log:
                return b"".join(deque(log, lines)).decode(errors="replace").strip()
        except FileNotFoundError:
            return ""

    def close(self) -> None:
        """End the child and everything it started; a later request starts a new one."""
        process, self._process = self._process, None
        if process is not None:
            process.hang_up()
            process.wait(5.0)
            process.kill()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _running(self) -> "Process":
        if self._process is not None and self._process.ended():
            self.close()
        if self._process is None:
            self._scratch.mkdir(parents=True, exist_ok=True)
            kept = {n: v for n, v in os.environ.items() if _PASSED_ON.fullmatch(n)}
            environment = kept | {"TMPDIR": str(self._scratch)} | self._environment
            with self._log.open("ab") as log:
                log.truncate(0)
                self._process = Process(
                    self._arguments, self._scratch, environment, log.fileno()
                )
            self._process.limit(self._limits)
        elif self._log.stat().st_size > _LOG_BYTES:
            os.truncate(self._log, 0)  # the child appends, so it goes on from there
        return self._process

    def _stop(self) -> None:
        """Ask to stop, wait for the checkpoint, then kill the whole group."""
        process, self._process = self._process, None
        if process is not None:
            # Only the child: it needs the processes it started to finish its step.
            os.kill(process.pid, signal.SIGTERM)
            process.wait(self._grace)
            process.kill()

    def _why(self, code: int) -> SegmenterError:
        """Say in plain words why a child ended unasked; `code` as in Popen."""
        tail = self.log_tail(10)
        if code == -signal.SIGXCPU:
            return SegmenterError(
                f"The background process needed more than {self._limits.cpu_seconds} "
                "seconds of processor time and was ended.",
                retryable=False,
            )
        if lacks_memory(tail):
            return OutOfMemory("The background process ran out of memory.")
        if code in (-signal.SIGKILL, 128 + signal.SIGKILL):
            return OutOfMemory(
                "The background process was killed, most likely because the machine "
                "ran out of memory."
            )
        if code < 0:
            name = signal.Signals(-code).name
            text = f"The background process crashed ({name})."
            if code == -signal.SIGBUS:  # a write to a mapped file found no room
                text = f"{text[:-1]}; the worker's disk may be full."
        else:
            last = tail.rpartition("\n")[2][:300] or "it printed nothing"
            text = f"The background process ended with exit code {code}: {last}"
        return SegmenterError(text, retryable=True)


def _stopped_from_outside(report: Report) -> SegmenterError:
    """Return why a child ended that saved its state, unless the whole worker ends.

    Who stops a worker may stop its children in the same moment, and which of them hears
    of it first is chance: `report` has a while to raise.
    """
    until = time.monotonic() + _HEARD_SECONDS
    while time.monotonic() < until:
        report.check()
        time.sleep(0.1)
    return SegmenterError(
        "The background process was stopped from outside; it saved its state.",
        retryable=True,
    )
