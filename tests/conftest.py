"""One PostgreSQL and one Valkey for the session, one database for each test."""

import os
import shutil
import signal
import tempfile
import time
import uuid
from collections import Counter
from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack
from pathlib import Path

import psycopg
import pytest
from psycopg import sql
from sqlalchemy import URL, make_url

from backend.domain.errors import Conflict
from backend.embedded import EmbeddedPostgres, EmbeddedValkey, exclusive
from backend.embedded.home import home

pytest_plugins = ["api_fixtures", "live_fixtures", "page_fixtures"]
PREFIX = "cisterna-tests-"


def pytest_configure() -> None:
    # `timeout 60 pytest` sends SIGTERM: let the fixtures stop their servers
    signal.signal(signal.SIGTERM, signal.default_int_handler)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_sessionfinish(
    session: pytest.Session,
) -> Generator[None, None, None]:
    """Make the count of skips, with their reasons, the last line of all."""
    yield
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if reporter is None:
        return
    reasons = Counter(
        report.longrepr[2].removeprefix("Skipped: ")
        for report in reporter.stats.get("skipped", [])
    )
    line = f"{reasons.total()} skipped"
    if reasons:
        line += ": " + "; ".join(
            f"{why} ({count})" for why, count in sorted(reasons.items())
        )
    reporter.write_line(line)


@pytest.fixture(scope="session")
def discard() -> Callable[[Path], None]:
    """Stop what embedded services still run in a data directory, and delete it."""
    return _discard


def _discard(data_dir: Path) -> None:
    EmbeddedPostgres(data_dir).stop()
    shutil.rmtree(home(data_dir))
    shutil.rmtree(data_dir)


def sweep() -> None:
    """Discard what killed sessions left: directories whose lock is free."""
    for left in Path(tempfile.gettempdir()).glob(f"{PREFIX}*"):
        found = left.stat()
        if found.st_uid != os.geteuid() or time.time() - found.st_mtime < 60:
            continue  # not ours, or too young to hold its lock yet
        try:
            with exclusive(left):
                _discard(left)
        except (Conflict, FileNotFoundError):
            continue


@pytest.fixture(scope="session")
def services_dir() -> Iterator[Path]:
    """Data directory of the session's servers."""
    sweep()
    directory = Path(tempfile.mkdtemp(prefix=PREFIX))
    with exclusive(directory):
        yield directory
        _discard(directory)


@pytest.fixture(scope="session")
def postgres_url(request: pytest.FixtureRequest) -> Iterator[str]:
    """Address of a running PostgreSQL; CISTERNA_TEST_DATABASE_URL names another."""
    if given := os.environ.get("CISTERNA_TEST_DATABASE_URL"):
        yield given
        return
    server = EmbeddedPostgres(request.getfixturevalue("services_dir"))
    with ExitStack() as stack:
        stack.callback(server.stop)
        server.start()
        with connect(
            server.url
        ) as connection:  # test data need not survive a power cut
            connection.execute("ALTER SYSTEM SET fsync = off")
            connection.execute("SELECT pg_reload_conf()")
        yield server.url


@pytest.fixture(scope="session")
def valkey_url(services_dir: Path) -> Iterator[str]:
    """Address of a running Valkey in redis-py's dialect."""
    server = EmbeddedValkey(services_dir)
    with ExitStack() as stack:
        stack.callback(server.stop)
        server.start()
        yield server.url


@pytest.fixture(scope="session")
def make_database(postgres_url: str) -> Iterator[Callable[[], str]]:
    """Make a fresh database with all migrations at each call; returns its address."""
    made: list[str] = []

    def create(template: str) -> str:
        name = f"test_{uuid.uuid4().hex[:12]}"
        command = sql.SQL("CREATE DATABASE {} TEMPLATE {}")
        with connect(postgres_url) as connection:
            connection.execute(
                command.format(sql.Identifier(name), sql.Identifier(template))
            )
        made.append(named(postgres_url, name))
        return made[-1]

    template: str | None = None

    def make() -> str:
        nonlocal template
        if template is None:
            from backend.db import migrate

            address = create("template0")
            migrate(address)
            template = make_url(address).database
        assert template is not None
        return create(template)

    yield make
    for address in made:
        drop(address)


@pytest.fixture
def database_url(make_database: Callable[[], str]) -> Iterator[str]:
    """Address of a database of the test's own, dropped after it."""
    address = make_database()
    yield address
    drop(address)


def drop(address: str) -> None:
    command = sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)")
    name = make_url(address).database
    assert name is not None
    with connect(named(address, "postgres")) as connection:
        connection.execute(command.format(sql.Identifier(name)))


def named(address: str, database: str) -> str:
    url: URL = make_url(address).set(database=database)
    return url.render_as_string(hide_password=False)


def connect(address: str) -> psycopg.Connection:
    url = make_url(address).set(drivername="postgresql")
    return psycopg.connect(url.render_as_string(hide_password=False), autocommit=True)
