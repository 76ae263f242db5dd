"""Which tile next: pure functions from tile statistics to an order with reasons."""

from backend.ranker.histogram import Histogram, histograms
from backend.ranker.need import ClassNeed, Measured, class_needs, patch_shares
from backend.ranker.select import Pool
from backend.ranker.statistics import TileAccumulator, TileStatistics
from backend.ranker.strategies import STRATEGIES, Ranked, rank, scores

__all__ = [
    "STRATEGIES",
    "ClassNeed",
    "Histogram",
    "Measured",
    "Pool",
    "Ranked",
    "TileAccumulator",
    "TileStatistics",
    "class_needs",
    "histograms",
    "patch_shares",
    "rank",
    "scores",
]
