"""What several hospitals' generators cost one patient together: bounds in order, and the same by trying all groups."""

import math
from dataclasses import replace
from itertools import combinations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wardgan.errors import UsageError
from wardgan.privacy.accountant import gaussian_mu, rdp_epsilon
from wardgan.privacy.accounts.together import Part, gaussian_epsilon, total
from wardgan.privacy.events import Budget, Event
from wardgan.privacy.union import Site, largest, sites_of, union_bounds

DELTA = 1e-5


def gaussian(noise, steps=1):
    return Part((Event("sums", "gaussian", noise_multiplier=noise, steps=steps),), None)


def batches(noise, rate=0.1, steps=20):
    events = (Event("steps", "poisson-gaussian", noise_multiplier=noise, sampling_rate=rate, steps=steps),)
    return Part(events, Budget(rdp_epsilon(events, DELTA) * 1.01, DELTA))


def choices(epsilon, steps=2):
    return Part((Event("choice", "pure", epsilon=epsilon, steps=steps), *gaussian(5.0).events), None)


def sites(*parts):
    return [Site(f"data-{at}", (part,)) for at, part in enumerate(parts)]


def slowly(given_sites, size, delta):
    """The largest cost of any group, by trying every one."""
    return max(
        total([part for site in group for part in site.parts], delta).epsilon
        for group in combinations(given_sites, min(size, len(given_sites)))
    )


NOISES = st.lists(st.floats(0.7, 30), min_size=1, max_size=6)


@settings(max_examples=60, deadline=None)
@given(noises=NOISES, size=st.integers(1, 7))
def test_gaussian_sums_twice(noises, size):
    found = largest(sites(*map(gaussian, noises)), size, DELTA)
    assert found.how == "exact"
    assert found.epsilon == pytest.approx(slowly(sites(*map(gaussian, noises)), size, DELTA), rel=1e-9, abs=1e-12)
    top = sorted((noise**-2 for noise in noises), reverse=True)[:size]
    assert found.epsilon == pytest.approx(gaussian_epsilon(math.sqrt(sum(top)), DELTA), rel=1e-9)


@settings(max_examples=40, deadline=None)
@given(noises=NOISES, size=st.integers(1, 6), seed=st.randoms())
def test_bounds_are_in_order_and_hang_on_nothing_else(noises, size, seed):
    every = sites(*map(gaussian, noises))
    found = union_bounds(every, DELTA, most=size)
    assert 0 < found.disjoint.epsilon <= found.overlap.epsilon * (1 + 1e-12)
    assert found.overlap.epsilon <= found.worst.epsilon * (1 + 1e-12)
    assert found.claimed is found.overlap
    shuffled = list(every)
    seed.shuffle(shuffled)
    again = union_bounds(shuffled, DELTA, most=size)
    assert (again.disjoint, again.overlap, again.worst) == (found.disjoint, found.overlap, found.worst)
    more = union_bounds([*every, Site("another", (gaussian(3.0),))], DELTA, most=size)
    assert more.overlap.epsilon >= found.overlap.epsilon * (1 - 1e-12)


def test_mixed_mechanisms_are_never_below_any_group():
    every = sites(gaussian(2.0), batches(1.2), choices(0.2), batches(2.5, 0.2), gaussian(1.1))
    for size in (1, 2, 3, 5):
        exact = slowly(every, size, DELTA)
        found = largest(every, size, DELTA)
        assert found.epsilon >= exact * (1 - 1e-9)
        assert found.epsilon <= exact * 1.02 or found.how == "sum"
        quick = largest(every, size, DELTA, quick=True)
        assert quick.epsilon >= exact * (1 - 1e-6)
        assert quick.epsilon <= 1.6 * exact + 0.2


def test_many_different_hospitals_get_one_bound_that_covers_every_group():
    every = sites(*(batches(1.0 + 0.05 * at) for at in range(30)))
    found = largest(every, 3, DELTA)
    assert found.how == "RDP"
    assert found.epsilon >= total([site.parts[0] for site in every[:3]], DELTA).epsilon * (1 - 1e-9)
    dearest = [event for site in every[:3] for event in site.events]
    assert found.epsilon == pytest.approx(rdp_epsilon(dearest, DELTA))


def test_one_generator_counts_once_and_those_of_the_same_patients_compose():
    one, two = gaussian(4.0), gaussian(3.0)
    found = sites_of([("a", "patients", one), ("b", "patients", two), ("a", "patients", one), ("c", "others", one)])
    assert [(site.name, site.parts) for site in found] == [("patients", (one, two)), ("others", (one,))]
    both = union_bounds(found, DELTA).disjoint
    assert both.epsilon == pytest.approx(gaussian_epsilon(math.hypot(1 / 4, 1 / 3), DELTA))


def test_what_is_not_protected_makes_everything_endless():
    every = [*sites(gaussian(2.0)), Site("open", (Part((), None, protected=False),))]
    found = union_bounds(every, DELTA, most=1)
    assert {found.disjoint.epsilon, found.overlap.epsilon, found.worst.epsilon} == {math.inf}
    assert found.to_dict()["worst"] == {"epsilon": None, "delta": DELTA, "how": "no privacy"}


def test_thresholds_use_delta_up():
    part = Part((Event("levels", "gaussian", noise_multiplier=2.0, delta=4e-6),), None)
    assert math.isfinite(largest(sites(part, part), 2, DELTA).epsilon)
    assert math.isinf(largest(sites(part, part, part), 3, DELTA).epsilon)


def test_what_nobody_bounded_cannot_be_added_up():
    """Parts without a budget once counted as nothing where epsilons are added."""
    events = (Event("steps", "gaussian", noise_multiplier=3.0),)
    assert total([Part(events, None)] * 3, DELTA).epsilon == pytest.approx(gaussian_epsilon(math.sqrt(3) / 3, DELTA))
    known = Part(events, Budget(0.01, DELTA))
    assert total([known, Part(events, None)], DELTA).epsilon > 1


def test_groups_that_are_stated_at_other_deltas_are_all_covered():
    """Three hospitals whose thresholds use delta up together: only the sum of their claims is left, at three deltas."""
    threshold = Part((Event("levels", "gaussian", noise_multiplier=8.0, delta=4e-6),), Budget(0.617, DELTA))
    every = sites(*[threshold] * 3, *[gaussian(2.0)] * 3)
    found = largest(every, 3, DELTA)
    for group in combinations(every, 3):
        one = total([part for site in group for part in site.parts], DELTA)
        assert found.epsilon >= one.epsilon
        assert found.delta >= one.delta
    assert found.delta == pytest.approx(3e-5)


def test_one_hospital_is_not_stated_at_a_delta_below_its_own():
    part = replace(batches(1.5), budget=Budget(0.5, 1e-3))
    assert largest(sites(part, batches(30.0)), 1, DELTA).epsilon > 0.5
    assert largest(sites(part, batches(30.0)), 1, 1e-3).epsilon == 0.5


def test_thresholds_use_delta_up_where_one_bound_covers_all_groups():
    def threshold(at):
        events = batches(1.0 + 0.05 * at).events
        return Part((*events, Event("levels", "gaussian", noise_multiplier=9.0, delta=4e-6)), None)

    every = sites(*map(threshold, range(30)))
    found = largest(every, 2, DELTA)
    two = [event for site in every[:2] for event in site.events]
    assert found.how == "RDP"
    assert found.epsilon == pytest.approx(rdp_epsilon(two, DELTA))
    assert found.epsilon > rdp_epsilon([replace(event, delta=0.0) for event in two], DELTA)
    assert math.isinf(largest(every, 3, DELTA).epsilon)


@pytest.mark.parametrize("delta", [0, 1, -1, math.nan, "x"])
def test_a_delta_that_is_none(delta):
    with pytest.raises(UsageError, match="delta="):
        union_bounds(sites(gaussian(1.0)), delta)


def test_sites_that_are_none():
    with pytest.raises(UsageError, match="there is none, or one is there twice"):
        union_bounds([], DELTA)
    with pytest.raises(UsageError, match="there is none, or one is there twice"):
        union_bounds([Site("a", ()), Site("a", ())], DELTA)
    with pytest.raises(UsageError, match="overlap=0"):
        union_bounds(sites(gaussian(1.0)), DELTA, most=0)


def test_the_table_of_one_to_five_hospitals():
    """Five equal hospitals at epsilon 1 and 3, each a Gaussian mechanism (computed by hand from the curve)."""
    for epsilon, wanted in ((1.0, {1: 1.00, 2: 1.47, 3: 1.83, 5: 2.44}), (3.0, {1: 3.00, 2: 4.46, 3: 5.66, 5: 7.67})):
        every = sites(*[gaussian(1 / gaussian_mu(epsilon, DELTA))] * 5)
        every = [replace(site, name=f"n{at}") for at, site in enumerate(every)]
        for size, there in wanted.items():
            assert round(largest(every, size, DELTA).epsilon, 2) == there
