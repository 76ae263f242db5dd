"""The processes of one machine: database, broker, migration, API, worker, beat."""

import json
import os
import shlex
import socket
import sys
import time
from collections.abc import Callable
from pathlib import Path

import httpx
from pydantic import SecretStr

from backend.client import Cisterna
from backend.domain.errors import Conflict
from backend.embedded import (
    EmbeddedPostgres,
    EmbeddedValkey,
    Process,
    Program,
    exclusive,
)
from backend.settings import Settings

PORT_PATIENCE = 5.0
"""Seconds a port may still be held by what a killed run left to die."""


def stack(settings: Settings) -> tuple[Settings, list[Process]]:
    """Return the processes in the order they start, and the settings they share.

    A server whose URL is set is somebody else's and is not started.
    """
    data_dir = settings.data_dir.absolute()
    processes: list[Process] = []
    if settings.database_url is None:
        postgres = EmbeddedPostgres(data_dir)
        processes.append(postgres)
        settings = settings.model_copy(update={"database_url": SecretStr(postgres.url)})
    if settings.broker_url is None:
        valkey = EmbeddedValkey(data_dir)
        processes.append(valkey)
        settings = settings.model_copy(update={"broker_url": SecretStr(valkey.url)})
    env = _environment(settings, data_dir)
    python = [sys.executable, "-m"]
    # in a data directory of root's own there is nobody to protect root from
    unwarned = [sys.executable, "-W", "ignore:You're running the worker", "-m"]
    celery = [*unwarned, "celery", "-q", "-A", "worker.app"]
    serve = ["--host", settings.host, "--port", str(settings.port), "--no-access-log"]
    serve += ["--log-level", "warning"]
    # streams of events last for minutes: do not wait for them at the end
    serve += ["--timeout-graceful-shutdown", "5"]
    factory = [*python, "uvicorn", "--factory", "backend.app:from_environment"]
    threads = str(settings.slots * len(settings.lanes) + 2)
    queues = ",".join((*settings.lanes, "tick"))
    pool = ["-P", "threads", "-c", threads, "-Q", queues]
    calm = ["--without-gossip", "--without-mingle", "-l", "INFO"]
    processes += [
        Program(
            data_dir, "migrate", [*python, "backend.cli", "migrate"], env, once=True
        ),
        Program(data_dir, "api", [*factory, *serve], env, ready=_serves(settings)),
        Program(data_dir, "worker", [*celery, "worker", *pool, *calm], env),
        Program(data_dir, "beat", [*celery, "beat", "-l", "WARNING"], env),
    ]
    return settings, processes


def check_port(settings: Settings) -> None:
    """Raise Conflict if Cisterna runs here already or its port is somebody else's."""
    with exclusive(settings.data_dir):
        deadline = time.monotonic() + PORT_PATIENCE
        while not is_free(settings.host, settings.port):
            if time.monotonic() > deadline:
                raise Conflict(
                    f"Port {settings.port} of {settings.host} is taken; stop what uses "
                    "it, or set CISTERNA_PORT to another.",
                    field="port",
                )
            time.sleep(0.2)


def is_free(host: str, port: int) -> bool:
    """Whether a server could listen there now."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
    return True


def local_url(settings: Settings) -> str:
    """Return the address of the API from this machine itself."""
    host = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(settings.host, settings.host)
    return f"http://{host}:{settings.port}"


def welcome(settings: Settings, room: str = "") -> list[str]:
    """Return the lines that tell a person where everything is and how to sign in.

    The link leads to a room of the page, such as `projects/liver`.
    """
    token_file = settings.admin_token_file.absolute()
    lines = [f"address   {settings.base_url}", f"API docs  {settings.base_url}/docs"]
    if not os.access(token_file, os.R_OK):
        return [*lines, f"sign in   with a token; {token_file} is not there any more"]
    with Cisterna(local_url(settings), token_file.read_text().strip()) as service:
        link = service.people.sign_in_link(service.people.me().id).link
    link = link.replace("/#", f"/{room}#", 1)
    lines += [
        f"sign in   {link}  (once, within a day)",
        f"token     {token_file}",
    ]
    usual = Settings()
    if (usual.data_dir.absolute(), usual.port) != (token_file.parent, settings.port):
        token = f"$(cat {shlex.quote(str(token_file))})"
        server = f"CISTERNA_SERVER={local_url(settings)}"
        lines.append(f"scripts   export {server} CISTERNA_TOKEN={token}")
    return lines


def _environment(settings: Settings, data_dir: Path) -> dict[str, str]:
    assert settings.database_url is not None
    assert settings.broker_url is not None
    return {
        "CISTERNA_DATA_DIR": str(data_dir),
        "CISTERNA_DATABASE_URL": settings.database_url.get_secret_value(),
        "CISTERNA_BROKER_URL": settings.broker_url.get_secret_value(),
        "CISTERNA_HOST": settings.host,
        "CISTERNA_PORT": str(settings.port),
        "CISTERNA_SLOTS": str(settings.slots),
        "CISTERNA_LANES": json.dumps(settings.lanes),
        # empty is not set, whatever the environment around us says
        "CISTERNA_STORAGE_URL": settings.storage_url or "",
        "CISTERNA_PUBLIC_URL": settings.public_url or "",
    }


def _serves(settings: Settings) -> Callable[[], bool]:
    url = f"{local_url(settings)}/readyz"

    def ask() -> bool:
        try:
            return httpx.get(url, timeout=2).status_code == 200
        except httpx.HTTPError:
            return False

    return ask
