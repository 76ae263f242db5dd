"""The child that decodes files of strangers; started with limits, keeps nothing.

It knows no address and no secret: it reads one local file and writes one local folder.
"""

from dataclasses import asdict
from pathlib import Path
from typing import Any

from backend.imaging.ingest import ingest_file
from worker.serving import Emit, serve


def ingest(request: dict[str, Any], emit: Emit) -> dict[str, Any]:
    """Turn the file `source` into a pyramid in the folder `into`; an IngestResult."""
    result = ingest_file(
        Path(request["source"]),
        Path(request["into"]),
        max_pixels=request["max_pixels"],
        stated_pixel_nm=request["stated_pixel_nm"],
        page=request["page"],
    )
    return asdict(result)


if __name__ == "__main__":
    serve({"ingest": ingest})
