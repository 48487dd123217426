"""Scores to numbers: against scikit-learn, and against mechanisms whose epsilon is known."""

import math

import numpy as np
import pytest
from scipy import stats
from sklearn.metrics import roc_auc_score

from wardgan.attack.certify import ceiling, certified_epsilon, curve, hits, hits_at_most, hits_in_reach


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("levels", [3, 50, 10**6])
def test_area_is_that_of_scikit_learn(seed, levels):
    r = np.random.default_rng(seed)
    members, others = r.integers(0, levels, 300) * 1.0, r.integers(0, levels, 200) * 0.9
    area, points = curve(members, others)
    truth = np.repeat([1, 0], [300, 200])
    assert area == pytest.approx(roc_auc_score(truth, np.concatenate([members, others])))
    assert list(points.false) == sorted(points.false)
    assert list(points.true) == sorted(points.true)
    assert len(points.false) == len(points.true) <= 200
    assert (points.false[-1], points.true[-1]) == (1, 1)
    for false, true in zip(points.false, points.true, strict=True):
        thresholds = [level for level in members if np.isclose((others >= level).mean(), false)]
        if thresholds:
            assert true >= max((members >= level).mean() for level in thresholds) - 1e-9


@pytest.mark.parametrize("rate", [0.01, 0.1])
@pytest.mark.parametrize("shift", [0.0, 1.5])
def test_hits_hold_the_truth(rate, shift):
    r = np.random.default_rng(5)
    truth, held, runs = stats.norm.sf(stats.norm.isf(rate) - shift), 0, 300
    for _ in range(runs):
        found = hits(r.normal(shift, 1, 400), r.normal(0, 1, 300), rate)
        assert found.low <= found.value <= found.high
        held += found.low <= truth <= found.high
    assert held / runs > 0.94


def test_hits_at_a_threshold_that_is_known():
    others = np.arange(1000.0)
    # Ten of a thousand may be accused: those above 989.
    assert hits(np.array([988.5, 989.0, 989.5, 2000]), others, 0.01).value == 0.5
    assert hits(np.full(50, 5.0), np.full(200, 5.0), 0.01).value == 0


def test_few_others_leave_the_interval_open():
    assert hits(np.ones(500), np.zeros(100), 0.01).low == 0


@pytest.mark.parametrize(("members", "others"), [(800, 800), (3000, 1500)])
def test_hits_in_reach_are_seen_in_80_of_100_cases(members, others):
    r = np.random.default_rng(9)
    share = hits_in_reach(members, others, 0.01, confidence=0.95)
    seen = 0
    for _ in range(200):
        found = np.where(
            r.random(members) < share, 9.0, 0.0
        )  # whoever is found is beyond doubt, the rest is not at all
        seen += hits(found, r.random(others) + 1, 0.01).low > 0.01
    assert 0.7 < seen / 200 < 0.9


def test_no_hits_are_in_reach_of_few_others():
    assert hits_in_reach(500, 150, 0.01, confidence=0.997) == math.inf
    assert hits(np.ones(500), np.zeros(150), 0.01, confidence=0.997).low == 0


@pytest.mark.parametrize(("members", "others"), [(300, 150), (3000, 1500)])
def test_hits_of_nobody_end_where_they_are_said_to(members, others):
    r = np.random.default_rng(9)
    most = hits_at_most(members, others, 0.01)
    below = [hits(r.random(members), r.random(others), 0.01).high <= most for _ in range(200)]
    assert 0.68 < np.mean(below) < 0.95


def response(n, epsilon, member, r):
    """Randomised response: the truth with chance e^epsilon / (1 + e^epsilon)."""
    return (r.random(n) < 1 / (1 + math.exp(-epsilon))) == member


@pytest.mark.parametrize("epsilon", [0.0, 0.5, 2.0])
def test_no_more_is_certified_than_there_is(epsilon):
    r = np.random.default_rng(7)
    above, bounds = 0, []
    for _ in range(200):
        members, others = ([response(500, epsilon, who, r) * 1.0 for _ in range(2)] for who in (True, False))
        bounds.append(certified_epsilon(tuple(members), tuple(others), delta=0.0).value)
        above += bounds[-1] > epsilon
    assert above / 200 <= 0.05
    assert np.median(bounds) > 0.6 * epsilon - 0.01


@pytest.mark.parametrize("sign", [1, -1])
def test_both_tails_are_used(sign):
    """Whoever is surely no member tells as much as who surely is one."""
    r = np.random.default_rng(1)
    members, others = (
        tuple(sign * np.where(r.random(600) < share, 9.0, r.random(600)) for _ in range(2))
        for share in ((0.4, 0.0) if sign == 1 else (0.0, 0.4))
    )
    assert certified_epsilon(members, others, delta=0.0).value > 3


def test_only_the_judging_half_certifies():
    r = np.random.default_rng(3)
    noise = [r.random(400) for _ in range(2)]
    assert certified_epsilon((np.ones(400), noise[0]), (np.zeros(400), noise[1]), delta=0.0).value == 0
    # And only the other one chooses: with noise to choose from, the threshold is somewhere between 0 and 1.
    assert certified_epsilon((noise[0], np.ones(400) + 1), (noise[1], np.zeros(400) - 1), delta=0.0).value > 4


def test_noise_certifies_nothing():
    r = np.random.default_rng(3)
    bounds = [
        certified_epsilon((r.random(80), r.random(80)), (r.random(80), r.random(80)), delta=0.0).value
        for _ in range(300)
    ]
    assert np.mean(np.array(bounds) > 0) <= 0.05


def test_delta_is_taken_off():
    members, others = (np.ones(500), np.ones(500)), (np.zeros(500), np.zeros(500))
    plain, less = (certified_epsilon(members, others, delta=delta).value for delta in (0.0, 0.5))
    assert plain == pytest.approx(ceiling(500, 500, delta=0.0))
    assert less == pytest.approx(math.log(math.exp(plain) * (1 - 0.5 / stats.beta.ppf(0.025, 500, 1))), abs=1e-6)
    assert certified_epsilon(members, others, delta=0.9999).value == 0
