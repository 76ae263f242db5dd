"""The segmenters by name."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from worker.forest.segmenter import ForestSegmenter
from worker.nnunet.segmenter import NNUNetSegmenter
from worker.segmenter import Segmenter


@contextmanager
def segmenter(
    name: str, settings: Mapping[str, object], scratch: Path
) -> Iterator[Segmenter]:
    """Yield the segmenter called `name`; its children end with the block."""
    chosen: Segmenter
    if name == "forest":
        chosen = ForestSegmenter(scratch)
    else:
        chosen = NNUNetSegmenter(str(settings.get("profile", "cpu")), scratch)
    try:
        yield chosen
    finally:
        chosen.close()
