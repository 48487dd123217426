"""Exact shares, areas under the curve and excess over a control: against scipy, and how often they hold the truth."""

import math

import numpy as np
import pytest
from scipy import stats

from wardgan.errors import UsageError
from wardgan.estimate import area_error, area_under_curve, exact_proportion, excess, normal_quantile, proportion


@pytest.mark.parametrize("n", [1, 2, 9, 100, 10_000])
@pytest.mark.parametrize("share", [0.0, 0.003, 0.1, 0.5, 0.98, 1.0])
@pytest.mark.parametrize("confidence", [0.8, 0.95, 0.9975])
def test_exact_proportion_is_clopper_and_pearsons(n, share, confidence):
    successes = round(share * n)
    found = exact_proportion(successes, n, confidence=confidence, baseline=0.2)
    expected = stats.binomtest(successes, n).proportion_ci(confidence, method="exact")
    assert found.value == successes / n
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high), abs=1e-9)
    assert (found.n, found.baseline) == (n, 0.2)


@pytest.mark.parametrize("confidence", [0.9, 0.95, 0.999])
def test_other_levels_are_wider_and_said(confidence):
    usual, other = proportion(30, 100), proportion(30, 100, confidence=confidence)
    expected = stats.binomtest(30, 100).proportion_ci(confidence, method="wilson")
    assert (other.low, other.high) == pytest.approx((expected.low, expected.high), abs=1e-12)
    assert (other.method == usual.method) == (confidence == 0.95)
    assert confidence == 0.95 or f"{100 * confidence:g} %" in other.method
    assert normal_quantile(confidence) == pytest.approx(stats.norm.ppf((1 + confidence) / 2))


@pytest.mark.parametrize("confidence", [0, 1, -0.5, 95])
def test_a_level_that_is_none_is_refused(confidence):
    for make in (proportion, exact_proportion):
        with pytest.raises(UsageError, match="confidence"):
            make(1, 2, confidence=confidence)


@pytest.mark.parametrize(("successes", "n"), [(-1, 5), (6, 5), (0, 0), (1.5, 5)])
def test_exact_share_of_nonsense_is_refused(successes, n):
    with pytest.raises(UsageError):
        exact_proportion(successes, n)


@pytest.mark.parametrize(("area", "cases", "controls"), [(-0.1, 5, 5), (1.1, 5, 5), (0.5, 0, 5), (math.nan, 5, 5)])
def test_area_of_nonsense_is_refused(area, cases, controls):
    with pytest.raises(UsageError):
        area_under_curve(area, cases, controls)


@pytest.mark.parametrize(("cases", "controls"), [(50, 50), (400, 100)])
def test_standard_error_of_no_difference_is_that_of_mann_and_whitney(cases, controls):
    exact = math.sqrt((cases + controls + 1) / (12 * cases * controls))
    assert area_error(0.5, cases, controls) == pytest.approx(exact, rel=0.02)


@pytest.mark.parametrize("confidence", [0.9, 0.95, 0.995])
def test_area_holds_the_truth_as_often_as_it_says(confidence):
    r = np.random.default_rng(1)
    truth, held = stats.norm.cdf(0.5 / math.sqrt(2)), 0
    for _ in range(400):
        cases, controls = r.normal(0.5, 1, 60), r.normal(0, 1, 80)
        area = stats.mannwhitneyu(cases, controls).statistic / (60 * 80)
        found = area_under_curve(area, 60, 80, confidence=confidence)
        held += found.low <= truth <= found.high
    assert abs(held / 400 - confidence) < 0.035


def test_excess_is_the_share_of_what_was_open():
    assert excess([(70, 100)], [(40, 100)]).value == pytest.approx(0.5)
    assert excess([(40, 100)], [(40, 100)]).value == 0
    assert excess([(20, 100)], [(40, 100)]).value == pytest.approx(-1 / 3)
    assert excess([(100, 100)], [(0, 100)]).value == 1


def test_strata_count_alike():
    assert excess([(900, 1000), (5, 10)], [(900, 1000), (2, 10)]).value == pytest.approx(1 - 0.3 / 0.45)
    assert excess([(900, 1000), (5, 10)], [(900, 1000), (2, 10)]).baseline == pytest.approx(0.55)


@pytest.mark.parametrize(
    ("one", "two", "sizes"), [(0.5, 0.3, (300, 300)), (0.9, 0.9, (400, 200)), (0.05, 0.02, (500, 800))]
)
@pytest.mark.parametrize("confidence", [0.95, 0.99])
def test_excess_holds_the_truth_as_often_as_it_says(one, two, sizes, confidence):
    r = np.random.default_rng(2)
    truth, held = 1 - (1 - one) / (1 - two), 0
    for _ in range(1500):
        found = excess(
            [(int(r.binomial(sizes[0], one)), sizes[0])], [(int(r.binomial(sizes[1], two)), sizes[1])],
            confidence=confidence,
        )  # fmt: skip
        assert found.low <= found.value <= found.high
        held += found.low <= truth <= found.high
    assert abs(held / 1500 - confidence) < 0.02


def test_excess_of_strata_holds_the_truth():
    r = np.random.default_rng(3)
    held, shares = 0, ((0.9, 0.9, 300), (0.4, 0.1, 40))
    truth = 1 - sum(1 - one for one, _, _ in shares) / sum(1 - two for _, two, _ in shares)
    for _ in range(1500):
        ours, theirs = ([(int(r.binomial(n, pair[at])), n) for *pair, n in shares] for at in (0, 1))
        found = excess(ours, theirs)
        held += found.low <= truth <= found.high
    assert 0.93 < held / 1500 < 0.975


def test_where_nothing_is_open_there_is_no_excess():
    found = excess([(100, 100)], [(100, 100)])
    assert (found.value, found.low, found.high, found.baseline) == (0.0, -math.inf, 1.0, 1.0)


def test_excess_of_different_strata_is_refused():
    for ours, theirs in (([(1, 2)], [(1, 2), (1, 2)]), ([], []), ([(3, 2)], [(1, 2)])):
        with pytest.raises(UsageError):
            excess(ours, theirs)
