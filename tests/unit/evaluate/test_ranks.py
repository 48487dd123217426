"""Ranks, Spearman's correlation and the area under the ROC curve against scipy, scikit-learn and brute force."""

import numpy as np
import pytest
from scipy import stats
from sklearn.metrics import roc_auc_score

from wardgan.evaluate.ranks import auroc, auroc_interval, ranks, spearman

STREAM = np.random.default_rng(0)
SAMPLES = [STREAM.normal(size=40), STREAM.integers(0, 4, 40).astype(float), -STREAM.exponential(size=40)]


@pytest.mark.parametrize("values", SAMPLES)
def test_ranks_are_those_of_scipy(values):
    np.testing.assert_allclose(ranks(values), stats.rankdata(values))


@pytest.mark.parametrize("one", SAMPLES)
@pytest.mark.parametrize("two", SAMPLES)
def test_spearman_is_that_of_scipy(one, two):
    assert spearman(one, two) == pytest.approx(stats.spearmanr(one, two).statistic)


@pytest.mark.parametrize("values", [np.ones(5), np.array([2.0]), np.array([])])
def test_spearman_of_a_constant_is_undefined(values):
    assert np.isnan(spearman(values, np.arange(values.size, dtype=float)))


@pytest.mark.parametrize("scores", SAMPLES)
def test_auroc_is_that_of_scikit_learn(scores):
    positive = STREAM.random(scores.size) < 0.4
    assert auroc(scores, positive) == pytest.approx(roc_auc_score(positive, scores))


def test_auroc_sees_order_and_not_chance():
    positive = np.arange(1000) % 2 == 0
    assert auroc(positive + 0.0, positive) == 1
    assert auroc(-1.0 * positive, positive) == 0
    assert auroc(np.zeros(1000), positive) == 0.5
    assert auroc(np.random.default_rng(1).random(1000), positive) == pytest.approx(0.5, abs=0.05)


def test_auroc_of_one_class_is_undefined():
    assert np.isnan(auroc(np.arange(3.0), np.ones(3, dtype=bool)))
    assert np.isnan(auroc(np.arange(3.0), np.zeros(3, dtype=bool)))


@pytest.mark.parametrize("area", [0.0, 0.02, 0.5, 0.9, 1.0])
@pytest.mark.parametrize("counts", [(1, 1), (5, 200), (250, 250)])
def test_interval_holds_the_area_and_stays_on_the_scale(area, counts):
    low, high = auroc_interval(area, *counts)
    assert 0 <= low <= area <= high <= 1
    assert high - low > 0.001


def test_interval_narrows_with_patients():
    widths = [np.diff(auroc_interval(0.8, n, n))[0] for n in (10, 100, 1000)]
    assert widths == sorted(widths, reverse=True)


@pytest.mark.parametrize("shift", [0.3, 1.5])
def test_interval_holds_the_truth_in_about_95_of_100_samples(shift):
    stream = np.random.default_rng(2)
    truth = stats.norm.cdf(shift / np.sqrt(2))
    positive = np.arange(100) < 40
    held = 0
    for _ in range(600):
        low, high = auroc_interval(auroc(stream.normal(size=100) + shift * positive, positive), 40, 60)
        held += low <= truth <= high
    assert 0.92 < held / 600 < 0.985
