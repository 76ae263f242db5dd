"""A stored folder as a zip that is written while it is sent."""

import io
import zipfile
from collections.abc import Iterator

from fastapi.responses import StreamingResponse

from backend.schemas.stored import StoredTree
from backend.storage import ArtifactStore


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


def zipped(store: ArtifactStore, tree: StoredTree, folder: str) -> Iterator[bytes]:
    """Yield a zip of the tree below `folder`; nothing larger than a chunk is held."""
    sink = _Sink()
    # weights and PNGs are compressed already
    with zipfile.ZipFile(sink, "w", zipfile.ZIP_STORED) as archive:
        for name in sorted(tree.manifest):
            info = zipfile.ZipInfo(f"{folder}/{name}")
            info.external_attr = 0o644 << 16
            with archive.open(info, "w", force_zip64=True) as file:
                for block in store.stream(f"{tree.prefix}/{name}"):
                    file.write(block)
                    yield sink.take()
    yield sink.take()


def zip_answer(
    store: ArtifactStore, tree: StoredTree, name: str, folder: str | None = None
) -> StreamingResponse:
    """Return the download of a tree as `name`.zip, below `folder` or `name`."""
    return StreamingResponse(
        zipped(store, tree, folder or name),
        200,
        {
            "Content-Disposition": f'attachment; filename="{name}.zip"',
            "X-Content-Type-Options": "nosniff",
        },
        "application/zip",
    )
