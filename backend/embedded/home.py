"""Where embedded services keep what must not depend on the length of a path.

The address of a Unix socket holds at most 107 bytes, and PostgreSQL refuses to run as
root, so neither sockets nor (for root) the cluster can live wherever the data directory
happens to be. Each data directory therefore has a *home*, named by a hash of its path.
"""

import fcntl
import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from backend.domain.errors import Conflict, Forbidden

STATE = Path("/var/lib/cisterna")
"""Homes of data directories that root uses."""

RUNTIME = Path("/tmp")
"""Homes of data directories that anybody else uses; TMPDIR may be long, this is not."""


def is_root() -> bool:
    """Whether this process may (and so must) hand PostgreSQL to another user."""
    return os.geteuid() == 0


def home(data_dir: Path) -> Path:
    """Return the short directory of `data_dir`, made if it is missing."""
    name = hashlib.sha256(os.fsencode(data_dir.resolve())).hexdigest()[:16]
    if not is_root():
        return private_directory(RUNTIME / f"cisterna-{name}", os.geteuid())
    for directory in (STATE, STATE / name):
        if not directory.exists():
            directory.mkdir(parents=True, exist_ok=True)
            directory.chmod(0o711)  # PostgreSQL's user walks through, no more
    return STATE / name


def private_directory(path: Path, uid: int, gid: int = -1) -> Path:
    """Make `path` a directory of `uid` that nobody else can enter, or refuse it.

    A directory that exists is never changed: in a world-writable parent it may be a
    trap somebody set up under the name we were going to use.
    """
    try:
        path.mkdir(mode=0o700)
    except FileExistsError:
        found = path.lstat()
        if not path.is_dir() or path.is_symlink():
            raise Forbidden(f"{path} is not a directory; remove it.") from None
        if found.st_uid != uid or found.st_mode & 0o077:
            raise Forbidden(
                f"{path} belongs to somebody else or is open to others; remove it."
            ) from None
    else:
        if uid != os.geteuid():
            os.chown(path, uid, gid)
    return path


@contextmanager
def exclusive(data_dir: Path) -> Iterator[None]:
    """Hold `data_dir` for one supervisor; the kernel lets go when we die.

    Raises Conflict, which names the process in the way, if another one holds it.
    """
    data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    with (data_dir / "supervisor.lock").open("a+") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.seek(0)
            raise Conflict(
                f"Cisterna already runs on {data_dir} (process {lock.read().strip()}); "
                "stop it first, or choose another CISTERNA_DATA_DIR.",
                field="data_dir",
            ) from None
        lock.truncate(0)
        lock.write(f"{os.getpid()}\n")
        lock.flush()
        yield
