"""What an owner may switch and turn in a strategy, with ranges and defaults."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from backend.domain.errors import Invalid


def _dial(default: float | None, low: float, high: float, text: str) -> Any:
    return field(default=default, metadata={"low": low, "high": high, "text": text})


@dataclass(frozen=True, slots=True)
class Parameters:
    """The dials of the strategies; exponents and noise of 0 switch a part off.

    A class in need scores a tile by a product of powers, each factor a mean per pixel,
    over minutes^cost. Precision above recall raises the exponents of `missed` and
    `information` and lowers those of both entropies, by `balance`; 0 leaves them.
    """

    missed: float = _dial(0.25, 0, 4, "exponent of the expected missed pixels")
    calibrated: float = _dial(
        1.0,
        0,
        1,
        "1: missed pixels are calibrated on validation tiles, 0: they are not",
    )
    information: float = _dial(
        0.25, 0, 4, "exponent of the mutual information between label and members"
    )
    class_entropy: float = _dial(
        0.5, 0, 4, "exponent of entropy times the label's probability"
    )
    label_entropy: float = _dial(0.0, 0, 4, "exponent of the label's own entropy")
    balance: float = _dial(
        2.0, 0, 10, "how much a label's precision − recall shifts between exponents"
    )
    cost: float = _dial(0.0, 0, 2, "exponent of the minutes a tile is expected to take")
    diversity: float = _dial(
        0.0, 0, 4, "exponent of the distance to the tiles annotated or chosen"
    )
    noise: float = _dial(
        1.0,
        0,
        4,
        "how much chance has a say: 0 takes the best tiles, 1 draws tiles in "
        "proportion to their scores",
    )
    calm: float = _dial(
        1.0, 0.01, 1, "what is left of the noise when the budget is spent"
    )
    undecided: float = _dial(0.15, 0, 1, "share of a batch chosen by entropy alone")
    controls: float | None = _dial(
        None, 0, 0.5, "share of random control tiles; 0.15 with er-gap, else 0"
    )
    budget: float = _dial(160, 1, 1e6, "annotated tiles in which noise calms down")

    @classmethod
    def of(cls, given: Mapping[str, float]) -> "Parameters":
        """Return the dials with those in `given` turned; Invalid names the mend."""
        dials = {dial.name: dial for dial in fields(cls)}
        for name, value in given.items():
            where = f"strategy_parameters/{name}"
            if name not in dials:
                raise Invalid(
                    f"There is no parameter {name!r}; choose among {', '.join(dials)}.",
                    field=where,
                )
            low, high = (dials[name].metadata[end] for end in ("low", "high"))
            if not math.isfinite(value) or not low <= value <= high:
                raise Invalid(
                    f"{name} must lie between {low:g} and {high:g}, not {value:g}.",
                    field=where,
                )
        made = cls(**given)
        if made.undecided + (made.controls or 0) > 1:
            raise Invalid(
                "undecided and controls are shares of one batch: lower one of them.",
                field="strategy_parameters/undecided",
            )
        return made
