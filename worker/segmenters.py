"""The segmenters of a slot by name; their children stay between jobs."""

from collections.abc import Mapping
from pathlib import Path

from worker.forest.segmenter import ForestSegmenter
from worker.nnunet.segmenter import NNUNetSegmenter
from worker.segmenter import Segmenter


class Segmenters:
    """Makes a segmenter when it is first asked for, and keeps it until `close`.

    Everything here is called by the slot's own thread, see worker.child. `scratch` is
    the folder for what the children print.
    """

    def __init__(self, scratch: Path) -> None:
        self._scratch = scratch
        self._made: dict[str, Segmenter] = {}

    def named(self, name: str, settings: Mapping[str, object]) -> Segmenter:
        """Return the segmenter called `name` for a project with these settings.

        Any other one ends: a training may want all the memory there is.
        """
        profile = str(settings.get("profile", "cpu"))
        key = name if name == "forest" else f"{name} {profile}"
        if key not in self._made:
            self.close()
            scratch = self._scratch / key.replace(" ", "-")
            self._made[key] = (
                ForestSegmenter(scratch)
                if name == "forest"
                else NNUNetSegmenter(profile, scratch)
            )
        return self._made[key]

    def close(self) -> None:
        """End all children."""
        for segmenter in self._made.values():
            segmenter.close()
        self._made = {}
