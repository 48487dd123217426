"""How one visit follows from another one, how patients differ from each other, and where each of them is going."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from wardgan.estimate import Estimate
from wardgan.evaluate.distances import kolmogorov
from wardgan.evaluate.resample import Resamples, interval, ratio
from wardgan.rng import Seed

QUANTILES: Final = (0.05, 0.25, 0.5, 0.75, 0.95)
_CUTS: Final = 200
_Z: Final = 1.959963984540054


@dataclass(frozen=True)
class Slopes:
    """How the patients' slopes are spread.

    Attributes:
        n: Patients with two values or more.
        quantiles: The 5, 25, 50, 75 and 95 % quantiles.
    """

    n: int
    quantiles: tuple[Estimate, ...]

    @classmethod
    def of(cls, slopes: NDArray[np.float64]) -> Slopes:
        """Gives the quantiles of some slopes, shape (patients,), at least one."""
        return cls(slopes.size, tuple(_quantile(np.sort(slopes), share) for share in QUANTILES))


def _quantile(ordered: NDArray[np.float64], share: float) -> Estimate:
    """Gives a quantile between two values in order; Conover, Practical Nonparametric Statistics, 1999, section 3.2."""
    n = ordered.size
    half = _Z * math.sqrt(n * share * (1 - share))
    first, last = math.floor(n * share - half) - 1, math.ceil(n * share + half)
    low = float(ordered[first]) if first >= 0 else -math.inf
    high = float(ordered[last]) if last < n else math.inf
    return Estimate(float(np.quantile(ordered, share)), low, high, n, f"{share:.0%} quantile, interval from ranks")


def slopes_of(values: NDArray[np.float64], at: NDArray[np.float64]) -> NDArray[np.float64]:
    """Gives the slope of each patient who has two values or more, by least squares; shape (such patients,).

    Args:
        values: Shape (patients, visits), NaN where there is none.
        at: When the visits are, shape (visits,).

    Example:
        >>> nan = np.nan
        >>> slopes_of(np.array([[1, 2, nan], [4, nan, 0], [7, nan, nan]]), np.arange(3.0)).tolist()
        [1.0, -2.0]
    """
    there = ~np.isnan(values)
    count = there.sum(axis=1, keepdims=True)
    filled = np.where(there, values, 0.0)
    when = np.where(there, at - (there * at).sum(axis=1, keepdims=True) / np.maximum(count, 1), 0.0)
    squares = (when**2).sum(axis=1)
    several = squares > 0
    return (when * filled).sum(axis=1)[several] / squares[several]


def lag_correlation(values: NDArray[np.float64], lag: int, *, seed: Seed, name: str) -> Estimate:
    """Gives the correlation of values that are some visits apart, over all pairs of such visits and all patients.

    Each visit's values are taken as standard deviations from that visit's mean, so neither the common course nor a
    visit with a larger spread makes a correlation.

    Args:
        values: Shape (patients, visits), NaN where there is none.
        lag: How many visits apart, 1 or more.
        seed: Source of randomness of the interval, which is over patients with all their visits.
        name: Which table.

    Returns:
        NaN where it is undefined: no patient has both values, or they do not vary.
    """
    scaled = standardised(values)
    early, late = scaled[:, :-lag], scaled[:, lag:]
    both = ~(np.isnan(early) | np.isnan(late))
    first, second = (np.where(both, one, 0.0) for one in (early, late))
    sums = np.column_stack(
        [one.sum(axis=1) for one in (first * second, first**2, second**2, first, second, both.astype(np.float64))]
    )
    used = both.any(axis=1)
    n = int(used.sum())
    text = f"correlation over {lag} {'visit' if lag == 1 else 'visits'}"
    if n < 2:
        return Estimate(math.nan, -1.0, 1.0, n, f"{text}, no interval")
    product, one, two, mean_one, mean_two, pairs = Resamples.of(n, seed, f"lag/{name}").sums(sums[used]).T
    count = np.maximum(pairs, 1.0)
    covariance = product - mean_one * mean_two / count
    spread = np.sqrt(np.maximum(one - mean_one**2 / count, 0.0) * np.maximum(two - mean_two**2 / count, 0.0))
    found = ratio(covariance, np.where(spread > 1e-9 * count, spread, 0.0))
    return interval(found, n, text, low=-1.0, high=1.0)


def standardised(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Gives values as standard deviations from the mean of their visit; a visit where all are the same is all 0."""
    centred = deviations(values)
    counts = np.maximum((~np.isnan(values)).sum(axis=0), 1)
    spread = np.sqrt(np.nansum(centred**2, axis=0) / counts)
    scale = np.nanmax(np.abs(values), axis=0, initial=0.0)
    fine = spread > 1e-12 * scale
    return np.where(np.isnan(values), np.nan, np.where(fine, centred / np.where(fine, spread, 1.0), 0.0))


def deviations(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Gives values less the mean of their visit, shape (patients, visits), NaN where there is none."""
    counts = np.maximum((~np.isnan(values)).sum(axis=0), 1)
    return values - np.nansum(values, axis=0) / counts


def intraclass(values: NDArray[np.float64], *, seed: Seed, name: str) -> tuple[Estimate, Estimate, Estimate] | None:
    """Gives the share of the variance that is between patients, the variance within patients, and that between them.

    The common course (the mean of each visit) is taken away before.

    Args:
        values: Shape (patients, visits), NaN where there is none.
        seed: Source of randomness of the intervals, which are over patients with all their visits.
        name: Which table.

    Returns:
        `None` if fewer than two patients have a value, or none has two. The variance between patients is negative
        where patients differ less than their own values would make them.

    Source:
        Donner, Int Stat Rev 1986;54:67 (analysis of variance with unequal numbers of values).
    """
    off = deviations(values)
    there = ~np.isnan(off)
    count = there.sum(axis=1)
    used = count > 0
    if used.sum() < 2 or not (count > 1).any():
        return None
    own = np.nansum(off[used], axis=1)
    many = count[used].astype(np.float64)
    squares = np.nansum(off[used] ** 2, axis=1)
    n = int(used.sum())
    each = np.column_stack([np.ones(n), many, many**2, own, own**2 / many, squares])
    patients, total, twice, summed, among, all_squares = Resamples.of(n, seed, f"intraclass/{name}").sums(each).T
    inside = ratio(all_squares - among, total - patients)
    size = ratio(total - ratio(twice, total), patients - 1)
    outside = ratio(among - summed**2 / total, patients - 1)
    between = ratio(outside - inside, size)
    share = ratio(between, np.where(between + inside > 0, between + inside, 0.0))
    return (
        interval(share, n, "intraclass correlation", low=-1.0, high=1.0),
        interval(inside, n, "variance within patients", low=0.0),
        interval(between, n, "variance between patients"),
    )


def slope_distance(real: NDArray[np.float64], other: NDArray[np.float64], *, seed: Seed) -> Estimate:
    """Gives the largest step between the distributions of two sets of slopes, 0 to 1.

    Args:
        real: Slopes of real patients, shape (patients,).
        other: Those of others, of any length.
        seed: Source of randomness of the interval.
    """
    values = np.unique(real)
    cuts = values[np.unique(np.linspace(0, values.size - 1, _CUTS).round().astype(int))]
    shares: list[NDArray[np.float64]] = []
    for at, slopes in enumerate((real, other)):
        code = np.searchsorted(cuts, slopes, side="left")
        counts = Resamples.of(slopes.size, seed, f"slopes/{at}").counts(code, cuts.size + 1)
        shares.append(np.cumsum(counts, axis=1)[:, :-1] / counts.sum(axis=1, keepdims=True))
    drawn = np.abs(shares[0] - shares[1]).max(axis=1)
    found = np.append(kolmogorov(real, other), drawn[1:])
    return interval(found, other.size, "largest step between distributions", low=0.0, high=1.0)
