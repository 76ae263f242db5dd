"""Which tile next: pure functions from tile statistics to an order with reasons."""

from backend.ranker.need import ClassNeed, Measured, class_needs, patch_shares
from backend.ranker.select import Pool
from backend.ranker.statistics import TileAccumulator, TileStatistics
from backend.ranker.strategies import STRATEGIES, Ranked, rank

__all__ = [
    "STRATEGIES",
    "ClassNeed",
    "Measured",
    "Pool",
    "Ranked",
    "TileAccumulator",
    "TileStatistics",
    "class_needs",
    "patch_shares",
    "rank",
]
