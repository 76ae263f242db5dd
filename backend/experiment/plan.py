"""What an experiment is to do, as its TOML file says it."""

import hashlib
import json
import os
import tomllib
from pathlib import Path
from typing import Annotated, Any, Literal, Self, TypeVar

from pydantic import Field, StringConstraints, ValidationError, model_validator

from backend.client import ClientError
from backend.domain.labels import BACKGROUND, UNKNOWN
from backend.domain.states import Schedule, Split
from backend.schemas.base import Body
from backend.schemas.project import NewLabel, Training

B = TypeVar("B", bound=Body)
Slug = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9-]{0,29}$")]
Name = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9-]{0,19}$")]
Seed = Annotated[int, Field(ge=0, le=2**31 - 1)]
FULL = "full"
"""The run in which every pool tile is labelled: the ceiling of all others."""
PLAYED = {"foreground-random-66-true": 2 / 3, "foreground-random-33-true": 1 / 3}
"""Strategies that look at the truth, and their share of tiles drawn by it."""
WORDS = {"background": BACKGROUND, "unknown": UNKNOWN}


class Folder(Body):
    """Images in `images/` and label images of the same names in `labels/`."""

    folder: Path
    """Variables such as $HOME are filled in; relative to the file that says it."""
    pool: list[str] = Field(min_length=1)
    validation: list[str] = Field(min_length=1)
    test: list[str] = Field(min_length=1)
    pixel_nm: float | None = Field(None, gt=0)
    crop: int | None = Field(
        None, ge=64, description="Edge of the central square used."
    )
    map: dict[str, str] = Field(default={})
    """What values of label images mean: names of labels, background or unknown."""

    def names(self, split: Split) -> list[str]:
        """Return the stems of a split's images."""
        return {
            Split.POOL: self.pool,
            Split.VALIDATION: self.validation,
            Split.TEST: self.test,
        }[split]


class Phantom(Body):
    """Synthetic liver images, painted by seed."""

    phantom: Literal["liver"]
    edge: int = Field(ge=128, le=4096)
    pool: int = Field(ge=1)
    validation: int = Field(ge=1)
    test: int = Field(ge=1)
    seed: Seed = 0


class Strategy(Body):
    """One way of choosing tiles; variants of a strategy have names of their own."""

    name: Slug
    strategy: str = ""
    parameters: dict[str, float] = Field(default={})

    @model_validator(mode="after")
    def _is_whole(self) -> Self:
        self.strategy = self.strategy or self.name
        if self.strategy in PLAYED and self.parameters:
            raise ValueError(f"{self.strategy} has no parameters; remove them")
        if self.name == FULL:
            raise ValueError("full is run for every seed anyway; remove it")
        return self

    @property
    def is_played(self) -> bool:
        """Whether the annotator chooses the tiles, knowing the truth."""
        return self.strategy in PLAYED


class Stop(Body):
    """When curves end."""

    most_tiles: int = Field(ge=2, description="No run goes beyond that.")
    until: float | None = Field(
        None,
        gt=0,
        le=1,
        description="End all curves once the baseline has this share of the score that "
        "all labels give; null to go to `most_tiles`.",
    )


class Plan(Body):
    """One experiment."""

    name: Name
    data: Folder | Phantom
    labels: list[NewLabel] = Field(min_length=1)
    tile_size: int = Field(ge=32, le=4096)
    segmenter: Literal["forest", "nnunet"]
    training: Training = Training()
    seeds: list[Seed] = Field(min_length=1)
    start_tiles: int = Field(ge=1, le=1000)
    query_size: int = Field(ge=1, le=1000)
    strategies: list[Strategy] = Field(min_length=1)
    baseline: Slug = "foreground-random-66"
    stop: Stop
    oracle: Literal["perfect", "noisy"] = "perfect"
    controls: float = Field(0.0, ge=0, le=0.5, description="Share, for all strategies.")
    repeats: int = Field(0, ge=0, le=20, description="Trainings on the same labels.")

    @model_validator(mode="after")
    def _is_whole(self) -> Self:
        names = [strategy.name for strategy in self.strategies]
        if len(set(names)) < len(names) or len(set(self.seeds)) < len(self.seeds):
            raise ValueError("strategies and seeds must each be named once")
        if self.baseline not in names:
            raise ValueError(f"baseline: {self.baseline} must be one of the strategies")
        if self.stop.most_tiles < self.start_tiles + self.query_size:
            raise ValueError(
                "stop.most_tiles must leave room for start_tiles and one query"
            )
        if any(label.value is None for label in self.labels):
            raise ValueError("labels: state the value of each")
        if isinstance(self.data, Folder):
            _ = self.values  # names a label that is not there
        self.training.schedule = Schedule.FULL  # versions compare only from scratch
        return self

    @property
    def names(self) -> dict[int, str]:
        """The labels' names by value."""
        return {label.value: label.name for label in self.labels if label.value}

    @property
    def priority(self) -> str:
        """The label with the highest priority, the first of equals."""
        return max(self.labels, key=lambda label: label.priority).name

    @property
    def rounds(self) -> int:
        """How many queries follow the start set at the most."""
        return (self.stop.most_tiles - self.start_tiles) // self.query_size

    @property
    def values(self) -> dict[int, int]:
        """What the values of label images stand for."""
        known = WORDS | {name: value for value, name in self.names.items()}
        given = self.data.map if isinstance(self.data, Folder) else {}
        meant = {BACKGROUND: BACKGROUND, UNKNOWN: UNKNOWN}
        if not given:
            return meant | {value: value for value in self.names}
        for value, name in given.items():
            if not value.isdigit() or name not in known:
                raise ValueError(
                    f"data.map: {value} = {name!r} is not a value and one of "
                    f"{', '.join(known)}"
                )
            meant[int(value)] = known[name]
        return meant

    @property
    def digest(self) -> str:
        """Tells experiments apart whose runs do not compare."""
        varies = {"seeds", "strategies", "stop", "repeats", "baseline", "name"}
        content = self.model_dump(mode="json", exclude=varies)
        if isinstance(self.data, Folder):
            content["data"]["folder"] = self.data.folder.name
        facts = json.dumps(content, sort_keys=True)
        return hashlib.sha256(facts.encode()).hexdigest()[:8]


def read(file: Path) -> Plan:
    """Read an experiment's file; raises ClientError that names the field to mend."""
    try:
        content: dict[str, Any] = tomllib.loads(file.read_text())
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ClientError(f"{file} is no TOML: {error}.") from error
    data = content.get("data")
    if not isinstance(data, dict) or ("folder" in data) == ("phantom" in data):
        raise ClientError(
            f"{file}: data: give either `folder` or `phantom` in a table [data]."
        )
    kind = Folder if "folder" in data else Phantom
    part = _checked(file, "data.", kind, data)
    plan = _checked(file, "", Plan, {**content, "data": part})
    if isinstance(plan.data, Folder):
        plan.data.folder = _found(file, plan.data.folder)
    return plan


def _checked(file: Path, at: str, kind: type[B], content: dict[str, Any]) -> B:
    try:
        return kind.model_validate(content)
    except ValidationError as error:
        first = error.errors()[0]
        where = at + ".".join(str(part) for part in first["loc"])
        said = first["msg"].removeprefix("Value error, ")
        raise ClientError(f"{file}: {where or 'the plan'}: {said}.") from error


def _found(file: Path, folder: Path) -> Path:
    text = os.path.expandvars(folder)
    if "$" in text:
        raise ClientError(f"{file}: data.folder: set the variable in {folder}.")
    found = (file.parent / text).resolve()
    if not (found / "images").is_dir() or not (found / "labels").is_dir():
        raise ClientError(
            f"{file}: data.folder: {found} has no folders images and labels."
        )
    return found
