"""The services of docker-compose.yml as processes of this machine."""

import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parent.parent
DEPLOY = ROOT / "deploy"
VARIABLE = re.compile(r"\$\{(\w+)(?::([-?])([^}]*))?\}")
SECRETS = {
    "POSTGRES_PASSWORD": "postgres-secret",
    "VALKEY_PASSWORD": "valkey-secret",
    "S3_SECRET_KEY": "s3-secret",
}
Services = dict[str, dict[str, Any]]


def interpolated(node: Any, values: Mapping[str, str]) -> Any:
    """The document as Compose reads it: KeyError names a variable that must be set."""
    if isinstance(node, dict):
        return {key: interpolated(value, values) for key, value in node.items()}
    if isinstance(node, list):
        return [interpolated(value, values) for value in node]
    if not isinstance(node, str):
        return node

    def value(match: re.Match[str]) -> str:
        name, sign, text = match.groups()
        if values.get(name):
            return values[name]
        if sign == "-":
            return str(text)
        raise KeyError(name)

    return VARIABLE.sub(value, node).replace("$$", "$")


class Stage:
    """Runs commands of compose services here, and shows what they said."""

    def __init__(
        self, services: Services, translated: dict[str, str], at: Path
    ) -> None:
        self.services, self.at = services, at
        self.port = free_port()
        self.translated = translated

    def environment(self, name: str) -> dict[str, str]:
        """The service's environment with the addresses that hold here."""
        given = {
            key: self.translated.get(key, value)
            for key, value in self.services[name]["environment"].items()
        }
        kept = {k: v for k, v in os.environ.items() if not k.startswith("CISTERNA_")}
        return {**kept, **given, "HOME": str(self.at), "OMP_NUM_THREADS": "1"}

    def command(self, words: list[str]) -> list[str]:
        """The command with this machine's paths and a free port."""
        program = Path(sys.executable).parent / words[0]
        places = {
            "/opt/cisterna/health.py": str(DEPLOY / "health.py"),
            "0.0.0.0": "127.0.0.1",
        }
        rest = [
            places.get(word, word).replace("8765", str(self.port)) for word in words[1:]
        ]
        return [str(program), *rest]

    def run_once(self, name: str, words: list[str]) -> subprocess.CompletedProcess[str]:
        """Run a command of a service to its end."""
        return subprocess.run(
            self.command(words),
            env=self.environment(name),
            cwd=self.at,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    @contextmanager
    def running(self, name: str) -> Iterator[tuple[subprocess.Popen[bytes], Path]]:
        """Run a service's command; yields its process and its log."""
        log = self.at / f"{name}.log"
        with log.open("wb") as file:
            process = subprocess.Popen(
                self.command(self.services[name]["command"]),
                env=self.environment(name),
                cwd=self.at,
                stdout=file,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        try:
            yield process, log
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()

    def is_healthy(self, name: str) -> bool:
        """Whether the service's health check says so."""
        words = self.services[name]["healthcheck"]["test"]
        assert words[0] == "CMD"
        return self.run_once(name, words[1:]).returncode == 0


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


def wait(condition: Callable[[], bool], what: str, seconds: float = 120) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(0.2)


@pytest.fixture(scope="session")
def document() -> dict[str, Any]:
    """The compose file as it is written."""
    loaded: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
    return loaded


@pytest.fixture(scope="session")
def services(document: dict[str, Any]) -> Services:
    """Its services with every secret set and nothing else."""
    found: Services = interpolated(document, SECRETS)["services"]
    return found


@pytest.fixture
def stage(
    services: Services, database_url: str, valkey_url: str, tmp_path: Path
) -> Stage:
    """The services with a database and a broker that run here."""
    translated = {
        "CISTERNA_DATA_DIR": str(tmp_path / "data"),
        "CISTERNA_DATABASE_URL": database_url,
        "CISTERNA_BROKER_URL": valkey_url,
    }
    return Stage(services, translated, tmp_path)
