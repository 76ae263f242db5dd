"""Several devices learn one network: each its own patches, the gradients averaged.

Rank 0 lives in the child that the worker started. It alone knows the schedule, looks at
the validation tiles and saves. Each other device has a process of its own that follows:
before every step it is told the rate.

    python -m worker.nnunet.team <rank> <file of what to learn>
"""

import json
import logging
import os
import signal
import subprocess
import sys
import time
import traceback
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from torch.nn.parallel import DistributedDataParallel

from backend.domain.geometry import Box
from worker.nnunet.dataset import Case, Dataset
from worker.nnunet.trainer import TileTrainer
from worker.segmenter import OutOfMemory, SegmenterError
from worker.serving import lacks_memory

_PATIENCE = timedelta(minutes=10)
"""Followers wait while rank 0 looks at validation tiles and saves."""
_ENDING = 5.0
"""Seconds a follower may take to end after its connection has."""
_NO_MEMORY = 12
"""Exit status of a follower that ran out of memory."""
_SAME = 1e-4


@dataclass(frozen=True, slots=True)
class Task:
    """What each member of a team learns from; `seed` is that of the network."""

    plans: dict[str, Any]
    described: dict[str, Any]
    dataset: Dataset
    seed: int
    emphasis: Mapping[int, float]
    fresh: frozenset[str]
    smaller: bool

    def trainer(self, members: int = 1) -> TileTrainer:
        """Return a trainer for one of so many members."""
        return TileTrainer.prepare(
            self.plans,
            self.described,
            self.dataset,
            self.seed,
            emphasis=self.emphasis,
            fresh=self.fresh,
            smaller=self.smaller,
            members=members,
        )

    def pack(self) -> dict[str, Any]:
        """Return plain values, for a file."""
        cases = [asdict(case) for case in self.dataset.cases]
        folder = str(self.dataset.folder)
        plain = {name: getattr(self, name) for name in ("plans", "described", "seed")}
        return plain | {
            "dataset": {"folder": folder, "cases": cases, "sets": self.dataset.sets},
            "emphasis": list(self.emphasis.items()),
            "fresh": sorted(self.fresh),
            "smaller": self.smaller,
        }

    @classmethod
    def unpack(cls, packed: Mapping[str, Any]) -> "Task":
        """Undo `pack`."""
        dataset = packed["dataset"]
        cases = (
            Case(**{**case, "box": Box(**case["box"])}) for case in dataset["cases"]
        )
        sets = tuple(map(tuple, dataset["sets"]))
        return cls(
            plans=packed["plans"],
            described=packed["described"],
            dataset=Dataset(Path(dataset["folder"]), tuple(cases), sets),
            seed=packed["seed"],
            emphasis=dict(packed["emphasis"]),
            fresh=frozenset(packed["fresh"]),
            smaller=packed["smaller"],
        )


class Team:
    """The group as rank 0 sees it; a TileTrainer tells it what it does."""

    def __init__(self, trainer: TileTrainer, members: int, scratch: Path) -> None:
        self.members = members
        _join(trainer, 0, members, scratch)

    def go_on(self, step: int, state: dict[str, Any]) -> None:
        """Let all members go on from this state."""
        self._tell(("go on", step, state))

    def learn(self, rate: float) -> None:
        """Let all members take a step, with this one."""
        self._tell(("learn", rate))

    def end(self, trainer: TileTrainer) -> None:
        """Let the others end; raises if the networks are not the same."""
        self._tell(("end",))
        _compare(trainer, self.members)

    def _tell(self, order: tuple[Any, ...]) -> None:
        dist.broadcast_object_list([order], src=0)


@contextmanager
def gathered(
    trainer: TileTrainer, task: Task, members: int, scratch: Path
) -> Iterator[None]:
    """Train with as many devices; ends the other processes whatever happens."""
    if members == 1:
        yield
        return
    scratch.mkdir(parents=True, exist_ok=True)
    meeting, file = scratch / "meeting", scratch / "task.json"
    meeting.unlink(missing_ok=True)
    file.write_text(json.dumps({"members": members, "task": task.pack()}))
    processes = [
        subprocess.Popen(
            [sys.executable, "-P", "-m", "worker.nnunet.team", str(rank), str(file)],
            env={**os.environ, **_own_device(rank)},
            stdin=subprocess.DEVNULL,
        )
        for rank in range(1, members)
    ]
    try:
        trainer.team = Team(trainer, members, scratch)
        yield
        trainer.team.end(trainer)
    except RuntimeError as error:
        ended = _ended(processes)
        if not ended:
            raise
        if not {_NO_MEMORY, -signal.SIGKILL}.isdisjoint(ended):
            text = "A process that trains on another device ran out of memory."
            raise OutOfMemory(text) from error
        raise SegmenterError(
            "A process that trains on another device ended; the training will go on "
            f"from its last checkpoint ({error}).",
            retryable=True,
        ) from error
    finally:
        trainer.team = None
        for process in processes:
            process.kill()
        for process in processes:
            process.wait()
        if dist.is_initialized():
            dist.destroy_process_group()


def _ended(processes: Sequence[subprocess.Popen[bytes]]) -> list[int]:
    """Return the exit statuses of those that have ended or are about to."""
    until = time.monotonic() + _ENDING
    while True:
        ended = [p.returncode for p in processes if p.poll() is not None]
        if ended or time.monotonic() > until:
            return ended
        time.sleep(0.05)


def devices() -> int:
    """Return how many devices this process may train on."""
    return max(1, torch.cuda.device_count())


def main() -> int:
    """Follow; returns the exit status."""
    logging.basicConfig(level=logging.INFO, stream=sys.stdout)
    try:
        follow(int(sys.argv[1]), Path(sys.argv[2]))
    except Exception as error:  # noqa: BLE001 - rank 0 sees the status, the log the trace
        traceback.print_exc()
        return _NO_MEMORY if lacks_memory(f"{type(error).__name__}: {error}") else 1
    return 0


def follow(rank: int, file: Path) -> None:
    """Do what rank 0 says until it ends the team: the whole life of a follower."""
    described = json.loads(file.read_text())
    task, members = Task.unpack(described["task"]), described["members"]
    trainer = task.trainer(members)
    trainer.seed += 1000 * rank  # other patches than those of rank 0
    _join(trainer, rank, members, file.parent)
    while True:
        heard: list[Any] = [None]
        dist.broadcast_object_list(heard, src=0)
        match heard[0]:
            case ("learn", rate):
                trainer.step(rate)
            case ("go on", step, state):
                trainer.restore(state)
                trainer.start(step)
            case _:
                break
    _compare(trainer, members)
    trainer.finish()
    dist.destroy_process_group()


def _join(trainer: TileTrainer, rank: int, members: int, scratch: Path) -> None:
    on_gpu = trainer.device.type == "cuda"
    if on_gpu:
        torch.cuda.set_device(trainer.device)
    for name in ("GLOO_SOCKET_IFNAME", "NCCL_SOCKET_IFNAME"):
        os.environ.setdefault(name, "lo")  # all members are on this machine
    dist.init_process_group(
        "nccl" if on_gpu else "gloo",
        init_method=f"file://{scratch / 'meeting'}",
        rank=rank,
        world_size=members,
        timeout=_PATIENCE,
    )
    # Deep supervision gives its coarsest output no weight, so nothing flows back there.
    trainer.learning = DistributedDataParallel(
        trainer.network, find_unused_parameters=True
    )


def _compare(trainer: TileTrainer, members: int) -> None:
    """Raise unless all members hold the same network."""
    weights = trainer.network.parameters()
    own = float(sum(tensor.detach().double().abs().sum() for tensor in weights))
    found = [0.0] * members
    dist.all_gather_object(found, own)
    if max(found) - min(found) > _SAME * own:
        raise SegmenterError(
            f"The devices' networks came apart ({found}); this is a defect, report it.",
            retryable=False,
        )


def _own_device(rank: int) -> dict[str, str]:
    """Return the environment in which a follower sees its own GPU alone."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    names = visible.split(",") if visible else [str(i) for i in range(devices())]
    return {"CUDA_VISIBLE_DEVICES": names[rank] if rank < len(names) else ""}


if __name__ == "__main__":
    sys.exit(main())
