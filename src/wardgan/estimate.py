"""A number that leaves the package: value, interval, n, baseline and how it was made."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from statistics import NormalDist

from wardgan import check
from wardgan.errors import UsageError


@dataclass(frozen=True)
class Estimate:
    """A measured number with its uncertainty.

    Attributes:
        value: The number.
        low: Lower end of the interval: 95 %, unless `method` says another level.
        high: Upper end of the interval.
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


def proportion(successes: int, n: int, *, baseline: float | None = None, confidence: float = 0.95) -> Estimate:
    """Gives a share with its Wilson interval (Wilson 1927).

    Args:
        successes: How many of the `n` units, 0 to `n`.
        n: Number of units, at least 1.
        baseline: The share for a reference.
        confidence: Level of the interval, between 0 and 1.

    Raises:
        UsageError: `successes` or `n` is no count, or there are more successes than units.

    Example:
        >>> print(proportion(9, 10))
        0.900 [0.596, 0.982]
    """
    _check_count(successes, n)
    share = successes / n
    low, high = share_interval(share, n, confidence=confidence)
    return Estimate(share, low, high, n, f"share, Wilson interval{_level(confidence)}", baseline)


def share_interval(share: float, n: float, *, confidence: float = 0.95) -> tuple[float, float]:
    """Gives Wilson's interval of a share of `n` units, where `n` need not be whole (an effective number of units).

    Args:
        share: The share, 0 to 1.
        n: Number of units, above 0.
        confidence: Level of the interval, between 0 and 1.

    Source:
        Wilson, J Am Stat Assoc 1927;22:209; effective numbers: Korn and Graubard, Surv Methodol 1998;24:193.

    Example:
        >>> [round(end, 3) for end in share_interval(0.9, 10)]
        [0.596, 0.982]
    """
    z = normal_quantile(confidence)
    centre = (share + z * z / (2 * n)) / (1 + z * z / n)
    half = z * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n)) / (1 + z * z / n)
    # Both ends hold the share, whatever rounding does to them at 0 and 1.
    return max(0.0, min(share, centre - half)), min(1.0, max(share, centre + half))


def exact_proportion(successes: int, n: int, *, baseline: float | None = None, confidence: float = 0.95) -> Estimate:
    """Gives a share with its exact interval, which holds the truth at least as often as it says.

    Args:
        successes: How many of the `n` units, 0 to `n`.
        n: Number of units, at least 1.
        baseline: The share for a reference.
        confidence: Level of the interval, between 0 and 1.

    Raises:
        UsageError: `successes` or `n` is no count, there are more successes than units, or `confidence` is no level.

    Source:
        Clopper and Pearson, Biometrika 1934;26:404.

    Example:
        >>> print(exact_proportion(9, 10))
        0.900 [0.555, 0.997]
    """
    _check_count(successes, n)
    check.in_open_interval(0, 1, confidence=confidence)
    tail = (1 - confidence) / 2
    low = _beta_quantile(tail, successes, n - successes + 1) if successes else 0.0
    high = 1 - _beta_quantile(tail, n - successes, successes + 1) if successes < n else 1.0
    method = f"share, Clopper-Pearson interval{_level(confidence)}"
    return Estimate(successes / n, low, high, n, method, baseline)


def area_under_curve(
    area: float, cases: int, controls: int, *, baseline: float | None = None, confidence: float = 0.95
) -> Estimate:
    """Gives an area under the ROC curve with an interval that is sensible also near 0 and 1.

    The interval holds the true areas from which the measured one is fewer than z standard errors away, the standard
    error being the one at the true area (as Wilson's interval does for a share).

    Args:
        area: The measured area, 0 to 1.
        cases: Number of positive patients, at least 1.
        controls: Number of negative patients, at least 1.
        baseline: The area for a reference.
        confidence: Level of the interval, between 0 and 1.

    Raises:
        UsageError: `area` is not on the scale, or a number of patients is no count.

    Source:
        Newcombe, Stat Med 2006;25:559, method 5.

    Example:
        >>> print(area_under_curve(0.9, 50, 50))
        0.900 [0.816, 0.946]
    """
    check.whole(1, cases=cases, controls=controls)
    if not 0 <= area <= 1:
        raise UsageError(f"area={area!r} is not between 0 and 1.")
    z = normal_quantile(confidence)
    low, high = (_area_end(area, outside, cases, controls, z) for outside in (0.0, 1.0))
    method = f"area under the ROC curve, Newcombe interval{_level(confidence)}"
    return Estimate(area, low, high, cases + controls, method, baseline)


def area_error(area: float, cases: int, controls: int) -> float:
    """Gives the standard error of a measured area under the ROC curve where the true one is `area`.

    Source:
        Newcombe, Stat Med 2006;25:559, method 5.

    Example:
        >>> round(area_error(0.5, 50, 50), 3)
        0.058
    """
    half = (cases + controls) / 2 - 1
    correlated = half * (1 - area) / (2 - area) + half * area / (1 + area)
    return math.sqrt(area * (1 - area) * (1 + correlated) / (cases * controls))


def excess(
    found: Sequence[tuple[int, int]], control: Sequence[tuple[int, int]], *, confidence: float = 0.95
) -> Estimate:
    """Gives the share of what a control leaves open that is found nevertheless: 1 - (1 - found) / (1 - control).

    0: no more is found than in the control; 1: all that the control leaves open is found. With several strata the
    shares are means over these, each stratum counting alike.

    Args:
        found: For each stratum successes and number of trials, at least one stratum with at least one trial.
        control: The same strata in the control.
        confidence: Level of the interval, between 0 and 1.

    Returns:
        The excess, its baseline being the share found in the control; n counts the trials of `found`. If the control
        leaves nothing open, the excess is 0 with an open lower end.

    Raises:
        UsageError: The strata differ in number, or a count is no count.

    Source:
        The intervals of the two means and of their ratio are put together from Wilson's (method of variance estimates
        recovery): Zou and Donner, Stat Med 2008;27:1693; Donner and Zou, Stat Methods Med Res 2012;21:347.

    Example:
        >>> print(excess([(55, 100)], [(40, 100)]))
        0.250 [0.022, 0.429] against 0.400
    """
    if len(found) != len(control) or not found:
        raise UsageError(f"found and control: {len(found)} and {len(control)} strata; both need the same, at least 1.")
    ours, low, high = _open_share(found, confidence)
    theirs, least, most = _open_share(control, confidence)
    n, baseline = sum(trials for _, trials in found), 1 - theirs
    method = f"excess over the control, Wilson and MOVER interval{_level(confidence)}"
    if theirs == 0:
        return Estimate(0.0, -math.inf, 1.0, n, method, baseline)
    product = ours * theirs
    root = math.sqrt(max(0.0, product**2 - low * most * (2 * ours - low) * (2 * theirs - most)))
    smallest = low * (2 * ours - low) / (product + root) if low > 0 else 0.0
    largest = math.inf
    if least > 0:
        root = math.sqrt(max(0.0, product**2 - high * least * (2 * ours - high) * (2 * theirs - least)))
        largest = (product + root) / (least * (2 * theirs - least))
    return Estimate(1 - ours / theirs, 1 - largest, 1 - smallest, n, method, baseline)


def normal_quantile(confidence: float) -> float:
    """Gives how many standard deviations a two-sided normal interval reaches.

    Raises:
        UsageError: `confidence` is not between 0 and 1.

    Example:
        >>> round(normal_quantile(0.95), 3)
        1.96
    """
    check.in_open_interval(0, 1, confidence=confidence)
    return NormalDist().inv_cdf((1 + confidence) / 2)


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


def _check_count(successes: int, n: int) -> None:
    check.whole(1, n=n)
    check.whole(0, successes=successes)
    if successes > n:
        raise UsageError(f"successes={successes!r} is more than n={n!r}.")


def _level(confidence: float) -> str:
    return "" if confidence == 0.95 else f", {100 * confidence:.4g} %"


def _area_end(area: float, outside: float, cases: int, controls: int, z: float) -> float:
    # Bisection between the measured area, which is in the interval, and the end of the scale, where the
    # standard error is 0.
    inside = area
    for _ in range(60):
        middle = (inside + outside) / 2
        if abs(area - middle) <= z * area_error(middle, cases, controls):
            inside = middle
        else:
            outside = middle
    return inside


def _open_share(strata: Sequence[tuple[int, int]], confidence: float) -> tuple[float, float, float]:
    """Gives the mean share of failures over the strata, and its interval."""
    parts = [proportion(trials - successes, trials, confidence=confidence) for successes, trials in strata]
    value = sum(part.value for part in parts) / len(parts)
    below = math.sqrt(sum((part.value - part.low) ** 2 for part in parts)) / len(parts)
    above = math.sqrt(sum((part.high - part.value) ** 2 for part in parts)) / len(parts)
    return value, max(0.0, value - below), min(1.0, value + above)


def _beta_quantile(share: float, a: int, b: int) -> float:
    """Gives where the Beta(a, b) distribution reaches a share, by bisection."""
    low, high = 0.0, 1.0
    for _ in range(60):
        middle = (low + high) / 2
        if _beta_below(middle, a, b) < share:
            low = middle
        else:
            high = middle
    return low


def _beta_below(x: float, a: int, b: int) -> float:
    """Gives the regularised incomplete beta function by its continued fraction (Lentz's method)."""
    if x > (a + 1) / (a + b + 2):
        return 1 - _beta_below(1 - x, b, a)
    if x <= 0:
        return 0.0
    front = math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b) + a * math.log(x) + b * math.log1p(-x)
    upper, lower = 1.0, 1 / (1 - (a + b) * x / (a + 1))
    fraction = lower
    for step in range(1, 1000):
        for part in (
            step * (b - step) * x / ((a + 2 * step - 1) * (a + 2 * step)),
            -(a + step) * (a + b + step) * x / ((a + 2 * step) * (a + 2 * step + 1)),
        ):
            lower = 1 / (1 + part * lower)
            upper = 1 + part / upper
            fraction *= upper * lower
        if abs(upper * lower - 1) < 1e-13:
            break
    return math.exp(front) * fraction / a
