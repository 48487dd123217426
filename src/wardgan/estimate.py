"""A number that leaves the package: value, interval, n, baseline and how it was made."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass

from wardgan import check
from wardgan.errors import UsageError


@dataclass(frozen=True)
class Estimate:
    """A measured number with its uncertainty.

    Attributes:
        value: The number.
        low: Lower end of the 95 % interval.
        high: Upper end of the 95 % interval.
        n: How many units it was measured on.
        method: How value and interval were made.
        baseline: The same number for a reference (real patients, a hold-out), if there is one.
    """

    value: float
    low: float
    high: float
    n: int
    method: str
    baseline: float | None = None

    def __str__(self) -> str:
        text = f"{self.value:.3f} [{self.low:.3f}, {self.high:.3f}]"
        return text if self.baseline is None else f"{text} against {self.baseline:.3f}"

    def to_dict(self) -> dict[str, float | int | str | None]:
        """Gives the fields as a dictionary for JSON; an unbounded end of the interval is `None`."""
        return {
            name: None if isinstance(value, float) and not math.isfinite(value) else value
            for name, value in asdict(self).items()
        }


def proportion(successes: int, n: int, *, baseline: float | None = None) -> Estimate:
    """Gives a share with its Wilson interval (Wilson 1927).

    Args:
        successes: How many of the `n` units, 0 to `n`.
        n: Number of units, at least 1.
        baseline: The share for a reference.

    Raises:
        UsageError: `successes` or `n` is no count, or there are more successes than units.

    Example:
        >>> print(proportion(9, 10))
        0.900 [0.596, 0.982]
    """
    check.whole(1, n=n)
    check.whole(0, successes=successes)
    if successes > n:
        raise UsageError(f"successes={successes!r} is more than n={n!r}.")
    z = 1.959963984540054
    share = successes / n
    centre = (share + z * z / (2 * n)) / (1 + z * z / n)
    half = z * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n)) / (1 + z * z / n)
    # Both ends hold the share, whatever rounding does to them at 0 and 1.
    low, high = max(0.0, min(share, centre - half)), min(1.0, max(share, centre + half))
    return Estimate(share, low, high, n, "share, Wilson interval", baseline)


def mean(values: Sequence[float], *, baseline: float | None = None) -> Estimate:
    """Gives a mean over repeated runs with a Student t interval.

    Args:
        values: One number for each run, at least 1; with one run the interval is unbounded.
        baseline: The mean for a reference.

    Raises:
        UsageError: There is no value, or one is not finite.

    Example:
        >>> print(mean([0.9, 0.92, 0.91]))
        0.910 [0.885, 0.935]
    """
    check.whole(1, n=len(values))
    if not all(math.isfinite(value) for value in values):
        raise UsageError("values: every run gives a finite number.")
    centre = sum(values) / len(values)
    if len(values) == 1:
        return Estimate(centre, -math.inf, math.inf, 1, "one run, no interval", baseline)
    variance = sum((value - centre) ** 2 for value in values) / (len(values) - 1)
    half = _student_95(len(values) - 1) * math.sqrt(variance / len(values))
    return Estimate(centre, centre - half, centre + half, len(values), "mean of runs, t interval", baseline)


_STUDENT_95 = (12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228)


def _student_95(freedom: int) -> float:
    # Two-sided 97.5 % points; beyond ten degrees two Cornish-Fisher terms are exact to 0.003.
    if freedom <= len(_STUDENT_95):
        return _STUDENT_95[freedom - 1]
    z = 1.959963984540054
    return z + (z**3 + z) / (4 * freedom) + (5 * z**5 + 16 * z**3 + 3 * z) / (96 * freedom**2)
