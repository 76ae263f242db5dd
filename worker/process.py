"""One running child process with its two pipes, as its parent sees it."""

import json
import os
import resource
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

REPLIES, PARENT = "CISTERNA_CHILD_REPLIES", "CISTERNA_CHILD_PARENT"
"""Variables that tell a child which pipe to answer over and who its parent is."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What a child may use: `address_space` in bytes, `cpu_seconds` over its life."""

    address_space: int | None = None
    cpu_seconds: int | None = None


class Process:
    """One running child with both pipes; no call blocks for long."""

    def __init__(
        self,
        arguments: Sequence[str],
        scratch: Path,
        environment: Mapping[str, str],
        log: int,
    ) -> None:
        their_requests, self._requests = os.pipe()
        self._replies, their_replies = os.pipe()
        own = {REPLIES: str(their_replies), PARENT: str(os.getpid())}
        try:
            self._popen = subprocess.Popen(
                # -P: nothing that lies in the working directory can be imported.
                [sys.executable, "-uP", "-X", "faulthandler", *arguments],
                stdin=their_requests,
                stdout=log,
                stderr=log,
                cwd=scratch,
                env={**environment, **own},
                pass_fds=(their_replies,),
                start_new_session=True,
            )
        except BaseException:
            os.close(self._requests)
            os.close(self._replies)
            raise
        finally:
            os.close(their_requests)
            os.close(their_replies)
        os.set_blocking(self._requests, False)
        os.set_blocking(self._replies, False)
        self.pid = self._popen.pid
        self._reading = [self._replies]
        self._writing: list[int] = []
        self._outbox = self._inbox = b""

    def limit(self, limits: Limits) -> None:
        """Set limits from outside: a thread may run no code of its own in a fork."""
        if limits.address_space is not None:
            both = (limits.address_space, limits.address_space)
            resource.prlimit(self.pid, resource.RLIMIT_AS, both)
        if limits.cpu_seconds is not None:
            both = (limits.cpu_seconds, limits.cpu_seconds + 5)
            resource.prlimit(self.pid, resource.RLIMIT_CPU, both)
        resource.prlimit(self.pid, resource.RLIMIT_CORE, (0, 0))

    def send(self, line: bytes) -> None:
        """Queue a line; `replies` writes it, since a busy child reads late."""
        self._outbox += line
        self._writing = [self._requests]

    def replies(self, seconds: float) -> Iterator[dict[str, Any]]:
        """Wait up to `seconds` for the pipes, then yield the replies that are whole."""
        # A closed reply pipe means that the child is about to end.
        seconds = seconds if self._reading else min(seconds, 0.05)
        readable, writable, _ = select.select(self._reading, self._writing, [], seconds)
        if writable:
            try:
                self._outbox = self._outbox[os.write(self._requests, self._outbox) :]
            except BrokenPipeError:
                self._outbox = b""
            if not self._outbox:
                self._writing = []
        with suppress(BlockingIOError):
            while readable:
                block = os.read(self._replies, 1 << 16)
                self._inbox += block
                if not block:
                    self._reading = readable = []
        *lines, self._inbox = self._inbox.split(b"\n")
        for line in lines:
            yield json.loads(line)

    def ended(self) -> bool:
        """Whether the child has ended; it stays a zombie, so its id stays ours."""
        how = os.WEXITED | os.WNOHANG | os.WNOWAIT
        return os.waitid(os.P_PID, self.pid, how) is not None

    def wait(self, seconds: float) -> None:
        """Wait at most `seconds` for the child's end; what it still says is dropped."""
        deadline = time.monotonic() + seconds
        while not self.ended() and time.monotonic() < deadline:
            for _ in self.replies(0.05):
                pass

    def hang_up(self) -> None:
        """Close the request pipe: an idle child takes that as its end."""
        if self._requests >= 0:
            os.close(self._requests)
            self._requests, self._writing = -1, []

    def kill(self) -> int:
        """Kill what is left of the group, reap the child, return its exit code."""
        with suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)
        code = self._popen.wait()
        self.hang_up()
        os.close(self._replies)
        return code
