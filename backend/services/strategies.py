"""The ranker's strategies and their parameters: told, and checked."""

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from backend.domain.errors import Invalid
from backend.ranker import STRATEGIES, Parameters
from backend.schemas.strategy import ParameterView, StrategiesView, StrategyView


def described() -> StrategiesView:
    """Return all strategies, and what can be turned in them."""
    return StrategiesView(
        strategies=[
            StrategyView(name=name, description=strategy.text)
            for name, strategy in STRATEGIES.items()
        ],
        parameters=[
            ParameterView(
                name=dial.name,
                description=dial.metadata["text"],
                low=dial.metadata["low"],
                high=dial.metadata["high"],
                default=getattr(Parameters(), dial.name),
            )
            for dial in fields(Parameters)
        ],
    )


def check(name: str, parameters: Mapping[str, Any]) -> None:
    """Raise Invalid, naming the field and the mend, for what no ranking could use."""
    if name not in STRATEGIES:
        raise Invalid(
            f"There is no strategy {name!r}; choose one of {', '.join(STRATEGIES)}.",
            field="strategy",
        )
    Parameters.of(parameters)
