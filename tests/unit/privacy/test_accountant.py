"""Two accountants: golden values, order, monotony, and what has no price (Rules P5 and P17)."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wardgan.privacy import accountant
from wardgan.privacy.accountant import gaussian_delta, gaussian_mu, pld_epsilon, rdp_epsilon
from wardgan.privacy.events import Event

DELTA = 1e-5


def batches(noise, rate, steps, **caps):
    return Event("d", "poisson-gaussian", noise_multiplier=noise, sampling_rate=rate, steps=steps, **caps)


def once(noise, **more):
    return Event("g", "gaussian", noise_multiplier=noise, **more)


# From published accountants, for 6,000 patients, delta 1e-5; (noise, batch, steps, PLD, Renyi).
GOLDEN = [
    (1, 64, 1875, 2.684, 2.978),
    (1, 64, 9375, 6.431, 6.976),
    (2, 256, 2344, 4.984, 5.398),
    (8, 1024, 3000, 5.287, 5.707),
    (20, 3000, 2000, 4.991, 5.387),
    (50, 6000, 1000, 2.594, 2.814),
]


@pytest.mark.parametrize(("noise", "batch", "steps", "pld", "renyi"), GOLDEN)
def test_golden_values(noise, batch, steps, pld, renyi):
    events = [batches(noise, batch / 6000, steps)]
    assert pld_epsilon(events, DELTA) == pytest.approx(pld, rel=2e-3)
    # Integer orders only, so a little above the published value, never below.
    assert renyi * 0.999 <= rdp_epsilon(events, DELTA) <= renyi * 1.02


@pytest.mark.parametrize(("epsilon", "noise"), [(1, 3.731), (3.5, 1.215), (8, 0.600)])
def test_one_gaussian_release(epsilon, noise):
    assert pld_epsilon([once(noise)], DELTA) == pytest.approx(epsilon, rel=2e-3)
    assert 1 / gaussian_mu(epsilon, DELTA) == pytest.approx(noise, rel=1e-3)


def test_the_2017_sprint_setting_costs_what_it_costs():
    # 3,000,000 steps: a coarse grid would say 2.65 at once, so it has to be refined.
    assert pld_epsilon([batches(1, 1 / 6000, 3_000_000)], DELTA, grid=1e-3) == pytest.approx(1.47, rel=0.02)


@pytest.mark.parametrize("mu", [0.05, 0.3, 1.0, 4.0])
def test_the_closed_form_of_gaussians_agrees_with_the_distribution(mu):
    epsilon = pld_epsilon([once(2 / mu, steps=4)], DELTA)
    assert gaussian_delta(mu, epsilon) <= DELTA * (1 + 1e-6)
    assert gaussian_delta(mu, epsilon * 0.995) > DELTA


@given(st.floats(1e-3, 30), st.floats(0, 60))
@settings(deadline=None, max_examples=200)
def test_delta_is_never_negative(mu, epsilon):
    assert 0 <= gaussian_delta(mu, epsilon) <= 1


def test_no_leak_and_far_tails():
    assert gaussian_delta(0, 1.0) == 0.0
    assert gaussian_delta(0.01, 5.0) == 0.0
    assert gaussian_mu(1.0, DELTA) == pytest.approx(0.26805, rel=1e-4)


def kinds():
    gaussian = st.builds(once, st.floats(0.8, 40), steps=st.integers(1, 5))
    poisson = st.builds(batches, st.floats(0.7, 20), st.floats(0.005, 0.6), st.integers(1, 400))
    pure = st.builds(lambda e, s: Event("p", "pure", epsilon=e, steps=s), st.floats(0.01, 0.5), st.integers(1, 5))
    return st.lists(st.one_of(gaussian, poisson, pure), min_size=1, max_size=4)


@given(kinds(), st.sampled_from([1e-6, 1e-5, 1e-3]))
@settings(deadline=None, max_examples=15)
def test_p17_our_own_bound_is_never_below_the_accountant_of_record(events, delta):
    # Each run is rounded up to the grid once.
    rounding = 5e-4 * (1 + sum(event.steps for event in events))
    assert pld_epsilon(events, delta, grid=5e-4) <= rdp_epsilon(events, delta) + rounding


@given(kinds(), st.data())
@settings(deadline=None, max_examples=40)
def test_more_steps_and_less_noise_never_cost_less(events, data):
    at = data.draw(st.integers(0, len(events) - 1))
    longer = [event.times(event.steps + (each == at)) for each, event in enumerate(events)]
    assert rdp_epsilon(events, DELTA) <= rdp_epsilon(longer, DELTA) * (1 + 1e-9)
    assert rdp_epsilon(events[:at], DELTA) <= rdp_epsilon(events, DELTA) * (1 + 1e-9)
    assert rdp_epsilon(events, 1e-4) <= rdp_epsilon(events, 1e-6)


def test_pld_is_monotone_in_steps_noise_and_rate():
    def cost(noise=2.0, rate=0.1, steps=50):
        return pld_epsilon([batches(noise, rate, steps), once(5.0)], DELTA, grid=5e-4)

    assert cost(steps=49) < cost() < cost(steps=51)
    assert cost(noise=2.1) < cost() < cost(noise=1.9)
    assert cost(rate=0.09) < cost() < cost(rate=0.11)


def test_everybody_in_each_batch_is_no_batch():
    assert pld_epsilon([batches(3.0, 1, 4)], DELTA) == pytest.approx(pld_epsilon([once(3.0, steps=4)], DELTA), rel=1e-3)
    assert rdp_epsilon([batches(3.0, 1, 4)], DELTA) == rdp_epsilon([once(3.0, steps=4)], DELTA)


@pytest.mark.parametrize("bill", [pld_epsilon, rdp_epsilon])
def test_nothing_costs_nothing(bill):
    assert bill([], DELTA) == 0.0
    assert bill([once(1.0).times(0)], DELTA) == 0.0


@pytest.mark.parametrize("bill", [pld_epsilon, rdp_epsilon])
def test_thresholds_take_their_part_of_delta(bill):
    part = once(2.0, delta=DELTA / 4)
    assert bill([part], DELTA) == bill([once(2.0)], DELTA * 0.75)
    assert bill([once(2.0, delta=DELTA / 4, steps=4)], DELTA) == math.inf
    assert bill([once(2.0, delta=DELTA)], DELTA) == math.inf


def test_a_pure_mechanism_costs_its_epsilon_and_composes_below_the_sum():
    assert pld_epsilon([Event("p", "pure", epsilon=0.3)], DELTA) == pytest.approx(0.3, abs=2e-3)
    many = [Event("p", "pure", epsilon=0.05, steps=400)]
    assert pld_epsilon(many, DELTA) < rdp_epsilon(many, DELTA) < 400 * 0.05


def composed(epsilon, steps, delta):
    """Epsilon of randomised response, many times over: the worst pure mechanism, from its binomials."""
    flips = np.arange(steps + 1)
    ways = np.array([math.comb(steps, flip) for flip in flips], dtype=float)
    high = 1 / (1 + math.exp(-epsilon))
    one = ways * high ** (steps - flips) * (1 - high) ** flips
    low, top = 0.0, epsilon * steps
    for _ in range(80):
        middle = (low + top) / 2
        lost = np.maximum(one - math.exp(middle) * one[::-1], 0.0).sum()
        low, top = (middle, top) if lost > delta else (low, middle)
    return top


@pytest.mark.parametrize(("epsilon", "steps"), [(0.3, 1), (0.3, 4), (0.1, 40), (0.02, 150), (1.0, 12)])
@pytest.mark.parametrize("delta", [1e-3, 1e-5, 1e-9])
def test_p11_selections_cost_what_randomised_response_costs(epsilon, steps, delta):
    """Neither a run that is forgotten nor a sum where less is proved: both would be seen."""
    exact = composed(epsilon, steps, delta)
    events = [Event("selection", "pure", epsilon=epsilon, steps=steps)]
    assert exact - 1e-6 <= pld_epsilon(events, delta) <= exact + 2e-4 * steps + 1e-3
    assert exact <= rdp_epsilon(events, delta)
    # Beside a Gaussian sum they cost at least as much as alone, and each of them something.
    beside = [once(4.0), *events]
    fewer = [once(4.0), Event("selection", "pure", epsilon=epsilon, steps=max(1, steps // 2))]
    assert pld_epsilon(beside, delta) + 1e-6 >= max(exact, pld_epsilon(fewer, delta))
    assert steps == 1 or pld_epsilon(beside, delta) > 1.05 * pld_epsilon(fewer, delta)


@pytest.mark.parametrize("epsilon", [0.01, 0.5, 3.0])
def test_the_renyi_curve_of_a_pure_mechanism(epsilon):
    # Randomised response, the worst case, by its two probabilities.
    p = np.array([math.exp(epsilon), 1]) / (1 + math.exp(epsilon))
    for order, found in zip(accountant._ORDERS[:20], accountant._renyi_pure(epsilon)[:20], strict=True):
        assert found == pytest.approx(math.log(float((p**order * p[::-1] ** (1 - order)).sum())) / (order - 1))
        assert found <= epsilon + 1e-12


@pytest.mark.parametrize(("size", "rate", "cap"), [(100, 0.1, 20), (715, 1 / 6, 180), (7150, 0.3, 2300), (50, 0.5, 49)])
def test_the_bound_of_the_tail_is_above_the_tail(size, rate, cap):
    from scipy.stats import binom

    event = batches(2.0, rate, 1, batch_cap=cap, population=size)
    exact = float(binom.sf(cap, size, rate))
    assert exact <= accountant._truncation(event) * (1 + 1e-9)
    assert accountant._truncation(event) <= 20 * exact


def test_the_tail_of_a_million_patients_is_no_loop():
    event = batches(2.0, 0.1, 1, batch_cap=1_100_000, population=10_000_000)
    assert accountant._truncation(event) < 1e-300
    assert accountant._truncation(batches(2.0, 0.1, 1, batch_cap=900_000, population=10_000_000)) == 1.0


def test_a_cap_in_the_middle_of_the_batches_is_not_billed_as_if_it_were_none():
    tight = [batches(2.0, 0.1, 50, batch_cap=110, population=1000)]
    free = [batches(2.0, 0.1, 50)]
    assert rdp_epsilon(tight, DELTA) == math.inf
    assert pld_epsilon(tight, DELTA, grid=5e-4) > 1.2 * pld_epsilon(free, DELTA, grid=5e-4)


def test_without_the_accountant_of_record_nothing_is_billed(monkeypatch):
    import sys

    from wardgan.errors import PlanError

    monkeypatch.setitem(sys.modules, "dp_accounting.pld", None)
    with pytest.raises(PlanError, match="wardgan\\[train\\]"):
        pld_epsilon([once(1.0)], DELTA)
    assert rdp_epsilon([once(1.0)], DELTA) > 0
