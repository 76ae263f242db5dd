"""Ingest: an uploaded file becomes a stored pyramid, decoded in a limited child."""

from backend.domain.states import PixelSource
from backend.imaging.limits import ImageHeader
from backend.imaging.readers import inspect
from backend.schemas.ingest import Ingested, IngestWork
from backend.schemas.stored import StoredTree
from backend.storage import ArtifactStore, job_prefix
from worker.child import Child
from worker.desk import Desk
from worker.process import Limits
from worker.segmenter import Progress, Report

_PROGRAMS = 3 * 2**30
"""Address space of Python, its libraries and a few shards; most stays untouched."""
_ONE_THREAD = {
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MALLOC_ARENA_MAX": "2",
}


def run(work: IngestWork, store: ArtifactStore, report: Report, desk: Desk) -> Ingested:
    """Decode the file in a limited child and store the pyramid it writes.

    Nothing stays in `desk.keep`: nothing of an ingest is worth a second attempt. Raises
    UnsupportedImage, TooLarge or SegmenterError if the file is not an image we read.
    """
    report(Progress("Fetching the file", 0.0))
    source = store.fetch_file(work.original, desk.scratch / "original")
    into = desk.scratch / "pyramid"
    header = inspect(source, max_pixels=work.max_pixels)
    report(Progress("Decoding", 0.1))
    with Child(
        ("-m", "worker.decode"),
        scratch=desk.scratch / "child",
        environment=_ONE_THREAD,
        limits=_limits(header),
    ) as child:
        facts = child.request(
            {
                "do": "ingest",
                "source": source,
                "into": into,
                "max_pixels": work.max_pixels,
                "stated_pixel_nm": work.pixel_nm,
                "page": None,
            },
            report,
        )
    report(Progress("Storing the pyramid", 0.8))
    prefix = f"{job_prefix(work.job_id, work.fence)}/pyramid"
    return Ingested(
        pyramid=StoredTree(prefix, store.put_tree(prefix, into)),
        height=facts["height"],
        width=facts["width"],
        dtype=facts["dtype"],
        levels=facts["levels"],
        mean=facts["mean"],
        sd=facts["sd"],
        pixel_nm=facts["pixel_nm"],
        pixel_source=PixelSource(facts["pixel_source"]),
    )


def _limits(header: ImageHeader) -> Limits:
    """Return what an honest decoder needs for a file with this header."""
    return Limits(
        address_space=_PROGRAMS + 2 * header.decoding_bytes,
        cpu_seconds=60 + header.decoded_bytes // (4 * 2**20),
    )
