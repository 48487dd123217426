"""Intervals by drawing patients again, cheap enough for every cell of a large table.

The patients of a table are put into at most 100 groups at random, and the groups are drawn again with replacement.
Random groups of independent patients are independent themselves, so this is the bootstrap with groups in the place of
patients; with at most 100 patients it is the ordinary one. Whatever is made of sums and counts over patients needs one
pass over the patients and a small matrix product, whatever the number of draws.

Source:
    Efron and Tibshirani, An Introduction to the Bootstrap, 1993, chapters 6 and 13 (percentiles); Wolter, Introduction
    to Variance Estimation, 2007, chapter 2 (random groups).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from wardgan.estimate import Estimate
from wardgan.evaluate.columns import Codes
from wardgan.rng import Seed

GROUPS: Final = 100
DRAWS: Final = 400


@dataclass(frozen=True, eq=False, repr=False)
class Resamples:
    """Patients in random groups, and how often each draw holds each group.

    Attributes:
        group: Group of each patient, shape (patients,).
        weights: How often each group counts, shape (1 + draws, groups); the first row is the sample itself.
    """

    group: Codes
    weights: NDArray[np.float64]

    @classmethod
    def of(cls, n: int, seed: Seed, name: str, *, draws: int = DRAWS) -> Resamples:
        """Gives the draws for a table of `n` patients.

        Args:
            n: Number of patients, at least 1.
            seed: Source of randomness.
            name: Which table; another name gives independent draws.
            draws: How many.
        """
        stream = seed.stream(f"resample/{name}")
        size = min(n, GROUPS)
        drawn = stream.multinomial(size, np.full(size, 1 / size), size=draws)
        return cls(stream.permutation(n) % size, np.vstack([np.ones(size), drawn]).astype(np.float64))

    def counts(self, codes: Codes, size: int) -> NDArray[np.float64]:
        """Gives how many patients have each code, shape (1 + draws, size).

        Args:
            codes: Whole numbers from 0 to `size` - 1, shape (patients,).
            size: Number of codes.
        """
        groups = self.weights.shape[1]
        table = np.bincount(self.group * size + codes, minlength=groups * size).reshape(groups, size)
        return self.weights @ table

    def sums(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Gives the sums of values over the patients, shape (1 + draws, *rest).

        Args:
            values: Finite numbers, shape (patients, *rest).
        """
        groups = self.weights.shape[1]
        flat = values.reshape(len(values), -1)
        table = np.stack([np.bincount(self.group, column, groups) for column in flat.T], axis=1)
        return (self.weights @ table).reshape(len(self.weights), *values.shape[1:])


def interval(
    found: NDArray[np.float64], n: int, method: str, *, low: float = -math.inf, high: float = math.inf
) -> Estimate:
    """Gives an estimate from what each draw gave; the interval is centred on the measured value.

    A distance between two samples is never negative, so its mean over draws is larger than the measured one, as this is
    larger than the distance of the populations. Shifting the draws to the measured value leaves an interval for what
    samples of this size show on the whole; that is what a distance has to be compared with, when it stands beside the
    one for a hold-out of the same size.

    Args:
        found: Value in the sample, then in each draw, shape (1 + draws,); NaN where undefined.
        n: Number of patients.
        method: What was measured.
        low: The least that the value can be.
        high: The most that it can be.

    Returns:
        The interval is as wide as the possible values where fewer than half of the draws, or fewer than two patients,
        tell anything.

    Example:
        >>> print(interval(np.array([0.5, 0.5, 0.6, 0.7]), 50, "share", low=0, high=1))
        0.500 [0.404, 0.596]
    """
    value, drawn = float(found[0]), found[1:][np.isfinite(found[1:])]
    text = f"{method}, bootstrap interval"
    if n < 2 or not math.isfinite(value) or 2 * drawn.size < found.size - 1:
        return Estimate(value, low, high, n, f"{method}, no interval")
    # Few groups spread less than the patients do, by this factor.
    groups = min(n, GROUPS)
    around = (drawn - drawn.mean()) * math.sqrt(groups / (groups - 1))
    ends = np.quantile(around, [0.025, 0.975])
    return Estimate(
        value, max(low, value + min(float(ends[0]), 0.0)), min(high, value + max(float(ends[1]), 0.0)), n, text
    )


def subsample(table: pd.DataFrame, most: int, seed: Seed, name: str) -> pd.DataFrame:
    """Gives at most `most` patients of a table, chosen at random, in their order."""
    if len(table) <= most:
        return table
    return table.iloc[np.sort(seed.stream(f"subsample/{name}").permutation(len(table))[:most])]


def ratio(above: NDArray[Any], below: NDArray[Any]) -> NDArray[np.float64]:
    """Gives quotients, NaN where the divisor is 0.

    Example:
        >>> ratio(np.array([1.0, 1.0]), np.array([2.0, 0.0])).tolist()
        [0.5, nan]
    """
    fine = below != 0
    return np.where(fine, above / np.where(fine, below, 1.0), np.nan)
