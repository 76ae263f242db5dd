"""Run the command line against a stack that a bench has started."""

import os
import subprocess
import sys
from collections.abc import Callable, Sequence

from backend.client import Cisterna
from backend.settings import Settings


def run_command(
    service: Cisterna,
    settings: Settings,
    words: Sequence[str],
    say: Callable[[str], None],
) -> int:
    """Run the command line against the stack, with a URL and a token and nothing else.

    Says what it says, line by line; returns its exit status.
    """
    access = {
        "CISTERNA_SERVER": service.url,
        "CISTERNA_TOKEN": settings.admin_token_file.read_text().strip(),
    }
    with subprocess.Popen(
        [sys.executable, "-m", "backend.cli", *words],
        env={**os.environ, **access},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as command:
        assert command.stdout is not None
        for line in command.stdout:
            say(line.rstrip())
    return command.returncode
