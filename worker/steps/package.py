"""Package: a model as one file for other tools, written by a child with torch."""

from dataclasses import asdict

from backend.schemas.package import Packaged, PackageFormat, PackageWork
from backend.schemas.stored import StoredTree
from backend.storage import ArtifactStore, job_prefix
from worker.child import Child
from worker.crops import pack_offsets
from worker.desk import Desk
from worker.segmenter import Progress, Report

_ENDINGS = {PackageFormat.ONNX: ".onnx", PackageFormat.BIOIMAGEIO: ".bioimageio.zip"}


def run(
    work: PackageWork, store: ArtifactStore, report: Report, desk: Desk
) -> Packaged:
    """Write the file and store it."""
    report(Progress("Fetching the model", 0.0))
    # the checkpoints are nnU-Net's; what is packed is the safetensors beside them
    wanted = {
        name: entry
        for name, entry in work.model.manifest.items()
        if not name.endswith(".pth")
    }
    model = store.fetch_tree(work.model.prefix, wanted, desk.scratch / "model")
    folder = desk.scratch / "package"
    folder.mkdir()
    about = asdict(work.about) | {
        "trained_at": work.about.trained_at.isoformat(),
        "offsets": pack_offsets(work.about.offsets),
    }
    request = {
        "do": "package",
        "model": str(model.absolute()),
        "format": work.format,
        "about": about,
        "into": str((folder / f"{work.name}{_ENDINGS[work.format]}").absolute()),
    }
    with Child(("-m", "worker.nnunet.packer"), scratch=desk.scratch / "child") as child:
        child.request(request, report)
    prefix = f"{job_prefix(work.job_id, work.fence)}/package"
    return Packaged(StoredTree(prefix, store.put_tree(prefix, folder)))
