"""What the supervisor can run: a process with a name, a log and a way to stop it."""

import fcntl
import os
import signal
import subprocess
import sys
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from signal import Signals
from typing import BinaryIO, ClassVar

from backend.domain.errors import Conflict, Unavailable
from backend.embedded import leash

ATTEMPTS = 5
"""Starts of a process that never became ready before we give up."""


class Process(ABC):
    """A process in a session of its own, so that a terminal's Ctrl-C misses it."""

    name: str
    log: Path
    once: bool = False
    """Ready means it ended with status 0; never restarted."""
    ladder: ClassVar[Sequence[tuple[Signals, float]]]
    """Signals that stop it, from polite to final, each with its patience in seconds."""

    @abstractmethod
    def launch(self) -> None:
        """Start the process if it is not running; does not wait for it."""

    @abstractmethod
    def is_running(self) -> bool:
        """Whether the process is there."""

    @abstractmethod
    def is_ready(self) -> bool:
        """Whether it does what it was started for."""

    @abstractmethod
    def signal(self, signum: Signals) -> None:
        """Send a signal; silent if the process has gone meanwhile."""

    def start(self, pause: Callable[[float], object] = time.sleep) -> None:
        """Launch and wait until it is ready, however long it takes while it runs.

        A process that ends before it was ready is tried again, a few times;
        then Unavailable repeats its last words.
        """
        for attempt in range(ATTEMPTS):
            self.launch()
            while True:
                running = self.is_running()  # asked first: it may end ready
                if self.is_ready():
                    return
                if not running:
                    break
                pause(0.1)
            if self.once:
                break
            pause(0.5 * 2**attempt)
        raise Unavailable(
            f"{self.name} ended before it was ready; its log {self.log} "
            f"closes with: {self._last_words()}"
        )

    def stop(
        self,
        pause: Callable[[float], object] = time.sleep,
        hurried: Callable[[], bool] = lambda: False,
    ) -> None:
        """Climb the ladder until the process is gone; at most 1 s a rung if hurried."""
        for signum, patience in self.ladder:
            begin = time.monotonic()
            if self.is_running():
                self.signal(signum)
            while self.is_running():
                if time.monotonic() - begin > (1 if hurried() else patience):
                    break
                pause(0.05)

    def _last_words(self, lines: int = 5) -> str:
        with suppress(OSError), self.log.open("rb") as log:
            log.seek(max(0, log.seek(0, os.SEEK_END) - 4096))
            words = log.read().decode(errors="replace").splitlines()[-lines:]
            return " / ".join(word.strip() for word in words)
        return "(nothing)"


class Program(Process):
    """A command tied to its parent by a leash and to the data directory by a pid file.

    `env` is added to our own environment. `ready` says when the command serves; it is
    asked a few times a second and should answer as fast. With `once` the command is a
    step, such as a migration, that must end well before the next process starts.
    """

    ladder: ClassVar[Sequence[tuple[Signals, float]]] = (
        (signal.SIGTERM, 30.0),
        (signal.SIGKILL, 5.0),
    )

    def __init__(
        self,
        data_dir: Path,
        name: str,
        argv: Sequence[str],
        env: Mapping[str, str] | None = None,
        *,
        once: bool = False,
        ready: Callable[[], bool] = lambda: True,
    ) -> None:
        self.name = name
        self.once = once
        self.log = data_dir / "logs" / f"{name}.log"
        self.argv = list(argv)
        self.env = dict(env or {})
        self._ready = ready
        self._pid_file = data_dir / "run" / f"{name}.pid"
        self._child: subprocess.Popen[bytes] | None = None

    def launch(self) -> None:
        """Start the command, after ending one that a killed run left behind."""
        if self.is_running():
            return
        self._pid_file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        reap(self._pid_file)
        tether = [sys.executable, "-I", "-S", leash.__file__]
        with open_log(self.log) as log:
            self._child = subprocess.Popen(
                [*tether, str(self._pid_file), str(os.getpid()), *self.argv],
                env={**os.environ, "PYTHONUNBUFFERED": "1", **self.env},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def is_running(self) -> bool:
        """Whether the command runs; once it ended, the rest of its group ends too."""
        if self._child is None or self._child.returncode is not None:
            return False
        if self._child.poll() is None:
            return True
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self._child.pid, signal.SIGKILL)
        return False

    def is_ready(self) -> bool:
        """Whether a step ended well, or a service runs and says that it serves."""
        if self.once:
            return self._child is not None and self._child.poll() == 0
        return self.is_running() and self._ready()

    def signal(self, signum: Signals) -> None:
        """Send a signal to the command; SIGKILL goes to its whole group."""
        if self._child is None:
            return
        with suppress(ProcessLookupError):
            if signum == signal.SIGKILL:
                os.killpg(self._child.pid, signum)
            else:
                self._child.send_signal(signum)


def open_log(path: Path) -> BinaryIO:
    """Open a log for a child: it outlives us, so the child writes to it directly."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    return path.open("ab")


def reap(pid_file: Path) -> None:
    """End the process group that holds `pid_file`, if a killed run left one."""
    for signum in (signal.SIGTERM, signal.SIGKILL):
        holder = _holder(pid_file)
        if holder is None:
            return
        with suppress(ProcessLookupError):
            os.killpg(holder, signum)
        deadline = time.monotonic() + 5
        while _holder(pid_file) is not None and time.monotonic() < deadline:
            time.sleep(0.02)
    if (holder := _holder(pid_file)) is not None:
        raise Conflict(
            f"Process {holder} was left by an earlier run and does not end; "
            "end it by hand and start again."
        )


def _holder(pid_file: Path) -> int | None:
    try:
        with pid_file.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except FileNotFoundError:
        return None
    except BlockingIOError:
        return int(pid_file.read_bytes())
    return None
