"""Our accountants against others' and against brute force (Rules P5 and P17)."""

from __future__ import annotations

import warnings
from math import comb

import numpy as np
import pytest
from dp_accounting import dp_event
from dp_accounting.pld import pld_privacy_accountant
from dp_accounting.rdp import rdp_privacy_accountant
from scipy.stats import norm

from wardgan.privacy import accountant
from wardgan.privacy.accountant import pld_epsilon, rdp_epsilon
from wardgan.privacy.events import Event
from wardgan.privacy.plan import batch_cap, largest

DELTA = 1e-5
CASES = [(1.0, 0.0107, 1875), (4.0, 0.17, 300), (0.7, 0.01, 50), (12.0, 0.5, 1000), (3.0, 1.0, 5)]


def batches(noise, rate, steps, **caps):
    return Event("d", "poisson-gaussian", noise_multiplier=noise, sampling_rate=rate, steps=steps, **caps)


@pytest.mark.parametrize(("noise", "rate", "steps"), CASES)
def test_our_renyi_accountant_is_that_of_others_at_the_same_orders(noise, rate, steps):
    other = rdp_privacy_accountant.RdpAccountant([float(order) for order in accountant._ORDERS])
    one = dp_event.PoissonSampledDpEvent(rate, dp_event.GaussianDpEvent(noise))
    other.compose(dp_event.SelfComposedDpEvent(one, steps)).compose(dp_event.GaussianDpEvent(7.0))
    ours = rdp_epsilon([batches(noise, rate, steps), Event("g", "gaussian", noise_multiplier=7.0)], DELTA)
    assert ours == pytest.approx(other.get_epsilon(DELTA), rel=1e-6)


def test_opacus_agrees_within_its_error():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from opacus.accountants.prv import PRVAccountant

        other = PRVAccountant()
        other.history = [(2.0, 0.05, 400)]
        upper = other.get_epsilon(DELTA, eps_error=0.01)
    assert upper - 0.03 <= pld_epsilon([batches(2.0, 0.05, 400)], DELTA) <= upper + 0.005


def hockey_stick(first, second, epsilon):
    return float(np.maximum(first - np.exp(epsilon) * second, 0).sum())


def densities(noise, rate, others):
    """All batches of a tiny cohort, written down: the others pull to -1, one more patient to +1, the cap is 1."""
    x = np.linspace(-12, 12, 8_001)

    def density(mean):
        return norm.pdf(x, mean, noise) * (x[1] - x[0])

    empty = (1 - rate) ** others
    without = empty * density(0) + (1 - empty) * density(-1)
    with_patient = (1 - rate) * without
    for drawn in range(others + 1):
        chance = rate * comb(others, drawn) * rate**drawn * (1 - rate) ** (others - drawn)
        with_patient = with_patient + chance * (density(1) + drawn * density(-1)) / (drawn + 1)
    return with_patient, without


@pytest.mark.parametrize(("noise", "rate", "others"), [(1.0, 0.5, 1), (1.0, 0.5, 2), (0.8, 0.3, 4), (2.0, 0.8, 2)])
def test_truncated_batches_by_brute_force(noise, rate, others):
    there, absent = densities(noise, rate, others)
    assert there.sum() == pytest.approx(1, abs=1e-6)
    pld = accountant._subsampled(batches(noise, rate, 1, batch_cap=1, population=others + 1), 1e-3)
    for epsilon in (0.1, 0.5, 1.0):
        bill = pld.get_delta_for_epsilon(epsilon)
        assert hockey_stick(there, absent, epsilon) <= bill + 1e-9
        assert hockey_stick(absent, there, epsilon) <= bill + 1e-9


def test_billed_as_plain_poisson_batches_truncated_ones_would_be_too_cheap():
    there, absent = densities(1.0, 0.5, 2)
    plain = accountant._subsampled(batches(1.0, 0.5, 1), 1e-3).get_delta_for_epsilon(0.5)
    assert max(hockey_stick(there, absent, 0.5), hockey_stick(absent, there, 0.5)) > plain


def truncated(size, rate, cap, noise, steps):
    event = dp_event.TruncatedSubsampledGaussianDpEvent(
        dataset_size=size, sampling_probability=rate, truncated_batch_size=cap, noise_multiplier=noise
    )
    other = pld_privacy_accountant.PLDAccountant(value_discretization_interval=5e-4)
    return other.compose(dp_event.SelfComposedDpEvent(event, steps)).get_epsilon(DELTA)


def test_p06_the_cap_costs_nothing_up_to_the_largest_cohort_and_much_beyond_it():
    population, rate, noise, steps = 2000, 1 / 6, 8.0, 200
    cap = batch_cap(population, rate)
    free = pld_epsilon([batches(noise, rate, steps)], DELTA, grid=5e-4)
    planned = batches(noise, rate, steps, batch_cap=cap, population=largest(population))
    assert pld_epsilon([planned], DELTA, grid=5e-4) == pytest.approx(free, rel=1e-3)
    # Smaller cohorts under the same cap cost no more, so the bill of the largest is a bill for all.
    for size in (100, population // 2, population):
        assert truncated(size, rate, cap, noise, steps) <= free * 1.001
    # This is why a larger cohort is refused: its true price is another one.
    assert truncated(2 * population, rate, cap, noise, steps) > 1.2 * free


def test_the_order_of_composition_and_equal_parts_do_not_matter():
    parts = [batches(3.0, 0.1, 40), Event("g", "gaussian", noise_multiplier=4.0), Event("p", "pure", epsilon=0.1)]
    forwards, backwards = pld_epsilon(parts, DELTA), pld_epsilon(parts[::-1], DELTA)
    assert forwards == pytest.approx(backwards, rel=1e-6)
    halves = [batches(3.0, 0.1, 20), batches(3.0, 0.1, 20), *parts[1:]]
    assert pld_epsilon(halves, DELTA) == pytest.approx(forwards, rel=1e-3)
    assert rdp_epsilon(halves, DELTA) == pytest.approx(rdp_epsilon(parts, DELTA), rel=1e-9)
