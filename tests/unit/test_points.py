"""Distances between points: the same by loops."""

import math

import numpy as np
import pytest

from wardgan.points import even, nearest, squared


def test_nearest_twice():
    stream = np.random.default_rng(0)
    base, points = stream.normal(size=(40, 5)), stream.normal(size=(30, 5))
    away, place = nearest(points, base)
    owners = np.repeat(np.arange(10), 4)
    alone, other = nearest(base, base, owners)
    for at, one in enumerate(points):
        wanted = [math.dist(one, two) for two in base]
        assert (place[at], away[at]) == (int(np.argmin(wanted)), pytest.approx(min(wanted)))
    for at, one in enumerate(base):
        wanted = [math.dist(one, two) if owners[spot] != owners[at] else math.inf for spot, two in enumerate(base)]
        assert (other[at], alone[at]) == (int(np.argmin(wanted)), pytest.approx(min(wanted)))
    assert nearest(base[:1], base[:1], np.zeros(1, dtype=int))[0][0] == math.inf


def test_more_points_than_a_block_holds():
    points = np.random.default_rng(1).normal(size=(1203, 3))
    away, place = nearest(points[::-1], points)
    assert place.tolist() == list(range(1203))[::-1]
    assert away.max() == 0


def test_squared_twice():
    stream = np.random.default_rng(2)
    one, two = stream.normal(size=(7, 4)), stream.normal(size=(5, 4))
    wanted = [[math.dist(a, b) ** 2 for b in two] for a in one]
    np.testing.assert_allclose(squared(one, two), wanted, atol=1e-12)
    assert (squared(1e6 + one, 1e6 + one) >= 0).all()


def test_even():
    assert even(np.array([3, 3, 9, 9]), np.array([0, 0]))
    assert not even(np.array([0, 1]), np.array([0, 0, 1, 1]))
