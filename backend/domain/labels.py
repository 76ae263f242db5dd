"""Label values, schemas and the presets a project can start from.

A raster is uint8: 1-254 are label values, 255 is *unknown*, 0 is *none of the
labels this revision is complete for*.
"""

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


LIVER = LabelSchema(
    (
        Label(1, "nucleus", "#4477AA"),
        Label(2, "mitochondria", "#EE6677"),
        Label(3, "lipid droplet", "#CCBB44"),
        Label(4, "ER", "#228833", priority=1.5, precision_floor=0.8),
        Label(5, "cell boundary", "#AA3377"),
    )
)
PRESETS: dict[str, LabelSchema] = {"liver": LIVER}
