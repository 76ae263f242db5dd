"""What packing a model takes and gives: values between the service and the worker."""

import datetime as dt
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from pydantic import Field

from backend.domain.states import Split
from backend.schemas.base import Body
from backend.schemas.stored import StoredTree


class PackageFormat(StrEnum):
    """What a model can be packed as."""

    ONNX = "onnx"
    BIOIMAGEIO = "bioimageio"


class NewPackage(Body):
    """A model to pack for other tools."""

    format: PackageFormat = Field(
        description="`onnx`: the network as one file. `bioimageio`: a BioImage.IO "
        "package, which holds that file, its description and test images.",
        examples=["bioimageio"],
    )


@dataclass(frozen=True, slots=True)
class About:
    """What a package tells of its model beyond what stands in the model's folder.

    `dice` is by split and label name, of the labels as they are served; `authors` are
    people's names; `offsets` are logit offsets by label value, those of 0 left out.
    """

    project: str
    round: int
    trained_at: dt.datetime
    authors: tuple[str, ...]
    tiles: int
    dice: Mapping[Split, Mapping[str, float | None]]
    offsets: Mapping[int, float]


@dataclass(frozen=True, slots=True)
class PackageWork:
    """A model and what to make of it; `name` is the file's, without its ending."""

    job_id: uuid.UUID
    fence: int
    format: PackageFormat
    name: str
    model: StoredTree
    about: About


@dataclass(frozen=True, slots=True)
class Packaged:
    """The stored folder, which holds the one file."""

    folder: StoredTree
