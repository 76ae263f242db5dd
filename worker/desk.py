"""The desk a step works at: its folders, and the segmenters of its slot."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from worker.segmenter import Segmenter
from worker.segmenters import Segmenters


@dataclass(frozen=True, slots=True)
class Desk:
    """What a step finds in place; three folders that differ in how long they last.

    `scratch` is this attempt's own and ends with it, `keep` outlives it until the job
    ends, `cache` outlives jobs: whatever lies there can be made again. `segmenters` are
    the slot's own and stay ready between jobs.
    """

    scratch: Path
    keep: Path
    cache: Path
    segmenters: Segmenters

    def segmenter(self, name: str, settings: Mapping[str, object]) -> Segmenter:
        """Return the segmenter called `name`; whoever owns the slot closes it."""
        return self.segmenters.named(name, settings)
