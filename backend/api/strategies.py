"""Strategies: what the ranker can do."""

from backend.api.routing import guarded
from backend.schemas.strategy import StrategiesView
from backend.services import strategies

router = guarded("strategies")


@router.get("/strategies")
def list_strategies() -> StrategiesView:
    """List the strategies a project may choose, and their parameters."""
    return strategies.described()
