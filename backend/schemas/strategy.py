"""Bodies of the ranker's strategies and of what can be turned in them."""

from pydantic import Field

from backend.schemas.base import View


class StrategyView(View):
    """A way to put tiles in order."""

    name: str
    description: str


class ParameterView(View):
    """A number that a project may set in `strategy_parameters`."""

    name: str
    description: str
    low: float
    high: float
    default: float | None = Field(description="Null depends on the strategy.")


class StrategiesView(View):
    """What a project may choose."""

    strategies: list[StrategyView]
    parameters: list[ParameterView] = Field(
        description="Of all strategies; one that has no use for a number ignores it."
    )
