"""Our side of `nnUNetv2_predict`: a whole process from images to files.

    python -m bench.predict -i <images> -o <results> -m <model> [--disable_tta]

What a worker does for each image, cold: it starts the child, loads the model and
sweeps, uncertainties and the ranker's statistics included.
"""

import argparse
import sys
from pathlib import Path

import numpy as np
from PIL import Image

from bench.places import TILE
from bench.subjects import Quiet, stored
from worker.child import Child
from worker.nnunet.segmenter import NNUNetSegmenter


class Unmirrored(NNUNetSegmenter):
    """The same without flips, which the product never leaves out."""

    def __init__(self, profile: str, scratch: Path) -> None:
        super().__init__(profile, scratch)
        self._child = Child(("-m", "bench.unmirrored"), scratch=scratch)


def main() -> int:
    """Sweep every image of a folder; returns the exit status."""
    asked = arguments()
    kind = Unmirrored if asked.disable_tta else NNUNetSegmenter
    segmenter = kind("cpu", asked.o / "scratch")
    Image.MAX_IMAGE_PIXELS = None
    for file in sorted(asked.i.glob("*_0000.png")):
        name = file.name.removesuffix("_0000.png")
        image = stored(np.array(Image.open(file)), name, asked.o / "images")
        segmenter.predict(asked.m, image, TILE, asked.o / name, Quiet())
    segmenter.close()
    return 0


def arguments() -> argparse.Namespace:
    """Return the command line's wishes; the flags are the peer's."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("-i", type=Path, required=True, help="folder of PNGs")
    parser.add_argument("-o", type=Path, required=True, help="folder for results")
    parser.add_argument("-m", type=Path, required=True, help="folder of the model")
    parser.add_argument("--disable_tta", action="store_true", help="without flips")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
