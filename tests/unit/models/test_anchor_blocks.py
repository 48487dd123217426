"""Pairs of axes at the same distance between visits: drawn together by precision, against an obvious twin."""

from __future__ import annotations

import numpy as np
import pytest

from wardgan.models.anchor.dependence import _towards_blocks  # pyright: ignore[reportPrivateUsage]

NUMBERS = np.random.default_rng(11)
# Ragged visits: most patients have two, few have six, so the noise of late pairs is many times that of the first one.
LAGS = np.array([0.01, 0.03, 0.07, 0.13, 0.2])


def twin(value, variance, blocks):
    """The same, pair by pair."""
    groups = [np.flatnonzero(blocks == one) for one in np.unique(blocks)]
    excess, freedom, means, errors = 0.0, 0.0, {}, {}
    for group in groups:
        weights = [1 / variance[at] for at in group]
        mean = sum(w * value[at] for w, at in zip(weights, group, strict=True)) / sum(weights)
        for at in group:
            means[at], errors[at] = mean, 1 / sum(weights)
        if len(group) > 1:
            excess += sum(w * (value[at] - mean) ** 2 for w, at in zip(weights, group, strict=True)) - len(group) + 1
            freedom += sum(weights) - sum(w**2 for w in weights) / sum(weights)
    spread = max(excess / freedom, 1e-6)
    found, noise = [], []
    for at in range(len(value)):
        own = 1.0 if (blocks == blocks[at]).sum() == 1 else spread / (spread + variance[at])
        found.append(own * value[at] + (1 - own) * means[at])
        noise.append(own**2 * variance[at] + (1 - own**2) * errors[at])
    return np.array(found), np.array(noise)


def seen(truth, blocks=200):
    """Gives values of blocks of five pairs, their variances, and the numbers of the blocks."""
    values = truth + np.tile(LAGS, blocks) * NUMBERS.standard_normal(5 * blocks)
    return values[None], np.tile(LAGS**2, blocks)[None], np.repeat(np.arange(blocks), 5)


@pytest.mark.parametrize("apart", [0.0, 0.05, 0.5])
def test_it_is_what_the_twin_gives(apart):
    values, variances, blocks = seen(np.repeat(NUMBERS.normal(0, 0.2, 200), 5) + apart * NUMBERS.standard_normal(1000))
    blocks = np.append(blocks, 1000)  # and one pair alone
    values, variances = np.append(values, [[0.3]], axis=1), np.append(variances, [[0.01]], axis=1)
    found, noise = _towards_blocks(np.vstack([values, -values]), np.vstack([variances] * 2), blocks)
    for y, sign in enumerate((1, -1)):
        ours, theirs = twin(sign * values[0], variances[0], blocks)
        np.testing.assert_allclose(found[y], ours, rtol=1e-6, atol=1e-12)
        np.testing.assert_allclose(noise[y], theirs, rtol=1e-6, atol=1e-12)


def test_a_pair_that_is_well_known_is_not_spoilt_by_its_late_ones():
    values, variances, blocks = seen(np.repeat(np.full(200, 0.2), 5))
    found, noise = _towards_blocks(values, variances, blocks)
    gaps = (found[0] - 0.2).reshape(-1, 5)
    assert np.sqrt((gaps[:, 0] ** 2).mean()) < 1.1 * LAGS[0]
    assert np.sqrt((gaps**2).mean()) < 1.2 * LAGS[0]
    np.testing.assert_allclose(np.sqrt((gaps**2).mean()), np.sqrt(noise.mean()), rtol=0.15)


def test_pairs_that_truly_differ_stay_apart():
    truth = 0.5 * NUMBERS.standard_normal(1000)
    values, variances, blocks = seen(truth)
    found, _ = _towards_blocks(values, variances, blocks)
    assert np.sqrt(((found[0] - truth) ** 2).reshape(-1, 5).mean(axis=0)) == pytest.approx(LAGS, rel=0.25)


def test_pairs_of_no_block_are_left_as_they_are():
    values, variances = NUMBERS.standard_normal((2, 9)), np.full((2, 9), 0.1)
    found, noise = _towards_blocks(values, variances, np.arange(9))
    np.testing.assert_array_equal(found, values)
    np.testing.assert_array_equal(noise, variances)
