"""Where a bench finds its data, and what it says of the machine and the code."""

import os
import platform
import subprocess
import sys
from pathlib import Path

from backend.domain.states import Split

ROOT = Path(__file__).parents[1]
FOLDER = "vnc_drosophila_sstem"
PIXEL_NM, TILE = 4.6, 128
SPLITS = {
    Split.POOL: range(12),
    Split.VALIDATION: range(13, 16),
    Split.TEST: range(17, 20),
}
"""Sections 12 and 16 stand between the splits: neighbours look alike."""


def data(given: Path | None) -> Path:
    """Return the folder of images and labels."""
    places = [Path(os.environ.get("CISTERNA_REAL_DATA") or ROOT.parent / "shared/data")]
    found = given or next((p / FOLDER for p in places if (p / FOLDER).is_dir()), None)
    if found is None or not (found / "labels").is_dir():
        sys.exit(
            f"No folder {FOLDER} with images and labels in {places[0]}; set "
            "CISTERNA_REAL_DATA to the folder that holds it."
        )
    return found.absolute()


def commit() -> str:
    """Return the commit of the code, marked if files differ from it.

    Results do not count: a bench writes its own, and the next one starts beside them.
    """
    head = _git("rev-parse", "HEAD")
    changed = _git("status", "--porcelain", "-uno", "--", ".", ":!docs/results")
    return f"{head}-dirty" if changed else head or "unknown"


def _git(*words: str) -> str:
    command = ["git", "-C", str(ROOT), *words]
    answer = subprocess.run(command, capture_output=True, text=True, check=False)
    return answer.stdout.strip()


def machine() -> dict[str, object]:
    """Return what the figures of time depend on."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    models = [
        line.partition(":")[2].strip()
        for line in Path("/proc/cpuinfo").read_text().splitlines()
        if line.startswith("model name")
    ]
    return {
        "processor": models[0] if models else platform.processor(),
        "cores": os.cpu_count(),
        "memory_gib": round(memory / 2**30, 1),
        "python": platform.python_version(),
    }
