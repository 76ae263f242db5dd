"""Run a script beside the whole stack: start everything, work, stop everything."""

import os
import threading
from collections.abc import Callable

from backend.cli.stack import check_port, is_free, local_url, stack
from backend.client import Cisterna, ClientError
from backend.domain.errors import DomainError
from backend.embedded import Supervisor
from backend.settings import Settings

PORTS = 100
"""How many ports after the usual one are tried if that is taken."""


def on_free_port(settings: Settings) -> Settings:
    """Return the settings with a port that is free, unless the port was chosen."""
    if "CISTERNA_PORT" not in os.environ:
        ports = range(settings.port, settings.port + PORTS)
        port = next((p for p in ports if is_free(settings.host, p)), settings.port)
        settings = settings.model_copy(update={"port": port})
    check_port(settings)
    return settings


def run_beside(
    settings: Settings,
    work: Callable[[Cisterna], None],
    say: Callable[[str], None],
    *,
    stay: bool = False,
    quiet: bool = False,
) -> int:
    """Run `work` as the admin beside the stack; returns the exit status.

    With `stay` the stack goes on serving after work that went well; with `quiet` its
    logs stay in their files.
    """
    settings, processes = stack(settings)
    supervisor = Supervisor(settings.data_dir, processes, quiet=quiet)
    outcome = [1]

    def script() -> None:
        try:
            token = settings.admin_token_file.read_text().strip()
            with Cisterna(local_url(settings), token) as service:
                work(service)
            outcome[0] = 0
        except (ClientError, DomainError, OSError) as error:
            say(f"stopped: {error}")
        finally:
            if stay and not outcome[0]:
                say("serving; Ctrl-C stops everything")
            else:
                supervisor.finish()

    # a thread: the supervisor needs the main one, to watch and to hear signals
    thread = threading.Thread(target=script, name="script", daemon=True)
    supervisor.run(thread.start)
    return outcome[0]
