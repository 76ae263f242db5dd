"""Finished rounds on disk: a file per run, a JSON line per round, all whole."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from backend.client import ClientError

Record = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Shelf:
    """The folder of an experiment's results."""

    folder: Path

    @property
    def runs(self) -> Path:
        """Where the runs' files lie."""
        return self.folder / "runs"

    def file(self, run: str) -> Path:
        """Return the file of a run."""
        return self.runs / f"{run}.jsonl"

    def read(self, run: str) -> list[Record]:
        """Return the finished rounds of a run, none if there is no file."""
        file = self.file(run)
        if not file.exists():
            return []
        try:
            records = [json.loads(line) for line in file.read_text().splitlines()]
            rounds = [record["round"] for record in records]
        except (ValueError, KeyError, TypeError) as error:
            raise ClientError(f"{file} is damaged ({error}); move it away.") from error
        if rounds != list(range(len(rounds))):
            raise ClientError(f"{file} holds the rounds {rounds}; move it away.")
        return records

    def write(self, run: str, records: Sequence[Record]) -> None:
        """Put all finished rounds of a run in the place of what was there."""
        lines = "".join(f"{json.dumps(record)}\n" for record in records)
        replace(self.file(run), lines.encode())

    def all(self) -> Iterator[list[Record]]:
        """Yield every run's rounds."""
        for file in sorted(self.runs.glob("*.jsonl")):
            yield self.read(file.stem)


def replace(file: Path, content: bytes) -> None:
    """Write a file whole or not at all."""
    file.parent.mkdir(parents=True, exist_ok=True)
    part = file.with_name(f"{file.name}.part")
    part.write_bytes(content)
    part.replace(file)
