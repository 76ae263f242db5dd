"""Where bytes live: one store behind a URL, and the only place where keys are spelled.

Blobs and trees are written under a job's own prefix and become visible only through an
Artifact row; a writer that lost its fence leaves garbage, never a half-true artifact.
"""

import hashlib
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import obstore
from obstore.store import ObjectStore, from_url

if TYPE_CHECKING:
    from obstore import WritableFile  # exists for type checkers alone

from backend.schemas.stored import Entry, Manifest

CHUNK = 8 * 2**20


def upload_key(project_id: uuid.UUID) -> str:
    """Key of a fresh original of a project."""
    return f"originals/{project_id}/{uuid.uuid4()}"


def parts_prefix(upload_id: uuid.UUID) -> str:
    """Prefix of the parts of an upload in pieces."""
    return f"uploads/{upload_id}"


def part_key(upload_id: uuid.UUID, offset: int) -> str:
    """Key of a fresh part: two that begin at the same byte are two blobs."""
    return f"{parts_prefix(upload_id)}/{offset}-{uuid.uuid4()}"


def job_prefix(job_id: uuid.UUID, fence: int) -> str:
    """Prefix that only one attempt of one job writes under."""
    return f"jobs/{job_id}/{fence}"


class Upload:
    """A blob that arrives in blocks; nothing is visible at its key before `close`.

    S3 keeps the invisible parts of an aborted one until the bucket's lifecycle ends it.
    """

    def __init__(self, store: ObjectStore, key: str) -> None:
        self.key = key
        self.bytes = 0
        self._digest = hashlib.sha256()
        # obstore has no abort; letting go of the writer deletes a local draft
        self._writer: WritableFile | None = obstore.open_writer(store, key)

    def write(self, block: bytes) -> None:
        """Append a block."""
        assert self._writer is not None
        self._writer.write(block)
        self._digest.update(block)
        self.bytes += len(block)

    @property
    def sha256(self) -> str:
        """Hash of what was written so far."""
        return self._digest.hexdigest()

    def close(self) -> Entry:
        """Make the blob visible."""
        assert self._writer is not None
        self._writer.close()
        self._writer = None
        return Entry(sha256=self.sha256, bytes=self.bytes)

    def abort(self) -> None:
        """Forget what was written; does nothing after `close`."""
        self._writer = None


class ArtifactStore:
    """Blobs and trees at `file://` or `s3://`."""

    def __init__(self, url: str) -> None:
        self.url = url.rstrip("/")
        self.root = self._store_at(self.url)

    @staticmethod
    def _store_at(url: str) -> ObjectStore:
        if url.startswith("file:"):
            return from_url(url, mkdir=True)
        return from_url(url)

    def below(self, prefix: str) -> ObjectStore:
        """Return an obstore store rooted at `prefix`, for zarr."""
        return self._store_at(f"{self.url}/{prefix}")

    def receive(self, key: str) -> Upload:
        """Start a blob that arrives in blocks."""
        return Upload(self.root, key)

    def put_file(self, key: str, path: Path) -> Entry:
        """Copy a local file to `key`."""
        digest, size = hashlib.sha256(), 0
        with path.open("rb") as file:
            while block := file.read(CHUNK):
                digest.update(block)
                size += len(block)
        with path.open("rb") as file:
            obstore.put(self.root, key, file)
        return Entry(sha256=digest.hexdigest(), bytes=size)

    def put_bytes(self, key: str, data: bytes) -> Entry:
        """Write `data` to `key`."""
        obstore.put(self.root, key, data)
        return Entry(sha256=hashlib.sha256(data).hexdigest(), bytes=len(data))

    def put_tree(self, prefix: str, folder: Path) -> Manifest:
        """Copy all files below `folder` under `prefix`; return their manifest."""
        return {
            path.relative_to(folder).as_posix(): self.put_file(
                f"{prefix}/{path.relative_to(folder).as_posix()}", path
            )
            for path in sorted(folder.rglob("*"))
            if path.is_file()
        }

    def get_bytes(self, key: str) -> bytes:
        """Return the whole blob; FileNotFoundError if there is none."""
        return bytes(obstore.get(self.root, key).bytes())

    def stream(self, key: str) -> Iterator[bytes]:
        """Yield the blob in chunks; FileNotFoundError if there is none."""
        # a request per chunk: one for all would time out under a slow reader
        size = obstore.head(self.root, key)["size"]
        for start in range(0, size, CHUNK):
            end = min(start + CHUNK, size)
            yield bytes(obstore.get_range(self.root, key, start=start, end=end))

    def fetch_file(self, key: str, path: Path) -> Path:
        """Copy the blob at `key` to a local file."""
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("wb") as file:
            for block in self.stream(key):
                file.write(block)
        return path

    def fetch_tree(self, prefix: str, manifest: Manifest, folder: Path) -> Path:
        """Copy a tree to `folder`, checking every hash; ValueError on a mismatch."""
        for name, entry in manifest.items():
            path = self.fetch_file(f"{prefix}/{name}", folder / name)
            with path.open("rb") as file:
                digest = hashlib.file_digest(file, "sha256").hexdigest()
            if digest != entry["sha256"]:
                raise ValueError(f"{prefix}/{name} does not match its recorded hash")
        return folder

    def delete(self, key: str) -> None:
        """Delete a blob; a missing one is fine."""
        try:
            obstore.delete(self.root, key)
        except FileNotFoundError:
            return

    def delete_tree(self, prefix: str) -> None:
        """Delete everything below a prefix."""
        for batch in obstore.list(self.root, prefix=prefix):
            paths = [entry["path"] for entry in batch]
            try:
                obstore.delete(self.root, paths)
            except FileNotFoundError:  # somebody deletes one of them at this moment
                for path in paths:
                    self.delete(path)
