from __future__ import annotations

import json
import math

import numpy as np
import pytest
from scipy import stats

from wardgan.errors import UsageError
from wardgan.estimate import Estimate, mean, proportion


@pytest.mark.parametrize("n", [1, 2, 9, 100, 10_000])
@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 1.0])
def test_proportion_is_wilsons(n, share):
    successes = round(share * n)
    found = proportion(successes, n)
    expected = stats.binomtest(successes, n).proportion_ci(method="wilson")
    assert found.value == successes / n
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high), abs=1e-12)
    assert (found.n, found.baseline) == (n, None)


def test_proportion_covers():
    """95 of 100 intervals hold the truth, also near the border (Wilson's claim)."""
    rng = np.random.default_rng(3)
    for truth in (0.03, 0.5):
        ends = [proportion(int(count), 200) for count in rng.binomial(200, truth, 4000)]
        assert 0.93 < np.mean([e.low <= truth <= e.high for e in ends]) < 0.97


@pytest.mark.parametrize(("successes", "n"), [(-1, 5), (6, 5), (0, 0), (1.5, 5), (1, 5.0), (math.nan, 5)])
def test_proportion_of_nonsense_is_refused(successes, n):
    with pytest.raises(UsageError):
        proportion(successes, n)


@pytest.mark.parametrize("size", [*range(2, 15), 20, 50, 1000])
def test_mean_has_students_interval(size):
    values = np.random.default_rng(size).normal(5, 2, size)
    found = mean(values.tolist())
    low, high = stats.t.interval(0.95, size - 1, values.mean(), values.std(ddof=1) / math.sqrt(size))
    error = values.std(ddof=1) / math.sqrt(size)
    assert found.value == pytest.approx(values.mean())
    assert (found.low, found.high) == pytest.approx((low, high), abs=0.003 * error)


def test_mean_of_one_run_is_unbounded_and_says_so():
    found = mean([0.7])
    assert (found.value, found.low, found.high, found.n) == (0.7, -math.inf, math.inf, 1)
    assert found.method == "one run, no interval"
    assert json.loads(json.dumps(found.to_dict(), allow_nan=False))["low"] is None


@pytest.mark.parametrize("values", [[], [1.0, math.nan], [math.inf, 1.0]])
def test_mean_of_nonsense_is_refused(values):
    with pytest.raises(UsageError):
        mean(values)


def test_text_and_dictionary():
    plain, compared = Estimate(0.5, 0.4, 0.6, 10, "m"), Estimate(0.5, 0.4, 0.6, 10, "m", baseline=0.55)
    assert str(plain) == "0.500 [0.400, 0.600]"
    assert str(compared) == "0.500 [0.400, 0.600] against 0.550"
    assert compared.to_dict() == {"value": 0.5, "low": 0.4, "high": 0.6, "n": 10, "method": "m", "baseline": 0.55}
