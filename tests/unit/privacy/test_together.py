"""What several fits cost together: by closed form, by both accountants, by adding, and what is left under a cap."""

import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wardgan.privacy.accountant import gaussian_delta, pld_epsilon, rdp_epsilon
from wardgan.privacy.accounts import together
from wardgan.privacy.accounts.together import Part, gaussian_epsilon, left, merged, room, scaled, total, within
from wardgan.privacy.events import Budget, Event
from wardgan.privacy.plan import Share, solve

GAUSS = [Share("grid", 1.0), Share("tables", 3.0)]
BATCHES = [Share("grid", 1.0), Share("d", 3.0, sampling_rate=0.1, steps=60)]
CHOICES = [Share("tables", 1.0), Share("selection", 0.3, steps=5, pure=True)]


def part(epsilon, shares=GAUSS, delta=1e-5):
    plan = solve(Budget(epsilon, delta), shares, population=500, family="x")
    return Part(plan.events, plan.budget)


def test_nothing_costs_nothing_and_no_privacy_everything():
    assert total([], 1e-5) == total([replace(part(1), events=())], 1e-5)
    assert total([], 1e-5).epsilon == 0
    found = total([part(1), Part((), None, protected=False)], 1e-5)
    assert (found.epsilon, found.how) == (math.inf, "no privacy")
    assert not within([Part((), None, protected=False)], Budget(100.0))


@pytest.mark.parametrize("shares", [GAUSS, BATCHES, CHOICES], ids=["gauss", "batches", "choices"])
def test_fits_together_cost_what_the_accountants_say_of_all_events(shares):
    parts = [part(1.0, shares), part(2.0, shares)]
    events = [event for each in parts for event in each.events]
    found = total(parts, 1e-5)
    assert found.epsilon == pytest.approx(pld_epsilon(events, 1e-5), rel=0.01)
    assert max(2.0, 0.7 * 3.0) < found.epsilon < 3.0
    assert found.epsilon <= rdp_epsilon(events, 1e-5)
    assert found.how == ("exact" if shares is GAUSS else "PLD")


def test_refits_of_one_plan_are_its_mechanisms_run_more_often():
    one = part(1.0, BATCHES)
    twice = merged([*one.events, *one.events])
    assert [event.steps for event in twice] == [2, 120]
    renamed = [replace(event, name=f"{event.name} again") for event in one.events]
    assert merged([*one.events, *renamed]) == twice
    assert len(merged([*one.events, *part(1.1, BATCHES).events])) == 4


def test_the_closed_form_is_the_inverse_of_the_curve():
    for mu in (0.01, 0.3, 2.0, 15.0):
        for delta in (1e-9, 1e-5, 0.01):
            epsilon = gaussian_epsilon(mu, delta)
            assert gaussian_delta(mu, epsilon) <= delta
            assert epsilon < 1e-9 or gaussian_delta(mu, epsilon * 0.999) > delta


def test_thresholds_use_delta_up_and_then_all_is_added():
    learned = Part((Event("levels of x", "gaussian", noise_multiplier=5.0, delta=4e-6),), Budget(1.0))
    assert total([learned, learned], 1e-5).how == "exact"
    assert total([learned, learned], 1e-5).epsilon > total([learned], 1e-5).epsilon
    found = total([learned] * 3, 1e-5)
    assert (found.how, found.epsilon) == ("sum", 3.0)
    assert found.delta == pytest.approx(3e-5)
    assert not within([learned] * 3, Budget(50.0))
    assert within([learned] * 3, Budget(50.0, 1e-4))


def test_too_many_mechanisms_are_left_to_our_own_accountant():
    parts = [part(1 + at / 100, CHOICES) for at in range(30)]
    found = total(parts, 1e-5)
    assert found.how == "RDP"
    assert found.epsilon == pytest.approx(rdp_epsilon([e for each in parts for e in each.events], 1e-5))


def test_without_the_accountant_of_record_our_own_gives_the_bound(monkeypatch):
    monkeypatch.setattr(together, "pld_available", lambda: False)
    assert total([part(1.0, BATCHES)] * 2, 1e-5).how == "RDP"
    assert total([part(1.0)] * 2, 1e-5).how == "exact"


@pytest.mark.parametrize("shares", [GAUSS, BATCHES, CHOICES], ids=["gauss", "batches", "choices"])
def test_one_fit_may_use_a_cap_up(shares):
    assert within([part(2.0, shares)], Budget(2.0))
    assert not within([part(2.0, shares)], Budget(1.8))
    assert not within([part(2.0, shares)], Budget(2.0, 1e-9))
    assert within([part(2.0, shares)], Budget(2.0, 1e-4))


@pytest.mark.parametrize(
    ("shares", "cap"), [(GAUSS, 2.2), (GAUSS, 2.5), (BATCHES, 2.5), (CHOICES, 2.2)],
    ids=["gauss, little", "gauss", "batches", "choices"],
)  # fmt: skip
def test_what_is_said_to_be_left_is_left_and_not_much_more(shares, cap):
    spent, limit = [part(2.0, shares)], Budget(cap)
    epsilon = room(spent, part(2.0, shares), limit)
    assert 0 < epsilon < 2
    assert within([*spent, part(epsilon, shares)], limit)
    assert not within([*spent, part(1.1 * epsilon + 0.02, shares)], limit)
    quick = room(spent, part(2.0, shares), limit, quick=True)
    assert quick <= epsilon


def test_a_fit_that_fits_is_not_made_smaller_and_a_full_cap_has_no_room():
    assert room([], part(2.0), Budget(3.0)) == 2.0
    assert room([part(3.0)], part(1.0), Budget(3.0)) < 0.1
    assert room([part(3.0)], part(1.0), Budget(2.0)) == 0
    assert room([Part((), None, protected=False)], part(1.0), Budget(90.0)) == 0
    assert room([], Part((), None, protected=False), Budget(90.0)) == 0
    assert left([], Budget(3.0)) == pytest.approx(3.0)


@given(st.lists(st.floats(0.05, 4.0), max_size=6), st.floats(0.1, 8.0), st.sampled_from([1e-7, 1e-5, 1e-3]))
def test_what_is_left_never_passes_the_cap(epsilons, limit, delta):
    parts = [_gaussian(epsilon) for epsilon in epsilons]
    cap = Budget(limit, delta)
    epsilon = left(parts, cap)
    if epsilon:
        assert within([*parts, _gaussian(epsilon, delta)], cap)
    elif parts and within(parts, cap):
        assert not within([*parts, _gaussian(0.2 * limit + 0.1, delta)], cap)


@given(st.floats(0.05, 1.0), st.floats(0.5, 5.0))
def test_scaling_is_that_of_the_plan(factor, noise):
    """A Poisson event whose mu is scaled costs that part of mu (formula of `privacy.plan.solve`)."""
    event = Event("d", "poisson-gaussian", noise_multiplier=noise, sampling_rate=0.1, steps=60)
    small = scaled(event, factor)
    assert math.expm1(small.noise_multiplier**-2) == pytest.approx(factor**2 * math.expm1(noise**-2))
    assert scaled(Event("s", "pure", epsilon=2.0), factor).epsilon == pytest.approx(2 * factor)


def _gaussian(epsilon, delta=1e-5):
    from wardgan.privacy.accountant import gaussian_mu

    return Part((Event("x", "gaussian", noise_multiplier=1 / gaussian_mu(epsilon, delta)),), Budget(epsilon, delta))
