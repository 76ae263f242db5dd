"""Stored files and folders, as values that travel between services and worker steps."""

import uuid
from dataclasses import dataclass
from typing import TypedDict


class Entry(TypedDict):
    """One stored file: its hash and its size."""

    sha256: str
    bytes: int


Manifest = dict[str, Entry]
"""The files of a stored folder by their names below it."""


@dataclass(frozen=True, slots=True)
class StoredImage:
    """An ingested image and where its pyramid lies."""

    id: uuid.UUID
    name: str
    pyramid: str
    height: int
    width: int
    mean: float
    sd: float
    pixel_nm: float | None


@dataclass(frozen=True, slots=True)
class StoredTree:
    """A stored folder: its prefix and the manifest of its files."""

    prefix: str
    manifest: Manifest
