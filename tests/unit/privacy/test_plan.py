"""The plan: solved before anything is read, and never above its budget (Rule P5)."""

from __future__ import annotations

import math
from dataclasses import replace
from functools import cache

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

import wardgan.privacy.plan as plans
from wardgan.errors import BudgetError, FormatError, PlanError, WardganError
from wardgan.privacy.accountant import gaussian_mu, pld_epsilon, rdp_epsilon
from wardgan.privacy.events import Budget, Event
from wardgan.privacy.plan import Plan, Share, batch_cap, largest, solve, with_population

SHARES = (Share("a", 0.2), Share("b", 0.5), Share("d", 0.3, sampling_rate=0.2, steps=60))


@cache
def solved(epsilon=1.0, shares=SHARES, population=1000, delta=1e-5):
    return solve(Budget(epsilon, delta), shares, population=population, family="test")


@pytest.mark.parametrize(("epsilon", "population"), [(0.05, 1000), (1.0, 1000), (4.0, None)])
def test_p05_the_whole_plan_stays_within_its_budget_and_uses_it_up(epsilon, population):
    plan = solved(epsilon, population=population)
    assert 0.97 * epsilon < plan.epsilon() <= epsilon
    # Every grid is pessimistic, so the budget holds on those of other bills too.
    for grid in (2e-4, 5e-5):
        assert pld_epsilon(plan.events, 1e-5, grid=grid) <= epsilon


@given(
    st.lists(st.tuples(st.floats(0.01, 1), st.sampled_from([None, 0.05, 0.5, 1.0]), st.integers(1, 40)), min_size=1, max_size=3),
    st.floats(0.05, 0.8),
    st.sampled_from([None, 200, 5000]),
)  # fmt: skip
@settings(deadline=None, max_examples=4)
def test_p05_any_plan_stays_within_its_budget(wishes, epsilon, population):
    shares = tuple(
        Share(f"s{at}", weight, sampling_rate=rate, steps=steps) for at, (weight, rate, steps) in enumerate(wishes)
    )
    plan = solved(epsilon, shares, population)
    assert plan.epsilon() <= epsilon
    if population is None:
        assert with_population(plan, 321).epsilon() <= epsilon


def test_one_gaussian_share_gets_the_exact_noise():
    plan = solved(2.0, (Share("a", 1.0),))
    assert plan.events[0].noise_multiplier == pytest.approx(1 / gaussian_mu(2.0, 1e-5), rel=2e-3)


def test_weights_are_proportions_of_squared_mu():
    a, b = (1 / solved().event(name).noise_multiplier ** 2 for name in ("a", "b"))
    assert b / a == pytest.approx(2.5)


def test_selections_get_their_part():
    plan = solved(1.0, (Share("a", 0.5), Share("pick", 0.5, pure=True, steps=3)))
    event = plan.event("pick")
    assert (event.mechanism, event.steps) == ("pure", 3)
    assert 3 * event.epsilon**2 / 4 == pytest.approx(1 / plan.event("a").noise_multiplier ** 2)


def test_thresholds_are_paid_out_of_delta():
    plan = solved(1.0, (Share("a", 1.0, delta=2e-6),))
    assert plan.epsilon() <= 1.0
    assert plan.events[0].noise_multiplier > solved(1.0, (Share("a", 1.0),)).events[0].noise_multiplier
    with pytest.raises(PlanError, match="declare the levels"):
        solved(1.0, (Share("a", 1.0, delta=2e-6, steps=10),))


@pytest.mark.parametrize("wrong", [{"weight": 0}, {"weight": math.nan}, {"weight": math.inf}, {"steps": 0}])
def test_a_share_is_a_positive_wish(wrong):
    with pytest.raises(WardganError):
        Share(**{"name": "a", "weight": 1.0, **wrong})


def test_the_cap_is_eight_standard_deviations_above_the_mean_of_the_largest_cohort():
    for population, most, rate in [(1000, 1100, 0.2), (51, 57, 0.5), (6500, 7150, 1 / 6), (1, 2, 0.2)]:
        assert largest(population) == most
        assert batch_cap(population, rate) == min(
            most, math.ceil(most * rate + 8 * math.sqrt(most * rate * (1 - rate)))
        )
    assert batch_cap(100, 1.0) == largest(100)


def test_caps_come_from_the_public_population_alone():
    event = solved(population=1000).event("d")
    assert (event.population, event.batch_cap) == (largest(1000), batch_cap(1000, 0.2))
    later = with_population(solved(population=None), 1000)
    assert later.population == 1000
    assert (later.event("d").population, later.event("d").batch_cap) == (largest(1000), batch_cap(1000, 0.2))
    assert later.event("a") == solved(population=None).event("a")


def test_json_and_back():
    plan = solved()
    assert Plan.from_dict(plan.to_dict()) == plan
    for name in ("epsilon", "events", "family", "population"):
        with pytest.raises(FormatError):
            Plan.from_dict({key: value for key, value in plan.to_dict().items() if key != name})
    with pytest.raises(PlanError):
        Plan.from_dict({**plan.to_dict(), "epsilon": math.inf})


def test_only_what_is_planned_may_happen():
    with pytest.raises(BudgetError, match="not in the plan"):
        solved().event("peek")


def test_two_events_of_one_name_could_not_be_told_apart_on_the_bill():
    plan = solved()
    with pytest.raises(PlanError, match="twice"):
        replace(plan, events=(*plan.events, plan.events[0]))
    with pytest.raises(PlanError, match="twice"):
        solved(shares=(Share("a", 1.0), Share("a", 1.0)))


@pytest.mark.parametrize(
    ("population", "rate"), [(6500, 1e-4), (2000, 1e-4), (300, 0.05), (600, 1 / 6), (100_000, 0.01)]
)
def test_p06_a_batch_is_hardly_ever_cut_however_small_it_is(population, rate):
    """By the exact binomial distribution; eight standard deviations are too few where the mean is about 1."""
    assert stats.binom.sf(batch_cap(population, rate), largest(population), rate) <= 1e-14


@pytest.mark.parametrize("population", [6500, 1000])
def test_p05_the_cap_of_small_batches_costs_nothing(population):
    """At a mean batch below 1 truncation alone would use up delta, were it cut at eight standard deviations."""
    rate = 1e-4
    uncut = Event("d", "poisson-gaussian", noise_multiplier=1.0, sampling_rate=rate, steps=1000)
    most = largest(population)
    for cap, cost in ((batch_cap(population, rate), 1.0), (4, math.inf)):
        event = replace(uncut, batch_cap=cap, population=most)
        assert rdp_epsilon((event,), 1e-5) == pytest.approx(cost * rdp_epsilon((uncut,), 1e-5), rel=1e-3)


def test_a_plan_that_no_noise_can_save_is_refused(monkeypatch):
    monkeypatch.setattr(Plan, "fits", lambda self: False)
    with pytest.raises(PlanError, match="no noise is large enough"):
        solve(Budget(2.5), [Share("never", 1.0)], population=100, family="test")


def halved_nine_times(budget, shares, population):
    """The same plan as it was found before: by asking at each halving."""
    total = sum(share.weight for share in shares)
    delta = budget.delta - sum(share.delta * share.steps for share in shares)

    def planned(mu):
        events = tuple(plans._event(share, mu * math.sqrt(share.weight / total), population) for share in shares)
        return plans.Plan(budget, events, population, "x")

    high = plans.gaussian_mu(budget.epsilon, delta)
    if planned(high).fits():
        return planned(high)
    low = 0.8 * high
    while not planned(low).fits():
        low *= 0.8
    for _ in range(9):
        middle = (low + high) / 2
        low, high = (middle, high) if planned(middle).fits() else (low, middle)
    return planned(low)


@pytest.mark.parametrize("epsilon", [0.1, 0.5, 1.0, 3.0, 8.0, 30.0])
@pytest.mark.parametrize(
    "shares",
    [
        (plans.Share("a", 1.0, 0.1, 20), plans.Share("b", 1.0)),
        (plans.Share("a", 0.7, 0.02, 1_500), plans.Share("b", 0.3), plans.Share("c", 0.05, steps=5, pure=True)),
        (plans.Share("a", 1.0, 0.5, 3), plans.Share("b", 0.2, delta=1e-7)),
    ],
)
def test_few_questions_find_the_plan_that_halving_finds(epsilon, shares):
    """The last plan that fits, to the last bit, and the next one does not."""
    budget = plans.Budget(epsilon)
    plans._solved.cache_clear()
    found = plans.solve(budget, shares, population=3_000, family="x")
    assert found == halved_nine_times(budget, shares, 3_000)
    assert found.fits()


@given(st.integers(0, 511), st.floats(0.2, 6.0), st.floats(1e-3, 1e3))
def test_the_last_place_is_found_with_few_questions(last, power, scale):
    asked = []

    def excess(place):
        asked.append(place)
        return scale * (math.copysign(abs(place - last - 0.5) ** power, place - last - 0.5))

    assert plans._last(excess) == last
    assert len(asked) <= 2 + 6 + 9


@given(st.lists(st.floats(-10, 10) | st.just(math.nan) | st.just(math.inf), min_size=511, max_size=511))
def test_p05_the_place_was_asked_about_and_fits_whatever_the_accountant_says(between):
    """A composition that does not grow with the place, or is no number, makes a plan smaller, never too large."""
    asked = {}

    def excess(place):
        asked[place] = [-1.0, *between, 1.0][place]
        return asked[place]

    assert asked[plans._last(excess)] <= 0
    assert len(asked) <= 2 + 6 + 9


def test_a_delta_that_is_used_up_above_is_no_end():
    assert plans._last(lambda place: math.inf if place > 300 else place - 300.5) == 300


@given(st.floats(1e-3, 10), st.floats(1.001, 2), st.integers(0, 512))
def test_places_are_those_of_halving(low, times, place):
    high, start, end = low * times, low, low * times
    for bit in reversed(range(9)):
        middle = (low + high) / 2
        low, high = (middle, high) if place >> bit & 1 else (low, middle)
    assert plans._halved(start, end, place) == (end if place == 512 else low)
