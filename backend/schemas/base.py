"""What request and response bodies share."""

from typing import Generic, TypeVar

from pydantic import BaseModel, ConfigDict, field_validator
from pydantic_core import PydanticCustomError

T = TypeVar("T")


class Body(BaseModel):
    """A request body; an unknown field is an error, so a typing mistake cannot pass."""

    model_config = ConfigDict(extra="forbid", str_strip_whitespace=True)

    @field_validator("*")
    @classmethod
    def _storable(cls, value: object) -> object:
        if isinstance(value, str) and "\0" in value:
            raise PydanticCustomError("nul", "Text must not hold NUL characters")
        return value


class View(BaseModel):
    """A response body, read from a row."""

    model_config = ConfigDict(from_attributes=True)


class Page(View, Generic[T]):
    """One page of a list; `next` is the opaque cursor of the next page, or null."""

    items: list[T]
    next: str | None


class FieldProblem(View):
    """One wrong field: a JSON pointer and what to mend."""

    pointer: str
    detail: str


class Problem(View):
    """RFC 9457 problem details; every error answers with this."""

    type: str
    title: str
    status: int
    detail: str
    instance: str
    errors: list[FieldProblem]
