"""Which tile next: pure functions from tile statistics to an order with reasons."""

from backend.ranker.calibration import Platt, fit_platt
from backend.ranker.cost import Cost, fit_cost
from backend.ranker.histogram import Histogram, histograms
from backend.ranker.knowledge import Knowledge
from backend.ranker.learned import Correction, Lesson, fit_correction
from backend.ranker.need import ClassNeed, Measured, class_needs, patch_shares
from backend.ranker.parameters import Parameters
from backend.ranker.pool import Pool
from backend.ranker.scene import Scene
from backend.ranker.score import keys_of
from backend.ranker.statistics import TileAccumulator, TileStatistics
from backend.ranker.strategies import STRATEGIES, Ranked, Strategy, order, rank, scores

__all__ = [
    "STRATEGIES",
    "ClassNeed",
    "Correction",
    "Cost",
    "Histogram",
    "Knowledge",
    "Lesson",
    "Measured",
    "Parameters",
    "Platt",
    "Pool",
    "Ranked",
    "Scene",
    "Strategy",
    "TileAccumulator",
    "TileStatistics",
    "class_needs",
    "fit_correction",
    "fit_cost",
    "fit_platt",
    "histograms",
    "keys_of",
    "order",
    "patch_shares",
    "rank",
    "scores",
]
