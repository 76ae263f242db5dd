"""Example pictures in the guidelines of labels."""

import uuid
from typing import Annotated, Any

from fastapi import Depends, Path, Query, Request, Response, status

from backend.api.deps import PrincipalDep, SessionDep
from backend.api.projects import Key, Value
from backend.api.routing import guarded
from backend.domain.errors import TooLarge
from backend.domain.states import Role
from backend.imaging.pictures import MAX_BYTES
from backend.models import Example
from backend.schemas.project import Caption, ExampleView
from backend.services import access, examples

router = guarded("projects")
ExampleId = Annotated[uuid.UUID, Path(alias="example")]
_BINARY: dict[str, Any] = {"schema": {"type": "string", "format": "binary"}}
_BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            kind: {**_BINARY, "example": f"bytes of the {name} file"}
            for kind, name in (("image/png", "PNG"), ("image/jpeg", "JPEG"))
        },
    }
}


async def read_picture(request: Request) -> bytes:
    """Return the raw body; TooLarge past the limit, counted while it comes."""
    data = bytearray()
    async for block in request.stream():
        data += block
        if len(data) > MAX_BYTES:
            raise TooLarge(
                f"An example picture may have at most {MAX_BYTES // 2**20} MiB.",
                field="body",
            )
    return bytes(data)


@router.post(
    "/projects/{project}/labels/{value}/examples",
    status_code=status.HTTP_201_CREATED,
    openapi_extra=_BODY,
)
def add_example(
    project: Key,
    value: Value,
    data: Annotated[bytes, Depends(read_picture)],
    session: SessionDep,
    principal: PrincipalDep,
    caption: Annotated[Caption, Query(description="What there is to see.")] = "",
    good: Annotated[
        bool, Query(description="False for how the label is not painted.")
    ] = True,
) -> ExampleView:
    """Add a small picture to a label's guideline: PNG or JPEG, kept as a PNG.

    It is made smaller if an edge is longer than 640 pixels; metadata is dropped.
    """
    row = access.project(session, principal, project, Role.MANAGER)
    made = examples.add(
        session, principal, row, value, data, caption=caption, good=good
    )
    return ExampleView.model_validate(made)


@router.get(
    "/examples/{example}/picture",
    response_class=Response,
    responses={200: {"content": {"image/png": _BINARY}}},
)
def get_example(
    example_id: ExampleId, session: SessionDep, principal: PrincipalDep
) -> Response:
    """Return an example picture."""
    row = access.load(session, principal, Example, example_id, Role.VIEWER)
    # a picture never changes, and is not shown to who has left the project for long
    headers = {"Cache-Control": "private, max-age=3600, immutable"}
    return Response(row.png, headers=headers, media_type="image/png")


@router.delete("/examples/{example}", status_code=status.HTTP_204_NO_CONTENT)
def remove_example(
    example_id: ExampleId, session: SessionDep, principal: PrincipalDep
) -> Response:
    """Remove an example picture."""
    row = access.load(session, principal, Example, example_id, Role.MANAGER)
    examples.remove(session, principal, row)
    return Response(status_code=status.HTTP_204_NO_CONTENT)
