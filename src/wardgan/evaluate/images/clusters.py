"""Intervals of numbers of images where the patients are the units that were drawn.

Images of one patient are alike, so a hundred images of ten patients say little more than ten images. Means and shares
get the standard error of a ratio of sums over patients; statistics of all images together get a jackknife that
leaves out groups of patients.

Source:
    Cochran, Sampling Techniques, 1977, chapter 9 (ratio of sums over clusters); Korn and Graubard, Surv Methodol
    1998;24:193 (effective number of units); Kott, J Off Stat 2001;17:521 (delete-a-group jackknife).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from wardgan.estimate import Estimate, normal_quantile, share_interval
from wardgan.evaluate.images.sets import Codes, Values
from wardgan.rng import Seed

GROUPS: Final = 40


def share_of(values: NDArray[Any], patients: Codes, text: str, *, confidence: float = 0.95) -> Estimate:
    """Gives the mean of numbers between 0 and 1 with Wilson's interval for the effective number of images.

    Args:
        values: Which images, or numbers from 0 to 1, shape (images,).
        patients: Patient of each image, shape (images,).
        text: What was measured.
        confidence: Level of the interval.

    Returns:
        n counts the images. Where all values are equal, the patients are the effective number: a patient's images may
        then say nothing that the first of them does not say.

    Example:
        >>> print(share_of(np.array([1, 1, 0, 0]), np.array([0, 0, 1, 1]), "share"))
        0.500 [0.055, 0.945]
    """
    sums, counts = by_patient(np.asarray(values, dtype=np.float64), patients)
    share = float(sums.sum() / counts.sum())
    variance = _ratio_variance(sums, counts)
    effective = min(share * (1 - share) / variance, len(patients)) if variance > 0 else float(counts.size)
    low, high = share_interval(share, max(effective, 1.0), confidence=confidence)
    return Estimate(share, low, high, len(patients), f"{text}, Wilson interval by patient")


def mean_of(values: Values, patients: Codes, text: str, *, low: float = -math.inf, high: float = math.inf) -> Estimate:
    """Gives a mean over images with a t interval by patient.

    Args:
        values: Shape (images,).
        patients: Patient of each image, shape (images,).
        text: What was measured.
        low: The least that the mean can be.
        high: The most that it can be.

    Returns:
        n counts the images; with one patient the interval is as wide as the possible values.

    Example:
        >>> print(mean_of(np.array([1.0, 2.0, 3.0]), np.array([0, 1, 2]), "mean"))
        2.000 [-0.484, 4.484]
    """
    sums, counts = by_patient(values, patients)
    value = float(sums.sum() / counts.sum())
    if counts.size < 2:
        return Estimate(value, low, high, len(values), f"{text}, one patient, no interval")
    half = t_quantile(counts.size - 1) * math.sqrt(_ratio_variance(sums, counts))
    return Estimate(
        value, max(low, value - half), min(high, value + half), len(values), f"{text}, t interval by patient"
    )


def by_patient(values: Values, patients: Codes) -> tuple[Values, Values]:
    """Gives sums over the images of each patient, and their number.

    Args:
        values: Shape (images, *rest).
        patients: Shape (images,).

    Returns:
        Arrays of shape (patients, *rest) and (patients,), in the order of the patients' numbers.

    Example:
        >>> [part.tolist() for part in by_patient(np.array([1.0, 2.0, 4.0]), np.array([5, 9, 5]))]
        [[5.0, 2.0], [2.0, 1.0]]
    """
    names, which = np.unique(patients, return_inverse=True)
    sums = np.zeros((names.size, *values.shape[1:]))
    np.add.at(sums, which, values)
    return sums, np.bincount(which).astype(np.float64)


def grouped(patients: Codes, seed: Seed, name: str) -> Codes:
    """Gives the random group of each image's patient, 0 to at most 39; groups are as large as each other.

    Args:
        patients: Shape (images,).
        seed: Source of randomness.
        name: Which set; another name gives independent groups.
    """
    names, which = np.unique(patients, return_inverse=True)
    size = min(names.size, GROUPS)
    return (seed.stream(f"images/groups/{name}").permutation(names.size) % size)[which]


def jackknifed(value: float, without: Sequence[Values], n: int, text: str, *, low: float = -math.inf) -> Estimate:
    """Gives an estimate from what is found without each group of patients, of each of several samples.

    The jackknife tends to give too wide rather than too narrow intervals (Efron and Stein, Ann Stat 1981;9:586), also
    for distances of samples of one population, where the patients' influence is quadratic.

    Args:
        value: The number for all patients.
        without: For each sample the numbers without each of its groups, shape (groups,).
        n: Number of images.
        text: What was measured.
        low: The least that the number can be.

    Example:
        >>> print(jackknifed(2.0, [np.array([1.5, 2.0, 2.5])], 3, "mean"))
        2.000 [-0.484, 4.484]
    """
    variance = sum((one.size - 1) / one.size * float(((one - one.mean()) ** 2).sum()) for one in without)
    freedom = sum(one.size - 1 for one in without)
    half = t_quantile(freedom) * math.sqrt(variance)
    return Estimate(value, max(low, value - half), value + half, n, f"{text}, jackknife interval by patient")


def t_quantile(freedom: int) -> float:
    """Gives the 97.5 % quantile of Student's t, right to 1 % from 2 degrees of freedom on.

    Source:
        Hill's expansion, Abramowitz and Stegun 26.7.5; exact for one and two degrees.

    Example:
        >>> [round(t_quantile(freedom), 2) for freedom in (1, 2, 5, 30)]
        [12.71, 4.3, 2.57, 2.04]
    """
    if freedom <= 2:
        return 12.706 if freedom < 2 else 4.303
    z, v = normal_quantile(0.95), freedom
    terms = (
        z,
        (z**3 + z) / (4 * v),
        (5 * z**5 + 16 * z**3 + 3 * z) / (96 * v**2),
        (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / (384 * v**3),
        (79 * z**9 + 776 * z**7 + 1482 * z**5 - 1920 * z**3 - 945 * z) / (92160 * v**4),
    )
    return sum(terms)


def _ratio_variance(sums: Values, counts: Values) -> float:
    """Gives the variance of a ratio of two sums over patients."""
    patients, total = counts.size, counts.sum()
    if patients < 2:
        return 0.0
    rest = sums - sums.sum() / total * counts
    return float((rest**2).sum() * patients / (patients - 1) / total**2)
