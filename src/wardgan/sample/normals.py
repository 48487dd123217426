"""Parts of the standard normal: how much lies between two ends, and draws from there."""

from __future__ import annotations

import math
from statistics import NormalDist

import numpy as np

from wardgan.sample.forms import Floats

_erfc = np.vectorize(math.erfc, otypes=[np.float64])
_quantile = np.vectorize(NormalDist().inv_cdf, otypes=[np.float64])


def mass(low: Floats, high: Floats) -> Floats:
    """Gives the probability between two ends, exact to rounding in either tail; 0 where `low` is not below `high`.

    Example:
        >>> print(f"{mass(np.array(-1.0), np.array(1.0)):.10f} {mass(np.array(8.0), np.array(10.0)):.10e}")
        0.6826894921 6.2209604981e-16
    """
    low, high = _turned(low, high)
    return np.maximum(_below(high) - _below(low), 0.0)


def between(low: Floats, high: Floats, uniform: Floats) -> Floats:
    """Gives standard normals between two ends: the inverse of the distribution function.

    Args:
        low: Lower ends, any shape.
        high: Upper ends, above the lower ones.
        uniform: Uniform numbers in [0, 1).
    """
    turn = low + high > 0
    left, right = _turned(low, high)
    start, stop = _below(left), _below(right)
    share = np.clip(start + uniform * (stop - start), np.nextafter(0, 1), 1 - 2.0**-53)
    found = np.clip(_quantile(share), left, right)
    return np.where(turn, -found, found)


def _turned(low: Floats, high: Floats) -> tuple[Floats, Floats]:
    """Gives the same interval in the left tail, where the distribution function has all its digits."""
    turn = low + high > 0
    return np.where(turn, -high, low), np.where(turn, -low, high)


def _below(x: Floats) -> Floats:
    return 0.5 * _erfc(-np.asarray(x) * math.sqrt(0.5))
