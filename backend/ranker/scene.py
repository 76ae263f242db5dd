"""What a strategy sees of a pool, and what is worked out of it once."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from backend.domain.errors import Conflict
from backend.ranker import reasons
from backend.ranker.calibration import expected_missed
from backend.ranker.diversity import Space
from backend.ranker.knowledge import Knowledge
from backend.ranker.need import ClassNeed
from backend.ranker.parameters import Parameters
from backend.ranker.pool import Pool
from backend.ranker.score import draws
from backend.ranker.select import Criterion
from backend.ranker.statistics import TileStatistics

F8 = NDArray[np.float64]

SAMPLE = 10_000
"""Tiles that stand for a large pool where one is enough to know what is usual."""


@dataclass(frozen=True, eq=False)
class Scene:
    """A pool and all that is known of it; `order` are the tiles that may be ranked, as
    positions in the pool, in an order that chance alone decided."""

    pool: Pool
    needs: tuple[ClassNeed, ...]
    seed: int
    knowledge: Knowledge
    parameters: Parameters
    order: NDArray[np.intp]
    _kept: dict[str, F8] = field(default_factory=dict)

    @classmethod
    def of(
        cls,
        pool: Pool,
        seed: int,
        needs: Sequence[ClassNeed] = (),
        knowledge: Knowledge | None = None,
        parameters: Parameters | None = None,
    ) -> "Scene":
        """Return the scene of a pool, in the order that chance decides by the seed.

        Raises ValueError where a number is NaN or infinite.
        """
        if not np.isfinite([need.weight for need in needs]).all():
            raise ValueError("the weight of a class is not a number")
        if pool.statistics is not None:
            pool.statistics.check_numbers()
        allowed = np.flatnonzero(~pool.excluded)
        luck = np.argsort(draws(seed, "order", pool.keys[allowed]), kind="stable")
        return cls(
            pool,
            tuple(needs),
            seed,
            knowledge or Knowledge(),
            parameters or Parameters(),
            allowed[luck],
        )

    def once(self, name: str, make: Callable[[], F8]) -> F8:
        """Return (T,) numbers of this name, made when first asked for."""
        if name not in self._kept:
            self._kept[name] = make()
        return self._kept[name]

    def draws(self, purpose: str) -> F8:
        """Return one random number in (0, 1) per tile."""
        return self.once(
            f"draws {purpose}", lambda: draws(self.seed, purpose, self.pool.keys)
        )

    @property
    def statistics(self) -> TileStatistics:
        """The model's statistics; Conflict while there is no model."""
        if self.pool.statistics is None:
            raise Conflict(
                "This strategy needs a trained model; use `start` or `random` until "
                "the first training has ended."
            )
        return self.pool.statistics

    @cached_property
    def known_needs(self) -> list[ClassNeed]:
        """The need of each label the model knows, in the order of the statistics."""
        by_value = {need.value: need for need in self.needs}
        values = [int(value) for value in self.statistics.values]
        if any(value not in by_value for value in values):
            raise ValueError(f"needs for {sorted(by_value)}, statistics for {values}")
        return [by_value[value] for value in values]

    def missed(self, column: int) -> F8:
        """Return (T,) expected missed pixels of a label, calibrated if that is known.

        EFN of a tile: Σ g(p) over the pixels not decided for the label, g the identity
        or Platt's sigmoid.
        """

        def make() -> F8:
            statistics = self.statistics
            platt = self.knowledge.calibration.get(int(statistics.values[column]))
            if platt is None or not self.parameters.calibrated:
                return statistics.p_missed[:, column]
            return expected_missed(statistics.logit_histogram[:, column], platt)

        return self.once(f"missed {column}", make)

    def all_missed(self) -> F8:
        """Return (T,) expected missed pixels of all labels together."""

        def make() -> F8:
            columns = range(len(self.statistics.values))
            total: F8 = sum(map(self.missed, columns), np.zeros(len(self.pool)))
            return total

        return self.once("all missed", make)

    @cached_property
    def known(self) -> NDArray[np.intp]:
        """Positions of the tiles that people have painted."""
        return np.flatnonzero(self.pool.annotated)

    @cached_property
    def space(self) -> Space:
        """The directions in which the tiles of this pool differ."""
        return Space(self.statistics, np.append(self.order[:SAMPLE], self.known))

    def gaps(self) -> F8:
        """Return (T,) distances to the painted tiles, 0..2; 0 where there are none."""

        def make() -> F8:
            if not len(self.known):
                return np.zeros(len(self.pool))
            return self.space.gaps(np.arange(len(self.pool)), self.known)

        return self.once("gaps", make)

    def novelty(self, tile: int) -> str:
        """Say how a tile compares with the painted ones; empty if it is as usual."""
        if not len(self.known):
            return ""
        near, far = self._usual_gaps
        gap = float(self.space.gaps(np.array([tile]), self.known)[0])
        return reasons.novelty(len(self.known), gap < near, gap > far)

    @cached_property
    def _usual_gaps(self) -> tuple[float, float]:
        sample = self.space.gaps(self.order[:2000], self.known)
        near, far = np.quantile(sample, [1 / 3, 2 / 3])
        return float(near), float(far)


Choose = Callable[[Scene, int, int], Sequence[Criterion]]
"""(scene, seats, number of the batch from 0) -> criteria whose quotas add up."""


def by_chance(scene: Scene, quota: int, name: str = "random") -> Criterion:
    """Choose any tile, each with the same chance."""
    said = {
        "random": reasons.at_random,
        "control": reasons.control,
        "control-validation": reasons.control_validation,
    }[name]
    return Criterion(name, quota, scene.draws("random"), lambda tile: said())


def by_entropy(scene: Scene, quota: int) -> Criterion:
    """Choose by mean predictive entropy, highest first."""
    statistics = scene.statistics
    mean = scene.once("entropy", lambda: statistics.entropy_sum / statistics.valid)
    most = float(np.log(len(statistics.values) + 1))
    return Criterion(
        "entropy", quota, mean, lambda tile: reasons.entropy(mean[tile], most)
    )
