"""What is known beside a pool's statistics; all of it may be missing."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from backend.ranker.calibration import Platt
from backend.ranker.cost import Cost
from backend.ranker.learned import Correction


@dataclass(frozen=True, slots=True)
class Knowledge:
    """What people's work so far has taught.

    `calibration` and `corrections` are by label value; `spent` is the share of the
    labelling budget already used, 0..1; `controls` counts control tiles painted so far.
    """

    calibration: Mapping[int, Platt] = field(default_factory=dict)
    cost: Cost = field(default_factory=Cost)
    corrections: Mapping[int, Correction] = field(default_factory=dict)
    spent: float = 0.0
    controls: int = 0

    def __post_init__(self) -> None:
        if not 0 <= self.spent <= 1 or self.controls < 0:
            raise ValueError(f"no knowledge: {self.spent=} {self.controls=}")
