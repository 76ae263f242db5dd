"""Label values, schemas and the presets a project can start from.

A raster is uint8: 1-254 are label values, 255 is *unknown*, 0 is *none of the
labels this revision is complete for*.
"""

from collections.abc import Collection
from dataclasses import dataclass, field

BACKGROUND = 0
UNKNOWN = 255
RESERVED = frozenset({"background", "ignore", "mean", "unknown"})
"""Names that exports and tables of figures use for themselves."""


@dataclass(frozen=True, slots=True)
class Label:
    """One class of a project: a value that is fixed and never used again.

    `precision_floor` is what served labels keep while their recall is raised; None
    leaves them as the model decides (backend.domain.operating).
    """

    value: int
    name: str
    colour: str
    priority: float = 1.0
    target_recall: float = 0.9
    precision_floor: float | None = None

    def __post_init__(self) -> None:
        if not 1 <= self.value <= 254:
            raise ValueError(f"label value {self.value} is not in 1..254")


@dataclass(frozen=True, slots=True)
class LabelSchema:
    """The labels of a project, ordered by value."""

    labels: tuple[Label, ...] = field(default=())

    def __post_init__(self) -> None:
        values = [label.value for label in self.labels]
        names = [label.name for label in self.labels]
        if values != sorted(set(values)) or len(set(names)) != len(names):
            raise ValueError("label values must rise and names must be unique")

    @property
    def values(self) -> tuple[int, ...]:
        """All label values, rising."""
        return tuple(label.value for label in self.labels)

    @property
    def names(self) -> tuple[str, ...]:
        """All label names in order of value."""
        return tuple(label.name for label in self.labels)

    def named(self, name: str) -> Label:
        """Return the label called `name`; KeyError if there is none."""
        for label in self.labels:
            if label.name == name:
                return label
        raise KeyError(name)

    @property
    def priority_label(self) -> Label | None:
        """The label with the highest priority if it stands above 1, else None."""
        best = max(self.labels, key=lambda label: label.priority, default=None)
        return best if best is not None and best.priority > 1 else None


PALETTE = (
    "#4477AA",
    "#EE6677",
    "#CCBB44",
    "#228833",
    "#AA3377",
    "#56B4E9",
    "#E69F00",
    "#98F8B0",
)
"""Hues that stay apart for colour-blind eyes, in the order labels take them."""


def next_colour(taken: Collection[str]) -> str:
    """Return the first hue that no label has; once all are taken, they come again."""
    used = {colour.upper() for colour in taken}
    free = (colour for colour in PALETTE if colour not in used)
    return next(free, PALETTE[len(taken) % len(PALETTE)])


LIVER = LabelSchema(
    (
        Label(1, "nucleus", PALETTE[0]),
        Label(2, "mitochondria", PALETTE[1]),
        Label(3, "lipid droplet", PALETTE[2]),
        Label(4, "ER", PALETTE[3], priority=1.5, precision_floor=0.8),
        Label(5, "cell boundary", PALETTE[4]),
    )
)
PRESETS: dict[str, LabelSchema] = {"liver": LIVER}
