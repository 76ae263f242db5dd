"""Images: uploads that stream and hash, label images, regions as arrays."""

import hashlib
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import numpy.typing as npt

from backend.client import pieces
from backend.client.errors import ClientError
from backend.client.transport import Transport
from backend.domain.states import ImageState, Split
from backend.imaging.pngs import mask_png
from backend.schemas.image import ImageEdit, ImageView, ImportView, NewImage

BLOCK = 2**20
BINARY = {"Content-Type": "application/octet-stream"}
OnBytes = Callable[[int, int], None]
"""Called with the bytes sent and the bytes there are."""


class Images:
    """Images of a project."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def upload(
        self,
        project: str,
        file: Path,
        *,
        name: str | None = None,
        pixel_nm: float | None = None,
        donor: str | None = None,
        group: str | None = None,
        split: Split = Split.POOL,
        on_progress: OnBytes | None = None,
    ) -> ImageView:
        """Upload a PNG or TIFF file; it is decoded in the background.

        The file is read twice, to hash and to send it, and never held in memory; a
        large one goes in pieces, of which a broken connection costs one. The same bytes
        under the same name again give the image there is.
        """
        about = NewImage(
            name=name or file.name,
            pixel_nm=pixel_nm,
            donor=donor,
            group=group,
            split=split,
            sha256=sha256(file),
        )
        if file.stat().st_size > pieces.PIECE:
            return self.get(
                pieces.send(self._transport, project, file, about, on_progress)
            )
        answer = self._transport.request(
            "POST",
            f"projects/{project}/images",
            params=about.model_dump(mode="json"),
            content=lambda: _blocks(file, on_progress),
            headers={**BINARY, "Content-Length": str(file.stat().st_size)},
        )
        return self._transport.parsed(answer, ImageView)

    def wait(
        self,
        image: uuid.UUID,
        on_progress: Callable[[ImageView], None] | None = None,
        pause: float = 0.3,
    ) -> ImageView:
        """Return the image once it is ready; raises ClientError if it is rejected."""
        while True:
            view = self.get(image)
            if on_progress:
                on_progress(view)
            if view.state is ImageState.READY:
                return view
            if view.state is not ImageState.UPLOADED:
                raise ClientError(f"{view.name} is {view.state}: {view.error}")
            time.sleep(pause)

    def list(
        self,
        project: str,
        *,
        state: ImageState | None = None,
        split: Split | None = None,
    ) -> Iterator[ImageView]:
        """Yield a project's images, newest first."""
        params = {"state": state, "split": split}
        return self._transport.pages(f"projects/{project}/images", ImageView, params)

    def get(self, image: uuid.UUID) -> ImageView:
        """Return one image."""
        return self._transport.get(f"images/{image}", ImageView)

    def edit(self, image: ImageView, changes: ImageEdit) -> ImageView:
        """Change what is said of an image as it was read."""
        path = f"images/{image.id}"
        return self._transport.edit(path, ImageView, changes, image.version)

    def delete(self, image: uuid.UUID) -> None:
        """Delete an image for good: bytes, masks and predictions."""
        self._transport.request("DELETE", f"images/{image}")

    def import_labels(
        self,
        image: uuid.UUID,
        labels: Path | npt.NDArray[np.uint8],
        *,
        value_map: str | None = None,
        complete_for: str | None = None,
        y: int = 0,
        x: int = 0,
    ) -> ImportView:
        """Import a label image as accepted annotations, one per tile it touches.

        `labels` is a PNG or TIFF file, or a (rows, columns) uint8 array. `value_map`,
        such as `2=mitochondria,5=membrane`, says what its values mean here; without it
        they are label values. `complete_for` names the labels of which every pixel is
        marked (`all`, or names or values); None means those the map leads to.
        """
        content = labels.read_bytes() if isinstance(labels, Path) else mask_png(labels)
        params = {
            "y": y,
            "x": x,
            "value_map": value_map,
            "complete_for": complete_for,
        }
        answer = self._transport.request(
            "POST",
            f"images/{image}/labels",
            params=params,
            content=content,
            headers=BINARY,
        )
        return self._transport.parsed(answer, ImportView)

    def region(
        self,
        image: uuid.UUID,
        *,
        level: int = 0,
        y: int = 0,
        x: int = 0,
        h: int | None = None,
        w: int | None = None,
    ) -> npt.NDArray[np.uint8] | npt.NDArray[np.uint16]:
        """Return a region's grey values, (rows, columns) uint8 or uint16."""
        params = {"level": level, "y": y, "x": x, "h": h, "w": w, "format": "raw"}
        return array(
            self._transport.request("GET", f"images/{image}/region", params=params)
        )


def array(answer: httpx.Response) -> npt.NDArray[Any]:
    """Return a raw answer as the (rows, columns) array that its headers describe."""
    headers = answer.headers
    rows, columns = (
        headers["X-Shape"].split(",")
        if "X-Shape" in headers
        else (headers["X-Height"], headers["X-Width"])
    )
    kind = np.dtype(headers.get("X-Dtype", "uint8")).newbyteorder("<")
    values = np.frombuffer(answer.content, kind).reshape(int(rows), int(columns))
    return values.astype(kind.newbyteorder("="))


def sha256(file: Path) -> str:
    """Return the hash of a file's bytes in hexadecimal."""
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _blocks(file: Path, on_progress: OnBytes | None) -> Iterator[bytes]:
    total, sent = file.stat().st_size, 0
    with file.open("rb") as stream:
        while block := stream.read(BLOCK):
            yield block
            sent += len(block)
            if on_progress:
                on_progress(sent, total)
