"""Draws of groups of patients give the intervals that draws of patients give, and cover what they are for."""

import math

import numpy as np
import pandas as pd
import pytest

from wardgan.evaluate.resample import GROUPS, Resamples, interval, ratio, subsample
from wardgan.rng import Seed

SEED = Seed(1)


@pytest.mark.parametrize("n", [1, 7, 100, 1234])
def test_counts_and_sums_are_those_of_a_loop_over_patients(n):
    stream = np.random.default_rng(n)
    codes, values = stream.integers(0, 4, n), stream.normal(size=(n, 2))
    draws = Resamples.of(n, SEED, "one", draws=5)
    counts, sums = draws.counts(codes, 4), draws.sums(values)
    for at in range(6):
        slow_counts, slow_sums = np.zeros(4), np.zeros(2)
        for patient in range(n):
            often = draws.weights[at, draws.group[patient]]
            slow_counts[codes[patient]] += often
            slow_sums += often * values[patient]
        np.testing.assert_allclose(counts[at], slow_counts)
        np.testing.assert_allclose(sums[at], slow_sums, atol=1e-9)
    np.testing.assert_allclose(counts[0], np.bincount(codes, minlength=4))


def test_groups_are_as_large_as_each_other_and_drawn_as_often():
    draws = Resamples.of(1050, SEED, "one")
    assert np.bincount(draws.group).tolist() == [11] * 50 + [10] * 50
    assert (draws.weights.sum(axis=1) == GROUPS).all()
    assert (draws.weights[0] == 1).all()
    assert draws.weights[1:].mean(axis=0) == pytest.approx(1, abs=0.25)


def test_two_tables_are_drawn_independently_and_again_the_same():
    one, again, other = (Resamples.of(500, SEED, name) for name in ("a", "a", "b"))
    assert np.array_equal(one.weights, again.weights)
    assert np.array_equal(one.group, again.group)
    assert abs(np.corrcoef(one.weights[1:].ravel(), other.weights[1:].ravel())[0, 1]) < 0.03


@pytest.mark.parametrize("n", [20, 150, 2000])
def test_the_interval_of_a_mean_covers(n):
    stream = np.random.default_rng(n)
    held = 0
    for at in range(300):
        values = stream.exponential(size=n)
        draws = Resamples.of(n, Seed(at), "mean")
        found = interval(draws.sums(values) / (draws.weights @ np.bincount(draws.group)), n, "mean")
        held += found.low <= 1 <= found.high
    # Percentiles of twenty skewed values cover a little less than they say.
    assert (0.86 if n == 20 else 0.91) < held / 300 < 0.985


def test_the_interval_is_as_wide_as_that_of_draws_of_patients():
    stream = np.random.default_rng(3)
    values = stream.normal(size=5000)
    draws = Resamples.of(5000, SEED, "width")
    found = interval(draws.sums(values) / 5000, 5000, "mean")
    slow = np.quantile([stream.choice(values, 5000).mean() for _ in range(400)], [0.025, 0.975])
    assert found.high - found.low == pytest.approx(slow[1] - slow[0], rel=0.25)


@pytest.mark.parametrize("found", [[math.nan, 1.0, 1.0], [1.0, math.nan, math.nan, 1.0]])
def test_what_most_draws_do_not_know_has_no_interval(found):
    estimate = interval(np.array(found), 50, "share", low=0.0, high=1.0)
    assert (estimate.low, estimate.high) == (0, 1)
    assert estimate.method == "share, no interval"


def test_one_patient_has_no_interval():
    draws = Resamples.of(1, SEED, "one")
    found = interval(draws.sums(np.array([3.0])), 1, "mean")
    assert (found.value, found.low, found.high) == (3.0, -math.inf, math.inf)


def test_an_interval_stays_where_the_value_can_be_and_holds_it():
    found = interval(np.array([0.01, *np.linspace(0, 0.4, 50)]), 50, "distance", low=0.0, high=1.0)
    assert found.low == 0
    assert found.low <= found.value <= found.high


def test_a_subsample_is_a_part_in_order_and_random():
    frame = pd.DataFrame({"a": range(100)})
    few = subsample(frame, 30, SEED, "a")
    assert len(few) == 30
    assert few["a"].is_monotonic_increasing
    assert few["a"].tolist() != list(range(30))
    assert subsample(frame, 100, SEED, "a") is frame


def test_ratio_of_nothing_is_nan_without_a_warning():
    assert np.isnan(ratio(np.array([1.0, 0.0]), np.array([0.0, 0.0]))).all()
