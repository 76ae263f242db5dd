"""Rates and endings follow from the budget used; a plateau is told from noise."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.nnunet.schedule import FULL, HOLD, QUICK, Schedule, end_of, is_plateau

SCHEDULES = st.builds(
    Schedule, peak=st.floats(1e-5, 1e-1), rise=st.sampled_from([0.01, 0.05, 0.1])
)
TURNS = st.floats(0.2, HOLD)


@given(SCHEDULES, TURNS)
def test_rates_rise_hold_and_fall(schedule: Schedule, turn: float) -> None:
    used = np.linspace(0, end_of(turn), 2001)[:-1]
    rates = np.array([schedule.rate(share, turn) for share in used])
    assert (rates > 0).all()
    assert (rates <= schedule.peak).all()
    rising, falling = used < schedule.rise, used > turn
    assert (np.diff(rates[rising]) > 0).all()
    assert (rates[~rising & ~falling] == schedule.peak).all()
    assert (np.diff(rates[falling]) <= 0).all()
    assert rates[-1] < 0.01 * schedule.peak
    steepest = schedule.peak / min(schedule.rise, end_of(turn) - turn)
    assert np.abs(np.diff(rates)).max() <= 1.01 * steepest * (used[1] - used[0])


@given(TURNS)
def test_the_cool_down_is_the_same_part_of_every_training(turn: float) -> None:
    end = end_of(turn)
    assert turn < end <= 1
    assert (end - turn) / end == pytest.approx(1 - HOLD)


def test_quick_is_gentler_than_full() -> None:
    assert QUICK.peak < FULL.peak
    assert end_of(HOLD) == 1


def curve(losses: list[float]) -> list[tuple[float, float]]:
    return [((i + 1) / 40, loss) for i, loss in enumerate(losses)]


@given(st.integers(0, 2**16), st.floats(0.002, 0.015))
def test_a_falling_loss_is_no_plateau(seed: int, noise: float) -> None:
    random = np.random.default_rng(seed)
    x = np.arange(1, 31) / 40
    losses = 0.3 + 0.7 * (1 - x) + random.normal(0, noise, len(x))
    for n in range(1, 31):
        assert not is_plateau(curve(losses[:n].tolist()))


@given(st.integers(0, 2**16))
def test_a_level_loss_is_a_plateau_soon(seed: int) -> None:
    """It falls for a fifth of the budget; well before its end the plateau is seen."""
    random = np.random.default_rng(seed)
    x = np.arange(1, 31) / 40
    losses = 0.4 + 0.6 * np.exp(-x / 0.03) + random.normal(0, 0.004, len(x))
    found = [n for n in range(1, 31) if is_plateau(curve(losses[:n].tolist()))]
    assert found
    assert 0.3 <= found[0] / 40 <= 0.75


@given(st.lists(st.floats(0, 3), max_size=12), st.floats(0.01, 0.299))
def test_nothing_is_a_plateau_early(losses: list[float], used: float) -> None:
    steps = np.linspace(0.001, used, len(losses))
    assert not is_plateau(list(zip(steps.tolist(), losses, strict=True)))


@given(st.lists(st.floats(0.1, 3), min_size=1, max_size=30), st.integers(-4, 4))
def test_a_plateau_does_not_depend_on_the_unit(losses: list[float], power: int) -> None:
    scaled = [loss * 2.0**power for loss in losses]
    assert is_plateau(curve(losses)) is is_plateau(curve(scaled))
