"""The doctor: is this machine fit to run Cisterna, and what would mend it."""

import platform
import shutil
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path
from typing import Literal, NamedTuple

import httpx
import psycopg
import redis
from sqlalchemy import make_url

from backend.cli.stack import is_free, local_url
from backend.embedded import EmbeddedPostgres, EmbeddedValkey
from backend.settings import Settings
from backend.storage import ArtifactStore

WANTED_DISK = 10 * 2**30
WANTED_SHM = 2**30
UI = Path(__file__).parents[1] / "ui"  # as backend.api.page has it, without FastAPI
TORCH = (
    "import torch, nnunetv2; from importlib.metadata import version as v; "
    "print(f'torch {torch.__version__}, nnunetv2 {v(\"nnunetv2\")}, ' + "
    "(torch.cuda.get_device_name() if torch.cuda.is_available() else 'no GPU'))"
)


class Check(NamedTuple):
    """One finding; `warn` costs speed or a feature, `fail` keeps it from running."""

    name: str
    state: Literal["ok", "warn", "fail"]
    detail: str


def examine(settings: Settings) -> list[Check]:
    """Return every finding, in the order a person would mend them."""
    return [_careful(name, check, settings) for name, check in CHECKS.items()]


def _careful(
    name: str, check: Callable[[Settings], Check], settings: Settings
) -> Check:
    try:
        return check(settings)
    except Exception as error:  # noqa: BLE001  a finding of its own, whatever it is
        said = " ".join(str(error).split()) or type(error).__name__
        return Check(name, "fail", said)


def _python(_: Settings) -> Check:
    fine = sys.version_info >= (3, 11)
    detail = f"{platform.python_version()} at {sys.executable}"
    return Check(
        "python",
        "ok" if fine else "fail",
        detail + ("" if fine else "; 3.11 is the oldest"),
    )


def _wheels(_: Settings) -> Check:
    missing = sorted(_missing())
    if missing:
        return Check(
            "wheels",
            "fail",
            f"not installed: {', '.join(missing)}; pip install them, or cisterna anew",
        )
    return Check("wheels", "ok", f"cisterna {version('cisterna')} and what it needs")


def _missing() -> Iterator[str]:
    for line in requires("cisterna") or ():
        if "extra ==" in line:
            continue
        name = line.split(";")[0]
        for mark in "<>=!~[ ":
            name = name.split(mark)[0]
        try:
            version(name)
        except PackageNotFoundError:
            yield name


def _disk(settings: Settings) -> Check:
    place = settings.data_dir.absolute()
    while not place.exists():
        place = place.parent
    free = shutil.disk_usage(place).free
    detail = f"{free / 2**30:.1f} GiB free at {settings.data_dir}"
    if free < WANTED_DISK:
        detail += f"; {WANTED_DISK / 2**30:.0f} should be, or set CISTERNA_DATA_DIR"
    return Check("disk", "ok" if free >= WANTED_DISK else "warn", detail)


def _memory(_: Settings) -> Check:
    place = Path("/dev/shm")
    if not place.exists():
        return Check("/dev/shm", "warn", "not there; training may be slower")
    free = shutil.disk_usage(place).free
    detail = f"{free / 2**30:.1f} GiB free"
    if free < WANTED_SHM:
        detail += "; give a container --shm-size=2g"
    return Check("/dev/shm", "ok" if free >= WANTED_SHM else "warn", detail)


def _port(settings: Settings) -> Check:
    if is_free(settings.host, settings.port):
        return Check("port", "ok", f"{settings.host}:{settings.port} is free")
    try:
        answer = httpx.get(f"{local_url(settings)}/readyz", timeout=5)
        serving = answer.json().get("status") == "ok"
    except (httpx.HTTPError, ValueError, AttributeError):
        serving = False
    if serving:
        return Check("port", "ok", f"Cisterna serves at {local_url(settings)}")
    return Check("port", "fail", f"{settings.port} is taken; set CISTERNA_PORT")


def _database(settings: Settings) -> Check:
    if settings.database_url is not None:
        url, whose = settings.database_url.get_secret_value(), "yours"
    elif settings.data_dir.exists():
        url, whose = EmbeddedPostgres(settings.data_dir).url, "embedded"
    else:
        return Check("database", "ok", "embedded, not made yet")
    address = make_url(url).set(drivername="postgresql")
    try:
        with psycopg.connect(
            address.render_as_string(hide_password=False), connect_timeout=5
        ) as connection:
            number = connection.info.server_version // 10000
    except psycopg.OperationalError as error:
        if whose == "embedded":
            return Check("database", "ok", "embedded, not running")
        return Check("database", "fail", " ".join(str(error).split()))
    fine = number >= 15
    detail = f"{whose}, PostgreSQL {number}" + ("" if fine else "; 15 is the oldest")
    return Check("database", "ok" if fine else "fail", detail)


def _broker(settings: Settings) -> Check:
    if settings.broker_url is not None:
        url, whose = settings.broker_url.get_secret_value(), "yours"
    elif settings.data_dir.exists():
        url, whose = EmbeddedValkey(settings.data_dir).url, "embedded"
    else:
        return Check("broker", "ok", "embedded, not made yet")
    try:
        with redis.Redis.from_url(url, socket_connect_timeout=5) as client:
            client.ping()
    except redis.RedisError as error:
        if whose == "embedded":
            return Check("broker", "ok", "embedded, not running")
        return Check("broker", "fail", " ".join(str(error).split()))
    return Check("broker", "ok", f"{whose}, answers")


def _store(settings: Settings) -> Check:
    if settings.storage_url is None and not settings.data_dir.exists():
        return Check("store", "ok", f"{settings.artifacts_url}, not made yet")
    store = ArtifactStore(settings.artifacts_url)
    key = f"doctor/{uuid.uuid4()}"
    store.put_bytes(key, b"a trial")
    try:
        fine = store.get_bytes(key) == b"a trial"
    finally:
        store.delete(key)
    detail = f"{settings.artifacts_url} takes and gives bytes"
    return Check("store", "ok" if fine else "fail", detail)


def _page(_: Settings) -> Check:
    if (UI / "index.html").exists():
        return Check("page", "ok", "built")
    return Check("page", "warn", "not built, there is only the API; `make page`")


def _forest(_: Settings) -> Check:
    try:
        return Check("forest", "ok", f"scikit-learn {version('scikit-learn')}")
    except PackageNotFoundError:
        lost = "no first predictions and no demo here (scikit-learn is not installed)"
        return Check("forest", "warn", f"{lost}; install 'cisterna[worker]'")


def _torch(_: Settings) -> Check:
    # a child: importing torch takes seconds and hundreds of megabytes
    answer = subprocess.run(
        [sys.executable, "-c", TORCH],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    if answer.returncode == 0:
        return Check("torch", "ok", answer.stdout.strip().splitlines()[-1])
    why = (answer.stderr.strip().splitlines() or ["ended without a word"])[-1]
    return Check(
        "torch", "warn", f"no nnU-Net here ({why}); install 'cisterna[worker]'"
    )


CHECKS: dict[str, Callable[[Settings], Check]] = {
    "python": _python,
    "wheels": _wheels,
    "disk": _disk,
    "/dev/shm": _memory,
    "port": _port,
    "database": _database,
    "broker": _broker,
    "store": _store,
    "page": _page,
    "forest": _forest,
    "torch": _torch,
}
