"""A stored folder as a zip that is written while it is sent."""

import io
import zipfile
from collections.abc import Iterator, Mapping

from fastapi.responses import StreamingResponse

from backend.schemas.stored import StoredTree
from backend.storage import ArtifactStore

NO_NOTES: Mapping[str, str] = {}


class _Sink(io.RawIOBase):
    """Collects what was written; cannot seek, so the zip puts sizes after the data."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []
        self._written = 0

    def writable(self) -> bool:
        return True

    def write(self, data: object) -> int:
        block = bytes(data)  # type: ignore[call-overload]
        self._parts.append(block)
        self._written += len(block)
        return len(block)

    def tell(self) -> int:
        return self._written

    def take(self) -> bytes:
        block = b"".join(self._parts)
        self._parts.clear()
        return block


def zipped(
    store: ArtifactStore,
    tree: StoredTree,
    folder: str,
    notes: Mapping[str, str] = NO_NOTES,
) -> Iterator[bytes]:
    """Yield a zip of the tree below `folder`; nothing larger than a chunk is held.

    `notes` are further small files by name.
    """
    sink = _Sink()
    # weights and PNGs are compressed already
    with zipfile.ZipFile(sink, "w", zipfile.ZIP_STORED) as archive:
        for name in sorted(tree.manifest):
            with archive.open(_entry(folder, name), "w", force_zip64=True) as file:
                for block in store.stream(f"{tree.prefix}/{name}"):
                    file.write(block)
                    yield sink.take()
        for name, text in notes.items():
            archive.writestr(_entry(folder, name), text)
    yield sink.take()


def _entry(folder: str, name: str) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo(f"{folder}/{name}")
    info.external_attr = 0o644 << 16
    return info


def zip_answer(
    store: ArtifactStore,
    tree: StoredTree,
    name: str,
    folder: str | None = None,
    notes: Mapping[str, str] = NO_NOTES,
) -> StreamingResponse:
    """Return the download of a tree as `name`.zip, below `folder` or `name`."""
    return StreamingResponse(
        zipped(store, tree, folder or name, notes),
        200,
        {
            "Content-Disposition": f'attachment; filename="{name}.zip"',
            "X-Content-Type-Options": "nosniff",
        },
        "application/zip",
    )
