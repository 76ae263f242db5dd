"""Masks on the wire: raw uint8, index PNG or COCO RLE, by content type."""

from collections.abc import Sequence
from typing import Annotated, Any

import numpy as np
from fastapi import Depends, Query, Request, Response
from numpy.typing import NDArray
from pydantic import ValidationError

from backend.domain import masks
from backend.domain.errors import Invalid, TooLarge
from backend.imaging import pngs
from backend.schemas.task import RleMask

RAW, PNG, RLE = "application/octet-stream", "image/png", "application/json"
MAX_BYTES = 64 * 2**20

BODY = {
    "requestBody": {
        "required": True,
        "content": {
            RAW: {
                "schema": {"type": "string", "format": "binary"},
                "example": "h x w bytes, row by row, one label value per pixel",
            },
            PNG: {
                "schema": {"type": "string", "format": "binary"},
                "example": "an 8-bit index or grey PNG of the tile's size",
            },
            RLE: {
                "schema": {"$ref": "#/components/schemas/RleMask"},
                "example": {"labels": [{"value": 4, "size": [2, 2], "counts": [1, 3]}]},
            },
        },
    }
}
"""OpenAPI of a request body that is a mask."""


async def read_body(request: Request) -> bytes:
    """Return the raw body; TooLarge past 64 MiB, counted while it comes."""
    parts, size = [], 0
    async for block in request.stream():
        size += len(block)
        if size > MAX_BYTES:
            raise TooLarge("A mask may have at most 64 MiB.", field="body")
        parts.append(block)
    return b"".join(parts)


MaskBody = Annotated[bytes, Depends(read_body)]


def _complete_for(without: str = "") -> Any:
    """Describe `complete_for`; `without` says what holds if it is not sent."""
    text = "Label values, comma-separated, of which every pixel is marked; `all` for "
    return Query(
        description=f"{text}every label, empty for none.{without}",
        examples=["all", "4", "1,2,3"],
        max_length=1200,
    )


CompleteFor = Annotated[str, _complete_for()]
AskedFor = Annotated[
    str | None,
    _complete_for(
        " Without it, the labels the task asks for, or those of the revision under "
        "review."
    ),
]
ActiveSeconds = Annotated[
    float | None,
    Query(
        ge=0,
        le=86_400,
        allow_inf_nan=False,
        description="Seconds of active work on the tile.",
    ),
]


def complete_for(text: str, values: Sequence[int]) -> tuple[int, ...]:
    """Parse `complete_for`; Invalid names the mend."""
    if text.strip() == "all":
        return tuple(values)
    try:
        return tuple(int(part) for part in text.split(",") if part.strip())
    except ValueError:
        raise Invalid(
            "complete_for must be `all` or label values such as 1,4.",
            field="complete_for",
        ) from None


def decode(
    body: bytes, content_type: str | None, shape: tuple[int, int]
) -> NDArray[np.uint8]:
    """Return the mask of a request as (rows, columns) uint8; Invalid if it is none."""
    kind = (content_type or RAW).partition(";")[0].strip().lower()
    if kind == PNG:
        return pngs.read_mask(body, shape)
    if kind == RLE:
        try:
            parsed = RleMask.model_validate_json(body)
        except ValidationError as error:
            first = error.errors()[0]
            where = "/".join(str(part) for part in first["loc"])
            raise Invalid(f"{where}: {first['msg']}", field=where or "body") from None
        for index, entry in enumerate(parsed.labels):
            if tuple(entry.size) != shape:
                raise Invalid(
                    f"The RLE is of {entry.size[0]} x {entry.size[1]} pixels, but the "
                    f"tile is {shape[0]} x {shape[1]}.",
                    field=f"labels/{index}/size",
                )
        runs = [masks.LabelRuns(entry.value, entry.counts) for entry in parsed.labels]
        return masks.decode_labels(runs, shape, "labels")
    if kind == RAW:
        if len(body) != shape[0] * shape[1]:
            raise Invalid(
                f"The mask has {len(body)} bytes, but the tile is {shape[0]} x "
                f"{shape[1]}: send one byte per pixel, row by row.",
                field="mask",
            )
        return np.frombuffer(body, np.uint8).reshape(shape).copy()
    raise Invalid(
        f"A mask comes as {RAW}, {PNG} or {RLE}, not {kind!r}.", field="Content-Type"
    )


def answer(mask: NDArray[np.uint8], form: str, headers: dict[str, str]) -> Response:
    """Return a mask as raw bytes or as an index PNG."""
    headers = {
        **headers,
        "X-Height": str(mask.shape[0]),
        "X-Width": str(mask.shape[1]),
        "Cache-Control": "private, no-cache",
    }
    if form == "png":
        return Response(pngs.mask_png(mask), media_type=PNG, headers=headers)
    return Response(mask.tobytes(), media_type=RAW, headers=headers)
