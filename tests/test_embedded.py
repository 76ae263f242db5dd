"""Embedded PostgreSQL and Valkey, and their supervisor, all with real processes."""

import os
import pwd
import shutil
import signal
import subprocess
import sys
import tempfile
import textwrap
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Protocol

import psycopg
import pytest
import redis
from sqlalchemy import create_engine, text

from backend.domain.errors import Conflict, Unavailable
from backend.embedded import (
    EmbeddedPostgres,
    EmbeddedValkey,
    Program,
    Supervisor,
    exclusive,
)
from backend.embedded.home import home, private_directory

ROOT = os.geteuid() == 0
LINUX = sys.platform == "linux"


@pytest.fixture
def data_dir(tmp_path: Path, discard: Callable[[Path], None]) -> Iterator[Path]:
    directory = tmp_path / "data"
    directory.mkdir()
    yield directory
    if directory.exists():
        discard(directory)


@pytest.fixture(scope="module")
def long_dir(
    tmp_path_factory: pytest.TempPathFactory, discard: Callable[[Path], None]
) -> Iterator[Path]:
    """A data directory no Unix socket fits into."""
    directory = tmp_path_factory.mktemp("deep") / ("x" * 60) / ("y" * 60)
    directory.mkdir(parents=True)
    assert len(os.fsencode(directory)) > 107
    yield directory
    discard(directory)


@pytest.fixture
def postgres(long_dir: Path) -> Iterator[EmbeddedPostgres]:
    server = EmbeddedPostgres(long_dir)
    server.start()
    yield server
    EmbeddedPostgres(long_dir).stop()


class Run(Protocol):
    def __call__(self, script: str, *arguments: object) -> subprocess.Popen[str]: ...


@pytest.fixture
def run() -> Iterator[Run]:
    """Run a script in a Python of its own; stopped with the test, if not before."""
    started: list[subprocess.Popen[str]] = []

    def start(script: str, *arguments: object) -> subprocess.Popen[str]:
        command = [sys.executable, "-c", textwrap.dedent(script), *map(str, arguments)]
        started.append(
            subprocess.Popen(
                command, stdout=subprocess.PIPE, text=True, start_new_session=True
            )
        )
        return started[-1]

    yield start
    for process in started:
        process.terminate()
        process.communicate()


def eventually(holds: Callable[[], object], seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.02)


def lives(pid: int) -> bool:
    """Whether a process runs; a zombie nobody has collected yet does not."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    stat = Path(f"/proc/{pid}/stat")
    return not stat.exists() or stat.read_text().rpartition(")")[2].split()[0] != "Z"


def ask(server: EmbeddedPostgres, statement: str) -> list[tuple[object, ...]]:
    """Run a statement the way the service does, through SQLAlchemy."""
    engine = create_engine(server.url)
    try:
        with engine.begin() as connection:
            result = connection.execute(text(statement))
            return [tuple(row) for row in result] if result.returns_rows else []
    finally:
        engine.dispose()


def pid_of(server: EmbeddedPostgres) -> int:
    (row,) = ask(server, "SELECT pg_read_file('postmaster.pid')")
    return int(str(row[0]).split("\n")[0])


# PostgreSQL


def test_postgres_keeps_its_data_over_a_restart(postgres: EmbeddedPostgres) -> None:
    ask(postgres, "CREATE TABLE kept AS SELECT 'Mitochondrium' AS word")
    first = pid_of(postgres)
    postgres.stop()
    assert not postgres.is_running()
    assert not lives(first)
    postgres.start()
    assert ask(postgres, "SELECT word FROM kept") == [("Mitochondrium",)]


def test_postgres_listens_on_a_private_socket_only(
    postgres: EmbeddedPostgres,
) -> None:
    assert ask(postgres, "SHOW listen_addresses") == [("",)]
    assert ask(postgres, "SHOW server_encoding") == [("UTF8",)]
    ((sockets,),) = ask(postgres, "SHOW unix_socket_directories")
    found = Path(str(sockets)).stat()
    assert found.st_mode & 0o777 == 0o700
    nobody = pwd.getpwnam("nobody").pw_uid
    assert found.st_uid == (nobody if ROOT else os.geteuid())


def test_postgres_starts_again_after_a_kill(postgres: EmbeddedPostgres) -> None:
    ask(postgres, "CREATE TABLE survives AS SELECT 7 AS number")
    os.kill(pid_of(postgres), signal.SIGKILL)
    eventually(lambda: not postgres.is_running())
    postgres.start()
    assert ask(postgres, "SELECT number FROM survives") == [(7,)]


def test_a_server_left_behind_is_adopted_and_can_be_stopped(
    postgres: EmbeddedPostgres, long_dir: Path
) -> None:
    pid = pid_of(postgres)
    heir = EmbeddedPostgres(long_dir)
    heir.start()
    assert pid_of(heir) == pid
    heir.stop()
    assert not lives(pid)


def test_a_stranger_with_the_recorded_process_id_is_no_obstacle(
    postgres: EmbeddedPostgres, long_dir: Path
) -> None:
    ((directory,),) = ask(postgres, "SHOW data_directory")
    postgres.stop()
    owner = Path(str(directory)).owner() if ROOT else None
    with subprocess.Popen(["sleep", "600"], user=owner) as stranger:
        lock = Path(str(directory)) / "postmaster.pid"
        lock.write_text(f"{stranger.pid}\n{directory}\n")
        postgres.start()
        assert ask(postgres, "SELECT 1") == [(1,)]
        assert stranger.poll() is None
        stranger.kill()


def test_what_postgres_says_when_it_cannot_start_is_repeated(
    postgres: EmbeddedPostgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    ((directory,),) = ask(postgres, "SHOW data_directory")
    postgres.stop()
    release = Path(str(directory)) / "PG_VERSION"
    made_by = release.read_text()
    monkeypatch.setattr("backend.embedded.process.ATTEMPTS", 1)
    release.write_text("9.6\n")
    try:
        with pytest.raises(Unavailable, match="incompatible"):
            postgres.start()
    finally:
        release.write_text(made_by)


@pytest.mark.skipif(not ROOT, reason="needs root")
def test_root_keeps_the_cluster_elsewhere_and_opens_nothing(
    postgres: EmbeddedPostgres, long_dir: Path
) -> None:
    modes = {parent: parent.stat().st_mode for parent in long_dir.parents}
    postgres.stop()
    postgres.start()
    assert modes == {parent: parent.stat().st_mode for parent in long_dir.parents}
    assert (long_dir / "postgres").readlink() == home(long_dir) / "cluster"
    account = Path(f"/proc/{pid_of(postgres)}")
    if account.exists():
        assert account.owner() == "nobody"


@pytest.mark.skipif(not ROOT, reason="needs root")
def test_a_moved_data_directory_never_begins_an_empty_database(
    postgres: EmbeddedPostgres, long_dir: Path, data_dir: Path
) -> None:
    (data_dir / "postgres").symlink_to((long_dir / "postgres").readlink())
    with pytest.raises(Conflict, match="points to"):
        EmbeddedPostgres(data_dir).start()
    assert ask(postgres, "SELECT 1") == [(1,)]


@pytest.mark.skipif(not ROOT, reason="needs root")
def test_a_data_directory_made_anew_sets_the_old_database_aside(
    postgres: EmbeddedPostgres, long_dir: Path
) -> None:
    ask(postgres, "CREATE TABLE old AS SELECT 1 AS one")
    (long_dir / "postgres").unlink()  # as if everything had been deleted
    heir = EmbeddedPostgres(long_dir)
    heir.start()
    assert ask(heir, "SELECT to_regclass('old')") == [(None,)]
    assert list(home(long_dir).glob("cluster.*/PG_VERSION"))


@pytest.mark.skipif(not ROOT, reason="needs root, to become somebody else")
@pytest.mark.skipif(shutil.which("setpriv") is None, reason="setpriv is absent")
def test_both_servers_run_without_root() -> None:
    nobody = pwd.getpwnam("nobody")
    # may read the interpreter and this checkout wherever they are, and nothing else
    become = (
        f"setpriv --reuid={nobody.pw_uid} --regid={nobody.pw_gid} --clear-groups "
        "--inh-caps=-all,+dac_read_search --ambient-caps=-all,+dac_read_search"
    ).split()
    checkout = Path(__file__).parent.parent
    script = """
        import sys
        from pathlib import Path
        import psycopg, redis
        from backend.embedded import EmbeddedPostgres, EmbeddedValkey
        data = Path(sys.argv[1])
        for round in range(2):
            postgres, valkey = EmbeddedPostgres(data), EmbeddedValkey(data)
            try:
                postgres.start()
                valkey.start()
                url = postgres.url.replace("+psycopg", "")
                with psycopg.connect(url) as connection:
                    connection.execute("CREATE TABLE IF NOT EXISTS kept (i int)")
                    connection.execute("INSERT INTO kept VALUES (1)")
                    (rows,) = connection.execute("SELECT count(*) FROM kept").fetchone()
                visits = redis.Redis.from_url(valkey.url).incr("visits")
                print(rows, visits)
            finally:
                valkey.stop()
                postgres.stop()
    """
    directory = Path(tempfile.mkdtemp(prefix="cisterna-nobody-"))
    try:
        os.chown(directory, nobody.pw_uid, nobody.pw_gid)
        shown = subprocess.run(
            [*become, sys.executable, "-c", textwrap.dedent(script), str(directory)],
            env={**os.environ, "PYTHONPATH": str(checkout), "HOME": "/nonexistent"},
            cwd="/",
            capture_output=True,
            text=True,
        )
        assert shown.stdout.split("\n")[:2] == ["1 1", "2 2"], shown.stderr
        assert (directory / "postgres" / "PG_VERSION").exists()
    finally:
        shutil.rmtree(directory)
        for left in Path("/tmp").glob("cisterna-*/valkey"):
            if left.owner() == "nobody":
                shutil.rmtree(left.parent)


def test_a_trap_in_the_place_of_a_socket_directory_is_refused(tmp_path: Path) -> None:
    place = tmp_path / "open"
    place.mkdir(mode=0o700)
    place.chmod(0o755)
    with pytest.raises(Exception, match="open to others"):
        private_directory(place, os.geteuid())
    link = tmp_path / "link"
    link.symlink_to(private_directory(tmp_path / "good", os.geteuid()))
    with pytest.raises(Exception, match="not a directory"):
        private_directory(link, os.geteuid())


# Valkey


def test_valkey_keeps_its_data_and_never_evicts(long_dir: Path) -> None:
    server = EmbeddedValkey(long_dir)
    server.start()
    client = redis.Redis.from_url(server.url)
    try:
        assert client.config_get("maxmemory-policy")["maxmemory-policy"] == "noeviction"
        assert client.config_get("port")["port"] == "0"
        client.set("word", "Cisterna")
    finally:
        server.stop()
    assert not server.is_running()
    server.start()
    try:
        assert client.get("word") == b"Cisterna"
    finally:
        server.stop()


PARENT_OF_VALKEY = """
    import sys, time
    from pathlib import Path
    from backend.embedded import EmbeddedValkey
    server = EmbeddedValkey(Path(sys.argv[1]))
    server.start()
    print("up", flush=True)
    time.sleep(600)
"""


def test_a_valkey_left_by_a_killed_parent_is_reaped(data_dir: Path, run: Run) -> None:
    parent = run(PARENT_OF_VALKEY, data_dir)
    read_until(parent, "up")
    pid = int((data_dir / "run" / "valkey.pid").read_text())
    redis.Redis.from_url(EmbeddedValkey(data_dir).url).set("word", "before")
    os.kill(pid, signal.SIGSTOP)  # deaf, so that the parent's death cannot end it
    parent.kill()
    parent.wait()
    assert lives(pid)
    heir = EmbeddedValkey(data_dir)
    heir.start()
    try:
        assert not lives(pid)
        assert redis.Redis.from_url(heir.url).get("word") == b"before"
    finally:
        heir.stop()


@pytest.mark.skipif(not LINUX, reason="only Linux tells children of a parent's death")
def test_valkey_ends_with_its_parent(data_dir: Path, run: Run) -> None:
    parent = run(PARENT_OF_VALKEY, data_dir)
    read_until(parent, "up")
    pid = int((data_dir / "run" / "valkey.pid").read_text())
    parent.kill()
    parent.wait()
    eventually(lambda: not lives(pid))


def test_a_stale_pid_file_harms_nobody(data_dir: Path) -> None:
    with subprocess.Popen(["sleep", "600"], start_new_session=True) as stranger:
        (data_dir / "run").mkdir()
        (data_dir / "run" / "valkey.pid").write_text(f"{stranger.pid}\n")
        server = EmbeddedValkey(data_dir)
        server.start()
        server.stop()
        assert stranger.poll() is None
        stranger.kill()


# The supervisor

CHILD = """
    import os, signal, subprocess, sys, time
    from pathlib import Path
    name, data = sys.argv[1], Path(sys.argv[2])
    def stop(*_):
        with (data / "stopped").open("a") as file:
            file.write(name + chr(10))
        sys.exit(0)
    signal.signal(signal.SIGTERM, signal.SIG_IGN if "deaf" in name else stop)
    helper = subprocess.Popen(["sleep", "600"])
    (data / f"{name}.pids").write_text(f"{os.getpid()} {helper.pid}")
    print("says hello", flush=True)
    time.sleep(600)
"""

SUPERVISOR = """
    import sys
    from pathlib import Path
    from backend.embedded import Program, Supervisor
    data, names = Path(sys.argv[1]), sys.argv[2:]
    programs = [
        Program(data, name, [sys.executable, "-c", CHILD, name, str(data)],
                ready=(data / f"{name}.pids").exists)
        for name in names
    ]
    Supervisor(data, programs).run(lambda: print("READY", flush=True))
    print("GONE", flush=True)
""".replace("CHILD", repr(textwrap.dedent(CHILD)))


def read_until(process: subprocess.Popen[str], word: str) -> list[str]:
    assert process.stdout is not None
    lines: list[str] = []
    for line in process.stdout:
        lines.append(line.rstrip("\n"))
        if lines[-1] == word:
            return lines
    raise AssertionError(f"ended before {word}: {lines}")


def pids(data_dir: Path, *names: str) -> list[int]:
    return [
        int(pid)
        for name in names
        for pid in (data_dir / f"{name}.pids").read_text().split()
    ]


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_one_signal_stops_all_in_reverse_order(
    data_dir: Path, run: Run, signum: signal.Signals
) -> None:
    supervisor = run(SUPERVISOR, data_dir, "server", "api", "worker")
    shown = read_until(supervisor, "READY")
    assert [line for line in shown if "is up" in line] == [
        "cisterna | server is up",
        "cisterna | api is up",
        "cisterna | worker is up",
    ]
    everybody = pids(data_dir, "server", "api", "worker")
    assert all(map(lives, everybody))
    supervisor.send_signal(signum)
    said = read_until(supervisor, "GONE")
    assert supervisor.wait() == 0
    assert (data_dir / "stopped").read_text().split() == ["worker", "api", "server"]
    eventually(lambda: not any(map(lives, everybody)))
    assert "     api | says hello" in shown + said
    assert (data_dir / "logs" / "api.log").read_text() == "says hello\n"


def test_a_second_signal_hurries_past_a_deaf_child(data_dir: Path, run: Run) -> None:
    supervisor = run(SUPERVISOR, data_dir, "server", "deaf")
    read_until(supervisor, "READY")
    everybody = pids(data_dir, "server", "deaf")
    begin = time.monotonic()
    supervisor.send_signal(signal.SIGINT)
    read_until(supervisor, "cisterna | stopping deaf")
    assert lives(everybody[2])
    supervisor.send_signal(signal.SIGINT)
    read_until(supervisor, "GONE")
    assert time.monotonic() - begin < Program.ladder[0][1]  # patience was cut short
    eventually(lambda: not any(map(lives, everybody)))
    supervisor.wait()


def test_after_a_kill_the_next_run_clears_up_and_serves(
    data_dir: Path, run: Run
) -> None:
    first = run(SUPERVISOR, data_dir, "server", "deaf")
    read_until(first, "READY")
    before = pids(data_dir, "server", "deaf")
    first.kill()
    first.wait()
    server, _, deaf, deafs_helper = before
    assert lives(deaf)  # it ignores SIGTERM, so only the next run ends it
    for name in ("server", "deaf"):
        (data_dir / f"{name}.pids").unlink()
    second = run(SUPERVISOR, data_dir, "server", "api")
    read_until(second, "READY")
    eventually(lambda: not any(map(lives, (server, deaf, deafs_helper))))
    os.kill(before[1], signal.SIGKILL)  # what "server" started is its own concern
    second.send_signal(signal.SIGINT)
    read_until(second, "GONE")
    second.wait()


def test_servers_survive_a_kill_of_their_supervisor(long_dir: Path, run: Run) -> None:
    script = """
        import sys
        from pathlib import Path
        from backend.embedded import EmbeddedPostgres, EmbeddedValkey, Supervisor
        data = Path(sys.argv[1])
        servers = [EmbeddedPostgres(data), EmbeddedValkey(data)]
        Supervisor(data, servers).run(lambda: print("READY", flush=True))
        print("GONE", flush=True)
    """
    server = EmbeddedPostgres(long_dir)
    first = run(script, long_dir)
    read_until(first, "READY")
    adopted = pid_of(server)
    first.kill()
    first.wait()
    second = run(script, long_dir)
    read_until(second, "READY")
    assert pid_of(server) == adopted
    assert redis.Redis.from_url(EmbeddedValkey(long_dir).url).ping()
    second.send_signal(signal.SIGINT)
    read_until(second, "GONE")
    assert not lives(adopted)
    assert not server.is_running()


def test_a_second_supervisor_is_refused(data_dir: Path) -> None:
    with exclusive(data_dir):
        second = Supervisor(data_dir, [Program(data_dir, "none", ["true"])])
        with pytest.raises(Conflict, match=f"process {os.getpid()}"):
            second.run()


def test_a_crashed_child_is_started_again(
    data_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    marks = data_dir / "marks"
    script = (
        f"echo run >> {marks}; [ $(wc -l < {marks}) -ge 3 ] && sleep 600; sleep 0.2"
    )
    crashing = Program(data_dir, "crashing", ["sh", "-c", script], ready=marks.exists)
    watcher = Program(
        data_dir,
        "watcher",
        ["sh", "-c", f"until [ $(wc -l < {marks}) -ge 3 ]; do sleep 0.05; done"],
        once=True,
    )
    supervisor = Supervisor(data_dir, [crashing, watcher])
    supervisor.run(on_ready=supervisor.finish)
    assert len(marks.read_text().split()) == 3
    assert not crashing.is_running()
    assert capsys.readouterr().out.count("crashing ended; starting it again") == 2


def test_a_step_that_fails_stops_what_was_started(data_dir: Path) -> None:
    server = Program(data_dir, "server", ["sleep", "600"])
    step = Program(data_dir, "migrate", ["sh", "-c", "echo no room; exit 3"], once=True)
    never = Program(data_dir, "api", ["sh", "-c", f"touch {data_dir}/api"])
    with pytest.raises(Unavailable, match=r"migrate .*no room"):
        Supervisor(data_dir, [server, step, never]).run()
    assert not server.is_running()
    assert not (data_dir / "api").exists()


def test_a_program_that_cannot_be_found_is_named(
    data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("backend.embedded.process.ATTEMPTS", 1)
    missing = Program(data_dir, "api", ["/no/such/program"], ready=lambda: False)
    with pytest.raises(Unavailable, match="cannot start /no/such/program"):
        Supervisor(data_dir, [missing]).run()


def test_a_quiet_supervisor_leaves_the_logs_in_their_files(
    data_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    step = Program(data_dir, "migrate", ["echo", "says hello"], once=True)
    supervisor = Supervisor(data_dir, [step], quiet=True)
    supervisor.run(on_ready=supervisor.finish)
    shown = capsys.readouterr().out
    assert "migrate is done" in shown
    assert "says hello" not in shown
    assert step.log.read_text() == "says hello\n"


def test_a_killed_server_returns_under_the_supervisor(
    data_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    valkey = EmbeddedValkey(data_dir)
    client = redis.Redis.from_url(valkey.url)
    supervisor = Supervisor(data_dir, [valkey])
    first: list[int] = []

    class Probe(Program):
        """A step that is over when Valkey answers under another process id."""

        def is_ready(self) -> bool:
            try:
                pid = int(client.info("server")["process_id"])
            except redis.RedisError:
                return False
            if not first:
                first.append(pid)
                os.kill(pid, signal.SIGKILL)
            return pid != first[0]

    supervisor = Supervisor(
        data_dir, [valkey, Probe(data_dir, "probe", ["sleep", "99"])]
    )
    supervisor.run(on_ready=supervisor.finish)
    assert "valkey ended; starting it again" in capsys.readouterr().out
    assert not valkey.is_running()


# The fixtures every other test stands on


def test_the_session_has_a_postgres_and_a_valkey(
    postgres_url: str, valkey_url: str
) -> None:
    with psycopg.connect(postgres_url.replace("+psycopg", "")) as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)
    assert redis.Redis.from_url(valkey_url).ping()
