"""The child process that packs models: `python -m worker.nnunet.packer`.

torch is imported by the handler only, after the environment is set.
"""

import logging
import os
import sys
from pathlib import Path
from typing import Any

from worker.crops import unpack_offsets
from worker.nnunet.child import processors
from worker.segmenter import Progress
from worker.serving import Emit, serve


def package(request: dict[str, Any], emit: Emit) -> dict[str, Any]:
    """Write a model's folder as one file of another format."""
    emit(Progress("starting torch"))
    from worker.nnunet.bioimage import write_package
    from worker.nnunet.graph import open_network, write_graph

    about = request["about"]
    network = open_network(Path(request["model"]), unpack_offsets(about["offsets"]))
    emit(Progress("writing the graph", 0.3))
    into = Path(request["into"])
    if request["format"] == "bioimageio":
        write_package(network, about, into)
    else:
        write_graph(network, into)
    return {}


def main() -> None:
    """Set the environment and answer requests."""
    os.environ.setdefault("OMP_NUM_THREADS", str(processors()))
    logging.basicConfig(level=logging.INFO, stream=sys.stdout)
    serve({"package": package})


if __name__ == "__main__":
    main()
