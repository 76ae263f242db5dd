"""Child processes answer, report, stop when asked, and never outlive their parent."""

import math
import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import tifffile

from backend.domain.geometry import Box
from backend.imaging.pyramid import read_region
from worker.child import Child
from worker.process import Limits
from worker.segmenter import Progress, SegmenterError, Stop

ENTRY = """
import multiprocessing, os, signal, sys, time
from pathlib import Path
from backend.domain.errors import UnsupportedImage
from worker.serving import Stopped, serve, stop_requested
from worker.segmenter import Progress, SegmenterError

def add(request, emit):
    print("noise on stdout")
    emit(Progress("adding", 0.5, step=1, metrics={"loss": float("nan"), "dice": 0.5}))
    return {"sum": request["a"] + request["b"], "bad": float("inf")}

def size(request, emit):
    return {"size": len(request["blob"])}

def environment(request, emit):
    typed = sys.stdin.read()
    return {"environment": dict(os.environ), "cwd": os.getcwd(), "stdin": typed}

def fail(request, emit):
    if request["how"] == "domain":
        raise UnsupportedImage("This file is no image; send a TIFF.", field="file")
    if request["how"] == "segmenter":
        raise SegmenterError("No GPU memory left.", retryable=True)
    if request["how"] == "disk":
        raise OSError(28, "No space left on device")
    raise RuntimeError("a surprise")

def die(request, emit):
    print("last words", flush=True)
    if request["how"] == "exit":
        sys.stderr.write("cannot go on\\n")
        os._exit(3)
    os.kill(os.getpid(), request["how"])

def eat(request, emit):
    return {"bytes": len(bytearray(8 << 30))}

def burn(request, emit):
    while True:
        pass

def patient(request, emit):
    emit(Progress("ready"))
    while not stop_requested():
        time.sleep(0.01)
    Path("checkpoint").write_text("saved")
    raise Stopped

def stubborn(request, emit):
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    context = multiprocessing.get_context("fork")
    helper = context.Process(target=time.sleep, args=(300,))
    helper.start()
    emit(Progress("ready", metrics={"self": os.getpid(), "helper": helper.pid}))
    time.sleep(300)

if __name__ == "__main__":
    serve({f.__name__: f for f in (
        add, size, environment, fail, die, eat, burn, patient, stubborn)})
"""


class Listener:
    """A Report that keeps what it hears and stops when told to."""

    def __init__(self, stop: Callable[["Listener"], bool] = lambda _: False) -> None:
        self.heard: list[Progress] = []
        self.checks = 0
        self.stop = stop

    def __call__(self, progress: Progress) -> None:
        self.heard.append(progress)

    def check(self) -> None:
        self.checks += 1
        if self.stop(self):
            raise Stop


def once_ready(listener: Listener) -> bool:
    return bool(listener.heard)


@pytest.fixture
def entry(tmp_path: Path) -> str:
    file = tmp_path / "entry.py"
    file.write_text(ENTRY)
    return str(file)


@pytest.fixture
def child(tmp_path: Path, entry: str) -> Iterator[Child]:
    with Child((entry,), scratch=tmp_path / "scratch", grace=30) as child:
        yield child


def alive(pid: int) -> bool:
    """Whether a process runs (a zombie does not)."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False
    return stat.rpartition(")")[2].split()[0] not in "ZX"


def gone(*pids: int) -> bool:
    deadline = time.monotonic() + 20
    while any(map(alive, pids)) and time.monotonic() < deadline:
        time.sleep(0.02)
    return not any(map(alive, pids))


def test_answers_several_requests_in_one_process(child: Child) -> None:
    report = Listener()
    assert child.request({"do": "add", "a": 1, "b": 2}, report) == {
        "sum": 3,
        "bad": None,
    }
    assert report.heard == [
        Progress("adding", 0.5, step=1, metrics={"loss": None, "dice": 0.5})
    ]
    assert child.request({"do": "add", "a": 2, "b": 2}, report)["sum"] == 4
    assert child.log_tail() == "noise on stdout\nnoise on stdout"
    assert child.log_tail(1) == "noise on stdout"


def test_a_request_larger_than_any_pipe(child: Child) -> None:
    message = {"do": "size", "blob": "x" * 3_000_000}
    assert child.request(message, Listener()) == {"size": 3_000_000}


def test_sees_no_secret(
    tmp_path: Path, entry: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CISTERNA_DATABASE_URL", "postgresql://hunter2")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "hunter2")
    scratch = tmp_path / "scratch"
    with Child((entry,), scratch=scratch, environment={"EXTRA": "1"}) as child:
        answer = child.request({"do": "environment"}, Listener())
    assert "hunter2" not in str(answer)
    assert not [name for name in answer["environment"] if name.startswith("CISTERNA")]
    assert answer["environment"]["EXTRA"] == "1"
    assert answer["environment"]["TMPDIR"] == answer["cwd"] == str(scratch)
    assert answer["stdin"] == ""


@pytest.mark.parametrize(
    ("how", "text", "retryable"),
    [
        ("domain", "This file is no image; send a TIFF.", False),
        ("segmenter", "No GPU memory left.", True),
        ("disk", "No space left on device", True),
        ("bug", "RuntimeError: a surprise", False),
    ],
)
def test_errors_come_back_as_text(
    child: Child, how: str, text: str, retryable: bool
) -> None:
    with pytest.raises(SegmenterError) as caught:
        child.request({"do": "fail", "how": how}, Listener())
    assert str(caught.value).endswith(text)
    assert caught.value.retryable is retryable
    assert child.request({"do": "add", "a": 1, "b": 1}, Listener())["sum"] == 2


@pytest.mark.parametrize(
    ("how", "text"),
    [
        (signal.SIGKILL, "ran out of memory"),
        (signal.SIGSEGV, "crashed (SIGSEGV)"),
        (signal.SIGABRT, "crashed (SIGABRT)"),
        ("exit", "exit code 3: cannot go on"),
    ],
)
def test_deaths_are_told_apart(child: Child, how: int | str, text: str) -> None:
    with pytest.raises(SegmenterError) as caught:
        child.request({"do": "die", "how": how}, Listener())
    assert text in str(caught.value)
    assert caught.value.retryable
    assert "last words" in child.log_tail()
    assert child.request({"do": "add", "a": 1, "b": 1}, Listener())["sum"] == 2


def test_an_entry_that_cannot_start(tmp_path: Path) -> None:
    with (
        Child(("-m", "worker.no_such_module"), scratch=tmp_path) as child,
        pytest.raises(SegmenterError, match=r"exit code 1: .*no_such_module"),
    ):
        child.request({"do": "add"}, Listener())


def test_the_memory_limit_is_an_error_not_a_death_of_the_machine(
    tmp_path: Path, entry: str
) -> None:
    limits = Limits(address_space=2 << 30)
    with (
        Child((entry,), scratch=tmp_path, limits=limits) as child,
        pytest.raises(SegmenterError, match="ran out of memory") as caught,
    ):
        child.request({"do": "eat"}, Listener())
    assert caught.value.retryable


def test_the_processor_limit(tmp_path: Path, entry: str) -> None:
    with (
        Child((entry,), scratch=tmp_path, limits=Limits(cpu_seconds=2)) as child,
        pytest.raises(SegmenterError, match="more than 2 seconds") as caught,
    ):
        child.request({"do": "burn"}, Listener())
    assert not caught.value.retryable


def test_stop_leaves_time_for_a_checkpoint(tmp_path: Path, child: Child) -> None:
    with pytest.raises(Stop):
        child.request({"do": "patient"}, Listener(once_ready))
    assert (tmp_path / "scratch" / "checkpoint").read_text() == "saved"
    assert child.request({"do": "add", "a": 1, "b": 1}, Listener())["sum"] == 2


def test_stop_kills_a_deaf_child_with_all_it_started(
    tmp_path: Path, entry: str
) -> None:
    report = Listener(once_ready)
    with (
        Child((entry,), scratch=tmp_path, grace=0.3) as child,
        pytest.raises(Stop),
    ):
        child.request({"do": "stubborn"}, report)
    pids = [int(pid or 0) for pid in report.heard[0].metrics.values()]
    assert len(pids) == 2
    assert gone(*pids)


class Meddler(Listener):
    """Stops the child, and says it is to stop itself once it was asked often enough."""

    def __init__(self, child: Child, asked: float) -> None:
        super().__init__()
        self._child, self._asked, self._stopped_at = child, asked, math.inf

    def __call__(self, progress: Progress) -> None:
        assert self._child._process is not None
        os.kill(self._child._process.pid, signal.SIGTERM)
        self._stopped_at = self.checks

    def check(self) -> None:
        super().check()
        if self.checks > self._stopped_at + self._asked:
            raise Stop


def test_a_child_stopped_from_outside_may_be_tried_again(child: Child) -> None:
    with pytest.raises(SegmenterError, match="from outside") as caught:
        child.request({"do": "patient"}, Meddler(child, math.inf))
    assert caught.value.retryable


def test_a_worker_that_hears_of_its_end_after_its_child_stops(child: Child) -> None:
    with pytest.raises(Stop):
        child.request({"do": "patient"}, Meddler(child, 5))


def test_a_silent_child_is_still_checked(tmp_path: Path, entry: str) -> None:
    report = Listener(lambda listener: listener.checks > 3)
    with (
        Child((entry,), scratch=tmp_path, grace=0.3) as child,
        pytest.raises(Stop),
    ):
        child.request({"do": "burn"}, report)
    assert not report.heard


def test_an_error_in_the_report_ends_the_child_too(child: Child) -> None:
    class Broken(Listener):
        def __call__(self, progress: Progress) -> None:
            raise ConnectionError("the database is away")

    with pytest.raises(ConnectionError):
        child.request({"do": "patient"}, Broken())
    assert child.request({"do": "add", "a": 1, "b": 1}, Listener())["sum"] == 2


def test_a_child_found_dead_is_replaced(child: Child) -> None:
    first = child.request({"do": "environment"}, Listener())
    assert first["stdin"] == ""
    assert child._process is not None
    os.kill(child._process.pid, signal.SIGKILL)
    child._process.wait(20)
    assert child._process.ended()
    assert child.request({"do": "add", "a": 1, "b": 1}, Listener())["sum"] == 2


def test_close_leaves_no_process_and_no_open_file(child: Child) -> None:
    before = len(list(Path("/proc/self/fd").iterdir()))
    child.request({"do": "add", "a": 1, "b": 1}, Listener())
    assert child._process is not None
    pid = child._process.pid
    child.close()
    assert gone(pid)
    assert len(list(Path("/proc/self/fd").iterdir())) == before
    child.close()


def test_nothing_outlives_a_killed_parent(tmp_path: Path, entry: str) -> None:
    parent = textwrap.dedent(
        f"""
        from pathlib import Path
        from worker.child import Child

        class Report:
            def __call__(self, progress):
                print(*map(int, progress.metrics.values()), flush=True)
            def check(self):
                pass

        Child(({entry!r},), scratch=Path({str(tmp_path)!r})).request(
            {{"do": "stubborn"}}, Report())
        """
    )
    with subprocess.Popen(
        [sys.executable, "-c", parent], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        pids = [int(word) for word in process.stdout.readline().split()]
        assert len(pids) == 2
        assert all(map(alive, pids))
        process.kill()
    assert gone(*pids)


@pytest.fixture
def decoder(tmp_path: Path) -> Iterator[Child]:
    limits = Limits(address_space=3 << 30, cpu_seconds=60)
    with Child(("-m", "worker.decode"), scratch=tmp_path, limits=limits) as child:
        yield child


def decoding(source: Path, into: Path) -> dict[str, object]:
    return {
        "do": "ingest",
        "source": source,
        "into": into,
        "max_pixels": 10**8,
        "stated_pixel_nm": 8.0,
        "page": None,
    }


def test_the_decoder_turns_a_file_into_a_pyramid(
    tmp_path: Path, decoder: Child
) -> None:
    grey = np.arange(600 * 700, dtype=np.uint32).reshape(600, 700).astype(np.uint8)
    source = tmp_path / "image.tif"
    tifffile.imwrite(source, grey)
    answer = decoder.request(decoding(source, tmp_path / "pyramid"), Listener())
    assert (answer["height"], answer["width"], answer["dtype"]) == (600, 700, "uint8")
    assert (answer["pixel_nm"], answer["pixel_source"]) == (8.0, "stated")
    assert answer["mean"] == pytest.approx(grey.mean())
    read = read_region(tmp_path / "pyramid", 0, Box(500, 600, 100, 100))
    np.testing.assert_array_equal(read, grey[500:, 600:])


def test_the_decoder_says_why_it_refuses(tmp_path: Path, decoder: Child) -> None:
    source = tmp_path / "image.tif"
    source.write_bytes(b"no image at all")
    with pytest.raises(SegmenterError) as caught:
        decoder.request(decoding(source, tmp_path / "pyramid"), Listener())
    assert not caught.value.retryable
    assert "background process" not in str(caught.value)
    assert not (tmp_path / "pyramid").exists()
