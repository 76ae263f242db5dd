"""One supervisor for one data directory: starts, watches, shows and stops it all."""

import shutil
import signal
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import TextIO

from backend.domain.errors import DomainError
from backend.embedded.home import exclusive
from backend.embedded.process import Process, reap

LONGEST_PAUSE = 30.0
"""Seconds between two starts of a process that keeps crashing."""

STEADY = 60.0
"""Seconds after which a process counts as having recovered."""

LOG_BYTES = 64 * 2**20
"""A log that grew by so much is moved to `<name>.log.1` and begins anew."""

COLOURS = (36, 32, 33, 35, 34, 96, 92, 93, 95, 94)


class Supervisor:
    """Runs processes in the given order and stops them in the reverse one.

    A process starts when the one before it is ready; one that crashes later is started
    again, after a pause that grows. Children write to `<data_dir>/logs/<name>.log`
    themselves and the supervisor reads along, so neither a stopped terminal nor a
    killed supervisor ever blocks them or costs a line. A quiet one leaves the logs in
    their files and shows only what it does itself.
    """

    def __init__(
        self,
        data_dir: Path,
        processes: Sequence[Process],
        out: TextIO | None = None,
        *,
        quiet: bool = False,
    ) -> None:
        self._data_dir = data_dir
        self._processes = processes
        self._quiet = quiet
        self._console = _Console(
            out or sys.stdout, max(len(process.name) for process in processes)
        )
        self._children: list[_Child] = []
        self._interrupts = 0
        self._finished = False

    def finish(self) -> None:
        """Let `run` stop everything and return; meant for its `on_ready`."""
        self._finished = True

    def run(self, on_ready: Callable[[], None] = lambda: None) -> None:
        """Start everything, call `on_ready`, then watch until a signal comes.

        Returns after SIGINT, SIGTERM or SIGHUP (or `finish`) with all processes gone;
        a second signal hurries. Only the main thread can call it. Raises Conflict if
        the data directory is in use and Unavailable if a process cannot be started.
        """
        with exclusive(self._data_dir), self._signals():
            for pid_file in sorted((self._data_dir / "run").glob("*.pid")):
                reap(pid_file)
            try:
                for process in self._processes:
                    self._start(process)
                on_ready()
                while True:
                    self._tick(0.1)
            except _Interrupted:
                self._say("stopping; once more to hurry")
            finally:
                self._stop()

    @contextmanager
    def _signals(self) -> Iterator[None]:
        def count(_signum: int, _frame: FrameType | None) -> None:
            self._interrupts += 1

        numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
        before = [signal.signal(number, count) for number in numbers]
        try:
            yield
        finally:
            for number, handler in zip(numbers, before, strict=True):
                signal.signal(number, handler)

    def _start(self, process: Process) -> None:
        child = _Child(process, _Tail(process.log))
        self._children.append(child)
        process.start(self._tick)
        child.settled = True
        child.launched = time.monotonic()
        self._say(f"{process.name} {'is done' if process.once else 'is up'}")

    def _stop(self) -> None:
        for child in reversed(self._children):
            if child.process.is_running():
                self._say(f"stopping {child.process.name}")
            child.process.stop(self._linger, hurried=lambda: self._interrupts > 1)
        self._echo()

    def _tick(self, seconds: float) -> None:
        """Let `seconds` pass while showing logs and restarting what crashed."""
        until = time.monotonic() + seconds
        while True:
            if self._interrupts or self._finished:
                raise _Interrupted
            self._echo()
            for child in self._children:
                if child.settled and not child.process.once:
                    self._look_after(child)
            left = until - time.monotonic()
            if left <= 0:
                return
            time.sleep(min(left, 0.1))

    def _linger(self, seconds: float) -> None:
        self._echo()
        time.sleep(seconds)

    def _look_after(self, child: "_Child") -> None:
        now = time.monotonic()
        if child.due is not None and now >= child.due:
            child.due, child.launched = None, now
            try:
                child.process.launch()
            except (DomainError, OSError) as error:
                self._say(f"{child.process.name} could not be started: {error}")
        if child.due is None and not child.process.is_running():
            if now - child.launched > STEADY:
                child.crashes = 0
            pause = min(LONGEST_PAUSE, 0.5 * 2**child.crashes)
            child.crashes += 1
            child.due = now + pause
            self._say(f"{child.process.name} ended; starting it again in {pause:g} s")

    def _echo(self) -> None:
        for index, child in enumerate(self._children):
            for line in child.tail.lines():
                if not self._quiet:
                    self._console.show(child.process.name, line, COLOURS[index % 10])

    def _say(self, line: str) -> None:
        self._echo()
        self._console.show("cisterna", line, 1)


class _Interrupted(Exception):
    """A signal came, or somebody called `finish`."""


@dataclass
class _Child:
    process: Process
    tail: "_Tail"
    settled: bool = False
    launched: float = 0.0
    crashes: int = 0
    due: float | None = None


class _Console:
    def __init__(self, out: TextIO, width: int) -> None:
        self._out: TextIO | None = out
        self._width = max(width, len("cisterna"))
        self._colourful = out.isatty()

    def show(self, name: str, line: str, colour: int) -> None:
        if self._out is None:
            return
        head = f"{name:>{self._width}} |"
        if self._colourful:
            head = f"\x1b[{colour}m{head}\x1b[0m"
        try:
            self._out.write(f"{head} {line}\n")
            self._out.flush()
        except OSError:  # the terminal is gone, the work goes on
            self._out = None


class _Tail:
    """New lines of a growing file, and the end of its growth."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._rest = b""
        self._offset = path.stat().st_size if path.exists() else 0

    def lines(self) -> list[str]:
        try:
            with self._path.open("rb") as file:
                file.seek(self._offset)
                fresh = file.read()
        except FileNotFoundError:
            return []
        self._offset += len(fresh)
        if self._offset > LOG_BYTES:
            self._turn()
        *whole, self._rest = (self._rest + fresh).split(b"\n")
        if len(self._rest) > 2**16:
            whole, self._rest = [*whole, self._rest], b""
        # of a progress bar that overwrites itself, the last state
        return [
            part.decode(errors="replace").rstrip("\r").rpartition("\r")[2]
            for part in whole
        ]

    def _turn(self) -> None:
        with suppress(OSError):
            shutil.copyfile(self._path, self._path.with_name(self._path.name + ".1"))
            with self._path.open("r+b") as file:  # writers append, so they follow
                file.truncate(0)
            self._offset = 0
