"""Calibration sees risks that are too sure, and sees nothing in risks that are right."""

import json

import numpy as np
import pytest

from wardgan.evaluate.reliability import BINS, calibration
from wardgan.rng import Seed

SEED = Seed(1)


def told(risk, truth, **more):
    both = np.column_stack([1 - risk, risk]), np.column_stack([~truth, truth])
    return calibration(*both, ("no", "yes"), seed=SEED, **more)


def drawn(n, *, seed, sure=1.0):
    """Risks, and an event that has them; with `sure` above 1 the risks are told as too sure."""
    stream = np.random.default_rng(seed)
    line = stream.normal(size=n) * 1.5
    truth = stream.random(n) < 1 / (1 + np.exp(-line))
    return 1 / (1 + np.exp(-sure * line)), truth


def test_right_risks_are_as_wrong_as_chance_makes_them():
    found = told(*drawn(3000, seed=1))
    assert found.error.value < 0.04
    assert found.error.value == pytest.approx(found.perfect, abs=0.02)
    near = [point for point in found.curves["yes"] if point.observed.low <= point.predicted <= point.observed.high]
    assert len(near) >= BINS - 2


def test_risks_that_are_too_sure_are_seen():
    right, sure = told(*drawn(3000, seed=1)), told(*drawn(3000, seed=1, sure=4))
    assert sure.error.low > 0.1 > sure.perfect
    assert sure.brier.value > right.brier.high
    assert sure.curves["yes"][0].observed.low > sure.curves["yes"][0].predicted
    assert sure.curves["yes"][-1].observed.high < sure.curves["yes"][-1].predicted


def test_numbers_are_those_of_a_loop_and_of_scikit_learn():
    from sklearn.metrics import brier_score_loss

    risk, truth = drawn(200, seed=2)
    found = told(risk, truth)
    assert found.brier.value == pytest.approx(brier_score_loss(truth, risk))
    order = np.argsort(risk)
    slow = 0.0
    for point, mine in zip(found.curves["yes"], np.array_split(order, BINS), strict=True):
        assert point.predicted == pytest.approx(risk[mine].mean())
        assert point.observed.value == truth[mine].mean()
        slow += abs(risk[mine].mean() - truth[mine].mean()) * len(mine) / 200
    assert found.error.value == pytest.approx(slow)


def test_the_interval_of_the_brier_score_covers():
    """The true score of right risks is the mean of p (1 - p)."""
    risk, _ = drawn(100_000, seed=1)
    truth = (risk * (1 - risk)).mean()
    held = 0
    for at in range(150):
        found = told(*drawn(300, seed=100 + at))
        held += found.brier.low <= truth <= found.brier.high
    assert held >= 135


def test_three_classes_have_a_curve_each_and_half_the_sum():
    stream = np.random.default_rng(1)
    chances = stream.dirichlet([1, 1, 1], 900)
    truth = np.array([stream.choice(3, p=row) for row in chances])[:, None] == np.arange(3)
    found = calibration(chances, truth, ("a", "b", "c"), seed=SEED)
    assert list(found.curves) == ["a", "b", "c"]
    assert found.brier.value == pytest.approx(((chances - truth) ** 2).sum() / 1800)
    assert found.error.value == pytest.approx(found.perfect, abs=0.02)


@pytest.mark.parametrize("risk", [0.0, 0.3, 1.0])
def test_one_risk_for_all_is_one_bin(risk):
    truth = np.arange(50) < 15
    found = told(np.full(50, risk), truth)
    (point,) = found.curves["yes"]
    assert point.observed.value == 0.3
    assert found.error.value == pytest.approx(abs(risk - 0.3))
    assert json.dumps(found.to_dict(), allow_nan=False)


def test_one_patient():
    found = told(np.array([0.2]), np.array([True]))
    assert (found.brier.low, found.brier.high) == (0, 1)
    assert found.error.value == pytest.approx(0.8)
