"""Adaptive shrinkage against known priors, and against doing nothing."""

from __future__ import annotations

import numpy as np
import pytest

from wardgan.models.anchor.shrink import shrunk

NUMBERS = np.random.default_rng(3)


def seen(truth, sd):
    noise = np.broadcast_to(np.asarray(sd, dtype=float), truth.shape)
    return truth + noise * NUMBERS.standard_normal(truth.shape), noise**2


def test_noise_alone_is_drawn_to_nothing():
    found, variance = shrunk(*seen(np.zeros(2000), 0.5))
    assert np.sqrt(np.mean(found**2)) < 0.1 * 0.5
    assert variance.mean() < 0.15 * 0.25


def test_a_few_large_numbers_stay():
    truth = np.zeros(2000)
    truth[:20] = 5.0
    found, _ = shrunk(*seen(truth, 0.5))
    assert found[:20].mean() == pytest.approx(5.0, abs=0.4)
    assert np.abs(found[20:]).mean() < 0.05


@pytest.mark.parametrize("width", [0.2, 1.0, 5.0])
def test_with_a_normal_prior_it_is_nearly_the_exact_posterior(width):
    truth = width * NUMBERS.standard_normal(5000)
    values, noise = seen(truth, 1.0)
    found, variance = shrunk(values, noise)
    exact = width**2 / (width**2 + 1)
    best = np.mean((exact * values - truth) ** 2)
    assert np.mean((found - truth) ** 2) < 1.05 * best + 0.005
    assert variance.mean() == pytest.approx(exact, rel=0.15, abs=0.1)


def test_it_is_never_far_worse_than_nothing_and_often_better():
    for sparse in (0.01, 0.1, 0.5, 1.0):
        truth = NUMBERS.standard_normal(3000) * (NUMBERS.random(3000) < sparse)
        values, noise = seen(truth, np.where(np.arange(3000) % 2, 0.3, 1.5))
        found, _ = shrunk(values, noise)
        assert np.mean((found - truth) ** 2) < min(np.mean((values - truth) ** 2), 1.1 * np.mean(truth**2) + 0.01)


def test_numbers_of_less_noise_are_believed_more():
    values = np.full(100, 1.0)
    noise = np.where(np.arange(100) % 2, 0.01, 4.0)
    found, _ = shrunk(values, noise)
    assert found[1] > 0.9
    assert found[0] < found[1]


def test_few_numbers_and_no_noise_are_left_alone():
    values, noise = np.array([3.0, -1.0]), np.ones(2)
    assert shrunk(values, noise)[0].tolist() == [3.0, -1.0]
    truth = NUMBERS.standard_normal((4, 50))
    found, _ = shrunk(truth, np.full(truth.shape, 1e-12))
    np.testing.assert_allclose(found, truth, atol=1e-5)
    assert found.shape == truth.shape
