"""How the long proofs keep what they find: a record per seed, and who made it how."""

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from bench.peers import facts

Record = dict[str, Any]


def keep(
    out: Path,
    record: Record,
    summary: Callable[[Sequence[Record]], Mapping[str, Any]],
) -> list[Record]:
    """Write a seed's record beside those of other seeds; returns all of them.

    `summary` says what all records together mean; it stands first in the file.
    """
    before = json.loads(out.read_text()) if out.exists() else {}
    others = [r for r in before.get("records", []) if r["seed"] != record["seed"]]
    mine = {**record, "made": facts(record["seed"])}
    records = sorted([*others, mine], key=lambda r: r["seed"])
    write(out, {**summary(records), "records": records})
    return records


def write(out: Path, content: Any) -> None:
    """Write JSON whole or not at all."""
    out.parent.mkdir(parents=True, exist_ok=True)
    part = out.with_name(f"{out.name}.part")
    part.write_text(json.dumps(content, indent=1) + "\n")
    part.replace(out)
